//! Renaming, copying and deleting; times.

mod described;

use super::opened::Opened;
use crate::http::error::ApiError;
use crate::http::fields::{Fields, time};
use crate::sftpgo::message;
use app::vfs::EntryKind;
use axum::response::Response;
use domain::file_error::{FileError, FileErrorKind};
use domain::job::Task;
use domain::path::VPath;

pub(super) use described::describe_in;

/// What is renamed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    File,
    Folder,
    Either,
}

pub(super) async fn rename_file(opened: Opened) -> Result<Response, ApiError> {
    let (from, to) = renamed(&opened, What::File).await?;
    Ok(message(&format!("File {from:?} renamed to {to:?}")))
}

pub(super) async fn rename_folder(opened: Opened) -> Result<Response, ApiError> {
    let (from, to) = renamed(&opened, What::Folder).await?;
    Ok(message(&format!("Directory {from:?} renamed to {to:?}")))
}

pub(super) async fn rename(opened: Opened) -> Result<Response, ApiError> {
    let (from, to) = renamed(&opened, What::Either).await?;
    Ok(message(&format!("{from:?} renamed to {to:?}")))
}

async fn renamed(opened: &Opened, what: What) -> Result<(String, String), ApiError> {
    let (from, to) = (opened.path("path")?, opened.path("target")?);
    if what != What::Either {
        let is_folder = opened.files.stat(&from).await?.kind == EntryKind::Folder;
        if is_folder && what == What::File {
            return Err(FileError::new(FileErrorKind::IsAFolder, "this is a folder, not a file").into());
        }
        if !is_folder && what == What::Folder {
            return Err(FileError::new(FileErrorKind::NotAFolder, "this is a file, not a folder").into());
        }
    }
    opened.files.rename(&from, &to, true).await?;
    Ok((from.to_string(), to.to_string()))
}

pub(super) async fn delete_file(opened: Opened) -> Result<Response, ApiError> {
    let path = opened.path("path")?;
    opened.files.delete_file(&path).await?;
    Ok(message(&format!("File {path:?} deleted", path = path.to_string())))
}

/// Copies a file; S3 does, where it is large enough to matter. A folder is copied by a job.
pub(super) async fn copy(opened: Opened) -> Result<Response, ApiError> {
    let (from, to) = (opened.path("path")?, opened.path("target")?);
    if opened.files.stat(&from).await?.kind == EntryKind::Folder {
        return copy_folder(&opened, from, to).await;
    }
    opened.files.copy(&from, &to).await?;
    Ok(message(&format!("{from:?} copied to {to:?}", from = from.to_string(), to = to.to_string())))
}

async fn copy_folder(opened: &Opened, from: VPath, to: VPath) -> Result<Response, ApiError> {
    opened.files.check_copy(&from, &to)?;
    match opened.files.stat(&to).await {
        Ok(entry) if entry.kind == EntryKind::File => {
            let text = format!("{to} is a file, not a folder");
            return Err(FileError::new(FileErrorKind::AlreadyExists, text).into());
        }
        Ok(_) => {}
        Err(error) if error.kind() == FileErrorKind::NoSuchFile => {}
        Err(error) => return Err(error.into()),
    }
    opened.ask(Task::CopyFolder { by: opened.by(), from, to }).await
}

/// Sets the time that a file shows.
pub(super) async fn set_times(opened: Opened, mut fields: Fields) -> Result<Response, ApiError> {
    let modified = fields.require("modification_time", time);
    fields.finish()?;
    let path = opened.path("path")?;
    if let Some(modified) = modified {
        opened.files.set_modified(&path, modified).await?;
    }
    Ok(message("OK"))
}
