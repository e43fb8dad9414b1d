//! Renaming: a copy made by S3, pinned to the version that was seen, then a delete conditional on it. A source that
//! changed meanwhile is kept and reported. A folder is the same for each of its objects, all copies before any delete, so
//! that a failure in between loses nothing and the next attempt finishes.

mod folder;

pub(super) use folder::MAX_OBJECTS;

use super::intent::{Recorded, precondition, seen_of};
use super::partial::unfinished;
use super::rounds::Rounds;
use super::upload::room::Room;
use super::{FileSession, file_subject, new_operation, object_failure};
use crate::activity::Operation;
use crate::large_copy::{copy_in_parts, is_large};
use crate::settler::Done;
use domain::access::{self, Authorized, Removes, RenameFile, RenameFolder, Upload};
use domain::event::Topic;
use domain::file_error::{FileError, FileErrorKind};
use domain::id::OperationId;
use domain::intent::{Change, renamed};
use domain::kept_time::KeptTime;
use domain::path::{Location, ObjectKey, VPath};
use store::objects::{MultipartUpload, ObjectError, ObjectInfo, Precondition, WriteError};

impl FileSession {
    /// Renames a file or folder. `replace`: a file may take the place of another file.
    pub async fn rename(&self, from: &VPath, to: &VPath, replace: bool) -> Result<(), FileError> {
        self.live.touch();
        let (session, from, to) = (self.clone(), from.clone(), to.clone());
        self.to_the_end(async move {
            let outcome = session.rename_now(&from, &to, replace).await;
            session.who().ended(Operation::Rename, &from, Some(&to), &outcome);
            outcome
        })
        .await
    }

    async fn rename_now(&self, from: &VPath, to: &VPath, replace: bool) -> Result<(), FileError> {
        let (source, target) = self.allowed(from, access::authorize_rename(&self.principal, RenameFile, from, to))?;
        let chroot = &self.principal.chroot;
        if chroot.is_mounted(from) || chroot.is_mounted(to) || !chroot.mounted_in(from).is_empty() {
            let text = "the home folder, virtual folders and what holds them cannot be renamed";
            return Err(FileError::new(FileErrorKind::PermissionDenied, text));
        }
        if !chroot.mounted_in(to).is_empty() {
            return Err(already_exists());
        }
        // two names may lead to one file where folders appear twice
        let same = source.location().folder_key() == target.location().folder_key();
        let mut rounds = Rounds::new();
        while rounds.another().await {
            let objects = &self.shared.objects;
            let (file, target_file, target_inside, _) =
                tokio::join!(objects.head(&source), objects.head(&target), objects.peek(&target), self.partials());
            let file = file.map_err(object_failure)?;
            let from_key = source.location().file_key();
            let modified = file.as_ref().map(|info| info.modified);
            if self.partial_at(from_key.as_ref(), modified).await.is_some() {
                return Err(unfinished());
            }
            let Some(info) = file else {
                let (source, target) =
                    self.allowed(from, access::authorize_rename(&self.principal, RenameFolder, from, to))?;
                return self.rename_folder(&source, &target).await;
            };
            if same {
                return Ok(());
            }
            let inside = target_inside.map_err(object_failure)?;
            if inside.marker.is_some() || !inside.entries.is_empty() {
                return Err(already_exists());
            }
            let replaced = target_file.map_err(object_failure)?;
            if replaced.is_some() && !(replace && target.action().may_replace()) {
                return Err(if replace { FileError::permission_denied() } else { already_exists() });
            }
            if self.rename_file(&source, &info, &target, replaced.as_ref()).await? {
                return Ok(());
            }
        }
        Err(FileError::new(FileErrorKind::Changed, "the files are being changed all the time; try again"))
    }

    /// `false` if the copy found something else than was seen: look again.
    async fn rename_file(
        &self,
        source: &Authorized<RenameFile>,
        info: &ObjectInfo,
        target: &Authorized<Upload>,
        replaced: Option<&ObjectInfo>,
    ) -> Result<bool, FileError> {
        let (from_key, to_key) = (file_key(source)?, file_key(target)?);
        let operation = new_operation();
        let mut event = self.event(&operation, Topic::FileRenamed, file_subject(target.location(), Some(info.bytes)));
        event.previous = Some(file_subject(source.location(), Some(info.bytes)));
        let mut room = self.room_for(source.location(), target.location());
        room.for_place_of(replaced.map(seen_of).as_ref(), info.bytes).await?;
        let (counted, to) = (source.location().counted().clone(), target.location().counted());
        let change = Change::RenameTo { from: from_key.as_str().to_owned(), source: seen_of(info), counted };
        let intent = self.intent(&operation, (&to_key, to), change, Some(event), replaced);
        let mut recorded = match self.record(intent).await {
            // somebody else is deleting or renaming this version: look again when that is done
            Err(error) if error.kind() == FileErrorKind::Changed => return Ok(false),
            recorded => recorded?,
        };
        let condition = precondition(recorded.intent().seen.as_ref());
        // the source's maker is noted while S3 copies, because the source will be gone before this is settled
        let begun = self.begin_large(info, target, &mut recorded).await;
        let copying = self.copy_file(begun, source, info, target, (&condition, &operation));
        let (copied, marked, kept) = tokio::join!(
            recorded.during(self, copying),
            self.mark_made(&from_key, info),
            self.recorded_time(&from_key)
        );
        let outcome = async {
            let Some(recorded) = self.copied(copied, target, false, recorded).await? else {
                return Ok(false);
            };
            marked?;
            self.take_time_along(kept?, info, target, &operation).await?;
            recorded.note_made(self, info.bytes).await?;
            self.take_away(source, info, recorded, &mut room).await.map(|()| true)
        };
        let outcome = outcome.await;
        if outcome.is_err() {
            room.leave_to_sweep();
        }
        outcome
    }

    /// What a file takes of quotas that apply where it goes and not where it is.
    fn room_for(&self, source: &Location, target: &Location) -> Room {
        let there = source.counted().holders(&self.principal.credential);
        Room::new(self.allowances(target.counted()).filter(|allowance| !there.contains(allowance.holder())))
    }

    /// Begins the multipart upload of a file that is too large for one copy, and names it in the intent.
    async fn begin_large(
        &self,
        info: &ObjectInfo,
        target: &Authorized<Upload>,
        recorded: &mut Recorded,
    ) -> Result<Option<MultipartUpload>, WriteError> {
        let Some(key) = target.location().file_key().filter(|_| is_large(info.bytes, self.shared.copy_bytes)) else {
            return Ok(None);
        };
        let begun = self.shared.objects.begin_copy(key, &recorded.intent().operation, info).await;
        // nothing has begun that could become visible
        let upload = begun.map_err(|error| WriteError { error, tried_before: false })?;
        recorded.copies_by(self, &upload).await;
        Ok(Some(upload))
    }

    /// Copies a file, in parts if they have begun.
    async fn copy_file<A: Removes>(
        &self,
        begun: Result<Option<MultipartUpload>, WriteError>,
        source: &Authorized<A>,
        info: &ObjectInfo,
        target: &Authorized<Upload>,
        (condition, operation): (&Precondition, &OperationId),
    ) -> Result<(), WriteError> {
        let objects = &self.shared.objects;
        match (begun?, source.location().file_key()) {
            (Some(upload), Some(from)) => {
                copy_in_parts(objects, &upload, &from, info, self.shared.copy_bytes, condition).await
            }
            _ => objects.copy(source, info, target, condition, operation).await,
        }
    }

    /// Gives the copy that `operation` made the time that a client gave its source.
    async fn take_time_along(
        &self,
        kept: Option<KeptTime>,
        source: &ObjectInfo,
        target: &Authorized<Upload>,
        operation: &OperationId,
    ) -> Result<(), FileError> {
        let Some(kept) = kept.filter(|kept| kept.is_of(source.etag.as_str(), source.modified)) else {
            return Ok(());
        };
        let there = self.shared.objects.head(target).await.map_err(object_failure)?;
        match there.filter(|info| info.operation.as_ref() == Some(operation)) {
            Some(info) => self.keep_time(&file_key(target)?, &info, kept.modified).await,
            // replaced already
            None => Ok(()),
        }
    }

    /// The intent of a copy that happened; `None`, with the intent dropped, if the source or the target was not what was
    /// seen.
    async fn copied(
        &self,
        answer: Result<(), WriteError>,
        target: &Authorized<Upload>,
        marker: bool,
        recorded: Recorded,
    ) -> Result<Option<Recorded>, FileError> {
        let Err(failed) = answer else {
            return Ok(Some(recorded));
        };
        if failed.tried_before || failed.error.outcome_unknown() {
            let objects = &self.shared.objects;
            let now = if marker { objects.head_folder(target).await } else { objects.head(target).await };
            let now = now.map_err(object_failure)?;
            if now.and_then(|info| info.operation).as_ref() == Some(&recorded.intent().operation) {
                return Ok(Some(recorded));
            }
            // it may have happened and been replaced: the sweep will tell
            return Err(object_failure(failed.error));
        }
        recorded.drop(self).await;
        match failed.error {
            ObjectError::NotFound | ObjectError::PreconditionFailed | ObjectError::Conflict => Ok(None),
            error => Err(object_failure(error)),
        }
    }

    /// Deletes the source whose copy exists, and settles.
    async fn take_away<A: Removes>(
        &self,
        source: &Authorized<A>,
        info: &ObjectInfo,
        mut recorded: Recorded,
        room: &mut Room,
    ) -> Result<(), FileError> {
        let replaced = recorded.intent().seen.clone();
        match recorded.during(self, self.shared.objects.delete(source, &info.etag)).await {
            Ok(()) => {}
            Err(failed) => match failed.error {
                // gone: by a try of ours without an answer, or by somebody who wanted the same
                ObjectError::NotFound => {}
                ObjectError::PreconditionFailed => {
                    return self.kept_both(recorded, info, room).await;
                }
                error => return Err(object_failure(error)),
            },
        }
        let done = Done::of(recorded.into_intent(), renamed(replaced.as_ref()));
        self.shared.settler.hand_over(done.using_up(room.use_up(replaced.as_ref(), info.bytes))).await;
        Ok(())
    }

    /// The source changed after it was copied: both stay, the copy is a new file.
    async fn kept_both(&self, recorded: Recorded, info: &ObjectInfo, room: &mut Room) -> Result<(), FileError> {
        let mut intent = recorded.into_intent();
        intent.keep_both();
        let change = renamed(intent.seen.as_ref());
        let used = room.use_up(intent.seen.as_ref(), info.bytes);
        self.shared.settler.hand_over(Done::of(intent, change).using_up(used)).await;
        Err(FileError::new(
            FileErrorKind::Changed,
            "the file was replaced while it was renamed: the earlier version has the new name, the newer one kept its own",
        ))
    }
}

fn file_key<A>(proof: &Authorized<A>) -> Result<ObjectKey, FileError> {
    proof.location().file_key().ok_or_else(FileError::permission_denied)
}

fn already_exists() -> FileError {
    FileError::new(FileErrorKind::AlreadyExists, "a file or folder of the new name exists")
}
