//! Large files: parts in parallel, then one request that makes them an object.

use super::attempts::{WriteError, attempts, repeatedly};
use super::write::copy_source;
use super::{ARRIVED, ETag, OPERATION, ObjectError, ObjectInfo, Objects, Precondition, timestamp};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use domain::access::{Action, Authorized, Upload};
use domain::id::{OperationId, OrganizationId};
use domain::path::ObjectKey;
use domain::time::Timestamp;
use domain::upload::StoredPart;
use std::ops::Range;

/// A multipart upload that S3 knows.
#[derive(Clone, Debug)]
pub struct MultipartUpload {
    key: ObjectKey,
    id: String,
}

/// What of a file is copied as a part.
#[derive(Clone, Debug)]
pub struct CopiedPart {
    /// The bytes.
    pub range: Range<u64>,
    /// Whether that is the whole file.
    pub whole: bool,
}

impl MultipartUpload {
    /// S3's id for it, for the log and for records.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn key(&self) -> &ObjectKey {
        &self.key
    }
}

impl MultipartUpload {
    /// One that a record of ours names; for ending what was interrupted.
    pub fn recorded(key: ObjectKey, id: String) -> Self {
        Self { key, id }
    }
}

impl Objects {
    /// One that a record names, for going on with it.
    pub fn recorded_multipart(&self, file: &Authorized<Upload>, id: &str) -> Result<MultipartUpload, ObjectError> {
        let key = file.location().file_key().ok_or(ObjectError::NoSuchUpload)?;
        Ok(MultipartUpload { key, id: id.to_owned() })
    }

    /// The parts that S3 has, by number.
    pub async fn stored_parts(&self, upload: &MultipartUpload) -> Result<Vec<StoredPart>, ObjectError> {
        let mut parts = Vec::new();
        let mut after = None;
        loop {
            let request = self
                .once
                .list_parts()
                .bucket(&self.bucket)
                .set_expected_bucket_owner(self.owner.clone())
                .key(upload.key.as_str())
                .upload_id(&upload.id)
                .set_part_number_marker(after.take());
            let page = repeatedly(async || Ok(request.clone().send().await?)).await?;
            for part in page.parts() {
                parts.push(StoredPart {
                    number: part.part_number().and_then(|number| u32::try_from(number).ok()).unwrap_or(0),
                    bytes: part.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
                    etag: part.e_tag().ok_or(ObjectError::Incomplete("a part's ETag"))?.to_owned(),
                    crc32: part.checksum_crc32().map(str::to_owned),
                });
            }
            match (page.is_truncated(), page.next_part_number_marker) {
                // S3 has at most 10,000 parts and names 1,000 at a time
                (Some(true), Some(next)) if parts.len() < 10_000 => after = Some(next),
                _ => return Ok(parts),
            }
        }
    }

    /// Begins one.
    pub async fn begin_multipart(
        &self,
        file: &Authorized<Upload>,
        operation: &OperationId,
    ) -> Result<MultipartUpload, ObjectError> {
        let key = file.location().file_key().ok_or(ObjectError::PreconditionFailed)?;
        self.begin_key(&self.once, key, operation, None).await
    }

    /// Begins one whose parts somebody else sends, with checksums or without ([`Objects::presign_part`]).
    pub async fn begin_direct(
        &self,
        file: &Authorized<Upload>,
        operation: &OperationId,
    ) -> Result<MultipartUpload, ObjectError> {
        let key = file.location().file_key().ok_or(ObjectError::PreconditionFailed)?;
        self.begin_key(&self.plain, key, operation, None).await
    }

    /// Begins one that is to be a copy of another object, made by a rename of ours.
    pub async fn begin_copy(
        &self,
        key: ObjectKey,
        operation: &OperationId,
        of: &ObjectInfo,
    ) -> Result<MultipartUpload, ObjectError> {
        self.begin_key(&self.once, key, operation, Some(of.arrived)).await
    }

    async fn begin_key(
        &self,
        client: &aws_sdk_s3::Client,
        key: ObjectKey,
        operation: &OperationId,
        arrived: Option<Timestamp>,
    ) -> Result<MultipartUpload, ObjectError> {
        let mut request = client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .key(key.as_str())
            .metadata(OPERATION, operation.as_str());
        if let Some(arrived) = arrived {
            request = request.metadata(ARRIVED, arrived.millis().to_string());
        }
        // one that was begun without an answer is found by the orphans' sweep
        let begun = repeatedly(async || Ok(request.clone().send().await?)).await?;
        let id = begun.upload_id.ok_or(ObjectError::Incomplete("an upload id"))?;
        Ok(MultipartUpload { key, id })
    }

    /// Sends part `number`, with a CRC-32 that S3 checks.
    pub async fn put_part(
        &self,
        upload: &MultipartUpload,
        number: u32,
        body: Bytes,
    ) -> Result<StoredPart, ObjectError> {
        let bytes = body.len() as u64;
        let sent = repeatedly(async || {
            let sending = self
                .once
                .upload_part()
                .bucket(&self.bucket)
                .set_expected_bucket_owner(self.owner.clone())
                .key(upload.key.as_str())
                .upload_id(&upload.id)
                .part_number(part_number(number))
                .body(ByteStream::from(body.clone()));
            Ok(sending.customize().disable_payload_signing().send().await?)
        })
        .await?;
        let etag = sent.e_tag.ok_or(ObjectError::Incomplete("a part's ETag"))?;
        Ok(StoredPart { number, bytes, etag, crc32: sent.checksum_crc32 })
    }

    /// Makes a range of the version `etag` of a file part `number`, copied by S3: `PreconditionFailed` or `NotFound` if the
    /// file is another one by now. For parts up to S3's limit for one copy, 5 GiB, of the whole file or of one over 5 MiB.
    pub async fn copy_part<A: Action>(
        &self,
        upload: &MultipartUpload,
        number: u32,
        from: &Authorized<A>,
        etag: &ETag,
        part: CopiedPart,
    ) -> Result<StoredPart, ObjectError> {
        let source = from.location().file_key().ok_or(ObjectError::NotFound)?;
        self.copy_part_recorded(upload, number, &source, etag, part).await
    }

    /// The same for a recorded key; for renames, which were authorized when they were recorded.
    pub async fn copy_part_recorded(
        &self,
        upload: &MultipartUpload,
        number: u32,
        source: &ObjectKey,
        etag: &ETag,
        part: CopiedPart,
    ) -> Result<StoredPart, ObjectError> {
        let bytes = part.range.end - part.range.start;
        // S3 takes a range only of a file over 5 MiB
        let range = (!part.whole).then(|| format!("bytes={}-{}", part.range.start, part.range.end.saturating_sub(1)));
        let request = self
            .patient
            .upload_part_copy()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .set_expected_source_bucket_owner(self.owner.clone())
            .key(upload.key.as_str())
            .upload_id(&upload.id)
            .part_number(part_number(number))
            .copy_source(copy_source(&self.bucket, source))
            .copy_source_if_match(etag.as_str())
            .set_copy_source_range(range);
        let copied = repeatedly(async || Ok(request.clone().send().await?)).await?;
        let result = copied.copy_part_result.ok_or(ObjectError::Incomplete("a copied part"))?;
        let etag = result.e_tag.ok_or(ObjectError::Incomplete("a part's ETag"))?;
        Ok(StoredPart { number, bytes, etag, crc32: result.checksum_crc32 })
    }

    /// Makes the parts, reviewed and in order, an object.
    pub async fn complete_multipart(
        &self,
        upload: &MultipartUpload,
        parts: &[StoredPart],
        precondition: &Precondition,
    ) -> Result<(), WriteError> {
        self.complete(upload, parts, precondition.headers()).await
    }

    /// The same for a table of events, in the place of what is there.
    pub async fn complete_export(&self, upload: &MultipartUpload, parts: &[StoredPart]) -> Result<(), WriteError> {
        self.complete(upload, parts, (None, None)).await
    }

    async fn complete(
        &self,
        upload: &MultipartUpload,
        parts: &[StoredPart],
        (if_none_match, if_match): (Option<String>, Option<String>),
    ) -> Result<(), WriteError> {
        let parts = parts
            .iter()
            .map(|part| {
                CompletedPart::builder()
                    .part_number(part_number(part.number))
                    .e_tag(&part.etag)
                    .set_checksum_crc32(part.crc32.clone())
                    .build()
            })
            .collect();
        let request = self
            .patient
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .key(upload.key.as_str())
            .upload_id(&upload.id)
            .set_if_none_match(if_none_match)
            .set_if_match(if_match)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build());
        attempts(async || {
            request.clone().send().await?;
            Ok(())
        })
        .await
    }

    /// Throws the parts away. Gone already is fine.
    pub async fn abort_multipart(&self, upload: &MultipartUpload) -> Result<(), ObjectError> {
        let request = self
            .once
            .abort_multipart_upload()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .key(upload.key.as_str())
            .upload_id(&upload.id);
        match repeatedly(async || Ok(request.clone().send().await?)).await {
            Ok(_) | Err(ObjectError::NoSuchUpload) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// A multipart upload that was found in the bucket.
#[derive(Clone, Debug)]
pub struct FoundUpload {
    /// Whose files it belongs to.
    pub organization: OrganizationId,
    /// The upload, for aborting it.
    pub upload: MultipartUpload,
}

impl FoundUpload {
    /// The key of the object that it was to make.
    pub fn key(&self) -> &ObjectKey {
        &self.upload.key
    }
}

/// Where a page of multipart uploads begins: S3's key and upload markers.
#[derive(Clone, Debug)]
pub struct UploadsFrom(Option<String>, Option<String>);

impl Objects {
    /// A page of the multipart uploads that were begun before `before`, of all organizations, and where the next begins.
    pub async fn multiparts_before(
        &self,
        before: Timestamp,
        from: Option<UploadsFrom>,
    ) -> Result<(Vec<FoundUpload>, Option<UploadsFrom>), ObjectError> {
        let UploadsFrom(key_marker, id_marker) = from.unwrap_or(UploadsFrom(None, None));
        let request = self
            .once
            .list_multipart_uploads()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .set_key_marker(key_marker)
            .set_upload_id_marker(id_marker);
        let page = repeatedly(async || Ok(request.clone().send().await?)).await?;
        let old = page.uploads().iter().filter(|upload| timestamp(upload.initiated()) < before);
        let found = old.filter_map(|upload| {
            let (organization, key) = ObjectKey::from_bucket(upload.key()?.to_owned())?;
            let upload = MultipartUpload { key, id: upload.upload_id()?.to_owned() };
            Some(FoundUpload { organization, upload })
        });
        let found = found.collect();
        let more = page.is_truncated() == Some(true);
        Ok((found, more.then_some(UploadsFrom(page.next_key_marker, page.next_upload_id_marker))))
    }
}

fn part_number(number: u32) -> i32 {
    // at most 10,000 by the part plan
    i32::try_from(number).unwrap_or(i32::MAX)
}
