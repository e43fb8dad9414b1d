//! PUT, GET, HEAD and DELETE of single objects.

use super::Store;
use super::checksum::{given_sums, put_sums};
use super::condition::{ReadCondition, WriteCondition, precondition_failed, strong};
use super::failure::Outcome;
use super::ingest::{Promise, ingest};
use super::reader::SegmentStream;
use super::record::{Detail, Head, Record, cut};
use crate::clock;
use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, GetObjectInput,
    GetObjectOutput, HeadObjectInput, HeadObjectOutput, ObjectIdentifier, PutObjectInput, PutObjectOutput, Range,
    StreamingBlob,
};
use s3s::{S3Error, S3ErrorCode, S3Request, s3_error};

/// The stored headers named in a request's input.
macro_rules! given_head {
    ($input:expr) => {
        $crate::s3::record::Head {
            content_type: $input.content_type.clone(),
            cache_control: $input.cache_control.clone(),
            content_disposition: $input.content_disposition.clone(),
            content_encoding: $crate::s3::objects::stored_encoding($input.content_encoding.clone()),
            content_language: $input.content_language.clone(),
            website_redirect: $input.website_redirect_location.clone(),
            storage_class: $input.storage_class.as_ref().map(|class| class.as_str().to_owned()),
            expires_ms: $input.expires.clone().map($crate::s3::objects::stored_time),
            metadata: $input.metadata.clone().unwrap_or_default().into_iter().collect(),
        }
    };
}
pub(super) use given_head;

pub(super) fn stored_time(time: s3s::dto::Timestamp) -> i64 {
    let mut text = Vec::new();
    let seconds = time.format(s3s::dto::TimestampFormat::EpochSeconds, &mut text).ok().and_then(|()| {
        let text = String::from_utf8(text).ok()?;
        text.split('.').next()?.parse::<i64>().ok()
    });
    seconds.unwrap_or(0).saturating_mul(1000)
}

/// `aws-chunked` describes the transfer, not the object.
pub(super) fn stored_encoding(encoding: Option<String>) -> Option<String> {
    let kept: Vec<String> = encoding?
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"))
        .map(str::to_owned)
        .collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

/// Which bytes a GET or HEAD is about.
struct Selection {
    from: u64,
    to: u64,
    /// A range or a part was asked for: 206 with Content-Range, and no checksum of the whole.
    partial: bool,
}

fn select(record: &Record, range: Option<Range>, part: Option<i32>) -> Outcome<Selection> {
    let whole = Selection { from: 0, to: record.size, partial: false };
    match (range, part) {
        (Some(_), Some(_)) => Err(s3_error!(InvalidRequest, "Cannot specify both Range header and partNumber").into()),
        (Some(range), None) => {
            let bytes = range.check(record.size).map_err(|_| invalid_range(record.size))?;
            Ok(Selection { from: bytes.start, to: bytes.end, partial: true })
        }
        (None, Some(number)) => {
            let parts = &record.detail.parts;
            if parts.is_empty() && number == 1 {
                return Ok(Selection { partial: record.size > 0, ..whole });
            }
            let before = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
            let size = before.and_then(|before| parts.get(before));
            let (Some(before), Some(size)) = (before, size) else {
                return Err(invalid_part_number().into());
            };
            let from: u64 = parts.iter().take(before).sum();
            Ok(Selection { from, to: from + size, partial: true })
        }
        (None, None) => Ok(whole),
    }
}

fn invalid_part_number() -> S3Error {
    let message = "The requested partnumber is not satisfiable";
    let mut answer = S3Error::with_message(S3ErrorCode::Custom("InvalidPartNumber".into()), message);
    answer.set_status_code(http::StatusCode::RANGE_NOT_SATISFIABLE);
    answer
}

fn invalid_range(size: u64) -> S3Error {
    let mut answer = s3_error!(InvalidRange, "The requested range is not satisfiable");
    let mut headers = http::HeaderMap::new();
    if let Ok(value) = http::HeaderValue::from_str(&format!("bytes */{size}")) {
        headers.insert(http::header::CONTENT_RANGE, value);
    }
    answer.set_headers(headers);
    answer
}

/// GET and HEAD answer with the same headers.
macro_rules! describe {
    ($output:ident, $input:expr, $record:expr, $selection:expr) => {{
        let record: &Record = $record;
        let selection: &Selection = $selection;
        let head: &Head = &record.detail.head;
        let mut output = $output {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(super::index::signed(selection.to - selection.from)),
            e_tag: Some(strong(&record.etag)),
            last_modified: Some(clock::at(record.modified_ms).into()),
            content_type: $input
                .response_content_type
                .clone()
                .or_else(|| head.content_type.clone())
                .or_else(|| Some("binary/octet-stream".to_owned())),
            cache_control: $input.response_cache_control.clone().or_else(|| head.cache_control.clone()),
            content_disposition: $input
                .response_content_disposition
                .clone()
                .or_else(|| head.content_disposition.clone()),
            content_encoding: $input.response_content_encoding.clone().or_else(|| head.content_encoding.clone()),
            content_language: $input.response_content_language.clone().or_else(|| head.content_language.clone()),
            expires: $input.response_expires.clone().or_else(|| head.expires_ms.map(|ms| clock::at(ms).into())),
            website_redirect_location: head.website_redirect.clone(),
            storage_class: head.storage_class.clone().filter(|class| class != "STANDARD").map(Into::into),
            metadata: (!head.metadata.is_empty())
                .then(|| head.metadata.iter().map(|(name, value)| (name.clone(), value.clone())).collect()),
            ..$output::default()
        };
        if selection.partial && record.size > 0 {
            let last = selection.to.saturating_sub(1);
            output.content_range = Some(format!("bytes {}-{last}/{}", selection.from, record.size));
        } else if $input.checksum_mode.as_ref().is_some_and(|mode| mode.as_str().eq_ignore_ascii_case("ENABLED")) {
            put_sums!(output, record.detail.sums);
            output.checksum_type = record.detail.sums.wire().checksum_type;
        }
        if $input.part_number.is_some() && !record.detail.parts.is_empty() {
            output.parts_count = i32::try_from(record.detail.parts.len()).ok();
        }
        output
    }};
}

macro_rules! read_condition {
    ($input:expr) => {
        ReadCondition {
            if_match: $input.if_match.clone(),
            if_none_match: $input.if_none_match.clone(),
            if_modified_since: $input.if_modified_since.clone(),
            if_unmodified_since: $input.if_unmodified_since.clone(),
        }
    };
}

impl Store {
    pub(super) async fn put(&self, request: S3Request<PutObjectInput>) -> Outcome<PutObjectOutput> {
        let S3Request { input, headers, trailing_headers, .. } = request;
        let condition = WriteCondition::new(input.if_match.clone(), input.if_none_match.clone())?;
        let head = given_head!(input);
        let announced = input.checksum_algorithm.as_ref().map(|algorithm| algorithm.as_str());
        let mut promise = Promise::new(&headers, announced, given_sums!(input));
        promise.content_md5 = input.content_md5;
        promise.trailers = trailing_headers;
        let (bucket, key) = (input.bucket, input.key);
        self.find_bucket(bucket.clone()).await?;
        let new = ingest(&self.index.blobs, input.body, promise).await?;
        let record = Record {
            size: new.size,
            etag: new.etag.clone(),
            modified_ms: clock::now_ms(),
            detail: Detail { head, sums: new.sums.clone(), segments: new.segments(), parts: Vec::new() },
        };
        let blob = new.blob;
        self.index
            .run(move |work| {
                let old = work.find(&bucket, &key)?;
                work.bucket(&bucket)?;
                condition.check(old.as_ref().map(|(_, old)| old.etag.as_str()))?;
                work.retain(&record.detail.segments)?;
                work.replace(&bucket, &key, old, &record)?;
                work.adopt(blob);
                Ok(())
            })
            .await?;
        let mut output = PutObjectOutput {
            e_tag: Some(strong(&new.etag)),
            checksum_type: new.sums.wire().checksum_type,
            ..PutObjectOutput::default()
        };
        put_sums!(output, new.sums);
        Ok(output)
    }

    pub(super) async fn get(&self, input: GetObjectInput) -> Outcome<GetObjectOutput> {
        self.index
            .run(move |work| {
                let record = work.object(&input.bucket, &input.key)?;
                read_condition!(input).check(&record)?;
                let selection = select(&record, input.range, input.part_number)?;
                let segments = cut(&record.detail.segments, selection.from, selection.to);
                let stream = SegmentStream::pin(work.blobs, &segments)?;
                let mut output = describe!(GetObjectOutput, input, &record, &selection);
                output.body = Some(StreamingBlob::new(stream));
                Ok(output)
            })
            .await
    }

    pub(super) async fn head(&self, input: HeadObjectInput) -> Outcome<HeadObjectOutput> {
        self.index
            .run(move |work| {
                let record = work.object(&input.bucket, &input.key)?;
                read_condition!(input).check(&record)?;
                let selection = select(&record, input.range, input.part_number)?;
                Ok(describe!(HeadObjectOutput, input, &record, &selection))
            })
            .await
    }

    pub(super) async fn delete(&self, input: DeleteObjectInput) -> Outcome<DeleteObjectOutput> {
        self.index
            .run(move |work| {
                work.bucket(&input.bucket)?;
                let Some((id, record)) = work.find(&input.bucket, &input.key)? else {
                    // nothing to delete is success, also under a condition
                    return Ok(DeleteObjectOutput::default());
                };
                let guard = ReadCondition { if_match: input.if_match, ..ReadCondition::default() };
                guard.check(&record)?;
                if input.if_match_size.is_some_and(|size| size != super::index::signed(record.size)) {
                    return Err(precondition_failed().into());
                }
                work.delete(id, &record)?;
                Ok(DeleteObjectOutput::default())
            })
            .await
    }

    pub(super) async fn delete_many(&self, input: DeleteObjectsInput) -> Outcome<DeleteObjectsOutput> {
        if input.delete.objects.len() > 1000 {
            return Err(s3_error!(MalformedXML, "The XML you provided was not well-formed").into());
        }
        self.index
            .run(move |work| {
                work.bucket(&input.bucket)?;
                let quiet = input.delete.quiet.unwrap_or(false);
                let (mut deleted, mut errors) = (Vec::new(), Vec::new());
                for ObjectIdentifier { key, e_tag, size, .. } in input.delete.objects {
                    if let Some((id, record)) = work.find(&input.bucket, &key)? {
                        let same = e_tag.is_none_or(|etag| etag.value() == record.etag)
                            && size.is_none_or(|size| size == super::index::signed(record.size));
                        if !same {
                            errors.push(s3s::dto::Error {
                                code: Some("PreconditionFailed".to_owned()),
                                key: Some(key),
                                message: precondition_failed().message().map(str::to_owned),
                                version_id: None,
                            });
                            continue;
                        }
                        work.delete(id, &record)?;
                    }
                    if !quiet {
                        deleted.push(DeletedObject { key: Some(key), ..DeletedObject::default() });
                    }
                }
                Ok(DeleteObjectsOutput {
                    deleted: (!deleted.is_empty()).then_some(deleted),
                    errors: (!errors.is_empty()).then_some(errors),
                    request_charged: None,
                })
            })
            .await
    }
}
