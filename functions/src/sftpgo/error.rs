//! The error body of dialect B: `{"message", "error"}`, on the answers that the rest of the API gives.

use crate::http::error::ApiError;
use axum::Json;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

/// The same answer with this dialect's body, if it is an error.
pub(crate) fn respell(mut response: Response) -> Response {
    let Some(error) = response.extensions_mut().remove::<ApiError>() else {
        return response;
    };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(http::header::CONTENT_LENGTH);
    let reason = parts.status.canonical_reason().unwrap_or("Error");
    // SFTPGo says what happened in `error` and what a person reads in `message`
    let body = Json(json!({ "error": reason, "message": error.in_words() })).into_response().into_body();
    Response::from_parts(parts, body)
}
