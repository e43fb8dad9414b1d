//! Facts about one file or folder: SIZE, MDTM, MLST (RFC 3659).

use super::reply::{self, Reply};
use super::session::Session;
use super::text::{time_and_path, time_value};
use crate::backend::FileSession;
use app::vfs::{Entry, EntryKind};
use domain::file_error::FileError;
use domain::path::VPath;
use futures_util::FutureExt as _;

impl Session {
    pub(super) async fn size(&self, files: &FileSession, raw: &[u8]) -> Reply {
        match self.file(files, raw).await {
            Ok(entry) => Reply::with(213, entry.bytes.to_string()),
            Err(reply) => reply,
        }
    }

    /// Clients that put a time before the name want it to be set.
    pub(super) async fn modified(&self, files: &FileSession, raw: &[u8]) -> Reply {
        match self.file(files, raw).await {
            Ok(entry) => Reply::with(213, time_value(entry.modified)),
            Err(_) if time_and_path(raw).is_some() => self.set_modified(files, raw).await,
            Err(reply) => reply,
        }
    }

    /// The VFS keeps no times of clients; who wants one to be kept is told.
    pub(super) async fn set_modified(&self, files: &FileSession, raw: &[u8]) -> Reply {
        let Some((_, path)) = time_and_path(raw) else {
            return reply::ARGUMENT;
        };
        match self.file(files, path).await {
            Ok(_) => reply::MFMT_NOT_OFFERED,
            Err(reply) => reply,
        }
    }

    pub(super) async fn facts_of(&self, files: &FileSession, raw: Option<&[u8]>) -> Reply {
        match self.entry(files, raw.unwrap_or_default()).await {
            Ok((path, entry)) => {
                let line = format!("{}{path}", self.facts.of(&entry));
                Reply::lines(250, "Facts:".to_owned(), vec![line])
            }
            Err(error) => error.into(),
        }
    }

    async fn file(&self, files: &FileSession, raw: &[u8]) -> Result<Entry, Reply> {
        match self.entry(files, raw).await {
            Ok((_, entry)) if entry.kind == EntryKind::File => Ok(entry),
            Ok(_) => Err(reply::NOT_A_FILE),
            Err(error) => Err(error.into()),
        }
    }

    async fn entry(&self, files: &FileSession, raw: &[u8]) -> Result<(VPath, Entry), FileError> {
        let path = self.path(raw)?;
        let entry = self.operation(files.stat(&path).boxed()).await?;
        Ok((path, entry))
    }
}
