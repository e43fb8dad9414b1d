//! What can go wrong below the S3 trait: an answer S3 itself defines, or trouble with our own storage, which becomes
//! `InternalError` (the SDK retries it) with the cause in the log.

use s3s::{S3Error, S3ErrorCode, StdError};

pub(super) type Outcome<T> = Result<T, Failure>;

#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Answer(#[from] S3Error),
    #[error("index: {0}")]
    Index(#[from] rusqlite::Error),
    #[error("record: {0}")]
    Record(#[from] serde_json::Error),
    #[error("blob: {0}")]
    Blob(#[from] std::io::Error),
    #[error("{0}")]
    Broken(&'static str),
    #[error("task: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl From<Failure> for S3Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Answer(error) => error,
            Failure::Index(_) | Failure::Record(_) | Failure::Blob(_) | Failure::Broken(_) | Failure::Task(_) => {
                tracing::error!(error = %failure, "offline S3 storage failed");
                let message = failure.to_string();
                let mut answer = S3Error::with_source(S3ErrorCode::InternalError, StdError::from(message.clone()));
                answer.set_message(message);
                answer
            }
        }
    }
}
