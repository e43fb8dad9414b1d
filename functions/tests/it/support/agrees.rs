//! Every answer that a test gets is compared with what the API's document says of it, and every body that was taken with what the
//! document says may be sent. So who changes a field or a status in one place learns of the other.
//!
//! Patterns and formats are not looked at here; `make test-openapi` does, with a validator of its own.

use functions::openapi::document;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use std::sync::LazyLock;

static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// Headers that are described where they are.
const TOLD: [&str; 9] = [
    "etag",
    "location",
    "link",
    "x-object-id",
    "retry-after",
    "x-retry-in",
    "www-authenticate",
    "idempotency-replayed",
    "towpath-left-out",
];

/// Headers that are there whenever they are described.
const ALWAYS: [&str; 3] = ["etag", "location", "x-request-id"];

/// What was asked and answered.
pub(crate) struct Exchange<'a> {
    pub(crate) method: &'a str,
    pub(crate) uri: &'a str,
    pub(crate) sent: &'a str,
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a Value,
}

impl Exchange<'_> {
    /// Panics where the document says something else.
    #[track_caller]
    pub(crate) fn must_agree(&self) {
        if let Err(problem) = self.compared() {
            let Self { method, uri, status, body, .. } = self;
            panic!("the API's document says something else of {method} {uri}: {problem}\n{status} {body}");
        }
    }

    fn compared(&self) -> Result<(), String> {
        let path = self.uri.split('?').next().unwrap_or_default();
        let method = if self.method == "HEAD" { "get".to_owned() } else { self.method.to_lowercase() };
        let nowhere = matches!(self.status.as_u16(), 404 | 405);
        let Some(operations) = described(path) else {
            return if nowhere { Ok(()) } else { Err("it is not described".to_owned()) };
        };
        let Some(operation) = operations.get(&method) else {
            return if nowhere { Ok(()) } else { Err("its method is not described".to_owned()) };
        };
        let status = self.status.as_u16().to_string();
        let answer = operation.pointer(&format!("/responses/{status}"));
        let answer = resolved(answer.ok_or_else(|| format!("it does not answer {status}"))?);
        self.headers_fit(answer)?;
        match answer.pointer("/content/application~1json/schema") {
            Some(_) if self.method == "HEAD" && self.body.is_null() => {}
            Some(schema) => fits(schema, self.body).map_err(|problem| format!("the answer: {problem}"))?,
            None if self.body.is_null() => {}
            None => return Err("it has no JSON body".to_owned()),
        }
        let taken = operation.pointer("/requestBody/content/application~1json/schema");
        if let (true, Some(schema), Ok(sent)) = (self.status.is_success(), taken, serde_json::from_str(self.sent)) {
            fits(schema, &sent).map_err(|problem| format!("what was sent and taken: {problem}"))?;
        }
        Ok(())
    }

    fn headers_fit(&self, answer: &Value) -> Result<(), String> {
        let described = answer.get("headers").and_then(Value::as_object);
        let described: Vec<String> = described.into_iter().flatten().map(|(name, _)| name.to_lowercase()).collect();
        for name in TOLD {
            if self.headers.contains_key(name) && !described.iter().any(|known| known == name) {
                return Err(format!("the header {name} is not described"));
            }
        }
        let missing =
            |name: &&&str| described.iter().any(|known| known == **name) && !self.headers.contains_key(**name);
        ALWAYS.iter().find(missing).map_or(Ok(()), |name| Err(format!("there is no header {name}")))
    }
}

/// The operations of the path that is like this one; the most particular.
fn described(path: &str) -> Option<&'static Value> {
    let segments: Vec<&str> = path.split('/').collect();
    let like = |template: &str| {
        let parts: Vec<&str> = template.split('/').collect();
        let same = |(part, segment): (&&str, &&str)| part == segment || (part.starts_with('{') && !segment.is_empty());
        parts.len() == segments.len() && parts.iter().zip(&segments).all(same)
    };
    let paths = DOCUMENT.get("paths")?.as_object()?;
    let found = paths.iter().filter(|(template, _)| like(template));
    found.min_by_key(|(template, _)| template.matches('{').count()).map(|(_, operations)| operations)
}

/// What a reference means.
pub(crate) fn resolved(value: &'static Value) -> &'static Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => DOCUMENT
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or_else(|| panic!("{reference} is not in the document")),
        None => value,
    }
}

/// Whether a value is as its schema says.
pub(crate) fn fits(schema: &'static Value, value: &Value) -> Result<(), String> {
    let Some(words) = schema.as_object() else { return Err(format!("{schema} is no schema")) };
    for (word, said) in words {
        keyword(word, said, words, value).map_err(|problem| match problem.strip_prefix('.') {
            Some(_) => problem,
            None => format!("{problem}, {value} is not {said}"),
        })?;
    }
    Ok(())
}

fn keyword(
    word: &str,
    said: &'static Value,
    words: &'static serde_json::Map<String, Value>,
    value: &Value,
) -> Result<(), String> {
    let number = || said.as_u64().unwrap_or_else(|| panic!("{word}: {said}"));
    let holds = |holds: bool| if holds { Ok(()) } else { Err(format!(" {word}")) };
    let all = || said.as_array().unwrap_or_else(|| panic!("{word}: {said}"));
    match word {
        "$ref" => {
            let pointer = said.as_str().unwrap_or_default().trim_start_matches('#');
            fits(DOCUMENT.pointer(pointer).unwrap_or_else(|| panic!("{said} is not in the document")), value)
        }
        "type" => {
            let is = |kind: &Value| match kind.as_str() {
                Some("object") => value.is_object(),
                Some("array") => value.is_array(),
                Some("string") => value.is_string(),
                Some("integer") => value.is_i64() || value.is_u64(),
                Some("boolean") => value.is_boolean(),
                Some("null") => value.is_null(),
                _ => panic!("the type {kind}"),
            };
            holds(said.as_array().map_or_else(|| is(said), |kinds| kinds.iter().any(is)))
        }
        "enum" => holds(all().contains(value)),
        "anyOf" => holds(all().iter().any(|one| fits(one, value).is_ok())),
        "allOf" => all().iter().try_for_each(|one| fits(one, value)),
        "required" => {
            let missing = |name: &&Value| value.is_object() && value.get(name.as_str().unwrap_or_default()).is_none();
            all().iter().find(missing).map_or(Ok(()), |name| Err(format!(".{name} is missing")))
        }
        "properties" => {
            let fields = value.as_object().into_iter().flatten();
            let mut known = fields.filter_map(|(name, value)| Some((name, said.get(name)?, value)));
            known.try_for_each(|(name, schema, value)| within(name, fits(schema, value)))
        }
        "additionalProperties" => {
            let known = words.get("properties").and_then(Value::as_object);
            let fields = value.as_object().into_iter().flatten();
            let mut others = fields.filter(|(name, _)| known.is_none_or(|known| !known.contains_key(*name)));
            match said.as_bool() {
                Some(true) => Ok(()),
                Some(false) => others.next().map_or(Ok(()), |(name, _)| Err(format!(".{name} is not described"))),
                None => others.try_for_each(|(name, value)| within(name, fits(said, value))),
            }
        }
        "items" => {
            let mut entries = value.as_array().into_iter().flatten().enumerate();
            entries.try_for_each(|(at, value)| within(&at.to_string(), fits(said, value)))
        }
        "minItems" => holds(value.as_array().is_none_or(|list| list.len() as u64 >= number())),
        "maxItems" => holds(value.as_array().is_none_or(|list| list.len() as u64 <= number())),
        "maxProperties" => holds(value.as_object().is_none_or(|fields| fields.len() as u64 <= number())),
        "minLength" => holds(value.as_str().is_none_or(|text| text.chars().count() as u64 >= number())),
        "maxLength" => holds(value.as_str().is_none_or(|text| text.chars().count() as u64 <= number())),
        "minimum" => {
            let least = said.as_i64().unwrap_or_else(|| panic!("{word}: {said}"));
            holds(value.as_i64().is_none_or(|value| value >= least))
        }
        "maximum" => holds(value.as_u64().is_none_or(|value| value <= number())),
        "description" | "examples" | "default" | "format" | "pattern" => Ok(()),
        other => panic!("this check does not know the word {other}"),
    }
}

fn within(name: &str, result: Result<(), String>) -> Result<(), String> {
    result.map_err(|problem| format!(".{name}{problem}"))
}
