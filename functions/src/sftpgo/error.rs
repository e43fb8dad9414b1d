//! The error body of dialect B: `{"message", "error"}`, on the answers that the rest of the API gives.

use crate::http::error::ApiError;
use axum::Json;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

/// `Retry-After` as SFTPGo writes it.
const RETRY_IN: http::HeaderName = http::HeaderName::from_static("x-retry-in");

/// The same answer with this dialect's body, if it is an error.
pub(crate) fn respell(mut response: Response) -> Response {
    let Some(error) = response.extensions_mut().remove::<ApiError>() else {
        return response;
    };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(http::header::CONTENT_LENGTH);
    if parts.status == http::StatusCode::TOO_MANY_REQUESTS
        && let Some(seconds) = parts.headers.get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok())
        && let Ok(retry) = http::HeaderValue::from_str(&format!("{seconds}s"))
    {
        parts.headers.insert(RETRY_IN, retry);
    }
    let reason = parts.status.canonical_reason().unwrap_or("Error");
    // SFTPGo says what happened in `error` and what a person reads in `message`
    let body = Json(json!({ "error": reason, "message": error.in_words() })).into_response().into_body();
    Response::from_parts(parts, body)
}
