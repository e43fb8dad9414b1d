//! Conditional requests. Reads answer 304 or 412; writes answer 412, and 404 when If-Match finds nothing.

use super::record::Record;
use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use std::time::SystemTime;

/// The ETag as S3 answers carry it.
pub(super) fn strong(etag: &str) -> ETag {
    ETag::Strong(etag.to_owned())
}

fn matches(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(expected) => expected.value() == etag,
    }
}

pub(super) fn precondition_failed() -> S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
}

/// The conditions under which a PUT, a completion or a copy may replace what is at the key.
#[derive(Debug, Clone, Default)]
pub(super) struct WriteCondition {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
}

impl WriteCondition {
    pub(super) fn new(if_match: Option<ETagCondition>, if_none_match: Option<ETagCondition>) -> S3Result<Self> {
        if matches!(if_none_match, Some(ETagCondition::ETag(_))) {
            // S3 knows only the star on writes
            return Err(s3_error!(NotImplemented, "If-None-Match on a write accepts only *"));
        }
        Ok(Self { if_match, if_none_match })
    }

    /// s3s does not model the destination's conditions on CopyObject.
    pub(super) fn from_headers(headers: &http::HeaderMap) -> S3Result<Self> {
        let condition = |name| match headers.get(name) {
            None => Ok(None),
            Some(value) => ETagCondition::parse_http_header(http::HeaderValue::as_bytes(value))
                .map(Some)
                .map_err(|_| s3_error!(InvalidArgument, "A conditional header is malformed")),
        };
        Self::new(condition(http::header::IF_MATCH)?, condition(http::header::IF_NONE_MATCH)?)
    }

    pub(super) fn check(&self, current: Option<&str>) -> S3Result<()> {
        match (&self.if_match, current) {
            (Some(_), None) => return Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
            (Some(condition), Some(etag)) if !matches(condition, etag) => return Err(precondition_failed()),
            (Some(_), Some(_)) | (None, _) => {}
        }
        if self.if_none_match.is_some() && current.is_some() {
            return Err(precondition_failed());
        }
        Ok(())
    }
}

/// The conditions on a GET or HEAD, or on the source of a copy.
#[derive(Debug, Clone, Default)]
pub(super) struct ReadCondition {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

impl ReadCondition {
    pub(super) fn check(&self, record: &Record) -> S3Result<()> {
        match self.failed(record) {
            None => Ok(()),
            Some(Failed::Precondition) => Err(precondition_failed()),
            Some(Failed::NotModified) => {
                let mut answer = S3Error::new(S3ErrorCode::NotModified);
                let mut headers = http::HeaderMap::new();
                if let Ok(etag) = http::HeaderValue::from_str(&format!("\"{}\"", record.etag)) {
                    headers.insert(http::header::ETAG, etag);
                }
                answer.set_headers(headers);
                Err(answer)
            }
        }
    }

    /// Copies answer 412 where a GET would answer 304.
    pub(super) fn check_source(&self, record: &Record) -> S3Result<()> {
        self.failed(record).map_or(Ok(()), |_| Err(precondition_failed()))
    }

    fn failed(&self, record: &Record) -> Option<Failed> {
        // HTTP dates have whole seconds
        let modified = Timestamp::from(whole_second(record.modified_ms));
        match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) if !matches(condition, &record.etag) => return Some(Failed::Precondition),
            // a matching ETag outranks the date
            (None, Some(limit)) if modified > *limit => return Some(Failed::Precondition),
            _ => {}
        }
        match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) if matches(condition, &record.etag) => Some(Failed::NotModified),
            (None, Some(limit)) if modified <= *limit => Some(Failed::NotModified),
            _ => None,
        }
    }
}

enum Failed {
    Precondition,
    NotModified,
}

fn whole_second(ms: i64) -> SystemTime {
    crate::clock::at(ms - ms.rem_euclid(1000))
}
