//! Looking into folders, making and deleting them.

mod described;

use super::opened::Opened;
use crate::http::error::ApiError;
use crate::http::list::with_next;
use crate::sftpgo::message;
use app::vfs::{Entry, EntryKind, FileSession, place};
use axum::Json;
use axum::response::{IntoResponse as _, Response};
use domain::file_error::{FileError, FileErrorKind};
use domain::job::Task;
use domain::path::{Name, VPath};
use futures_util::TryStreamExt as _;
use http::{StatusCode, Uri, header};
use serde_json::{Value, json};
use std::fmt::Write as _;

pub(super) use described::describe_in;

/// A list is cut behind the page that brings it over this. A page is at most 1.5 MB, and Lambda gives 6.
const LIST_BYTES: usize = 2_500_000;

/// What one request deletes of a folder at most, files and folders: more does not fit the time that API Gateway waits.
const MAX_DELETED: usize = 500;

/// Deletes at the same time.
const PARALLEL: usize = 16;

/// Go's `fs.ModeDir` with the permissions that SFTP shows as well.
const FOLDER_MODE: u32 = 0x8000_0000 | 0o755;
const FILE_MODE: u32 = 0o644;

/// As SFTPGo's `DirEntry`.
pub(crate) fn shown(entry: &Entry) -> Value {
    let modified = domain::iso8601::seconds(entry.modified);
    match entry.kind {
        EntryKind::File => {
            json!({ "name": entry.name, "size": entry.bytes, "mode": FILE_MODE, "last_modified": modified })
        }
        EntryKind::Folder => json!({ "name": entry.name, "mode": FOLDER_MODE, "last_modified": modified }),
    }
}

pub(super) async fn list(opened: Opened, uri: Uri) -> Result<Response, ApiError> {
    let mut listing = opened.files.list_after(&opened.folder()?, opened.query.get("after")).await?;
    let (mut body, mut behind) = (String::from("["), None);
    while let Some(page) = listing.next_page().await? {
        for entry in &page {
            let separator = if body.len() == 1 { "" } else { "," };
            // writing into a text does not fail
            let _ = write!(body, "{separator}{}", shown(entry));
        }
        if body.len() > LIST_BYTES {
            behind = place(&page);
            break;
        }
    }
    body.push(']');
    let answer = ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    Ok(with_next(answer, &uri, behind.as_deref().map(|behind| ("after", behind))))
}

/// One file or folder, as a list shows it.
pub(super) async fn stat(opened: Opened) -> Result<Response, ApiError> {
    let entry = opened.files.stat(&opened.path("path")?).await?;
    Ok(Json(shown(&entry)).into_response())
}

pub(super) async fn make(opened: Opened) -> Result<Response, ApiError> {
    let path = opened.path("path")?;
    if opened.query.is_on("mkdir_parents") {
        make_parents(&opened.files, &path).await?;
    }
    opened.files.make_folder(&path).await?;
    Ok((StatusCode::CREATED, message(&format!("Directory {path:?} created", path = path.to_string()))).into_response())
}

/// Makes what is missing above a path, so that who may make no folders learns it here.
pub(super) async fn make_parents(files: &FileSession, path: &VPath) -> Result<(), FileError> {
    let mut missing = Vec::new();
    let mut above = path.parent();
    while let Some(folder) = above.filter(|folder| !folder.is_root()) {
        match files.stat(&folder).await {
            Ok(entry) if entry.kind == EntryKind::Folder => break,
            Ok(_) => {
                return Err(FileError::new(FileErrorKind::NotAFolder, format!("{folder} is a file, not a folder")));
            }
            Err(error) if error.kind() == FileErrorKind::NoSuchFile => {}
            Err(error) => return Err(error),
        }
        above = folder.parent();
        missing.push(folder);
    }
    for folder in missing.iter().rev() {
        match files.make_folder(folder).await {
            // somebody else was faster
            Err(error) if error.kind() == FileErrorKind::AlreadyExists => {}
            made => made?,
        }
    }
    Ok(())
}

/// Deletes a folder with what is in it: at once, or by a job where that is more.
pub(super) async fn delete(opened: Opened) -> Result<Response, ApiError> {
    let path = opened.path("path")?;
    opened.files.check_whole(&path)?;
    match everything_in(&opened.files, &path).await? {
        Some(all) => delete_these(&opened.files, all).await?,
        None => return opened.ask(Task::DeleteFolder { by: opened.by(), path }).await,
    }
    Ok(message(&format!("Directory {path:?} deleted", path = path.to_string())))
}

/// Deletes a folder with what is in it, if that is not too much.
pub(crate) async fn delete_all(files: &FileSession, path: &VPath) -> Result<(), FileError> {
    files.check_whole(path)?;
    match everything_in(files, path).await? {
        Some(all) => delete_these(files, all).await,
        None => {
            let text =
                format!("the folder holds more than {MAX_DELETED} files and folders: delete what is in it first");
            Err(FileError::new(FileErrorKind::FolderNotEmpty, text))
        }
    }
}

async fn delete_these(files: &FileSession, (inside, folders): (Vec<VPath>, Vec<VPath>)) -> Result<(), FileError> {
    let deleting = futures_util::stream::iter(inside.iter().map(Ok)).try_for_each_concurrent(PARALLEL, async |file| {
        match files.delete_file(file).await {
            // somebody else was faster
            Err(error) if error.kind() == FileErrorKind::NoSuchFile => Ok(()),
            deleted => deleted,
        }
    });
    deleting.await?;
    for folder in folders.iter().rev() {
        match files.delete_folder(folder).await {
            // one that was only known by its files went with the last of them
            Err(error) if error.kind() == FileErrorKind::NoSuchFile => {}
            deleted => deleted?,
        }
    }
    Ok(())
}

/// All files in a folder, and all folders, each before what is in it; `None` if that is too much for one request.
async fn everything_in(files: &FileSession, path: &VPath) -> Result<Option<(Vec<VPath>, Vec<VPath>)>, FileError> {
    let (mut inside, mut folders, mut next) = (Vec::new(), vec![path.clone()], 0);
    while let Some(folder) = folders.get(next).cloned() {
        next += 1;
        let mut listing = files.list(&folder).await?;
        while let Some(page) = listing.next_page().await? {
            for entry in page {
                let name = Name::parse(&entry.name);
                let child = name
                    .and_then(|name| folder.child(&name))
                    .map_err(|problem| FileError::new(FileErrorKind::InvalidPath, problem.to_string()))?;
                match entry.kind {
                    EntryKind::File => inside.push(child),
                    EntryKind::Folder => folders.push(child),
                }
            }
            if inside.len() + folders.len() > MAX_DELETED {
                return Ok(None);
            }
        }
    }
    Ok(Some((inside, folders)))
}
