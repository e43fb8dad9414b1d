//! The error body of dialect A, and the one total mapping to it.

use app::management::{FieldProblem, ManagementError};
use axum::Json;
use axum::response::{IntoResponse, Response};
use domain::file_error::{FileError, FileErrorKind};
use http::StatusCode;
use serde_json::{Value, json};

/// An answer that is not a success. As an answer it carries itself, for the other dialect to spell.
#[derive(Clone, Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    details: Option<Value>,
    retry_after: Option<i64>,
    /// Whether Basic authentication is asked for.
    challenge: bool,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: None, retry_after: None, challenge: false }
    }

    /// 401: one message for every reason.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "A valid token or API key is needed")
    }

    /// 401 to a name and password: one message for every reason. It says how to sign in (RFC 9110, section 11.6.1).
    pub fn not_signed_in() -> Self {
        let message = "The name, the password or the one-time code is wrong";
        let mut error = Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message);
        error.challenge = true;
        error
    }

    /// 400 with these problems.
    pub fn invalid(problems: &[FieldProblem]) -> Self {
        let details = problems.iter().map(|bad| json!({ "field": bad.field, "problem": bad.problem })).collect();
        let mut error = Self::new(StatusCode::BAD_REQUEST, "VALIDATION_FAILED", "Some fields cannot be used");
        error.details = Some(details);
        error
    }

    /// 400 for a request as a whole.
    pub fn bad_request(field: &str, problem: &str) -> Self {
        Self::invalid(&[FieldProblem::new(field, problem)])
    }

    /// 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        let message = "This route does not have this method";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "VALIDATION_FAILED", message)
    }

    /// 409.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "CONFLICT", message)
    }

    /// 422.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "VALIDATION_FAILED", message)
    }

    /// 413.
    pub fn too_large(limit: usize) -> Self {
        let message = format!("The body is larger than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", message)
    }

    /// 413 for a file.
    pub fn file_too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", message)
    }

    /// 400 for what this deployment does not have.
    pub fn not_here(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "VALIDATION_FAILED", message)
    }

    /// 429.
    pub fn limited(retry_after: i64) -> Self {
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMIT_EXCEEDED", "Too many requests");
        error.retry_after = Some(retry_after);
        error
    }

    /// What went wrong with all that there is to say, in one text.
    pub(crate) fn in_words(&self) -> String {
        match &self.details {
            Some(Value::Array(fields)) => {
                let one = |field: &Value| {
                    Some(format!("{} {}", field.get("field")?.as_str()?, field.get("problem")?.as_str()?))
                };
                let all: Vec<String> = fields.iter().filter_map(one).collect();
                format!("{}: {}", self.message, all.join("; "))
            }
            Some(details) => format!("{}: {details}", self.message),
            None => self.message.clone(),
        }
    }

    /// 503.
    pub fn unavailable() -> Self {
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "Try again in a moment");
        error.retry_after = Some(1);
        error
    }
}

impl From<ManagementError> for ApiError {
    fn from(error: ManagementError) -> Self {
        match error {
            ManagementError::Invalid(problems) => Self::invalid(&problems),
            ManagementError::Refused(message) => {
                Self::new(StatusCode::BAD_REQUEST, "VALIDATION_FAILED", capitalized(message))
            }
            ManagementError::Unauthorized => Self::unauthorized(),
            ManagementError::NotFound(what) => Self::not_found(format!("No such {what}")),
            ManagementError::Conflict(message) => Self::new(StatusCode::CONFLICT, "CONFLICT", capitalized(message)),
            ManagementError::PreconditionFailed => {
                Self::new(StatusCode::PRECONDITION_FAILED, "PRECONDITION_FAILED", "It has changed since it was read")
            }
            ManagementError::Forbidden { required, granted } => {
                let mut error = Self::new(StatusCode::FORBIDDEN, "FORBIDDEN", "Permission denied");
                error.details = Some(json!({ "required": required, "granted": granted }));
                error
            }
            ManagementError::Unavailable(source) => {
                tracing::error!(error = source, "a dependency did not answer");
                Self::unavailable()
            }
            ManagementError::Internal(source) => {
                tracing::error!(error = source, "a request failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "Something went wrong here")
            }
        }
    }
}

impl From<FileError> for ApiError {
    fn from(error: FileError) -> Self {
        transfers::answer::log(&error);
        let code = match error.kind() {
            FileErrorKind::NoSuchFile => "NOT_FOUND",
            FileErrorKind::AlreadyExists | FileErrorKind::FolderNotEmpty | FileErrorKind::Changed => "CONFLICT",
            FileErrorKind::IsAFolder
            | FileErrorKind::NotAFolder
            | FileErrorKind::InvalidPath
            | FileErrorKind::BadRequest
            | FileErrorKind::Unsupported => "VALIDATION_FAILED",
            FileErrorKind::PermissionDenied => "FORBIDDEN",
            FileErrorKind::QuotaExceeded => "QUOTA_EXCEEDED",
            FileErrorKind::TooLarge => "PAYLOAD_TOO_LARGE",
            FileErrorKind::Unavailable => "UNAVAILABLE",
            FileErrorKind::Internal => "INTERNAL",
        };
        let mut answer = Self::new(transfers::answer::status(error.kind()), code, capitalized(error.message()));
        answer.retry_after = (error.kind() == FileErrorKind::Unavailable).then_some(1);
        answer
    }
}

pub(crate) fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(fields) = error.as_object_mut() {
            fields.extend(self.details.clone().map(|details| ("details".to_owned(), details)));
            fields.extend(self.retry_after.map(|seconds| ("retryAfter".to_owned(), json!(seconds))));
        }
        let mut response = (self.status, Json(json!({ "success": false, "error": error }))).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
        }
        if self.challenge {
            let basic = http::HeaderValue::from_static("Basic realm=\"Towpath\", charset=\"UTF-8\"");
            response.headers_mut().insert(http::header::WWW_AUTHENTICATE, basic);
        }
        response.extensions_mut().insert(self);
        response
    }
}
