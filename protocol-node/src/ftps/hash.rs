//! Sums of files: HASH (draft-bryan-ftp-hash), and XCRC, XMD5, XSHA256 in their usual form. S3 does not know them, so the file
//! is read; files over [`MAX_HASH_BYTES`] are refused. It is not a download, and not announced as one.

use super::command::Algorithm;
use super::folders::too_slow;
use super::job::{Job, Work};
use super::reply::{self, Reply};
use super::session::{Answer, Session};
use super::{MAX_HASH_BYTES, Times, data};
use crate::backend::FileSession;
use aws_lc_rs::digest;
use domain::file_error::{FileError, FileErrorKind};
use domain::path::VPath;
use futures_util::FutureExt as _;
use md5::{Digest as _, Md5};
use std::sync::Arc;
use tokio::time::timeout;

impl Algorithm {
    /// As HASH names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Md5 => "MD5",
            Self::Crc32 => "CRC32",
        }
    }
}

enum Sum {
    Sha256(digest::Context),
    Md5(Md5),
    Crc32(crc32fast::Hasher),
}

impl Sum {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(digest::Context::new(&digest::SHA256)),
            Algorithm::Md5 => Self::Md5(Md5::new()),
            Algorithm::Crc32 => Self::Crc32(crc32fast::Hasher::new()),
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(sum) => sum.update(bytes),
            Self::Md5(sum) => sum.update(bytes),
            Self::Crc32(sum) => sum.update(bytes),
        }
    }

    fn text(self) -> String {
        match self {
            Self::Sha256(sum) => hex::encode(sum.finish()),
            Self::Md5(sum) => hex::encode(sum.finalize()),
            Self::Crc32(sum) => hex::encode(sum.finalize().to_be_bytes()),
        }
    }
}

/// What is to be summed up, and for which command.
struct Ask {
    path: VPath,
    algorithm: Algorithm,
    /// From the first byte to the one after the last, as XCRC and its kin take them.
    range: Option<(u64, u64)>,
    /// HASH, whose answer says what it sums up.
    told_whole: bool,
}

impl Session {
    pub(super) fn hash(
        &mut self,
        files: FileSession,
        algorithm: Option<Algorithm>,
        raw: &[u8],
        range: Option<(u64, u64)>,
    ) -> Answer {
        let path = match self.path(raw) {
            Ok(path) => path,
            Err(error) => return Reply::from(error).into(),
        };
        let ask = Ask { path, algorithm: algorithm.unwrap_or(self.algorithm), range, told_whole: algorithm.is_none() };
        let times = Arc::clone(&self.shared.times);
        Answer::Job(Job::start(&self.shared.doors.tasks, |work| async move {
            let summed = work.unless_stopped(sum(&files, &ask, &times, &work)).await;
            match summed {
                Some(Ok(reply)) => reply,
                Some(Err(error)) => error.into(),
                None => reply::ABORTED,
            }
        }))
    }
}

async fn sum(files: &FileSession, ask: &Ask, times: &Times, work: &Work) -> Result<Reply, FileError> {
    let slow = |_| too_slow(times.operation);
    let download = timeout(times.operation, files.open_read(&ask.path).boxed()).await.map_err(slow)??;
    let (start, end) = ask.range.unwrap_or((0, u64::MAX));
    let end = end.min(download.entry().bytes);
    if end.saturating_sub(start) > MAX_HASH_BYTES {
        let text = format!("sums are made of at most {} GiB", MAX_HASH_BYTES >> 30);
        return Err(FileError::new(FileErrorKind::TooLarge, text));
    }
    let mut sum = Sum::new(ask.algorithm);
    let mut at = start;
    while at < end {
        let len = usize::try_from(end - at).unwrap_or(usize::MAX).min(data::PIECE);
        let pieces = timeout(times.operation, download.read(at, len).boxed()).await.map_err(slow)??;
        let before = at;
        for piece in pieces {
            sum.add(&piece);
            work.moved(piece.len());
            at += piece.len() as u64;
        }
        if at == before {
            return Err(FileError::new(FileErrorKind::Changed, "the file ended early"));
        }
        // the sum of a piece takes as long as a turn should
        tokio::task::yield_now().await;
    }
    let text = sum.text();
    if !ask.told_whole {
        return Ok(Reply::with(250, text.to_ascii_uppercase()));
    }
    let last = end.saturating_sub(1);
    Ok(Reply::with(213, format!("{} {start}-{last} {text} {}", ask.algorithm.name(), ask.path)))
}
