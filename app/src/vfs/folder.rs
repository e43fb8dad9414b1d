//! Making and deleting folders: marker objects.

use super::intent::{Recorded, seen_of};
use super::{FileSession, folder_subject, intent_failure, new_operation, object_failure};
use crate::activity::Operation;
use crate::settler::Done;
use domain::access::{self, Authorized, DeleteFolder, MakeFolder};
use domain::event::Topic;
use domain::file_error::{FileError, FileErrorKind};
use domain::intent::{Change, UsageChange};
use domain::path::VPath;
use domain::time::Timestamp;
use store::objects::{ETag, ListedKind, ObjectError, Page};

impl FileSession {
    /// Makes a folder. The folders above it need no markers: they exist because it does.
    pub async fn make_folder(&self, path: &VPath) -> Result<(), FileError> {
        self.live.touch();
        let (session, path) = (self.clone(), path.clone());
        self.to_the_end(async move {
            let outcome = session.make_folder_now(&path).await;
            session.who().ended(Operation::MakeFolder, &path, None, &outcome);
            outcome
        })
        .await
    }

    async fn make_folder_now(&self, path: &VPath) -> Result<(), FileError> {
        let proof = self.allowed(path, access::authorize(&self.principal, MakeFolder, path))?;
        let objects = &self.shared.objects;
        let (file, inside) = tokio::join!(objects.head(&proof), objects.peek(&proof));
        let inside = inside.map_err(object_failure)?;
        let taken = file.map_err(object_failure)?.is_some() || inside.marker.is_some() || !inside.entries.is_empty();
        let chroot = &self.principal.chroot;
        if taken || chroot.is_mounted(path) || !chroot.mounted_in(path).is_empty() {
            return Err(already_exists());
        }
        let operation = new_operation();
        let event = self.event(&operation, Topic::FileCreated, folder_subject(proof.location()));
        let key = proof.location().folder_key();
        let at = (&key, proof.location().counted());
        let mut recorded = self.record(self.intent(&operation, at, Change::MakeFolder, Some(event), None)).await?;
        if let Err(failed) = recorded.during(self, objects.put_folder(&proof, &operation)).await {
            let ours = match &failed.error {
                ObjectError::PreconditionFailed if failed.tried_before => {
                    let now = objects.head_folder(&proof).await.map_err(object_failure)?;
                    now.and_then(|info| info.operation).as_ref() == Some(&operation)
                }
                _ => false,
            };
            if !ours {
                if !failed.error.outcome_unknown() {
                    recorded.drop(self).await;
                }
                return Err(match failed.error {
                    ObjectError::PreconditionFailed => already_exists(),
                    error => object_failure(error),
                });
            }
        }
        self.shared.settler.hand_over(Done::of(recorded.into_intent(), UsageChange::default())).await;
        Ok(())
    }

    /// Deletes an empty folder.
    pub async fn delete_folder(&self, path: &VPath) -> Result<(), FileError> {
        self.live.touch();
        let (session, path) = (self.clone(), path.clone());
        self.to_the_end(async move {
            let outcome = session.delete_folder_now(&path, None).await;
            session.who().ended(Operation::RemoveFolder, &path, None, &outcome);
            outcome
        })
        .await
    }

    /// The same if it was made before this.
    pub(crate) async fn delete_old_folder(&self, path: &VPath, before: Timestamp) -> Result<(), FileError> {
        let (session, path) = (self.clone(), path.clone());
        self.to_the_end(async move { session.delete_folder_now(&path, Some(before)).await }).await
    }

    async fn delete_folder_now(&self, path: &VPath, before: Option<Timestamp>) -> Result<(), FileError> {
        let proof = self.allowed(path, access::authorize(&self.principal, DeleteFolder, path))?;
        if self.principal.chroot.is_mounted(path) {
            let text = "the home folder and virtual folders cannot be deleted";
            return Err(FileError::new(FileErrorKind::PermissionDenied, text));
        }
        if !self.principal.chroot.mounted_in(path).is_empty() {
            return Err(FileError::new(FileErrorKind::FolderNotEmpty, "a virtual folder is in it"));
        }
        let inside = self.shared.objects.peek(&proof).await.map_err(object_failure)?;
        let Some(version) = empty_folder(&inside)? else {
            let file = self.shared.objects.head(&proof).await.map_err(object_failure)?;
            return Err(match file {
                Some(_) => FileError::new(FileErrorKind::NotAFolder, "this is a file, not a folder"),
                None => FileError::no_such_file(),
            });
        };
        let Some(marker) = self.shared.objects.head_folder(&proof).await.map_err(object_failure)? else {
            return Err(FileError::no_such_file());
        };
        if marker.etag != version || before.is_some_and(|before| marker.modified >= before) {
            return Err(FileError::new(FileErrorKind::Changed, "somebody else changed the folder meanwhile"));
        }
        let operation = new_operation();
        let event = self.event(&operation, Topic::FileDeleted, folder_subject(proof.location()));
        let key = proof.location().folder_key();
        let at = (&key, proof.location().counted());
        let intent = self.intent(&operation, at, Change::DeleteFolder, Some(event), Some(&marker));
        let recorded = self.record(intent).await?;
        self.delete_marker(&proof, recorded, &marker.etag).await
    }

    async fn delete_marker(
        &self,
        proof: &Authorized<DeleteFolder>,
        mut recorded: Recorded,
        version: &ETag,
    ) -> Result<(), FileError> {
        match recorded.during(self, self.shared.objects.delete_folder(proof, version)).await {
            Ok(()) => {}
            // nobody else may take this version away, so it was a try of ours without an answer
            Err(failed) if matches!(failed.error, ObjectError::NotFound) => {}
            Err(failed) => {
                if !failed.error.outcome_unknown() && !failed.tried_before {
                    recorded.drop(self).await;
                }
                return Err(object_failure(failed.error));
            }
        }
        self.shared.settler.hand_over(Done::of(recorded.into_intent(), UsageChange::default())).await;
        Ok(())
    }

    /// Notes, durably, that the object which is about to go was made by its operation; see [`domain::intent`].
    pub(super) async fn mark_made(
        &self,
        key: &domain::path::ObjectKey,
        info: &store::objects::ObjectInfo,
    ) -> Result<(), FileError> {
        let organization = &self.principal.organization;
        self.shared.stores.intents.mark_made(organization, key.as_str(), &seen_of(info)).await.map_err(intent_failure)
    }
}

/// The marker's version if the folder holds nothing else; `None` if there is no folder.
fn empty_folder(inside: &Page) -> Result<Option<ETag>, FileError> {
    if !inside.entries.is_empty() {
        return Err(FileError::new(FileErrorKind::FolderNotEmpty, "the folder is not empty"));
    }
    Ok(inside.marker.as_ref().and_then(|marker| match &marker.kind {
        ListedKind::Folder { marker } => marker.clone(),
        ListedKind::File { .. } => None,
    }))
}

fn already_exists() -> FileError {
    FileError::new(FileErrorKind::AlreadyExists, "a file or folder of this name exists")
}
