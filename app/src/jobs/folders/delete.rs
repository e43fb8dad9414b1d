//! Deleting a folder.

use super::{FolderError, PassedOver, Tally};
use crate::jobs::Slice;
use crate::jobs::hands::Opened;
use crate::jobs::run::Run;
use crate::vfs::FileSession;
use domain::file_error::FileErrorKind;
use domain::path::VPath;
use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

/// Files that are deleted at the same time.
const PARALLEL: usize = 16;
/// Folders that are kept in memory to delete them, the deepest first; about 100 bytes each.
const MOST_FOLDERS: usize = 20_000;

/// Deletes a folder. A slice begins anew: what is deleted is not found again, and what stays is counted by the last.
pub(in crate::jobs) async fn delete(
    Opened { files, .. }: &Opened,
    path: &VPath,
    run: &mut Run,
    until: Instant,
) -> Result<Slice, FolderError> {
    let mut tally = Tally { progress: run.job().progress, passed: PassedOver::default() };
    let mut after = None;
    loop {
        let page = files.deep(path, after.as_deref()).await?;
        let deleting = page.files.into_iter().map(async |file| {
            let deleted = files.delete_file(&file.path).await;
            (file, deleted)
        });
        tally.take(stream::iter(deleting).buffer_unordered(PARALLEL), run).await?;
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
            tally.passed.take(&partial, error)?;
        }
    }
    delete_folders(files, path, &tally, run).await?;
    match files.delete_folder(path).await {
        // one that was only known by its files went with the last of them
        Err(error) if error.kind() == FileErrorKind::NoSuchFile => {}
        // because of what was passed over
        Err(error) if error.kind() == FileErrorKind::FolderNotEmpty && tally.passed.count() > 0 => {}
        Err(error) => tally.passed.take(path, error)?,
        Ok(()) => {}
    }
    Ok(tally.end())
}

/// Deletes the folders in a folder that are empty, the deepest first.
async fn delete_folders(files: &FileSession, path: &VPath, tally: &Tally, run: &mut Run) -> Result<(), FolderError> {
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
                Err(error) if error.is_for_now() => return Err(error.into()),
                // it holds something that was passed over
                Err(_) => {}
            }
            run.progress(tally.progress).await?;
        }
        if deleted == 0 || after.is_none() {
            return Ok(());
        }
    }
}
