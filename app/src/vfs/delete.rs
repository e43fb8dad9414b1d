//! Deleting files.

use super::deep::FoundFile;
use super::rounds::Rounds;
use super::{FileSession, file_subject, new_operation, object_failure};
use crate::activity::Operation;
use crate::settler::Done;
use domain::access::{self, DeleteFile};
use domain::event::Topic;
use domain::file_error::{FileError, FileErrorKind};
use domain::intent::{Change, UsageChange};
use domain::path::VPath;
use store::objects::ObjectError;

impl FileSession {
    /// Deletes a file: the version that is there when the call is made, or a newer one that replaces it meanwhile.
    pub async fn delete_file(&self, path: &VPath) -> Result<(), FileError> {
        self.live.touch();
        let (session, path) = (self.clone(), path.clone());
        self.to_the_end(async move {
            let outcome = session.delete_file_now(&path, None).await;
            session.who().ended(Operation::Delete, &path, None, &outcome);
            outcome
        })
        .await
    }

    /// Deletes a file if it still is what was found; `false` if it is not, or gone.
    pub(crate) async fn delete_found(&self, found: &FoundFile) -> Result<bool, FileError> {
        let (session, found) = (self.clone(), found.clone());
        self.to_the_end(async move {
            let outcome = session.delete_file_now(&found.path, Some(&found)).await;
            session.who().ended(Operation::Delete, &found.path, None, &outcome);
            match outcome {
                Err(error) if matches!(error.kind(), FileErrorKind::Changed | FileErrorKind::NoSuchFile) => Ok(false),
                outcome => outcome.map(|()| true),
            }
        })
        .await
    }

    /// Whether this session may delete a file; for telling what would happen.
    pub(crate) fn may_delete(&self, path: &VPath) -> Result<(), FileError> {
        access::authorize(&self.principal, DeleteFile, path).map(|_| ())
    }

    async fn delete_file_now(&self, path: &VPath, only: Option<&FoundFile>) -> Result<(), FileError> {
        let proof = self.allowed(path, access::authorize(&self.principal, DeleteFile, path))?;
        let objects = &self.shared.objects;
        let Some(key) = proof.location().file_key() else {
            return Err(is_a_folder());
        };
        let mut rounds = Rounds::new();
        while rounds.another().await {
            let (file, _) = tokio::join!(objects.head(&proof), self.partials());
            let file = file.map_err(object_failure)?;
            if only.is_none()
                && let Some(partial) = self.partial_at(Some(&key), file.as_ref().map(|info| info.modified)).await
            {
                // what stands for the name goes, and the older file behind it, too
                self.discard(&partial).await?;
                if file.is_none() {
                    return Ok(());
                }
            }
            let Some(info) = file else {
                let inside = objects.peek(&proof).await.map_err(object_failure)?;
                let folder = inside.marker.is_some() || !inside.entries.is_empty();
                return Err(if folder { is_a_folder() } else { FileError::no_such_file() });
            };
            if only.is_some_and(|found| !found.is(&info)) {
                return Err(FileError::new(FileErrorKind::Changed, "the file has been replaced"));
            }
            let operation = new_operation();
            let event = self.event(&operation, Topic::FileDeleted, file_subject(proof.location(), None));
            let at = (&key, proof.location().counted());
            let intent = self.intent(&operation, at, Change::Delete, Some(event), Some(&info));
            let mut recorded = match self.record(intent).await {
                // somebody else is deleting or renaming this version: look again when that is done
                Err(error) if error.kind() == FileErrorKind::Changed => continue,
                recorded => recorded?,
            };
            match recorded.during(self, objects.delete(&proof, &info.etag)).await {
                Ok(()) => {}
                // nobody else may take this version away, so it was a try of ours without an answer
                Err(failed) if matches!(failed.error, ObjectError::NotFound) => {}
                Err(failed) => {
                    // after a try without an answer the sweep decides by what it finds
                    if !failed.error.outcome_unknown() && !failed.tried_before {
                        recorded.drop(self).await;
                    }
                    match failed.error {
                        ObjectError::PreconditionFailed => continue,
                        error => return Err(object_failure(error)),
                    }
                }
            }
            let change = recorded.intent().seen.as_ref().map_or(UsageChange::default(), UsageChange::removed);
            self.shared.settler.hand_over(Done::of(recorded.into_intent(), change)).await;
            return Ok(());
        }
        Err(FileError::new(FileErrorKind::Changed, "the file is being replaced all the time; try again"))
    }
}

fn is_a_folder() -> FileError {
    FileError::new(FileErrorKind::IsAFolder, "this is a folder, not a file")
}
