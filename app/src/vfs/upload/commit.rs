//! The end of an upload: the one S3 call that makes the file visible.

use super::early::Begun;
use super::parts::LONG_MILLIS;
use super::{Writer, unsupported};
use crate::budget::Reserved;
use crate::settler::Done;
use crate::vfs::intent::{Recorded, precondition};
use crate::vfs::rounds::Rounds;
use crate::vfs::{new_operation, object_failure};
use bytes::Bytes;
use domain::file_error::{FileError, FileErrorKind};
use domain::id::OperationId;
use domain::intent::UsageChange;
use domain::upload::{StoredPart, review};
use futures_util::FutureExt as _;
use store::clock;
use store::objects::{MultipartUpload, ObjectError, Precondition, WriteError};

/// What is to become visible.
enum Whole {
    /// Up to a whole part, whose memory is kept until S3 has it.
    Small {
        body: Bytes,
        _memory: Option<Reserved>,
    },
    Parts(MultipartUpload, Vec<StoredPart>),
}

/// An upload that ends with an error.
struct Failed {
    error: FileError,
    /// Whether it may have become visible all the same.
    unclear: bool,
}

/// What fails on the way leaves that open.
impl From<FileError> for Failed {
    fn from(error: FileError) -> Self {
        Self { error, unclear: true }
    }
}

impl Writer {
    /// Makes the file visible and hands the rest to the settler.
    pub(super) async fn commit(&mut self) -> Result<(), FileError> {
        if let Some(failure) = &self.failure {
            return Err(failure.repeat());
        }
        let bytes = self.buffer.end();
        if self.changed_nothing(bytes) {
            return match (&self.existing, self.progress.modified()) {
                (Some(existing), Some(modified)) if self.interrupted.is_none() => {
                    let key = self.proof.location().file_key().ok_or_else(FileError::no_such_file)?;
                    self.session.keep_time(&key, existing, modified).await
                }
                _ => Ok(()),
            };
        }
        if self.undecided {
            // nothing was written, and the client has set another size
            self.undecided = false;
            self.announce()?;
        }
        let mut checked = self.check(bytes);
        if checked.is_ok() {
            checked = self.reserve(bytes).await;
        }
        let whole = match checked {
            Ok(()) => self.whole(bytes).await,
            Err(error) => Err(error),
        };
        let (mut recorded, begun) = match &whole {
            Ok(Whole::Small { body, .. }) if !body.is_empty() && !self.room.depends_on_replacing() => {
                self.recorded_beside(body).await?
            }
            _ => (self.recorded().await?, None),
        };
        match whole {
            Ok(whole) => {
                if self.room.depends_on_replacing() && recorded.intent().seen.is_none() {
                    let there = self.session.shared.objects.head(&*self.proof).await.map_err(object_failure)?;
                    recorded.saw(&self.session, there.as_ref(), clock::now()).await?;
                }
                let recorded = match self.make_visible(&whole, bytes, recorded, begun).await {
                    Ok(recorded) => recorded,
                    Err(Failed { error, unclear }) => {
                        if unclear {
                            self.room.leave_to_sweep();
                        }
                        return Err(error);
                    }
                };
                let long = self.parts.took_long();
                self.let_go();
                if let Err(error) = recorded.note_made(&self.session, bytes).await {
                    // the file is there, and the sweep will count it
                    self.room.leave_to_sweep();
                    return Err(error);
                }
                let operation = recorded.intent().operation.clone();
                let mut intent = recorded.into_intent();
                let change = UsageChange::written(bytes, intent.seen.as_ref());
                let leased = self.room.use_up(intent.seen.as_ref(), bytes);
                if let Some(file) = intent.event.as_mut().and_then(|event| event.file.as_mut()) {
                    file.size = Some(bytes);
                }
                let key = intent.key.clone();
                self.session.shared.settler.hand_over(Done::of(intent, change).using_up(leased)).await;
                self.session.forget_partial(&key).await;
                let kept = self.keep_time_of(&operation, long).await;
                self.session.beyond.made(operation);
                kept
            }
            Err(error) => {
                recorded.drop(&self.session).await;
                Err(error)
            }
        }
    }

    /// Keeps the time that the client has set, and when the file arrived where S3 says something else, if the file that
    /// `operation` made is still there. `long`: S3 may have had its first part for long.
    async fn keep_time_of(&self, operation: &OperationId, long: bool) -> Result<(), FileError> {
        let set = self.progress.modified();
        if set.is_none() && !long {
            return Ok(());
        }
        let key = self.proof.location().file_key().ok_or_else(FileError::no_such_file)?;
        let there = self.session.shared.objects.head(&*self.proof).await.map_err(object_failure)?;
        let Some(mut info) = there.filter(|info| info.operation.as_ref() == Some(operation)) else {
            return Ok(());
        };
        let now = clock::now();
        if long && now.millis().saturating_sub(info.modified.millis()) >= LONG_MILLIS {
            info.arrived = now;
        } else if set.is_none() {
            return Ok(());
        }
        self.session.keep_time(&key, &info, set.unwrap_or(info.modified)).await
    }

    /// Ends what is still there: after an error, an abort, or a dropped connection.
    pub(super) async fn clean_up(&mut self) {
        self.parts.abort().await;
        // an intent that commit took is settled, dropped or on purpose left to the sweep
        if let Ok(recorded) = self.recorded().await {
            recorded.drop(&self.session).await;
        }
    }

    pub(super) async fn recorded(&mut self) -> Result<Recorded, FileError> {
        match self.intent.take() {
            Some(kept) => kept.take().await,
            None => Err(FileError::new(FileErrorKind::BadRequest, "the upload has ended")),
        }
    }

    /// Opening an existing file and closing it again is no upload.
    fn changed_nothing(&self, bytes: u64) -> bool {
        let unwritten = bytes == 0 && self.buffer.gap().is_none();
        if unwritten && self.interrupted.is_some() {
            return true;
        }
        let declared = self.declared;
        !self.mode.truncate
            && unwritten
            && self.existing.as_ref().is_some_and(|info| declared.is_none_or(|size| size == info.bytes))
    }

    /// Whether what was sent is a whole file.
    fn check(&self, bytes: u64) -> Result<(), FileError> {
        if let Some(at) = self.buffer.gap() {
            return Err(unsupported(format!("the bytes from {at} on were not all sent")));
        }
        if let Some(declared) = self.declared.filter(|declared| *declared != bytes) {
            return Err(unsupported(format!("the size was set to {declared} and {bytes} bytes were sent")));
        }
        let old = self.existing.as_ref().map_or(0, |info| info.bytes);
        if !self.mode.truncate && self.declared.is_none() && bytes < old {
            return Err(unsupported(format!(
                "the file has {old} bytes and only the first {bytes} were sent: send it whole, the old file is kept"
            )));
        }
        Ok(())
    }

    async fn whole(&mut self, bytes: u64) -> Result<Whole, FileError> {
        let (last, memory) = self.buffer.cut();
        if self.parts.is_empty() {
            return Ok(Whole::Small { body: last, _memory: memory });
        }
        if !last.is_empty() {
            self.parts.send(last, memory)?;
        }
        self.parts.all_stored().await?;
        let Some((upload, stored)) = self.parts.stored() else {
            return Err(FileError::new(FileErrorKind::Internal, "the upload has no parts"));
        };
        let upload = upload.clone();
        let stored = review(stored, bytes).map_err(|error| {
            FileError::new(FileErrorKind::Internal, "the upload could not be checked; send it again").with_source(error)
        })?;
        Ok(Whole::Parts(upload, stored))
    }

    /// Follows whatever is at the name until the write succeeds, or must not happen. The answered intent names what was
    /// replaced. The first try may have begun. On an error the intent is dropped, unless the write may have happened: then the sweep decides.
    async fn make_visible(
        &mut self,
        whole: &Whole,
        bytes: u64,
        mut recorded: Recorded,
        mut begun: Option<Begun>,
    ) -> Result<Recorded, Failed> {
        // whether a try of this operation ended without an answer, in this round or an earlier one
        let mut unclear = false;
        let mut rounds = Rounds::new();
        while rounds.another().await {
            if let Err(error) = self.room.for_place_of(recorded.intent().seen.as_ref(), bytes).await {
                if !unclear {
                    recorded.drop(&self.session).await;
                }
                return Err(Failed { error, unclear });
            }
            let (condition, operation) =
                (precondition(recorded.intent().seen.as_ref()), recorded.intent().operation.clone());
            let writing = match begun.take() {
                Some(begun) => begun,
                None => self.write(whole, &condition, &operation).boxed(),
            };
            let Err(failed) = recorded.during(&self.session, writing).await else {
                return Ok(recorded);
            };
            unclear |= failed.tried_before || failed.error.outcome_unknown();
            let now = self.session.shared.objects.head(&*self.proof).await.map_err(object_failure)?;
            if unclear && now.as_ref().and_then(|info| info.operation.as_ref()) == Some(&operation) {
                return Ok(recorded);
            }
            if unclear && recorded.seen_by_others(&self.session).await? {
                return Ok(recorded);
            }
            if let Some(refusal) = self.refusal(failed.error, now.is_some()) {
                if !unclear {
                    recorded.drop(&self.session).await;
                }
                return Err(Failed { error: refusal, unclear });
            }
            if unclear && matches!(whole, Whole::Small { .. }) {
                // a try without an answer may have made the file, and somebody have replaced it since. Parts have no such
                // doubt: S3 says NoSuchUpload when they have become an object, and any other answer means that they have not
                recorded = recorded.into_new_operation(&new_operation());
                unclear = false;
            }
            recorded.saw(&self.session, now.as_ref(), clock::now()).await?;
        }
        recorded.drop(&self.session).await;
        let text = "the file is being replaced all the time; try again";
        Err(Failed { error: FileError::new(FileErrorKind::Changed, text), unclear })
    }

    async fn write(&self, whole: &Whole, condition: &Precondition, operation: &OperationId) -> Result<(), WriteError> {
        let objects = &self.session.shared.objects;
        match whole {
            Whole::Small { body, .. } => objects.put(&self.proof, body.clone(), condition, operation).await,
            Whole::Parts(upload, parts) => objects.complete_multipart(upload, parts, condition).await,
        }
    }

    /// Why there is no next round.
    fn refusal(&self, failed: ObjectError, exists: bool) -> Option<FileError> {
        match failed {
            ObjectError::PreconditionFailed | ObjectError::Conflict | ObjectError::NotFound => self.refuses(exists),
            error => Some(object_failure(error)),
        }
    }

    /// Why a file that is there now must stay.
    fn refuses(&self, exists: bool) -> Option<FileError> {
        if self.appends || (self.mode.append && !self.mode.truncate) {
            let text = "somebody else changed the file while it was appended to: nothing was appended";
            return Some(FileError::new(FileErrorKind::Changed, text));
        }
        if !exists {
            return None;
        }
        if self.mode.exclusive {
            return Some(FileError::new(FileErrorKind::AlreadyExists, "a file of this name exists"));
        }
        if !self.proof.action().may_replace() {
            let text = "a file of this name exists, and may not be replaced";
            return Some(FileError::new(FileErrorKind::PermissionDenied, text));
        }
        None
    }
}
