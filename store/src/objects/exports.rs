//! Objects of Towpath's own beside the files of an organization, which its jobs make and no session sees: tables of events. What they
//! are is tagged on them, so that a rule of the bucket can delete them.

use super::attempts::repeatedly;
use super::presigned::{unsigned, within};
use super::{MultipartUpload, ObjectError, Objects, Shown};
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use domain::path::ObjectKey;
use std::time::Duration;

/// The tag.
const TAG: &str = "towpath=export";

impl Objects {
    /// Begins a large one. One that nobody completes is ended by the bucket's rule about parts.
    pub async fn begin_export(&self, key: &ObjectKey) -> Result<MultipartUpload, ObjectError> {
        let request = self
            .once
            .create_multipart_upload()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .key(key.as_str())
            .content_type("text/csv; charset=utf-8")
            .tagging(TAG);
        let begun = repeatedly(async || Ok(request.clone().send().await?)).await?;
        let id = begun.upload_id.ok_or(ObjectError::Incomplete("an upload id"))?;
        Ok(MultipartUpload::recorded(key.clone(), id))
    }

    /// Writes a whole one, in the place of what is there.
    pub async fn put_export(&self, key: &ObjectKey, body: Bytes) -> Result<(), ObjectError> {
        let put = || {
            self.once
                .put_object()
                .bucket(&self.bucket)
                .set_expected_bucket_owner(self.owner.clone())
                .key(key.as_str())
                .content_type("text/csv; charset=utf-8")
                .tagging(TAG)
                .body(ByteStream::from(body.clone()))
        };
        repeatedly(async || Ok(put().send().await?)).await.map(|_| ())
    }

    /// Reads a whole one, which must be small.
    pub async fn read_export(&self, key: &ObjectKey) -> Result<Bytes, ObjectError> {
        let request =
            self.once.get_object().bucket(&self.bucket).set_expected_bucket_owner(self.owner.clone()).key(key.as_str());
        let got = repeatedly(async || Ok(request.clone().send().await?)).await?;
        let body = got.body.collect().await.map_err(|error| ObjectError::Unavailable(error.into()))?;
        Ok(body.into_bytes())
    }

    /// Deletes one. Gone already is fine.
    pub async fn delete_export(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        let request = self
            .once
            .delete_object()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .key(key.as_str());
        repeatedly(async || Ok(request.clone().send().await?)).await.map(|_| ())
    }

    /// An address that gives one for `life`, to be saved under its name.
    pub async fn presign_export(&self, key: &ObjectKey, life: Duration) -> Result<String, ObjectError> {
        let name = key.as_str().rsplit('/').next().unwrap_or_default();
        let (disposition, _) = Shown::Saved.headers(name);
        let request = self
            .plain
            .get_object()
            .bucket(&self.bucket)
            .key(key.as_str())
            .response_content_disposition(disposition)
            .response_content_type("text/csv; charset=utf-8")
            .response_cache_control("private, no-store");
        let signed = request.presigned(within(life)?).await.map_err(unsigned)?;
        Ok(signed.uri().to_owned())
    }
}
