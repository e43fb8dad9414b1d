//! Deleting and renaming: DELE, RNFR, RNTO (RFC 959).

use super::folders::done;
use super::reply::{self, Reply};
use super::session::Session;
use crate::backend::FileSession;
use domain::file_error::FileError;
use futures_util::FutureExt as _;

impl Session {
    pub(super) async fn delete(&self, files: &FileSession, raw: &[u8]) -> Reply {
        let deleted = async {
            let path = self.path(raw)?;
            self.operation(files.delete_file(&path).boxed()).await
        };
        done(deleted.await)
    }

    pub(super) async fn rename_from(&mut self, files: &FileSession, raw: &[u8]) -> Reply {
        let found = async {
            let path = self.path(raw)?;
            self.operation(files.stat(&path).boxed()).await?;
            Ok::<_, FileError>(path)
        };
        match found.await {
            Ok(path) => {
                self.rename_from = Some(path);
                reply::RENAME_FROM
            }
            Err(error) => error.into(),
        }
    }

    /// A file takes the place of another, as everywhere in FTP: clients upload under a name of their own and rename.
    pub(super) async fn rename_to(&mut self, files: &FileSession, raw: &[u8]) -> Reply {
        let Some(from) = self.rename_from.take() else {
            return reply::RNFR_FIRST;
        };
        let renamed = async {
            let to = self.path(raw)?;
            self.operation(files.rename(&from, &to, true).boxed()).await
        };
        done(renamed.await)
    }
}
