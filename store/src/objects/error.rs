//! What S3's errors mean for us.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// No such object.
    #[error("no such object")]
    NotFound,
    /// The condition does not hold: the object is another version, or exists, or is gone. After a retry it may be our
    /// own success whose answer was lost.
    #[error("the object's version is not the expected one")]
    PreconditionFailed,
    /// Another writer was faster at this moment (409); try again.
    #[error("another write to the same key is under way")]
    Conflict,
    /// The multipart upload is gone: aborted, or completed by an attempt whose answer was lost.
    #[error("no such multipart upload")]
    NoSuchUpload,
    /// The range lies behind the object's end.
    #[error("the range lies behind the object's end")]
    RangeBehindEnd,
    /// S3 refused it for what it is: more tries will not help, and nothing happened.
    #[error("S3 refused the request ({code})")]
    Refused {
        /// S3's code.
        code: String,
        /// For the log.
        #[source]
        source: Source,
    },
    /// No answer after all tries. For a write: it may have happened.
    #[error("S3 did not answer")]
    Unavailable(#[source] Source),
    /// An answer that S3 does not give.
    #[error("S3 answered without {0}")]
    Incomplete(&'static str),
}

impl ObjectError {
    /// Whether the write may have happened all the same.
    pub fn outcome_unknown(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Incomplete(_) => true,
            Self::NotFound
            | Self::PreconditionFailed
            | Self::Conflict
            | Self::NoSuchUpload
            | Self::RangeBehindEnd
            | Self::Refused { .. } => false,
        }
    }
}

impl<E> From<SdkError<E, HttpResponse>> for ObjectError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default().to_owned();
        match (status, code.as_str()) {
            (Some(404), "NoSuchUpload") => Self::NoSuchUpload,
            (Some(404), "NoSuchBucket") => Self::Refused { code, source: error.into() },
            (Some(404), _) => Self::NotFound,
            (Some(412), _) => Self::PreconditionFailed,
            (Some(409), _) => Self::Conflict,
            (Some(416), _) => Self::RangeBehindEnd,
            // 408 RequestTimeout and what the SDK gave up on after its retries
            (Some(408 | 429 | 500..=599) | None, _) => Self::Unavailable(error.into()),
            (Some(_), _) => Self::Refused { code, source: error.into() },
        }
    }
}
