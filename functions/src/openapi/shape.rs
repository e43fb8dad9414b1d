//! Schemas in few words: what a field is, for the descriptions beside the handlers.

use serde_json::{Value, json};
use std::ops::RangeInclusive;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AdditionalProperties, AnyOf, Array, Object, Ref, Schema, SchemaFormat, SchemaType, Type,
};

/// No control characters: what [`crate::http::fields::text`] asks.
const NO_CONTROLS: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";

/// The schema of a value.
#[derive(Clone)]
pub(crate) struct Shape(RefOr<Schema>);

impl From<Shape> for RefOr<Schema> {
    fn from(shape: Shape) -> Self {
        shape.0
    }
}

/// Anything at all.
pub(crate) fn anything() -> Shape {
    let mut any = Object::new();
    any.schema_type = SchemaType::AnyValue;
    Shape(RefOr::T(any.into()))
}

fn of(kind: Type) -> Shape {
    let mut object = Object::new();
    object.schema_type = kind.into();
    Shape(RefOr::T(object.into()))
}

/// A text.
pub(crate) fn text() -> Shape {
    of(Type::String)
}

/// A text of at most so many characters, without control characters.
pub(crate) fn short(most: usize) -> Shape {
    text().at_most(most).pattern(NO_CONTROLS)
}

/// A text of this form.
pub(crate) fn like(pattern: &str) -> Shape {
    text().pattern(pattern)
}

/// One of some texts.
pub(crate) fn one_of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Shape {
    text().among(texts.into_iter().map(|text| json!(text)))
}

/// True or false.
pub(crate) fn boolean() -> Shape {
    of(Type::Boolean)
}

/// A whole number in a range.
pub(crate) fn whole(range: RangeInclusive<u64>) -> Shape {
    let most = if *range.end() > u64::from(u32::MAX) / 2 { "int64" } else { "int32" };
    of(Type::Integer).format(most).change(|object| {
        object.minimum = Some((*range.start()).into());
        object.maximum = Some((*range.end()).into());
    })
}

/// The same where -1 means something else.
pub(crate) fn from_minus_one(most: u64) -> Shape {
    whole(0..=most).change(|object| object.minimum = Some((-1_i64).into()))
}

/// A number that only grows.
pub(crate) fn count() -> Shape {
    of(Type::Integer).format("int64").change(|object| object.minimum = Some(0_u64.into()))
}

/// A time as answers show it.
pub(crate) fn time() -> Shape {
    count().example(json!(1_739_120_350_624_i64))
}

/// A time as requests bring it.
pub(crate) fn given_time() -> Shape {
    whole(0..=253_402_300_799_999).about("Unix time in seconds or milliseconds: below 10^11 it is seconds.")
}

/// A list.
pub(crate) fn list(items: impl Into<Shape>) -> Shape {
    let items: Shape = items.into();
    Shape(RefOr::T(Array::new(items).into()))
}

/// One of the document's schemas.
pub(crate) fn named(name: &str) -> Shape {
    Shape(RefOr::Ref(Ref::from_schema_name(name)))
}

/// One of several shapes.
pub(crate) fn either(shapes: impl IntoIterator<Item = Shape>) -> Shape {
    let mut any = AnyOf::new();
    any.items = shapes.into_iter().map(RefOr::from).collect();
    Shape(RefOr::T(any.into()))
}

/// What counts as nothing where a field has no effect here and must not seem to have one.
pub(crate) fn nothing() -> Shape {
    let empty = list(anything()).at_most(0);
    either([empty, text().at_most(0), whole(0..=0), boolean().among([json!(false)])]).or_null()
}

impl Shape {
    fn change(mut self, change: impl FnOnce(&mut Object)) -> Self {
        if let RefOr::T(Schema::Object(object)) = &mut self.0 {
            change(object);
        }
        self
    }

    /// What it is, in words. Markdown.
    pub(crate) fn about(mut self, text: &str) -> Self {
        match &mut self.0 {
            RefOr::Ref(reference) => text.clone_into(&mut reference.description),
            RefOr::T(Schema::Object(object)) => object.description = Some(text.to_owned()),
            RefOr::T(Schema::Array(array)) => array.description = Some(text.to_owned()),
            RefOr::T(Schema::AnyOf(any)) => any.description = Some(text.to_owned()),
            RefOr::T(_) => {}
        }
        self
    }

    /// The most characters of a text, entries of a list or fields of an object.
    pub(crate) fn at_most(mut self, most: usize) -> Self {
        match &mut self.0 {
            RefOr::T(Schema::Array(array)) => array.max_items = Some(most),
            RefOr::T(Schema::Object(object)) if object.schema_type == Type::Object.into() => {
                object.max_properties = Some(most);
            }
            RefOr::T(Schema::Object(object)) => object.max_length = Some(most),
            RefOr::T(_) | RefOr::Ref(_) => {}
        }
        self
    }

    /// The fewest characters of a text or entries of a list.
    pub(crate) fn at_least(mut self, least: usize) -> Self {
        match &mut self.0 {
            RefOr::T(Schema::Array(array)) => array.min_items = Some(least),
            RefOr::T(Schema::Object(object)) => object.min_length = Some(least),
            RefOr::T(_) | RefOr::Ref(_) => {}
        }
        self
    }

    /// A regular expression for texts.
    pub(crate) fn pattern(self, pattern: &str) -> Self {
        self.change(|object| object.pattern = Some(pattern.to_owned()))
    }

    /// `uuid`, `date-time`, `uri` and so on.
    pub(crate) fn format(self, format: &str) -> Self {
        self.change(|object| object.format = Some(SchemaFormat::Custom(format.to_owned())))
    }

    /// All the values that there are.
    pub(crate) fn among(self, values: impl IntoIterator<Item = Value>) -> Self {
        self.change(|object| object.enum_values = Some(values.into_iter().collect()))
    }

    /// What it is when it is not given.
    pub(crate) fn default(mut self, value: Value) -> Self {
        match &mut self.0 {
            RefOr::T(Schema::Object(object)) => object.default = Some(value),
            RefOr::T(Schema::Array(array)) => array.default = Some(value),
            RefOr::T(_) | RefOr::Ref(_) => {}
        }
        self
    }

    /// One for readers.
    pub(crate) fn example(mut self, value: Value) -> Self {
        match &mut self.0 {
            RefOr::T(Schema::Object(object)) => object.examples = vec![value],
            RefOr::T(Schema::Array(array)) => array.examples = vec![value],
            RefOr::T(Schema::AnyOf(any)) => any.examples = vec![value],
            RefOr::T(_) | RefOr::Ref(_) => {}
        }
        self
    }

    /// Or null.
    pub(crate) fn or_null(mut self) -> Self {
        let nullable = |kind: &SchemaType| match kind {
            SchemaType::Type(kind) => SchemaType::Array(vec![kind.clone(), Type::Null]),
            other => other.clone(),
        };
        match &mut self.0 {
            RefOr::T(Schema::Object(object)) => {
                object.schema_type = nullable(&object.schema_type);
                if let Some(values) = &mut object.enum_values {
                    values.push(Value::Null);
                }
                self
            }
            RefOr::T(Schema::Array(array)) => {
                array.schema_type = nullable(&array.schema_type);
                self
            }
            RefOr::T(Schema::AnyOf(any)) => {
                any.items.push(of(Type::Null).into());
                self
            }
            RefOr::T(_) | RefOr::Ref(_) => either([self, of(Type::Null)]),
        }
    }
}

/// An object, field by field. It has no others, unless it is [`Record::open`].
#[derive(Clone)]
pub(crate) struct Record(Object);

/// An object without fields.
pub(crate) fn record() -> Record {
    let mut object = Object::new();
    object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    Record(object)
}

impl Record {
    /// A field that is always there.
    pub(crate) fn has(mut self, name: &str, shape: impl Into<Shape>) -> Self {
        if !self.0.required.iter().any(|known| known == name) {
            self.0.required.push(name.to_owned());
        }
        self.may(name, shape)
    }

    /// A field that may be there.
    pub(crate) fn may(mut self, name: &str, shape: impl Into<Shape>) -> Self {
        let shape: Shape = shape.into();
        self.0.properties.insert(name.to_owned(), shape.into());
        self
    }

    /// Fields that are always there.
    pub(crate) fn has_all(self, fields: impl IntoIterator<Item = (&'static str, Shape)>) -> Self {
        fields.into_iter().fold(self, |record, (name, shape)| record.has(name, shape))
    }

    /// Fields that may be there.
    pub(crate) fn may_all(self, fields: impl IntoIterator<Item = (&'static str, Shape)>) -> Self {
        fields.into_iter().fold(self, |record, (name, shape)| record.may(name, shape))
    }

    /// Fields that a client may send back as it read them.
    pub(crate) fn ignores(self, names: &[&'static str]) -> Self {
        let ignored = || anything().about("Read-only: ignored.");
        names.iter().fold(self, |record, name| record.may(name, ignored()))
    }

    /// There may be other fields.
    pub(crate) fn open(mut self) -> Self {
        self.0.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(true)));
        self
    }

    /// Every field is of this shape.
    pub(crate) fn of(mut self, shape: Shape) -> Self {
        self.0.additional_properties = Some(Box::new(AdditionalProperties::RefOr(shape.into())));
        self
    }

    /// What it is, in words.
    pub(crate) fn about(mut self, text: &str) -> Self {
        self.0.description = Some(text.to_owned());
        self
    }

    /// One for readers.
    pub(crate) fn example(mut self, value: Value) -> Self {
        self.0.examples = vec![value];
        self
    }
}

impl From<Record> for Shape {
    fn from(record: Record) -> Self {
        Self(RefOr::T(record.0.into()))
    }
}
