//! CopyObject and UploadPartCopy. The new object or part refers to the source's segments; bytes are read only where S3
//! itself would compute a new MD5 (a source that was a multipart upload, or a range of it).

use super::Store;
use super::checksum::{Algorithm, Sums, put_sums};
use super::condition::{ReadCondition, WriteCondition, strong};
use super::failure::Outcome;
use super::index::Work;
use super::ingest::MAX_PUT;
use super::multipart::part_number;
use super::objects::given_head;
use super::reader::SegmentStream;
use super::record::{Detail, PartRecord, Record, Segment, cut};
use crate::clock;
use md5::{Digest as _, Md5};
use s3s::checksum::ChecksumHasher;
use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult, CopySource, UploadPartCopyInput,
    UploadPartCopyOutput,
};
use s3s::{S3Request, s3_error};

/// Ranges are copied only from objects that are larger.
const RANGES_ABOVE: u64 = 5 * 1024 * 1024;

fn source(source: &CopySource) -> Outcome<(String, String)> {
    match source {
        CopySource::Bucket { bucket, key, version_id: None } => Ok((bucket.to_string(), key.to_string())),
        CopySource::Bucket { version_id: Some(_), .. } => Err(s3_error!(NoSuchVersion).into()),
        CopySource::AccessPoint { .. } | CopySource::Outpost { .. } => Err(s3_error!(NotImplemented).into()),
    }
}

macro_rules! source_condition {
    ($input:expr) => {
        ReadCondition {
            if_match: $input.copy_source_if_match.clone(),
            if_none_match: $input.copy_source_if_none_match.clone(),
            if_modified_since: $input.copy_source_if_modified_since.clone(),
            if_unmodified_since: $input.copy_source_if_unmodified_since.clone(),
        }
    };
}

/// Bytes of a source, held readable and counted once until the copy refers to them itself.
struct Source {
    record: Record,
    segments: Vec<Segment>,
    size: u64,
    stream: SegmentStream,
}

fn open(work: &Work<'_>, bucket: &str, key: &str, condition: &ReadCondition, range: Option<&str>) -> Outcome<Source> {
    let record = work.object(bucket, key)?;
    condition.check_source(&record)?;
    let (from, to) = match range {
        None => (0, record.size),
        Some(_) if record.size <= RANGES_ABOVE => {
            return Err(s3_error!(
                InvalidRequest,
                "The specified copy source is not supported as a byte-range copy source"
            )
            .into());
        }
        Some(range) => copy_range(range, record.size)?,
    };
    let size = to - from;
    if size > MAX_PUT {
        return Err(s3_error!(
            InvalidRequest,
            "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120"
        )
        .into());
    }
    let segments = cut(&record.detail.segments, from, to);
    let stream = SegmentStream::pin(work.blobs, &segments)?;
    Ok(Source { record, segments, size, stream })
}

/// `bytes=first-last`, both needed and both inside the object.
fn copy_range(range: &str, size: u64) -> Outcome<(u64, u64)> {
    let numbers = range.trim().strip_prefix("bytes=").and_then(|range| {
        let (first, last) = range.split_once('-')?;
        Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?))
    });
    match numbers {
        Some((first, last)) if first <= last && last < size => Ok((first, last + 1)),
        Some((first, last)) if first <= last => Err(s3_error!(
            InvalidArgument,
            "Range specified is not valid for source object of size: {}",
            size
        )
        .into()),
        _ => Err(s3_error!(
            InvalidArgument,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy"
        )
        .into()),
    }
}

/// ETag and checksums of the copied bytes, reading them only when the source's own cannot be taken over.
async fn digest(source: Source, algorithm: Option<Algorithm>) -> Outcome<(Record, Vec<Segment>, u64, String, Sums)> {
    let Source { record, segments, size, stream } = source;
    let whole = size == record.size;
    let known = &record.detail.sums;
    let algorithm = algorithm.or_else(|| known.values.first().map(|(algorithm, _)| *algorithm));
    let algorithm = algorithm.unwrap_or(Algorithm::Crc64Nvme);
    if whole && !record.etag.contains('-') && known.get(algorithm).is_some() && !known.composite {
        let (etag, sums) = (record.etag.clone(), known.clone());
        return Ok((record, segments, size, etag, sums));
    }
    let (etag, sums) = tokio::task::spawn_blocking(move || {
        let mut hasher = ChecksumHasher::default();
        algorithm.enable(&mut hasher);
        let mut md5 = Md5::new();
        stream.drain_blocking(|bytes| {
            md5.update(bytes);
            hasher.update(bytes);
        })?;
        Ok::<_, super::failure::Failure>((hex::encode(md5.finalize()), Sums::from(hasher.finalize())))
    })
    .await??;
    Ok((record, segments, size, etag, sums))
}

impl Store {
    pub(super) async fn copy(&self, request: S3Request<CopyObjectInput>) -> Outcome<CopyObjectOutput> {
        let S3Request { input, headers, .. } = request;
        let (from_bucket, from_key) = source(&input.copy_source)?;
        let read = source_condition!(input);
        let write = WriteCondition::from_headers(&headers)?;
        let replace = match input.metadata_directive.as_ref().map(|directive| directive.as_str()) {
            None | Some("COPY") => false,
            Some("REPLACE") => true,
            Some(_) => return Err(s3_error!(InvalidArgument, "Unknown metadata directive.").into()),
        };
        if !replace && from_bucket == input.bucket && from_key == input.key && input.storage_class.is_none() {
            return Err(s3_error!(
                InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."
            )
            .into());
        }
        let algorithm = input.checksum_algorithm.as_ref().and_then(|name| Algorithm::parse(name.as_str()));
        let given = given_head!(input);
        // pinned here, referred to below: a blob that loses its last row in between is still readable, but must not be
        // given a new row, so the second transaction looks at the source again
        let (bucket, key) = (from_bucket.clone(), from_key.clone());
        let found = self.index.run(move |work| open(work, &bucket, &key, &read, None)).await?;
        let (source, segments, size, etag, sums) = digest(found, algorithm).await?;
        let mut detail = Detail { head: given, sums: sums.clone(), segments, parts: Vec::new() };
        if !replace {
            detail.head = source.detail.head.clone();
        }
        let modified_ms = clock::now_ms();
        let record = Record { size, etag: etag.clone(), modified_ms, detail };
        let source_etag = source.etag;
        self.index
            .run(move |work| {
                let still = work.object(&from_bucket, &from_key)?;
                if still.etag != source_etag {
                    return Err(s3_error!(SlowDown, "The copy source changed during the copy.").into());
                }
                // the same content may have been written anew: refer to what is there now
                let mut record = record;
                record.detail.segments = still.detail.segments;
                work.bucket(&input.bucket)?;
                let old = work.find(&input.bucket, &input.key)?;
                write.check(old.as_ref().map(|(_, old)| old.etag.as_str()))?;
                work.retain(&record.detail.segments)?;
                work.replace(&input.bucket, &input.key, old, &record)
            })
            .await?;
        let mut result = CopyObjectResult {
            e_tag: Some(strong(&etag)),
            last_modified: Some(clock::at(modified_ms).into()),
            checksum_type: sums.wire().checksum_type,
            ..CopyObjectResult::default()
        };
        put_sums!(result, sums);
        Ok(CopyObjectOutput { copy_object_result: Some(result), ..CopyObjectOutput::default() })
    }

    pub(super) async fn copy_part(&self, input: UploadPartCopyInput) -> Outcome<UploadPartCopyOutput> {
        let number = part_number(input.part_number)?;
        let (from_bucket, from_key) = source(&input.copy_source)?;
        let read = source_condition!(input);
        let (id, bucket, key) = (input.upload_id, input.bucket, input.key);
        let range = input.copy_source_range;
        let (upload, found) = {
            let (id, bucket, key) = (id.clone(), bucket.clone(), key.clone());
            let (from_bucket, from_key, range) = (from_bucket.clone(), from_key.clone(), range.clone());
            self.index
                .run(move |work| {
                    let upload = work.open_upload(&id, &bucket, &key)?;
                    Ok((upload, open(work, &from_bucket, &from_key, &read, range.as_deref())?))
                })
                .await?
        };
        // no algorithm of the upload's own means the one S3 adds
        let algorithm = upload.algorithm.unwrap_or(Algorithm::Crc64Nvme);
        let (source, _, size, etag, sums) = digest(found, Some(algorithm)).await?;
        let modified_ms = clock::now_ms();
        let mut result = CopyPartResult {
            e_tag: Some(strong(&etag)),
            last_modified: Some(clock::at(modified_ms).into()),
            ..CopyPartResult::default()
        };
        put_sums!(result, sums);
        self.index
            .run(move |work| {
                work.open_upload(&id, &bucket, &key)?;
                let still = work.object(&from_bucket, &from_key)?;
                if still.etag != source.etag {
                    return Err(s3_error!(SlowDown, "The copy source changed during the copy.").into());
                }
                let (from, to) = match &range {
                    None => (0, still.size),
                    Some(range) => copy_range(range, still.size)?,
                };
                let segments = cut(&still.detail.segments, from, to);
                work.store_part(&id, &PartRecord { number, size, etag, modified_ms, sums, segments })
            })
            .await?;
        Ok(UploadPartCopyOutput { copy_part_result: Some(result), ..UploadPartCopyOutput::default() })
    }
}
