//! Bytes of another file that is open for reading (`copy-data`).
//!
//! At the beginning of an upload S3 copies them, if there are enough for a part: then they do not pass the node. Anywhere
//! else, and where there are few, they are read and written as if a client sent them.

use super::{Buffer, Upload};
use crate::vfs::{Download, FileSession, WriteMode};
use domain::file_error::{FileError, FileErrorKind};
use domain::path::VPath;
use domain::upload::{MAX_FILE_BYTES, MIN_PART_BYTES};
use std::ops::Range;
use std::sync::Arc;

/// How much is read at a time.
const PIECE_BYTES: u64 = 256 * 1024;

impl FileSession {
    /// Copies a whole file, in the place of what has its new name.
    pub async fn copy(&self, from: &VPath, to: &VPath) -> Result<(), FileError> {
        if from == to {
            return Err(FileError::new(FileErrorKind::BadRequest, "a file cannot be copied onto itself"));
        }
        let source = self.open_read(from).await?;
        let mut target = self.open_write(to, WriteMode::WHOLE).await?;
        let bytes = source.entry().bytes;
        match target.copy_from(&source, 0..bytes, 0).await {
            Ok(()) => target.finish().await?,
            Err(error) => {
                target.abort().await;
                return Err(error);
            }
        }
        source.close().await;
        Ok(())
    }
}

impl Upload {
    /// Takes the bytes `range` of `from`, the version that is open there, for `at`.
    pub async fn copy_from(&mut self, from: &Download, range: Range<u64>, at: u64) -> Result<(), FileError> {
        let bytes = range.end.saturating_sub(range.start);
        let writer = self.writer()?;
        if let Some(failure) = &writer.failure {
            return Err(failure.repeat());
        }
        let untouched = !writer.undecided && writer.parts.is_empty() && writer.buffer.is_untouched();
        let (proof, etag) = from.version();
        if at == 0 && untouched && (MIN_PART_BYTES as u64..=MAX_FILE_BYTES).contains(&bytes) {
            let copying = match writer.reserve(bytes).await {
                Ok(()) => writer.parts.copy(&Arc::new(proof.clone()), (etag, from.entry().bytes), &range),
                Err(error) => Err(error),
            };
            if let Err(error) = &copying {
                writer.failure = Some(error.repeat());
            } else {
                writer.buffer = Buffer::from(bytes);
                writer.progress.set_bytes(bytes);
            }
            return copying;
        }
        let mut read = range.start;
        while read < range.end {
            let len = usize::try_from(PIECE_BYTES.min(range.end - read)).unwrap_or(usize::MAX);
            let before = read;
            for chunk in from.read(read, len).await? {
                let len = chunk.len() as u64;
                self.write(at + (read - range.start), chunk).await?;
                read += len;
            }
            if read == before {
                return Err(FileError::new(FileErrorKind::Changed, "the file to copy ended early"));
            }
        }
        Ok(())
    }
}
