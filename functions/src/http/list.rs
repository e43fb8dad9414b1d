//! Lists: bare arrays, cut at `Limit` entries or 4 MB, with a `Link` to the rest.

use super::error::ApiError;
use app::management::ManagementError;
use axum::Json;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::LINK;
use http::{HeaderValue, Uri};
use serde_json::Value;
use std::collections::BTreeMap;
use url::form_urlencoded;

/// Below the 6 MB that a Lambda answers, with room for base64's absence and headers.
const MAX_BYTES: usize = 4_000_000;
const MAX_LIMIT: usize = 1000;
/// Entries read at once.
const PAGE: u16 = 200;
/// How often that is done at most for an answer that is filtered.
const MOST_FILTERED_PAGES: usize = 20;

/// `Limit` and `Cursor`.
pub struct ListQuery {
    limit: Option<usize>,
    after: Option<String>,
    uri: Uri,
    /// What is asked beside it, as the next page asks again.
    filters: BTreeMap<&'static str, String>,
}

impl ListQuery {
    /// Reads the query of a list. Unknown parameters are refused like unknown fields.
    pub fn parse(uri: &Uri) -> Result<Self, ApiError> {
        Self::parse_with(uri, &[])
    }

    /// The same for a list that can be filtered by these parameters; what they may be is the caller's to check.
    pub fn parse_with(uri: &Uri, filters: &[&'static str]) -> Result<Self, ApiError> {
        let mut query = Self { limit: None, after: None, uri: uri.clone(), filters: BTreeMap::new() };
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            match name.as_ref() {
                "Limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                    query.limit = Some(
                        limit.ok_or_else(|| ApiError::bad_request("Limit", "must be a whole number from 1 to 1000"))?,
                    );
                }
                "Cursor" => {
                    let decoded = URL_SAFE_NO_PAD.decode(value.as_bytes()).ok();
                    let id = decoded.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|id| is_id(id));
                    query.after = Some(id.ok_or_else(|| ApiError::bad_request("Cursor", "must be one of ours"))?);
                }
                other => match filters.iter().find(|known| **known == other) {
                    Some(known) => drop(query.filters.insert(known, value.into_owned())),
                    None => return Err(ApiError::bad_request(&name, "is not a known parameter")),
                },
            }
        }
        Ok(query)
    }

    /// What a filter was given.
    pub fn filter(&self, name: &str) -> Option<&str> {
        self.filters.get(name).map(String::as_str)
    }

    /// Collects entries from `page`, which answers them with their ids, and says where the next page starts.
    pub async fn collect<F>(self, mut page: impl FnMut(Option<String>, u16) -> F) -> Result<Response, ApiError>
    where
        F: Future<Output = Result<(Vec<(String, Value)>, Option<String>), ManagementError>>,
    {
        let mut entries = Vec::new();
        let mut bytes = 0;
        let mut last = self.after.clone();
        let most = self.limit.unwrap_or(usize::MAX);
        // a filter that little passes must not read all that there is for one answer
        let mut pages_left = if self.filters.is_empty() { usize::MAX } else { MOST_FILTERED_PAGES };
        loop {
            let wanted = u16::try_from(most.saturating_sub(entries.len())).unwrap_or(PAGE).min(PAGE);
            let (found, next) = page(last.clone(), wanted).await?;
            for (id, value) in found {
                bytes += value.to_string().len() + 1;
                if bytes > MAX_BYTES && !entries.is_empty() {
                    return Ok(self.answer(entries, last.as_deref()));
                }
                last = Some(id);
                entries.push(value);
            }
            match next {
                Some(next) if entries.len() < most && pages_left > 1 => {
                    pages_left -= 1;
                    last = Some(next);
                }
                next => return Ok(self.answer(entries, next.as_deref())),
            }
        }
    }

    fn answer(&self, entries: Vec<Value>, next: Option<&str>) -> Response {
        let cursor = next.map(|next| URL_SAFE_NO_PAD.encode(next));
        let next = cursor.as_deref().map(|cursor| ("Cursor", cursor));
        with_next(Json(Value::Array(entries)).into_response(), &self.uri, next)
    }
}

/// Ids hold letters, digits, `_` and `-`; nothing else may become part of a key.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// An answer with a `Link` (RFC 8288) to the same query from another place on: a parameter and its value.
pub(crate) fn with_next(mut response: Response, uri: &Uri, next: Option<(&str, &str)>) -> Response {
    if let Some((name, place)) = next {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        query.extend_pairs(pairs.filter(|(other, _)| other != name)).append_pair(name, place);
        if let Ok(link) = HeaderValue::from_str(&format!("<{}?{}>; rel=\"next\"", uri.path(), query.finish())) {
            response.headers_mut().insert(LINK, link);
        }
    }
    response
}
