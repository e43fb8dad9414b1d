//! Reads a request body once: into a blob, through MD5 and the checksums the request names. Nothing is visible before
//! every promised checksum has matched.

use super::blobs::{Blobs, NewBlob};
use super::checksum::{Algorithm, Sums};
use super::failure::Outcome;
use super::record::Segment;
use super::writer::BlobWriter;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::StreamExt;
use http::HeaderMap;
use md5::{Digest as _, Md5};
use s3s::checksum::ChecksumHasher;
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3ErrorCode, TrailingHeaders, s3_error};
use std::sync::Arc;

/// The largest single PUT and part: 5 GiB.
pub(super) const MAX_PUT: u64 = 5 * 1024 * 1024 * 1024;

/// What the client said about the bytes it sends.
pub(super) struct Promise {
    pub(super) content_md5: Option<String>,
    pub(super) content_length: Option<i64>,
    /// Values in the request's headers.
    pub(super) sums: Sums,
    /// Announced (`x-amz-sdk-checksum-algorithm`, `x-amz-trailer`) or asked for by the upload.
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) trailers: Option<TrailingHeaders>,
}

impl Promise {
    pub(super) fn new(headers: &HeaderMap, announced: Option<&str>, sums: Sums) -> Self {
        let mut algorithms: Vec<Algorithm> = sums.values.iter().map(|(algorithm, _)| *algorithm).collect();
        algorithms.extend(announced.and_then(Algorithm::parse));
        for value in headers.get_all("x-amz-trailer") {
            let names = value.to_str().unwrap_or_default().split(',').map(str::trim);
            for name in names {
                algorithms.extend(Algorithm::ALL.into_iter().find(|known| known.header().eq_ignore_ascii_case(name)));
            }
        }
        Self { content_md5: None, content_length: None, sums, algorithms, trailers: None }
    }
}

/// A body that arrived whole and as promised.
pub(super) struct Ingested {
    /// None for an empty body.
    pub(super) blob: Option<NewBlob>,
    pub(super) size: u64,
    pub(super) etag: String,
    pub(super) sums: Sums,
}

impl Ingested {
    pub(super) fn segments(&self) -> Vec<Segment> {
        let segment = |blob: &NewBlob| Segment { blob: blob.id(), offset: 0, len: self.size };
        self.blob.iter().map(segment).collect()
    }
}

pub(super) async fn ingest(blobs: &Arc<Blobs>, body: Option<StreamingBlob>, promise: Promise) -> Outcome<Ingested> {
    let mut hasher = ChecksumHasher::default();
    for algorithm in &promise.algorithms {
        algorithm.enable(&mut hasher);
    }
    if promise.algorithms.is_empty() {
        // S3 adds this one to everything that comes without a checksum
        Algorithm::Crc64Nvme.enable(&mut hasher);
    }
    let mut md5 = Md5::new();
    let mut size = 0u64;
    let mut writer = None;
    if let Some(mut body) = body {
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(broken_body)?;
            if chunk.is_empty() {
                continue;
            }
            size += chunk.len() as u64;
            if size > MAX_PUT {
                return Err(s3_error!(EntityTooLarge).into());
            }
            md5.update(&chunk);
            hasher.update(&chunk);
            writer.get_or_insert_with(|| BlobWriter::new(blobs.clone())).write(chunk).await?;
        }
    }
    if promise.content_length.is_some_and(|expected| u64::try_from(expected).is_ok_and(|expected| expected != size)) {
        return Err(s3_error!(IncompleteBody).into());
    }
    let md5 = md5.finalize();
    if let Some(expected) = &promise.content_md5 {
        match BASE64.decode(expected) {
            Ok(expected) if expected.len() == 16 => {
                if expected != md5.as_slice() {
                    return Err(
                        s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received.").into()
                    );
                }
            }
            _ => return Err(s3_error!(InvalidDigest).into()),
        }
    }
    let sums = Sums::from(hasher.finalize());
    verify(&promise, &sums)?;
    let blob = match writer {
        Some(writer) => Some(writer.finish().await?),
        None => None,
    };
    Ok(Ingested { blob, size, etag: hex::encode(md5), sums })
}

fn verify(promise: &Promise, computed: &Sums) -> Outcome<()> {
    let mut expected = promise.sums.values.clone();
    if let Some(trailers) = promise.trailers.as_ref().and_then(TrailingHeaders::take) {
        for algorithm in Algorithm::ALL {
            if let Some(value) = trailers.get(algorithm.header()).and_then(|value| value.to_str().ok()) {
                expected.push((algorithm, value.trim().to_owned()));
            }
        }
    }
    for (algorithm, value) in &expected {
        if computed.get(*algorithm) != Some(value) {
            let name = algorithm.name();
            return Err(
                s3_error!(BadDigest, "The {} you specified did not match the calculated checksum.", name).into()
            );
        }
    }
    Ok(())
}

/// s3s reports a body whose signed SHA-256 does not fit, or that ends early, as an error of the stream.
fn broken_body(error: s3s::StdError) -> super::failure::Failure {
    let text = error.to_string();
    let lower = text.to_ascii_lowercase();
    if lower.contains("mismatch") && lower.contains("signature") {
        return s3_error!(SignatureDoesNotMatch, "{}", text).into();
    }
    if lower.contains("mismatch") || lower.contains("sha256") {
        let mut error = S3Error::with_message(S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into()), text);
        error.set_status_code(http::StatusCode::BAD_REQUEST);
        return error.into();
    }
    s3_error!(IncompleteBody, "{}", text).into()
}
