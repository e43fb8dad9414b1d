//! Hashes of files: `check-file-name`, `check-file-handle` (draft-ietf-secsh-filexfer-extensions-00, section 3; paramiko's
//! `check-file` is the latter with another answer) and `md5-hash`, `md5-hash-handle` (file-hashing of filexfer-05).
//!
//! S3 knows the MD5 of a file that came in one piece; everything else is read, up to [`MAX_READ_BYTES`].

use super::reply::Body;
use super::request::{Algorithm, HashAsk, HashForm};
use super::{MAX_NAMES_BYTES, OPERATION_DEADLINE};
use crate::backend::{Download, FileSession};
use crate::sums::Sum;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512};
use bytes::{BufMut as _, BytesMut};
use domain::file_error::{FileError, FileErrorKind};
use domain::path::VPath;

/// The most that is read for one answer: a second or two of S3's time, and far below the deadline of an operation.
const MAX_READ_BYTES: u64 = 256 * 1024 * 1024;
/// What the quick check of `md5-hash` covers.
const QUICK_BYTES: u64 = 2048;
/// How long the answer's hashes may be together.
const MAX_HASHES_BYTES: usize = MAX_NAMES_BYTES;

fn sum(algorithm: Algorithm) -> Sum {
    match algorithm {
        Algorithm::Md5 => Sum::md5(),
        Algorithm::Sha1 => Sum::sha(&SHA1_FOR_LEGACY_USE_ONLY),
        Algorithm::Sha256 => Sum::sha(&SHA256),
        Algorithm::Sha384 => Sum::sha(&SHA384),
        Algorithm::Sha512 => Sum::sha(&SHA512),
    }
}

/// Answers it.
pub(crate) async fn answer(files: &FileSession, path: &VPath, ask: HashAsk) -> Result<Body, FileError> {
    let file = files.open_read(path).await?;
    let size = file.entry().bytes;
    let start = ask.offset.min(size);
    let end = if ask.length == 0 { size } else { start.saturating_add(ask.length).min(size) };
    let mut out = BytesMut::new();
    match ask.form {
        HashForm::Md5 { quick } => {
            put_string(&mut out, b"md5-hash");
            let quick_end = end.min(start.saturating_add(QUICK_BYTES));
            let same = match quick {
                Some(quick) => hashed(&file, Algorithm::Md5, start, quick_end).await? == quick,
                None => true,
            };
            // another hash of the beginning is answered with an empty one
            let hash = if same { hashed(&file, Algorithm::Md5, start, end).await? } else { Vec::new() };
            put_string(&mut out, &hash);
        }
        HashForm::CheckFile { echoed } => {
            if echoed {
                put_string(&mut out, b"check-file");
            }
            put_string(&mut out, ask.algorithm.name().as_bytes());
            out.extend_from_slice(&blocks(&file, ask, start, end).await?);
        }
    }
    Ok(Body::Extended(out.freeze()))
}

async fn blocks(file: &Download, ask: HashAsk, start: u64, end: u64) -> Result<Vec<u8>, FileError> {
    let block = u64::from(ask.block);
    if block == 0 || end - start <= block {
        return hashed(file, ask.algorithm, start, end).await;
    }
    readable(end - start)?;
    let count = usize::try_from((end - start).div_ceil(block)).unwrap_or(usize::MAX);
    if count.saturating_mul(ask.algorithm.bytes()) > MAX_HASHES_BYTES {
        return Err(FileError::new(FileErrorKind::BadRequest, "so many hashes do not fit into one answer"));
    }
    let mut hashes = Vec::with_capacity(count * ask.algorithm.bytes());
    let mut at = start;
    while at < end {
        let next = at.saturating_add(block).min(end);
        hashes.extend(hashed(file, ask.algorithm, at, next).await?);
        at = next;
    }
    Ok(hashes)
}

fn readable(bytes: u64) -> Result<(), FileError> {
    if bytes <= MAX_READ_BYTES {
        return Ok(());
    }
    let text = format!("at most {} MiB are read for a hash: ask for less at a time", MAX_READ_BYTES >> 20);
    Err(FileError::new(FileErrorKind::Unsupported, text))
}

async fn hashed(file: &Download, algorithm: Algorithm, start: u64, end: u64) -> Result<Vec<u8>, FileError> {
    // what S3 knows needs no reading
    if !(algorithm == Algorithm::Md5 && file.md5().is_some() && (start, end) == (0, file.entry().bytes)) {
        readable(end - start)?;
    }
    sum(algorithm).of(file, start..end, OPERATION_DEADLINE, |_| {}).await
}

fn put_string(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(bytes);
}
