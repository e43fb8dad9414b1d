//! Sums of files (hashes and checksums), for whichever door asks. S3 knows the MD5 of a file that came in one piece; everything
//! else is read. That is not a download, and not announced as one.

use crate::backend::Download;
use aws_lc_rs::digest;
use domain::file_error::{FileError, FileErrorKind};
use md5::{Digest as _, Md5};
use std::ops::Range;
use std::time::Duration;
use tokio::time::timeout;

/// How much is read at a time.
const PIECE_BYTES: u64 = 256 * 1024;

/// A sum that has just begun.
pub(crate) enum Sum {
    Md5(Md5),
    Crc32(crc32fast::Hasher),
    /// SHA-1 and SHA-2.
    Sha(digest::Context),
}

impl Sum {
    pub(crate) fn md5() -> Self {
        Self::Md5(Md5::new())
    }

    pub(crate) fn crc32() -> Self {
        Self::Crc32(crc32fast::Hasher::new())
    }

    pub(crate) fn sha(which: &'static digest::Algorithm) -> Self {
        Self::Sha(digest::Context::new(which))
    }

    fn add(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(sum) => sum.update(bytes),
            Self::Crc32(sum) => sum.update(bytes),
            Self::Sha(sum) => sum.update(bytes),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Md5(sum) => sum.finalize().to_vec(),
            Self::Crc32(sum) => sum.finalize().to_be_bytes().to_vec(),
            Self::Sha(sum) => sum.finish().as_ref().to_vec(),
        }
    }

    /// Sums up a range of a file, which must lie in it. Each read may take `deadline`; `moved` is told the bytes.
    pub(crate) async fn of(
        mut self,
        file: &Download,
        range: Range<u64>,
        deadline: Duration,
        moved: impl Fn(usize),
    ) -> Result<Vec<u8>, FileError> {
        if matches!(self, Self::Md5(_))
            && range == (0..file.entry().bytes)
            && let Some(known) = file.md5()
        {
            return Ok(known.to_vec());
        }
        let mut at = range.start;
        while at < range.end {
            let len = usize::try_from(PIECE_BYTES.min(range.end - at)).unwrap_or(usize::MAX);
            let read = timeout(deadline, file.read(at, len)).await;
            let before = at;
            for piece in read.unwrap_or_else(|_| Err(FileError::too_slow(deadline)))? {
                self.add(&piece);
                moved(piece.len());
                at += piece.len() as u64;
            }
            if at == before {
                return Err(FileError::new(FileErrorKind::Changed, "the file ended early"));
            }
            // the sum of a piece takes as long as a turn should
            tokio::task::yield_now().await;
        }
        Ok(self.finish())
    }
}
