//! Making, copying and deleting objects, conditionally.

use super::attempts::{WriteError, attempts};
use super::held::{Held, HeldBody};
use super::{ARRIVED, ETag, OPERATION, ObjectError, ObjectInfo, Objects};
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::MetadataDirective;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use domain::access::{Authorized, MakeFolder, Removes, Upload};
use domain::id::OperationId;
use domain::path::ObjectKey;

/// What must hold for a write to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// The name is free.
    Absent,
    /// It holds this version.
    Is(ETag),
}

impl Precondition {
    /// The values of `If-None-Match` and `If-Match`.
    pub(super) fn headers(&self) -> (Option<String>, Option<String>) {
        match self {
            Self::Absent => (Some("*".to_owned()), None),
            Self::Is(etag) => (None, Some(etag.as_str().to_owned())),
        }
    }
}

impl Objects {
    /// A whole file in one request.
    pub async fn put(
        &self,
        file: &Authorized<Upload>,
        body: Bytes,
        precondition: &Precondition,
        operation: &OperationId,
    ) -> Result<(), WriteError> {
        let key = file.location().file_key().ok_or_else(no_file)?;
        self.put_key(&key, body, precondition, operation).await
    }

    /// The same, begun before it may happen: the bytes, of which there must be some, leave when `held` lets them go. If it
    /// never does, this fails and nothing has happened.
    pub async fn put_held(
        &self,
        file: &Authorized<Upload>,
        body: Bytes,
        precondition: &Precondition,
        operation: &OperationId,
        held: &Held,
    ) -> Result<(), WriteError> {
        let key = file.location().file_key().ok_or_else(no_file)?;
        let checksum = BASE64_STANDARD.encode(crc32fast::hash(&body).to_be_bytes());
        let length = i64::try_from(body.len()).unwrap_or(i64::MAX);
        send(|| {
            self.put_request(&key, precondition, operation)
                .content_length(length)
                .checksum_crc32(checksum.as_str())
                .body(ByteStream::from_body_1_x(HeldBody::new(body.clone(), held.clone())))
        })
        .await
    }

    /// The marker of a folder that has none.
    pub async fn put_folder(&self, folder: &Authorized<MakeFolder>, operation: &OperationId) -> Result<(), WriteError> {
        self.put_key(&folder.location().folder_key(), Bytes::new(), &Precondition::Absent, operation).await
    }

    async fn put_key(
        &self,
        key: &ObjectKey,
        body: Bytes,
        precondition: &Precondition,
        operation: &OperationId,
    ) -> Result<(), WriteError> {
        send(|| self.put_request(key, precondition, operation).body(ByteStream::from(body.clone()))).await
    }

    fn put_request(
        &self,
        key: &ObjectKey,
        precondition: &Precondition,
        operation: &OperationId,
    ) -> PutObjectFluentBuilder {
        let (if_none_match, if_match) = precondition.headers();
        self.once
            .put_object()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .key(key.as_str())
            .set_if_none_match(if_none_match)
            .set_if_match(if_match)
            .metadata(OPERATION, operation.as_str())
    }

    /// A copy of `version` under another name, made by S3. For files up to S3's limit for one copy, 5 GiB.
    pub async fn copy<A: Removes>(
        &self,
        from: &Authorized<A>,
        version: &ObjectInfo,
        to: &Authorized<Upload>,
        precondition: &Precondition,
        operation: &OperationId,
    ) -> Result<(), WriteError> {
        let source = from.location().file_key().ok_or_else(no_file)?;
        let target = to.location().file_key().ok_or_else(no_file)?;
        self.copy_recorded(&source, version, &target, precondition, operation).await
    }

    /// A copy of a folder's marker.
    pub async fn copy_folder<A: Removes>(
        &self,
        from: &Authorized<A>,
        version: &ObjectInfo,
        to: &Authorized<Upload>,
        operation: &OperationId,
    ) -> Result<(), WriteError> {
        let (source, target) = (from.location().folder_key(), to.location().folder_key());
        self.copy_recorded(&source, version, &target, &Precondition::Absent, operation).await
    }

    /// A copy of `version` between recorded keys; for finishing an interrupted rename.
    pub async fn copy_recorded(
        &self,
        source: &ObjectKey,
        version: &ObjectInfo,
        target: &ObjectKey,
        precondition: &Precondition,
        operation: &OperationId,
    ) -> Result<(), WriteError> {
        let (if_none_match, if_match) = precondition.headers();
        let request = self
            .patient
            .copy_object()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .set_expected_source_bucket_owner(self.owner.clone())
            .key(target.as_str())
            .copy_source(copy_source(&self.bucket, source))
            .copy_source_if_match(version.etag.as_str())
            .set_if_none_match(if_none_match)
            .set_if_match(if_match)
            .metadata_directive(MetadataDirective::Replace)
            .metadata(OPERATION, operation.as_str())
            .metadata(ARRIVED, version.arrived.millis().to_string());
        attempts(async || {
            request.clone().send().await?;
            Ok(())
        })
        .await
    }

    /// Deletes this version of a file. `PreconditionFailed` if it is another one by now, `NotFound` if it is gone.
    pub async fn delete<A: Removes>(&self, file: &Authorized<A>, version: &ETag) -> Result<(), WriteError> {
        let key = file.location().file_key().ok_or_else(no_file)?;
        self.delete_recorded(&key, version).await
    }

    /// Deletes this version of a folder's marker.
    pub async fn delete_folder<A: Removes>(&self, folder: &Authorized<A>, version: &ETag) -> Result<(), WriteError> {
        self.delete_recorded(&folder.location().folder_key(), version).await
    }

    /// Deletes this version of a recorded key; for finishing interrupted operations.
    pub async fn delete_recorded(&self, key: &ObjectKey, version: &ETag) -> Result<(), WriteError> {
        let request = self
            .once
            .delete_object()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .key(key.as_str())
            .if_match(version.as_str());
        attempts(async || {
            request.clone().send().await?;
            Ok(())
        })
        .await
    }
}

/// Puts; a request with a body cannot be sent twice, so each try makes a new one.
async fn send(request: impl Fn() -> PutObjectFluentBuilder + Sync) -> Result<(), WriteError> {
    attempts(async || {
        // a CRC-32 of the body goes with it, which S3 checks; a SHA-256 for the signature would cost three times the rest of the
        // request and protect nothing more under TLS
        request().customize().disable_payload_signing().send().await?;
        Ok(())
    })
    .await
}

/// The organization's root is no file, whatever is asked of it.
fn no_file() -> WriteError {
    WriteError { error: ObjectError::NotFound, tried_before: false }
}

/// The header `x-amz-copy-source`: the key percent-encoded, with its slashes as they are.
pub(super) fn copy_source(bucket: &str, key: &ObjectKey) -> String {
    use std::fmt::Write as _;
    let mut encoded = format!("{bucket}/");
    for byte in key.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // writing to a String cannot fail
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
