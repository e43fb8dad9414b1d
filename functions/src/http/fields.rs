//! Reading a JSON object field by field, so that one answer lists everything that is wrong with it: bad values, missing
//! fields and unknown keys.

use super::error::ApiError;
use app::management::FieldProblem;
use domain::invalid::Invalid;
use domain::time::Timestamp;
use serde_json::{Map, Value};

/// An object that is being read.
pub struct Fields {
    object: Map<String, Value>,
    /// What stands before the names of this object's fields: `Settings.Network.`.
    prefix: String,
    problems: Vec<FieldProblem>,
}

impl Fields {
    /// Parses a body. Nothing at all is an empty object.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        if body.trim_ascii().is_empty() {
            return Ok(Self::of(Map::new(), String::new()));
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(object)) => Ok(Self::of(object, String::new())),
            Ok(_) => Err(ApiError::bad_request("", "must be a JSON object")),
            Err(_) => Err(ApiError::bad_request("", "must be valid JSON")),
        }
    }

    /// Parses a body that is a list of objects of at most `most`, which are read one by one.
    pub fn each<T>(body: &[u8], most: usize, read: impl FnMut(&mut Self) -> Option<T>) -> Result<Vec<T>, ApiError> {
        let list = match serde_json::from_slice(body) {
            Ok(list @ Value::Array(_)) => list,
            Ok(_) => return Err(ApiError::bad_request("", "must be a JSON list of objects")),
            Err(_) => return Err(ApiError::bad_request("", "must be valid JSON")),
        };
        let mut fields = Self::of(Map::from_iter([(String::new(), list)]), String::new());
        let read = fields.objects("", most, read);
        fields.finish()?;
        read.ok_or_else(|| ApiError::bad_request("", "cannot be used"))
    }

    fn of(object: Map<String, Value>, prefix: String) -> Self {
        Self { object, prefix, problems: Vec::new() }
    }

    /// A field that may be absent.
    pub fn take<T>(&mut self, name: &str, read: impl FnOnce(&Value) -> Result<T, Invalid>) -> Option<T> {
        let value = self.object.remove(name)?;
        read(&value).map_err(|problem| self.problem(name, &problem.to_string())).ok()
    }

    /// A field that may be absent, or null to empty it.
    pub fn take_nullable<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&Value) -> Result<T, Invalid>,
    ) -> Option<Option<T>> {
        self.take(name, |value| if value.is_null() { Ok(None) } else { read(value).map(Some) })
    }

    /// A field that must be there.
    pub fn require<T>(&mut self, name: &str, read: impl FnOnce(&Value) -> Result<T, Invalid>) -> Option<T> {
        if !self.object.contains_key(name) {
            self.problem(name, "is needed");
        }
        self.take(name, read)
    }

    /// An object within this one, if it is there.
    pub fn object<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let value = self.object.remove(name)?;
        self.inner(value, name, read)
    }

    /// A list of objects, of at most `most`.
    pub fn objects<T>(
        &mut self,
        name: &str,
        most: usize,
        mut read: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Value::Array(values) = self.object.remove(name)? else {
            self.problem(name, "must be a list");
            return None;
        };
        if values.len() > most {
            self.problem(name, &format!("must have at most {most} entries"));
            return None;
        }
        let entries = values.into_iter().enumerate();
        entries.map(|(at, value)| self.inner(value, &format!("{name}[{at}]"), &mut read).flatten()).collect()
    }

    fn inner<T>(&mut self, value: Value, name: &str, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let Value::Object(object) = value else {
            self.problem(name, "must be an object");
            return None;
        };
        let mut inner = Self::of(object, format!("{}{name}.", self.prefix));
        let result = read(&mut inner);
        inner.refuse_unknown();
        self.problems.append(&mut inner.problems);
        Some(result)
    }

    /// Fields that clients may send back as they read them, without effect.
    pub fn ignore(&mut self, names: &[&str]) {
        for name in names {
            self.object.remove(*name);
        }
    }

    /// What is left of the object: fields that nobody has asked for. They are no problem then.
    pub fn rest(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.object)
    }

    /// Notes a problem.
    pub fn problem(&mut self, name: &str, problem: &str) {
        self.problems.push(FieldProblem::new(format!("{}{name}", self.prefix), problem));
    }

    /// Whether a problem with a field has been noted.
    pub fn has_problem(&self, name: &str) -> bool {
        let name = format!("{}{name}", self.prefix);
        self.problems.iter().any(|problem| problem.field == name)
    }

    fn refuse_unknown(&mut self) {
        for (name, _) in std::mem::take(&mut self.object) {
            self.problem(&name, "is not a known field");
        }
    }

    /// Whether a field is there and null.
    pub fn is_null(&self, name: &str) -> bool {
        self.object.get(name).is_some_and(Value::is_null)
    }

    /// Looks at a field that stays among those that are kept.
    pub fn check(&mut self, name: &str, read: impl FnOnce(&Value) -> Result<(), Invalid>) {
        if let Some(Err(problem)) = self.object.get(name).map(read) {
            self.problem(name, &problem.to_string());
        }
    }

    /// Whether everything could be used.
    pub fn finish(mut self) -> Result<(), ApiError> {
        self.refuse_unknown();
        if self.problems.is_empty() { Ok(()) } else { Err(ApiError::invalid(&self.problems)) }
    }
}

/// A text of at most `most` characters without control characters.
pub fn text(most: usize) -> impl Fn(&Value) -> Result<String, Invalid> {
    move |value| {
        let text = value.as_str().ok_or_else(|| Invalid::new("must be a string"))?;
        if text.chars().count() > most {
            Err(Invalid::new(format!("must have at most {most} characters")))
        } else if text.chars().any(char::is_control) {
            Err(Invalid::new("may not hold control characters"))
        } else {
            Ok(text.to_owned())
        }
    }
}

/// A text of at most `most` characters, which may have several lines.
pub fn lines(most: usize) -> impl Fn(&Value) -> Result<String, Invalid> {
    move |value| match value.as_str() {
        Some(text) if text.chars().count() <= most => Ok(text.to_owned()),
        Some(_) => Err(Invalid::new(format!("must have at most {most} characters"))),
        None => Err(Invalid::new("must be a string")),
    }
}

/// A text that `parse` takes.
pub fn parsed<T, E: std::fmt::Display>(parse: impl Fn(&str) -> Result<T, E>) -> impl Fn(&Value) -> Result<T, Invalid> {
    move |value| {
        let text = value.as_str().ok_or_else(|| Invalid::new("must be a string"))?;
        parse(text).map_err(|problem| Invalid::new(problem.to_string()))
    }
}

/// One of a type's texts.
pub fn one_of<T: serde::de::DeserializeOwned>(texts: &'static str) -> impl Fn(&Value) -> Result<T, Invalid> {
    move |value| T::deserialize(value).map_err(|_| Invalid::new(format!("must be one of {texts}")))
}

/// True or false.
pub fn boolean(value: &Value) -> Result<bool, Invalid> {
    value.as_bool().ok_or_else(|| Invalid::new("must be true or false"))
}

/// A whole number in a range.
pub fn whole(range: std::ops::RangeInclusive<u64>) -> impl Fn(&Value) -> Result<u64, Invalid> {
    move |value| match value.as_u64() {
        Some(number) if range.contains(&number) => Ok(number),
        _ => Err(Invalid::new(format!("must be a whole number from {} to {}", range.start(), range.end()))),
    }
}

/// A time: unix seconds or milliseconds.
pub fn time(value: &Value) -> Result<Timestamp, Invalid> {
    // beyond the year 9999 no text form exists
    match value.as_i64() {
        Some(number) if (0..=253_402_300_799_999).contains(&number) => Ok(Timestamp::from_client(number)),
        _ => Err(Invalid::new("must be a time in unix seconds or milliseconds")),
    }
}

/// A list whose entries `read` takes.
pub fn list<T>(most: usize, read: impl Fn(&Value) -> Result<T, Invalid>) -> impl Fn(&Value) -> Result<Vec<T>, Invalid> {
    move |value| {
        let values = value.as_array().ok_or_else(|| Invalid::new("must be a list"))?;
        if values.len() > most {
            return Err(Invalid::new(format!("must have at most {most} entries")));
        }
        values.iter().map(&read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_wrong_is_listed_at_once() {
        let mut fields = Fields::parse(br#"{"A": 1, "B": "x", "Extra": null, "S": {"C": true, "D": 1}}"#).unwrap();
        assert_eq!(fields.take("A", text(5)), None);
        assert_eq!(fields.take("B", text(5)).as_deref(), Some("x"));
        assert_eq!(fields.require("Missing", boolean), None);
        assert_eq!(fields.object("S", |inner| inner.take("C", boolean)), Some(Some(true)));
        let names: Vec<String> = fields.problems.iter().map(|bad| bad.field.clone()).collect();
        assert_eq!(names, ["A", "Missing", "S.D"]);
        assert!(fields.finish().is_err());
    }

    #[test]
    fn bodies_that_are_no_objects() {
        assert!(Fields::parse(b"").is_ok() && Fields::parse(b" \n").is_ok() && Fields::parse(b"{}").is_ok());
        for bad in [&b"["[..], b"[]", b"null", b"\"x\"", b"{\"a\":1", b"\xff"] {
            assert!(Fields::parse(bad).is_err());
        }
    }
}
