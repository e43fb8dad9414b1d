//! Deleting and copying folders with everything in them.
//!
//! Each file is deleted or copied as if its client had asked for it alone, with its own event. What may not be, or fails for
//! good, is passed over and counted; the job says so at its end. What fails for now fails the job, which begins again later.

mod copy;
mod delete;

pub(super) use copy::copy;
pub(super) use delete::delete;

use super::Slice;
use super::run::{Run, RunError};
use crate::vfs::FoundFile;
use domain::file_error::{FileError, FileErrorKind};
use domain::job::Progress;
use domain::path::VPath;
use futures_util::{Stream, StreamExt as _};
use std::pin::pin;

/// Why a job on files cannot go on for now.
#[derive(Debug, thiserror::Error)]
pub(super) enum FolderError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Run(#[from] RunError),
}

/// What could not be done for good.
#[derive(Default)]
pub(super) struct PassedOver {
    count: u64,
    first: String,
}

impl PassedOver {
    /// Takes a failure for good; one for now is given back.
    pub(super) fn take(&mut self, path: &VPath, error: FileError) -> Result<(), FileError> {
        if error.is_for_now() {
            return Err(error);
        }
        if self.count == 0 {
            self.first = format!("{path}: {error}");
        }
        self.count += 1;
        Ok(())
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn first(&self) -> &str {
        &self.first
    }
}

/// What a job has done so far.
struct Tally {
    progress: Progress,
    passed: PassedOver,
}

impl Tally {
    /// Counts what becomes of files, and notes how far the job is. Files that are gone meanwhile are no failure.
    async fn take(
        &mut self,
        done: impl Stream<Item = (FoundFile, Result<(), FileError>)>,
        run: &mut Run,
    ) -> Result<(), FolderError> {
        let mut done = pin!(done);
        while let Some((file, outcome)) = done.next().await {
            match outcome {
                Ok(()) => {
                    self.progress.files += 1;
                    self.progress.bytes += file.bytes;
                }
                Err(error) if error.kind() == FileErrorKind::NoSuchFile => {}
                Err(error) => self.passed.take(&file.path, error)?,
            }
            run.progress(self.progress).await?;
        }
        Ok(())
    }

    /// How the job ends.
    fn end(self) -> Slice {
        let Progress { files, bytes } = self.progress;
        let note = format!("files: {files}, bytes: {bytes}");
        match self.passed.count {
            0 => Slice::Ended(note),
            count => Slice::Refused(format!("{note}; could not be done: {count}, the first {}", self.passed.first)),
        }
    }
}
