//! An object as an answer: its JSON, and the ETag that `If-Match` names.

use super::error::ApiError;
use axum::Json;
use axum::response::{IntoResponse as _, Response};
use domain::digest::short_hash;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;

/// Keys that change without a change of the object: counters, last use, and what is only shown for a while.
const NOT_IN_ETAG: [&str; 7] = ["SshPublicKeysCount", "LastUsedAt", "AccessCount", "Password", "URI", "Secret", "Key"];

/// The strong ETag of an object, with its quotes.
pub fn etag(object: &Value) -> String {
    let mut counted = object.clone();
    if let Some(fields) = counted.as_object_mut() {
        for name in NOT_IN_ETAG {
            fields.remove(name);
        }
    }
    format!("\"{}\"", short_hash(&[&counted.to_string()]))
}

/// An object with its ETag.
pub fn answer(status: StatusCode, object: Value) -> Response {
    let tag = HeaderValue::from_str(&etag(&object));
    let mut response = (status, Json(object)).into_response();
    if let Ok(tag) = tag {
        response.headers_mut().insert(http::header::ETAG, tag);
    }
    response
}

/// The client's precondition.
pub struct IfMatch(Option<Vec<String>>);

impl IfMatch {
    /// Reads `If-Match`: a list of ETags, or `*`, which any object meets.
    pub fn parse(headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut tags = Vec::new();
        for value in headers.get_all(http::header::IF_MATCH) {
            let text = value.to_str().map_err(|_| ApiError::bad_request("If-Match", "must be a list of ETags"))?;
            tags.extend(text.split(',').map(|tag| tag.trim().to_owned()));
        }
        let absent = tags.is_empty() || tags.iter().any(|tag| tag == "*");
        Ok(Self(if absent { None } else { Some(tags) }))
    }

    /// Whether the object is one that the client has named.
    pub fn accepts(&self, object: &Value) -> bool {
        self.0.as_ref().is_none_or(|tags| tags.contains(&etag(object)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counters_and_secrets_do_not_change_an_etag() {
        let a = json!({"Id": "1", "SshPublicKeysCount": 1, "Password": "p"});
        let b = json!({"Id": "1", "SshPublicKeysCount": 2, "Password": null});
        assert_eq!(etag(&a), etag(&b));
        assert_ne!(etag(&a), etag(&json!({"Id": "2"})));
        let mut headers = HeaderMap::new();
        assert!(IfMatch::parse(&headers).unwrap().accepts(&a));
        headers.insert("if-match", HeaderValue::from_str(&format!("\"x\", {}", etag(&a))).unwrap());
        assert!(IfMatch::parse(&headers).unwrap().accepts(&b));
        headers.insert("if-match", HeaderValue::from_static("\"x\""));
        assert!(!IfMatch::parse(&headers).unwrap().accepts(&a));
    }
}
