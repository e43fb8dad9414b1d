//! Deleting and copying folders with everything in them.
//!
//! Each file is deleted or copied as if its client had asked for it alone, with its own event. What may not be, or fails for
//! good, is passed over and counted; the job says so at its end. What fails for now fails the job, which begins again later.

use super::run::{Run, RunError};
use super::{Slice, hands::Opened};
use crate::vfs::{FileSession, FoundFile};
use domain::file_error::{FileError, FileErrorKind};
use domain::job::Progress;
use domain::path::VPath;
use domain::time::Timestamp;
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Files that are deleted at the same time.
const DELETES: usize = 16;
/// Files that are copied at the same time: large ones by S3, which takes no memory here.
const COPIES: usize = 4;
/// Folders that are kept in memory to delete them, the deepest first; about 100 bytes each.
const MOST_FOLDERS: usize = 20_000;

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

    /// How a job ends that has done this much.
    fn end(self, note: String) -> Slice {
        match self.count {
            0 => Slice::Ended(note),
            count => Slice::Refused(format!("{note}; could not be done: {count}, the first {}", self.first)),
        }
    }
}

/// Deletes a folder. A slice begins anew: what is deleted is not found again.
pub(super) async fn delete(
    Opened { files, .. }: &Opened,
    path: &VPath,
    run: &mut Run,
    until: Instant,
) -> Result<Slice, FolderError> {
    let mut passed = PassedOver::default();
    let mut progress = run.job().progress;
    let mut after = None;
    loop {
        let page = files.deep(path, after.as_deref()).await?;
        let deleting = page.files.into_iter().map(async |file| {
            let deleted = files.delete_file(&file.path).await;
            (file, deleted)
        });
        let mut deleting = stream::iter(deleting).buffer_unordered(DELETES);
        while let Some((file, deleted)) = deleting.next().await {
            match deleted {
                Ok(()) => {
                    progress.files += 1;
                    progress.bytes += file.bytes;
                }
                // somebody else was faster
                Err(error) if error.kind() == FileErrorKind::NoSuchFile => {}
                Err(error) => passed.take(&file.path, error)?,
            }
            run.progress(progress).await?;
        }
        drop(deleting);
        after = page.next;
        if after.is_none() {
            break;
        }
        if Instant::now() >= until {
            return Ok(Slice::GoesOn(String::new()));
        }
    }
    for partial in files.interrupted_in(path).await {
        if let Err(error) = files.delete_file(&partial).await
            && error.kind() != FileErrorKind::NoSuchFile
        {
            passed.take(&partial, error)?;
        }
    }
    delete_folders(files, path, run, progress).await?;
    match files.delete_folder(path).await {
        // one that was only known by its files went with the last of them
        Err(error) if error.kind() == FileErrorKind::NoSuchFile => {}
        // because of what was passed over
        Err(error) if error.kind() == FileErrorKind::FolderNotEmpty && passed.count() > 0 => {}
        Err(error) => passed.take(path, error)?,
        Ok(()) => {}
    }
    let Progress { files, bytes } = progress;
    Ok(passed.end(format!("files: {files}, bytes: {bytes}")))
}

/// Deletes the folders in a folder that are empty, the deepest first.
async fn delete_folders(
    files: &FileSession,
    path: &VPath,
    run: &mut Run,
    progress: Progress,
) -> Result<(), FolderError> {
    loop {
        let (mut folders, mut after) = (Vec::new(), None);
        loop {
            let page = files.deep(path, after.as_deref()).await?;
            folders.extend(page.folders);
            after = page.next;
            if after.is_none() || folders.len() >= MOST_FOLDERS {
                break;
            }
        }
        let mut deleted = 0;
        while let Some(folder) = folders.pop() {
            match files.delete_folder(&folder).await {
                Ok(()) => deleted += 1,
                Err(error) => PassedOver::default().take(&folder, error)?,
            }
            run.progress(progress).await?;
        }
        if deleted == 0 || after.is_none() {
            return Ok(());
        }
    }
}

/// Where a copy goes on: all files up to here are copied.
#[derive(Default, Serialize, Deserialize)]
struct Place {
    part: usize,
    after: Option<String>,
    #[serde(default)]
    passed: u64,
    #[serde(default)]
    first: String,
}

/// Copies a folder, with what virtual folders show in it.
pub(super) async fn copy(
    Opened { files, .. }: &Opened,
    (from, to): (&VPath, &VPath),
    run: &mut Run,
    until: Instant,
) -> Result<Slice, FolderError> {
    let mut place: Place = serde_json::from_str(&run.job().place).unwrap_or_default();
    let mut passed = PassedOver { count: place.passed, first: std::mem::take(&mut place.first) };
    let begun = run.job().created_at;
    // after a failure some of it may be there already
    let mut again = run.job().failures > 0;
    let mut progress = if run.job().place.is_empty() { Progress::default() } else { run.job().progress };
    if run.job().place.is_empty() {
        make_folder(files, to, to, &mut passed).await?;
    }
    let parts = files.parts_of(from)?;
    for (at, part) in parts.iter().enumerate().skip(place.part) {
        let target = |path: &VPath| path.below(from).map_or_else(|| Ok(to.clone()), |below| to.join(&below));
        if part != from {
            make_folder(files, to, &target(part).map_err(FileError::from)?, &mut passed).await?;
        }
        let mut after = place.after.take();
        loop {
            let page = files.deep(part, after.as_deref()).await?;
            for folder in page.folders {
                make_folder(files, to, &target(&folder).map_err(FileError::from)?, &mut passed).await?;
            }
            let copying = page.files.into_iter().map(async |file| {
                let copied = match target(&file.path) {
                    Ok(target) => copy_one(files, &file, &target, again.then_some(begun)).await,
                    Err(too_long) => Err(too_long.into()),
                };
                (file, copied)
            });
            let mut copying = stream::iter(copying).buffer_unordered(COPIES);
            while let Some((file, copied)) = copying.next().await {
                match copied {
                    Ok(()) => {
                        progress.files += 1;
                        progress.bytes += file.bytes;
                    }
                    // deleted meanwhile
                    Err(error) if error.kind() == FileErrorKind::NoSuchFile => {}
                    Err(error) => passed.take(&file.path, error)?,
                }
                run.progress(progress).await?;
            }
            drop(copying);
            after = page.next;
            if after.is_none() {
                break;
            }
            again = false;
            if Instant::now() >= until {
                let place = Place { part: at, after, passed: passed.count, first: passed.first };
                return Ok(Slice::GoesOn(serde_json::to_string(&place).unwrap_or_default()));
            }
        }
    }
    let Progress { files, bytes } = progress;
    Ok(passed.end(format!("files: {files}, bytes: {bytes}")))
}

/// Copies a file, unless a copy has come `since` then.
async fn copy_one(
    files: &FileSession,
    file: &FoundFile,
    target: &VPath,
    since: Option<Timestamp>,
) -> Result<(), FileError> {
    if let Some(since) = since
        && let Ok(there) = files.stat(target).await
        && there.bytes == file.bytes
        && there.modified >= since
    {
        return Ok(());
    }
    files.copy(&file.path, target).await
}

/// Makes a folder and what is missing above it.
async fn make_folder(
    files: &FileSession,
    top: &VPath,
    folder: &VPath,
    passed: &mut PassedOver,
) -> Result<(), FileError> {
    if folder.parent().is_none() {
        return Ok(());
    }
    match files.make_folder(folder).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == FileErrorKind::AlreadyExists => Ok(()),
        Err(error) if folder == top => Err(error),
        Err(error) => passed.take(folder, error),
    }
}
