//! What a failed file operation is in HTTP: one total match, and the body of SFTPGo's dialect.

use axum::Json;
use axum::response::{IntoResponse, Response};
use domain::file_error::{FileError, FileErrorKind};
use http::StatusCode;
use serde_json::json;

/// The status for each kind.
pub const fn status(kind: FileErrorKind) -> StatusCode {
    match kind {
        FileErrorKind::NoSuchFile => StatusCode::NOT_FOUND,
        FileErrorKind::AlreadyExists | FileErrorKind::FolderNotEmpty | FileErrorKind::Changed => StatusCode::CONFLICT,
        FileErrorKind::IsAFolder
        | FileErrorKind::NotAFolder
        | FileErrorKind::InvalidPath
        | FileErrorKind::BadRequest
        | FileErrorKind::Unsupported => StatusCode::BAD_REQUEST,
        FileErrorKind::PermissionDenied => StatusCode::FORBIDDEN,
        FileErrorKind::QuotaExceeded | FileErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        FileErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        FileErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An answer that is no success.
#[derive(Debug)]
pub struct Refused {
    status: StatusCode,
    message: String,
}

impl Refused {
    /// With this status and text.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// One answer for every ticket that does not count.
    pub fn no_ticket() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "this address has expired or was never given out: ask the API for another")
    }
}

impl From<FileError> for Refused {
    fn from(error: FileError) -> Self {
        log(&error);
        Self::new(status(error.kind()), error.message())
    }
}

/// Logs what is ours to know.
pub fn log(error: &FileError) {
    match error.kind() {
        FileErrorKind::Internal | FileErrorKind::Unavailable => {
            tracing::error!(?error, "a file operation failed");
        }
        _ => tracing::debug!(%error, "a file operation was refused"),
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let reason = self.status.canonical_reason().unwrap_or("Error");
        let mut response = (self.status, Json(json!({ "error": reason, "message": self.message }))).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(http::header::RETRY_AFTER, http::HeaderValue::from_static("1"));
        }
        response
    }
}
