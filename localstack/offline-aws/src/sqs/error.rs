//! SQS errors in the form of the JSON protocol, with the header that carries the older query protocol's code.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;

pub(super) type Outcome<T> = Result<T, SqsError>;

/// An error answer. `shape` is what typed clients match on.
#[derive(Debug, thiserror::Error)]
#[error("{shape}: {message}")]
pub(super) struct SqsError {
    pub(super) shape: &'static str,
    pub(super) query_code: &'static str,
    pub(super) message: String,
    pub(super) status: StatusCode,
}

impl SqsError {
    pub(super) fn new(shape: &'static str, query_code: &'static str, message: impl Into<String>) -> Self {
        Self { shape, query_code, message: message.into(), status: StatusCode::BAD_REQUEST }
    }

    pub(super) fn no_queue() -> Self {
        Self::new("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
    }

    pub(super) fn invalid_value(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterValueException", "InvalidParameterValue", message)
    }

    pub(super) fn invalid_attribute(message: impl Into<String>) -> Self {
        Self::new("InvalidAttributeValue", "InvalidAttributeValue", message)
    }

    pub(super) fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "offline SQS storage failed");
        Self {
            shape: "InternalFailure",
            query_code: "InternalFailure",
            message: error.to_string(),
            status: StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(super) fn response(&self) -> Response<Full<Bytes>> {
        let body = serde_json::json!({
            "__type": format!("com.amazonaws.sqs#{}", self.shape),
            "message": self.message,
        });
        let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
        *response.status_mut() = self.status;
        let party = if self.status.is_server_error() { "Receiver" } else { "Sender" };
        let headers = response.headers_mut();
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
        if let Ok(code) = HeaderValue::from_str(&format!("{};{party}", self.query_code)) {
            headers.insert("x-amzn-query-error", code);
        }
        response
    }
}

impl From<rusqlite::Error> for SqsError {
    fn from(error: rusqlite::Error) -> Self {
        Self::internal(&error)
    }
}

impl From<tokio::task::JoinError> for SqsError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::internal(&error)
    }
}

impl From<serde_json::Error> for SqsError {
    fn from(error: serde_json::Error) -> Self {
        Self::internal(&error)
    }
}
