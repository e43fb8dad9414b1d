//! The query of a request about files: `path`, `target` and switches. Unknown parameters are ignored, as SFTPGo ignores them.

use crate::http::error::ApiError;
use std::collections::HashMap;

/// The parameters; of one that stands there twice, the first.
pub(super) struct Query(HashMap<String, String>);

/// A name or value as forms encode them. Strictly: a name that is not UTF-8 must not become another one.
fn decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

impl Query {
    /// Reads them.
    pub(super) fn parse(text: &str) -> Result<Self, ApiError> {
        let mut found = HashMap::new();
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).unwrap_or_default();
            let Some(value) = decode(value) else {
                return Err(ApiError::bad_request(&name, "must be UTF-8"));
            };
            found.entry(name).or_insert(value);
        }
        Ok(Self(found))
    }

    /// A parameter that is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A switch as Go's `ParseBool` reads it; anything else is off.
    pub(super) fn is_on(&self, name: &str) -> bool {
        matches!(self.get(name), Some("1" | "t" | "T" | "true" | "TRUE" | "True"))
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let number = self.get(name).map(str::parse).transpose();
        number.map_err(|_| ApiError::bad_request(name, "must be a whole number"))
    }
}
