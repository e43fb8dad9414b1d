//! Renaming a folder with everything in it: a recorded job ([`Change::RenameFolder`]) around the renames of its objects, each
//! of which has an intent of its own. If the node dies, the sweep goes on with the job, or whoever renames the folder to the
//! same name again after its lease.

use super::super::intent::{Recorded, precondition};
use super::{FileSession, already_exists, file_key, object_failure};
use crate::settler::Done;
use crate::sweep::Sweep;
use crate::vfs::intent::seen_of;
use crate::vfs::upload::room::Room;
use crate::vfs::{folder_subject, intent_failure, new_operation};
use domain::access::{Authorized, RenameFolder, Upload};
use domain::event::Topic;
use domain::file_error::{FileError, FileErrorKind};
use domain::intent::{Change, UsageChange};
use domain::path::{ObjectKey, VPath};
use futures_util::{StreamExt as _, stream};
use store::clock;
use store::objects::{ListedKind, ObjectError, ObjectInfo};

/// More objects than this are refused: their names and versions are kept in memory between the copies and the deletes.
pub(in crate::vfs) const MAX_OBJECTS: usize = 100_000;

/// Copies or deletes at the same time.
const PARALLEL: usize = 16;

/// One object on its way.
struct Moving {
    source: Authorized<RenameFolder>,
    target: Authorized<Upload>,
    marker: bool,
    info: ObjectInfo,
    recorded: Recorded,
    room: Room,
}

/// How far a rename came.
enum Moved {
    /// To its end; an error tells of files that were replaced meanwhile.
    All(Result<(), FileError>),
    /// Not at all: what was copied is taken back.
    Nothing(FileError),
    /// Some objects could not be deleted where they were.
    Some(FileError),
}

impl FileSession {
    pub(super) async fn rename_folder(
        &self,
        source: &Authorized<RenameFolder>,
        target: &Authorized<Upload>,
    ) -> Result<(), FileError> {
        let found = self.everything_in(source).await?;
        if found.is_empty() {
            return Err(FileError::no_such_file());
        }
        let (from_key, to_key) = (source.location().folder_key(), target.location().folder_key());
        if from_key == to_key {
            return Ok(());
        }
        // by what they lead to: the same folder may appear in several places
        if from_key.below(to_key.as_str()).is_some() {
            return Err(FileError::new(FileErrorKind::BadRequest, "a folder cannot be moved into itself"));
        }
        if let Some(answer) = self.begun_before(&from_key, &to_key).await {
            return answer;
        }
        let objects = &self.shared.objects;
        let (file, inside) = tokio::join!(objects.head(target), objects.peek(target));
        let inside = inside.map_err(object_failure)?;
        if file.map_err(object_failure)?.is_some() || inside.marker.is_some() || !inside.entries.is_empty() {
            return Err(already_exists());
        }
        let operation = new_operation();
        let mut event = self.event(&operation, Topic::FileRenamed, folder_subject(target.location()));
        event.previous = Some(folder_subject(source.location()));
        let (counted, to) = (source.location().counted().clone(), target.location().counted());
        let change = Change::RenameFolder { from: from_key.as_str().to_owned(), counted };
        let mut job = self.record(self.intent(&operation, (&to_key, to), change, Some(event), None)).await?;
        match job.during(self, self.move_all(source, target, found)).await {
            Moved::All(result) => {
                self.shared.settler.hand_over(Done::of(job.into_intent(), UsageChange::default())).await;
                result
            }
            Moved::Nothing(error) => {
                job.drop(self).await;
                Err(error)
            }
            // the job stays, and the sweep goes on with it
            Moved::Some(error) => Err(error),
        }
    }

    /// A rename of this folder to this name that was begun before, by a node that died: finishes it, or says that it is not
    /// over. `None` if there is none.
    async fn begun_before(&self, from: &ObjectKey, to: &ObjectKey) -> Option<Result<(), FileError>> {
        let (shared, organization) = (&self.shared, &self.principal.organization);
        let now = clock::now();
        let unfinished = || {
            let text = "this folder is being renamed already; what is left of it will move within minutes";
            FileError::new(FileErrorKind::Changed, text)
        };
        let found = shared.stores.intents.folder_rename(organization, to.as_str(), from.as_str(), now).await;
        match found.map_err(intent_failure) {
            Ok(None) => None,
            Ok(Some((job, true))) => {
                let sweep = Sweep::new(shared.objects.clone(), shared.stores.clone(), shared.resuming.clone());
                Some(if sweep.finish_one(&job, now).await { Ok(()) } else { Err(unfinished()) })
            }
            Ok(Some((_, false))) => Some(Err(unfinished())),
            Err(error) => Some(Err(error)),
        }
    }

    /// Moves everything: all copies before any delete.
    async fn move_all(
        &self,
        source: &Authorized<RenameFolder>,
        target: &Authorized<Upload>,
        found: Vec<(VPath, bool)>,
    ) -> Moved {
        let copies: Vec<Result<Option<Moving>, FileError>> = stream::iter(found)
            .map(|(below, marker)| self.copy_one(source, target, below, marker))
            .buffer_unordered(PARALLEL)
            .collect()
            .await;
        let mut moving = Vec::with_capacity(copies.len());
        let mut failure = None;
        for copy in copies {
            match copy {
                Ok(copy) => moving.extend(copy),
                Err(error) => failure = Some(error),
            }
        }
        if let Some(failure) = failure {
            stream::iter(moving).for_each_concurrent(PARALLEL, |one| self.undo_one(one)).await;
            return Moved::Nothing(failure);
        }
        let results: Vec<Result<(), FileError>> =
            stream::iter(moving).map(|one| self.delete_one(one)).buffer_unordered(PARALLEL).collect().await;
        let mut result = Ok(());
        for error in results.into_iter().filter_map(Result::err) {
            if error.kind() != FileErrorKind::Changed {
                return Moved::Some(error);
            }
            result = Err(error);
        }
        Moved::All(result)
    }

    /// The paths of all objects in a folder, and which of them are markers.
    async fn everything_in(&self, folder: &Authorized<RenameFolder>) -> Result<Vec<(VPath, bool)>, FileError> {
        let mut found = Vec::new();
        let mut from = None;
        loop {
            let page = self.shared.objects.list_deep(folder, from).await.map_err(object_failure)?;
            let listed = page.marker.into_iter().chain(page.entries);
            found.extend(listed.map(|one| (one.path, matches!(one.kind, ListedKind::Folder { .. }))));
            let most = self.shared.folder_objects;
            if found.len() > most {
                let text = format!("a folder with more than {most} files cannot be renamed");
                return Err(FileError::new(FileErrorKind::TooLarge, text));
            }
            match page.next {
                Some(next) => from = Some(next),
                None => return Ok(found),
            }
        }
    }

    /// `None` for an object that went away meanwhile.
    async fn copy_one(
        &self,
        source: &Authorized<RenameFolder>,
        target: &Authorized<Upload>,
        below: VPath,
        marker: bool,
    ) -> Result<Option<Moving>, FileError> {
        let (source, target) = (source.inside(&below)?, target.inside(&below)?);
        let objects = &self.shared.objects;
        let info = if marker { objects.head_folder(&source).await } else { objects.head(&source).await };
        let Some(info) = info.map_err(object_failure)? else {
            return Ok(None);
        };
        let (from_key, to_key) = if marker {
            (source.location().folder_key(), target.location().folder_key())
        } else {
            (file_key(&source)?, file_key(&target)?)
        };
        let mut room = self.room_for(source.location(), target.location());
        if !marker {
            room.for_place_of(None, info.bytes).await?;
        }
        let operation = new_operation();
        let (counted, to) = (source.location().counted().clone(), target.location().counted());
        let change = Change::RenameTo { from: from_key.as_str().to_owned(), source: seen_of(&info), counted };
        let mut recorded = self.record(self.intent(&operation, (&to_key, to), change, None, None)).await?;
        let condition = precondition(None);
        let begun = if marker { Ok(None) } else { self.begin_large(&info, &target, &mut recorded).await };
        let copying = async {
            if marker {
                objects.copy_folder(&source, &info, &target, &operation).await
            } else {
                self.copy_file(begun, &source, &info, &target, (&condition, &operation)).await
            }
        };
        let (copied, marked, kept) = tokio::join!(
            recorded.during(self, copying),
            self.mark_made(&from_key, &info),
            self.recorded_time(&from_key)
        );
        let Some(recorded) = self.copied(copied, &target, marker, recorded).await? else {
            return Err(FileError::new(FileErrorKind::Changed, format!("{below} was changed while it was renamed")));
        };
        marked?;
        self.take_time_along(kept?, &info, &target, &operation).await?;
        Ok(Some(Moving { source, target, marker, info, recorded, room }))
    }

    /// Takes a copy away again. What fails here is finished by the sweep, which moves that one object after all.
    async fn undo_one(&self, moving: Moving) {
        let objects = &self.shared.objects;
        let now =
            if moving.marker { objects.head_folder(&moving.target).await } else { objects.head(&moving.target).await };
        let Ok(Some(now)) = now else {
            return;
        };
        if now.operation.as_ref() != Some(&moving.recorded.intent().operation) {
            return;
        }
        let location = moving.target.location();
        let key = if moving.marker { Some(location.folder_key()) } else { location.file_key() };
        if let Some(key) = key
            && objects.delete_recorded(&key, &now.etag).await.is_ok()
        {
            let (stores, operation) = (&self.shared.stores, &moving.recorded.intent().operation);
            let organization = &self.principal.organization;
            if let Err(error) = stores.times.forget(organization, key.as_str(), operation.as_str()).await {
                tracing::debug!(%error, "the time of a copy that was taken back is left");
            }
            moving.recorded.drop(self).await;
        }
    }

    async fn delete_one(&self, mut moving: Moving) -> Result<(), FileError> {
        if !moving.marker {
            let taken = self.take_away(&moving.source, &moving.info, moving.recorded, &mut moving.room).await;
            if taken.is_err() {
                moving.room.leave_to_sweep();
            }
            return taken;
        }
        let deleting = self.shared.objects.delete_folder(&moving.source, &moving.info.etag);
        match moving.recorded.during(self, deleting).await {
            Ok(()) => {}
            Err(failed) if matches!(failed.error, ObjectError::NotFound | ObjectError::PreconditionFailed) => {}
            Err(failed) => return Err(object_failure(failed.error)),
        }
        self.shared.settler.hand_over(Done::of(moving.recorded.into_intent(), UsageChange::default())).await;
        Ok(())
    }
}
