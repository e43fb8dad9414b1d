//! Files and folders as objects on S3. Every call demands the proof that its principal may do it
//! ([`domain::access::Authorized`]); only the recovery of interrupted operations works from recorded keys.
//!
//! Writes are conditional without exception: on the name being free, or on the ETag that was seen. So two writers of one
//! name cannot lose each other's count, and an answer that got lost shows as a failed condition, which the caller
//! resolves by looking at the operation id in the object's metadata ([`ObjectInfo::operation`]). To know whether an
//! answer can have been lost at all, these calls are tried again by us and not by the SDK ([`WriteError::tried_before`]).

mod attempts;
mod error;
mod exports;
mod held;
mod listing;
mod multipart;
mod presigned;
mod read;
mod write;

pub use attempts::WriteError;
pub use error::ObjectError;
pub use held::{Go, Held, hold};
pub use listing::{ListFrom, Listed, ListedKind, Page};
pub use multipart::{CopiedPart, FoundUpload, MultipartUpload, UploadsFrom};
pub use presigned::Shown;
pub use read::Body;
pub use write::Precondition;

use crate::aws::Aws;
use domain::id::OperationId;
use domain::path::ObjectKey;
use domain::time::Timestamp;

/// The metadata key that names the operation which made the object.
const OPERATION: &str = "towpath-operation";

/// The metadata key of copies that names when the file arrived, in milliseconds.
const ARRIVED: &str = "towpath-arrived";

/// The bucket, as Towpath uses it.
#[derive(Clone)]
pub struct Objects {
    once: aws_sdk_s3::Client,
    patient: aws_sdk_s3::Client,
    /// The same without checksums of its own, for what others send.
    plain: aws_sdk_s3::Client,
    bucket: String,
    /// The account that must own the bucket: a bucket of that name in other hands is refused by S3.
    owner: Option<String>,
}

/// The version of an object, as S3 names it, quotes included.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ETag(String);

/// What is known about an object without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its size.
    pub bytes: u64,
    /// Its version.
    pub etag: ETag,
    /// When S3 got it.
    pub modified: Timestamp,
    /// When the file arrived: before S3 got this object, if a rename has copied it.
    pub arrived: Timestamp,
    /// The MD5 of its bytes, where the ETag is one.
    pub md5: Option<[u8; 16]>,
    /// The operation that made it; absent for what somebody put into the bucket directly.
    pub operation: Option<OperationId>,
}

impl ETag {
    /// As S3 or a record has it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, quotes included.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Objects {
    /// On the bucket of the settings.
    pub fn new(aws: &Aws) -> Self {
        Self {
            once: aws.s3_once.clone(),
            patient: aws.s3_patient.clone(),
            plain: presigned::without_checksums(&aws.s3_once),
            bucket: aws.settings.bucket.clone(),
            owner: aws.settings.bucket_owner.clone(),
        }
    }

    /// What a record's key holds now; for finishing interrupted operations, which were authorized when they began.
    pub async fn head_recorded(&self, key: &ObjectKey) -> Result<Option<ObjectInfo>, ObjectError> {
        self.head_key(key).await
    }
}

/// S3's time as ours.
fn timestamp(time: Option<&aws_sdk_s3::primitives::DateTime>) -> Timestamp {
    Timestamp::from_millis(time.and_then(|time| time.to_millis().ok()).unwrap_or(0))
}
