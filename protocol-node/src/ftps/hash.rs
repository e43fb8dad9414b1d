//! Sums of files: HASH (draft-bryan-ftp-hash), and XCRC, XMD5, XSHA256 in their usual form, of at most
//! [`MAX_HASH_BYTES`].

use super::command::Algorithm;
use super::job::{Job, Work};
use super::reply::{self, Reply};
use super::session::{Answer, Session};
use super::{MAX_HASH_BYTES, Times};
use crate::backend::FileSession;
use crate::sums::Sum;
use aws_lc_rs::digest::SHA256;
use domain::file_error::{FileError, FileErrorKind};
use domain::path::VPath;
use futures_util::FutureExt as _;
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

    fn sum(self) -> Sum {
        match self {
            Self::Sha256 => Sum::sha(&SHA256),
            Self::Md5 => Sum::md5(),
            Self::Crc32 => Sum::crc32(),
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
            let summed = work.unless_stopped(sum(&files, &ask, &times, &work).boxed()).await;
            match summed {
                Some(Ok(reply)) => reply,
                Some(Err(error)) => error.into(),
                None => reply::ABORTED,
            }
        }))
    }
}

async fn sum(files: &FileSession, ask: &Ask, times: &Times, work: &Work) -> Result<Reply, FileError> {
    let opened = timeout(times.operation, files.open_read(&ask.path).boxed()).await;
    let download = opened.unwrap_or_else(|_| Err(FileError::too_slow(times.operation)))?;
    let (start, end) = ask.range.unwrap_or((0, u64::MAX));
    let end = end.min(download.entry().bytes);
    let start = start.min(end);
    if end - start > MAX_HASH_BYTES {
        let text = format!("sums are made of at most {} GiB", MAX_HASH_BYTES >> 30);
        return Err(FileError::new(FileErrorKind::TooLarge, text));
    }
    let sum = ask.algorithm.sum().of(&download, start..end, times.operation, |bytes| work.moved(bytes)).await?;
    let text = hex::encode(sum);
    if !ask.told_whole {
        return Ok(Reply::with(250, text.to_ascii_uppercase()));
    }
    let last = end.saturating_sub(1);
    Ok(Reply::with(213, format!("{} {start}-{last} {text} {}", ask.algorithm.name(), ask.path)))
}
