//! Facts about one file or folder: SIZE, MDTM, MLST (RFC 3659), MFMT (draft-somers-ftp-mfxx).

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

    /// MFMT (draft-somers-ftp-mfxx, section 3): the answer says the time that the file has now.
    pub(super) async fn set_modified(&self, files: &FileSession, raw: &[u8]) -> Reply {
        let Some((modified, path)) = time_and_path(raw) else {
            return reply::ARGUMENT;
        };
        let set = async {
            let path = self.path(path)?;
            self.operation(files.set_modified(&path, modified).boxed()).await?;
            Ok::<_, FileError>(path)
        };
        match set.await {
            Ok(path) => Reply::with(213, format!("Modify={}; {path}", time_value(modified))),
            Err(error) => error.into(),
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
