//! Copying a folder.

use super::{FolderError, PassedOver, Tally};
use crate::jobs::Slice;
use crate::jobs::hands::Opened;
use crate::jobs::run::Run;
use crate::vfs::{FileSession, FoundFile};
use domain::file_error::{FileError, FileErrorKind};
use domain::job::Progress;
use domain::path::VPath;
use domain::time::Timestamp;
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Files that are copied at the same time: large ones by S3, which takes no memory here.
const PARALLEL: usize = 4;

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
pub(in crate::jobs) async fn copy(
    Opened { files, .. }: &Opened,
    (from, to): (&VPath, &VPath),
    run: &mut Run,
    until: Instant,
) -> Result<Slice, FolderError> {
    files.check_copy(from, to)?;
    let begins = run.job().place.is_empty();
    let mut place: Place = serde_json::from_str(&run.job().place).unwrap_or_default();
    let passed = PassedOver { count: place.passed, first: std::mem::take(&mut place.first) };
    let progress = if begins { Progress::default() } else { run.job().progress };
    let mut tally = Tally { progress, passed };
    // after a failure it begins again, and some of it is there already
    let since = (run.job().failures > 0).then_some(run.job().created_at);
    if begins {
        make_folder(files, to, to, &mut tally.passed).await?;
    }
    let target = |path: &VPath| -> Result<VPath, FileError> {
        path.below(from).map_or_else(|| Ok(to.clone()), |below| Ok(to.join(&below)?))
    };
    for (at, part) in files.parts_of(from)?.iter().enumerate().skip(place.part) {
        if part != from {
            make_folder(files, to, &target(part)?, &mut tally.passed).await?;
        }
        let mut after = place.after.take();
        loop {
            let page = files.deep(part, after.as_deref()).await?;
            for folder in page.folders {
                make_folder(files, to, &target(&folder)?, &mut tally.passed).await?;
            }
            let copying = page.files.into_iter().map(async |file| {
                let copied = match target(&file.path) {
                    Ok(target) => copy_one(files, &file, &target, since).await,
                    Err(too_long) => Err(too_long),
                };
                (file, copied)
            });
            tally.take(stream::iter(copying).buffer_unordered(PARALLEL), run).await?;
            after = page.next;
            if after.is_none() {
                break;
            }
            if Instant::now() >= until {
                let PassedOver { count: passed, first } = tally.passed;
                let place = Place { part: at, after, passed, first };
                return Ok(Slice::GoesOn(serde_json::to_string(&place).unwrap_or_default()));
            }
        }
    }
    Ok(tally.end())
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
