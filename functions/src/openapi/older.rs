//! The document in OpenAPI 3.0.3, for generators that read nothing newer. What 3.0 cannot say is left out: webhooks, and schemas
//! that are more than one type.

use serde_json::{Map, Value, json};

/// A document of 3.1 as one of 3.0.3.
pub fn older(document: &Value) -> Value {
    let mut document = document.clone();
    if let Some(whole) = document.as_object_mut() {
        whole.insert("openapi".to_owned(), json!("3.0.3"));
        whole.remove("webhooks");
        whole.remove("jsonSchemaDialect");
    }
    if let Some(info) = document.get_mut("info").and_then(Value::as_object_mut) {
        info.remove("summary");
        if let Some(licence) = info.get_mut("license").and_then(Value::as_object_mut) {
            licence.remove("identifier");
        }
    }
    schemas_below(&mut document);
    document
}

/// Finds the schemas. They stand below `schema` of parameters, headers and contents, and by name in the components; what is
/// called so elsewhere (in an example) is no schema.
fn schemas_below(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields.iter_mut() {
                match name.as_str() {
                    "schema" => schema(inner),
                    "schemas" => inner.as_object_mut().into_iter().flat_map(|all| all.values_mut()).for_each(schema),
                    "example" | "examples" | "default" | "enum" => {}
                    _ => schemas_below(inner),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(schemas_below),
        _ => {}
    }
}

fn schema(value: &mut Value) {
    let Value::Object(fields) = value else { return };
    // beside a reference 3.0 reads nothing
    if let Some(reference) = fields.remove("$ref") {
        if fields.is_empty() {
            fields.insert("$ref".to_owned(), reference);
        } else {
            fields.insert("allOf".to_owned(), json!([{ "$ref": reference }]));
        }
        return;
    }
    one_type(fields);
    without_null(fields);
    if let Some(Value::Array(examples)) = fields.remove("examples")
        && let Some(first) = examples.into_iter().next()
    {
        fields.entry("example").or_insert(first);
    }
    if let Some(only) = fields.remove("const") {
        fields.insert("enum".to_owned(), json!([only]));
    }
    for word in ["propertyNames", "contentEncoding", "contentMediaType"] {
        fields.remove(word);
    }
    for word in ["items", "additionalProperties"] {
        fields.get_mut(word).into_iter().for_each(schema);
    }
    for word in ["anyOf", "oneOf", "allOf"] {
        let all = fields.get_mut(word).and_then(Value::as_array_mut);
        all.into_iter().flatten().for_each(schema);
    }
    let properties = fields.get_mut("properties").and_then(Value::as_object_mut);
    properties.into_iter().flat_map(Map::values_mut).for_each(schema);
}

/// `["string", "null"]` is `string` and `nullable`.
fn one_type(fields: &mut Map<String, Value>) {
    let Some(Value::Array(types)) = fields.get("type") else { return };
    let mut others: Vec<Value> = types.iter().filter(|kind| *kind != "null").cloned().collect();
    if others.len() < types.len() {
        fields.insert("nullable".to_owned(), json!(true));
    }
    match others.pop() {
        Some(only) if others.is_empty() => fields.insert("type".to_owned(), only),
        _ => fields.remove("type"),
    };
}

/// `anyOf` with null is the rest and `nullable`.
fn without_null(fields: &mut Map<String, Value>) {
    for word in ["anyOf", "oneOf"] {
        let Some(Value::Array(all)) = fields.get_mut(word) else { continue };
        let before = all.len();
        all.retain(|one| one != &json!({ "type": "null" }));
        if all.len() == before {
            continue;
        }
        let single = all.len() == 1;
        fields.insert("nullable".to_owned(), json!(true));
        if single && let Some(only) = fields.remove(word) {
            fields.insert("allOf".to_owned(), only);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_3_0(schema: Value) -> Value {
        let document = json!({ "components": { "schemas": { "X": schema } } });
        older(&document)["components"]["schemas"]["X"].clone()
    }

    #[test]
    fn null_is_nullable() {
        assert_eq!(as_3_0(json!({"type": ["string", "null"]})), json!({"type": "string", "nullable": true}));
        let either = json!({"anyOf": [{"$ref": "#/a"}, {"type": "null"}], "description": "d"});
        assert_eq!(as_3_0(either), json!({"allOf": [{"$ref": "#/a"}], "nullable": true, "description": "d"}));
        let three = json!({"oneOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]});
        let two = json!({"oneOf": [{"type": "string"}, {"type": "integer"}], "nullable": true});
        assert_eq!(as_3_0(three), two);
        assert_eq!(as_3_0(json!({"type": ["string", "integer"]})), json!({}));
    }

    #[test]
    fn what_stands_inside_is_changed_as_well_and_examples_are_not() {
        let inner = json!({"type": ["integer", "null"], "examples": [1, 2]});
        let older = as_3_0(json!({
            "type": "object", "properties": {"schema": inner, "list": {"type": "array", "items": inner}},
            "additionalProperties": inner, "example": {"type": ["x", "null"]},
        }));
        let expected = json!({"type": "integer", "nullable": true, "example": 1});
        assert_eq!(older["properties"]["schema"], expected);
        assert_eq!(older["properties"]["list"]["items"], expected);
        assert_eq!(older["additionalProperties"], expected);
        assert_eq!(older["example"], json!({"type": ["x", "null"]}));
        assert_eq!(as_3_0(json!({"const": 1})), json!({"enum": [1]}));
        let described = as_3_0(json!({"$ref": "#/a", "description": "d"}));
        assert_eq!(described, json!({"allOf": [{"$ref": "#/a"}], "description": "d"}));
    }

    #[test]
    fn what_3_0_does_not_have_is_left_out() {
        let newer = json!({"openapi": "3.1.0", "webhooks": {}, "info": {"summary": "s", "license": {"identifier": "x", "name": "n"}}});
        assert_eq!(older(&newer), json!({"openapi": "3.0.3", "info": {"license": {"name": "n"}}}));
    }
}
