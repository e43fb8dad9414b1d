//! Folders: PWD, CWD, CDUP, MKD, RMD (RFC 959 and 775).

use super::reply::{self, Reply};
use super::session::Session;
use super::text::quoted;
use crate::backend::FileSession;
use app::vfs::EntryKind;
use domain::file_error::FileError;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::timeout;

impl Session {
    pub(super) fn where_we_are(&self) -> Reply {
        Reply::with(257, format!("{} is the folder", quoted(&self.folder.to_string())))
    }

    pub(super) async fn change_folder(&mut self, files: &FileSession, raw: &[u8]) -> Reply {
        let path = match self.path(raw) {
            Ok(path) => path,
            Err(error) => return error.into(),
        };
        match self.operation(files.stat(&path).boxed()).await {
            Ok(entry) if entry.kind == EntryKind::Folder => {
                self.folder = path;
                reply::DONE
            }
            Ok(_) => reply::NOT_A_FOLDER,
            Err(error) => error.into(),
        }
    }

    pub(super) async fn make_folder(&self, files: &FileSession, raw: &[u8]) -> Reply {
        let made = async {
            let path = self.path(raw)?;
            self.operation(files.make_folder(&path).boxed()).await?;
            Ok::<_, FileError>(path)
        };
        match made.await {
            Ok(path) => Reply::with(257, format!("{} is there now", quoted(&path.to_string()))),
            Err(error) => error.into(),
        }
    }

    pub(super) async fn remove_folder(&self, files: &FileSession, raw: &[u8]) -> Reply {
        let removed = async {
            let path = self.path(raw)?;
            self.operation(files.delete_folder(&path).boxed()).await
        };
        done(removed.await)
    }

    /// An operation of storage within its deadline. Those that change something go on when they are late.
    pub(super) async fn operation<T>(&self, operation: BoxFuture<'_, Result<T, FileError>>) -> Result<T, FileError> {
        let limit = self.shared.times.operation;
        timeout(limit, operation).await.unwrap_or_else(|_| Err(FileError::too_slow(limit)))
    }
}

pub(super) fn done(outcome: Result<(), FileError>) -> Reply {
    match outcome {
        Ok(()) => reply::DONE,
        Err(error) => error.into(),
    }
}
