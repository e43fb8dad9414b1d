//! Writing a file: buffered, cut into parts, sent in parallel, visible only when [`Upload::finish`] succeeds.
//!
//! An upload has three ends: `finish`; `abort`, which leaves nothing; and `interrupt`, when the client is gone, which keeps
//! the parts that S3 has for the same credential to go on with ([`going_on`]). Dropping it means interrupt. Whatever ends
//! it, its multipart upload is completed, kept with a record or aborted, and its intent settled or dropped; what a
//! crash leaves is found by the sweep.

mod append;
mod buffer;
mod commit;
mod copied;
mod direct;
mod early;
mod going_on;
mod parts;
pub(super) mod room;

use super::intent::Kept;
use super::partial::Progress;
use super::{FileSession, WriteMode, new_operation, object_failure};
use crate::activity::{Mode, Moved, Operation};
use crate::sessions::Moving;
use buffer::Buffer;
use bytes::Bytes;
use domain::access::{self, Authorized};
use domain::connection::Direction;
use domain::event::Topic;
use domain::file_error::{FileError, FileErrorKind};
use domain::id::OperationId;
use domain::partial::PartialUpload;
use domain::path::{ObjectKey, VPath};
use domain::time::Timestamp;
use domain::upload::MAX_FILE_BYTES;
use parts::Parts;
use room::Room;
use std::sync::Arc;
use store::clock;
use store::objects::ObjectInfo;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

/// How many files one session may have open for writing: what one client can hold of the node's memory.
pub(super) const MAX_UPLOADS: usize = 64;

/// A file open for writing. Dropping it means [`Upload::interrupt`].
pub struct Upload(Option<Box<Writer>>);

struct Writer {
    session: FileSession,
    proof: Arc<Authorized<access::Upload>>,
    mode: WriteMode,
    operation: OperationId,
    /// The intent, being written since OPEN and kept alive since; taken at the end. Where the first write decides what this
    /// is to be, it waits for that.
    intent: Option<Kept>,
    /// Whether the first write decides: it may go on with an interrupted upload of the name, or behind the file that is
    /// there, or replace either.
    undecided: bool,
    /// An interrupted upload of the name, until the first write.
    interrupted: Option<PartialUpload>,
    /// The file that is there stays the beginning of this one.
    appends: bool,
    /// The bytes taken, for whoever looks at the name in this session.
    progress: Progress,
    /// The same for whoever looks at the session.
    moving: Moving,
    /// Its part of the credential's quota, if there is one.
    room: Room,
    /// The file that was there at OPEN, if the mode needed to know.
    existing: Option<ObjectInfo>,
    buffer: Buffer,
    parts: Parts,
    /// One of the session's uploads.
    _place: OwnedSemaphorePermit,
    /// The client said how long the file is to be.
    declared: Option<u64>,
    /// Bytes that this session has sent.
    received: u64,
    /// What went wrong; every later call answers it.
    failure: Option<FileError>,
}

impl FileSession {
    /// Opens a file for writing. Nothing is visible before [`Upload::finish`].
    pub async fn open_write(&self, path: &VPath, mode: WriteMode) -> Result<Upload, FileError> {
        let opened = self.open_write_now(path, mode).await;
        match &opened {
            Ok(_) => self.who().opened(path, Mode::Write(mode)),
            Err(error) => self.who().failed(Operation::Open, path, None, error),
        }
        opened
    }

    async fn open_write_now(&self, path: &VPath, mode: WriteMode) -> Result<Upload, FileError> {
        let mut writer = self.writer(path, mode).await?;
        if !writer.undecided {
            writer.reserve(0).await?;
            writer.announce()?;
        }
        Ok(Upload(Some(writer)))
    }

    /// What will be an upload when it has an intent.
    async fn writer(&self, path: &VPath, mode: WriteMode) -> Result<Box<Writer>, FileError> {
        let proof = self.allowed(path, access::authorize_upload(&self.principal, path))?;
        let Some(key) = proof.location().file_key() else {
            return Err(FileError::new(FileErrorKind::IsAFolder, "this is a folder, not a file"));
        };
        let place = Arc::clone(&self.uploads).try_acquire_owned().map_err(|_| {
            let text = format!("at most {MAX_UPLOADS} files can be open for writing at the same time");
            FileError::new(FileErrorKind::Unavailable, text)
        })?;
        let (existing, interrupted) = self.look_before_writing(&proof, &key, mode).await?;
        let operation = new_operation();
        let proof = Arc::new(proof);
        let parts = Parts::new(self.clone(), Arc::clone(&proof), operation.clone());
        let room = Room::new(self.allowances(proof.location().counted()));
        let there = interrupted.as_ref().map(|partial| partial.bytes);
        let there = there.or(existing.as_ref().map(|info| info.bytes).filter(|_| !mode.truncate)).unwrap_or(0);
        Ok(Box::new(Writer {
            session: self.clone(),
            proof,
            mode,
            operation,
            intent: None,
            undecided: there > 0,
            interrupted,
            appends: false,
            progress: self.beyond.begins(&key, there),
            moving: self.live.moving(Direction::Upload, path),
            room,
            existing,
            buffer: Buffer::new(),
            _place: place,
            parts,
            declared: None,
            received: 0,
            failure: None,
        }))
    }

    /// What is there now, where the mode or the permissions depend on it. The common case, a whole new file by somebody who
    /// may overwrite, asks nothing: the conditional write at the end will tell. Without TRUNC it may also be an interrupted
    /// upload that is to be continued.
    async fn look_before_writing(
        &self,
        proof: &Authorized<access::Upload>,
        key: &ObjectKey,
        mode: WriteMode,
    ) -> Result<(Option<ObjectInfo>, Option<PartialUpload>), FileError> {
        let may_replace = proof.action().may_replace() && !mode.exclusive;
        if mode.create && mode.truncate && !mode.append && may_replace {
            return Ok((None, None));
        }
        let recorded = async {
            let partial = if mode.truncate { None } else { self.recorded_partial(key).await? };
            Ok::<_, FileError>(partial)
        };
        let (existing, recorded) = tokio::join!(self.shared.objects.head(proof), recorded);
        let existing = existing.map_err(object_failure)?;
        let modified = existing.as_ref().map(|info| info.modified);
        let interrupted = recorded?.filter(|partial| partial.stands(modified, clock::now()));
        if existing.is_none() && interrupted.is_none() && !mode.create {
            return Err(FileError::no_such_file());
        }
        if existing.is_some() && mode.exclusive {
            return Err(FileError::new(FileErrorKind::AlreadyExists, "a file of this name exists"));
        }
        if existing.is_some() && !may_replace {
            return Err(FileError::new(
                FileErrorKind::PermissionDenied,
                "a file of this name exists, and may not be replaced",
            ));
        }
        Ok((existing, interrupted))
    }
}

impl Upload {
    /// Takes `data` for `offset`. Returns when it is buffered within the budgets; a failure of the storage shows up at
    /// a later write or at [`Upload::finish`].
    pub async fn write(&mut self, offset: u64, data: Bytes) -> Result<(), FileError> {
        let writer = self.writer()?;
        if let Some(failure) = &writer.failure {
            return Err(failure.repeat());
        }
        if writer.undecided && !data.is_empty() {
            writer.undecided = false;
            if let Err(error) = writer.decide(offset).await {
                writer.failure = Some(error.repeat());
                return Err(error);
            }
        }
        let offset = if writer.mode.append { writer.buffer.end() } else { offset };
        writer.received += data.len() as u64;
        writer.session.shared.meters.received_bytes.add(data.len() as u64);
        writer.moving.add(data.len() as u64);
        let bytes = data.len() as u64;
        let result = writer.take(offset, data).await;
        writer.session.pace(Direction::Upload, bytes).await;
        match &result {
            Ok(()) => writer.progress.set_bytes(writer.buffer.end()),
            Err(error) => writer.failure = Some(error.repeat()),
        }
        result
    }

    /// The size of the file as it would be now: what was there, if it is written on, and the bytes taken so far without a
    /// gap.
    pub fn bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, |writer| writer.progress.bytes())
    }

    /// Where bytes are missing before others that have come.
    pub fn gap(&self) -> Option<u64> {
        self.0.as_ref()?.buffer.gap()
    }

    /// The client says how long the file is to be (FSETSTAT size).
    pub async fn set_bytes(&mut self, bytes: u64) -> Result<(), FileError> {
        self.writer()?.declared = Some(bytes);
        Ok(())
    }

    /// The file will have so many bytes: room for them is made now, so that what does not fit fails before it is sent.
    pub async fn will_have(&mut self, bytes: u64) -> Result<(), FileError> {
        let writer = self.writer()?;
        writer.declared = Some(bytes);
        if bytes > MAX_FILE_BYTES {
            return Err(too_large());
        }
        writer.reserve(bytes).await
    }

    /// The time that the client gives the file; durable when [`Upload::finish`] succeeds.
    pub fn set_modified(&mut self, modified: Timestamp) -> Result<(), FileError> {
        self.writer()?.progress.set_modified(modified);
        Ok(())
    }

    /// Makes the file visible, whole. `Ok` means: durable, and counting and announcing it cannot be lost.
    pub async fn finish(mut self) -> Result<(), FileError> {
        let Some(mut writer) = self.0.take() else {
            return Err(FileError::new(FileErrorKind::BadRequest, "the file is closed"));
        };
        // on a task of its own, so that a caller who stops waiting does not stop it half-way
        let tracker = writer.session.shared.cleanups.clone();
        let finishing = tracker.spawn(async move {
            let result = writer.commit().await;
            writer.clean_up().await;
            if let Err(error) = &result {
                writer.session.announce_failure(Topic::UploadFailed, writer.proof.path(), error);
            }
            let meters = &writer.session.shared.meters;
            if result.is_ok() { &meters.uploads_stored } else { &meters.uploads_failed }.add(1);
            writer.log_end(true, result.as_ref().err());
            result
        });
        match finishing.await {
            Ok(result) => result,
            Err(error) => Err(FileError::new(FileErrorKind::Internal, "the upload was interrupted").with_source(error)),
        }
    }

    /// Throws everything away.
    pub async fn abort(mut self) {
        if let Some(mut writer) = self.0.take() {
            let tracker = writer.session.shared.cleanups.clone();
            writer.session.shared.meters.uploads_failed.add(1);
            writer.log_end(false, writer.failure.as_ref());
            // a panic in there is in the log already
            let _ = tracker.spawn(async move { writer.clean_up().await }).await;
        }
    }

    /// The client is gone: keeps what S3 has for it to go on with, if the settings allow, and throws the rest away.
    pub async fn interrupt(mut self) {
        if let Some(keeping) = self.start_interrupt() {
            let _ = keeping.await;
        }
    }

    fn start_interrupt(&mut self) -> Option<JoinHandle<()>> {
        let mut writer = self.0.take()?;
        writer.session.shared.meters.uploads_interrupted.add(1);
        writer.log_end(false, writer.failure.as_ref());
        let tracker = writer.session.shared.cleanups.clone();
        Some(tracker.spawn(async move { writer.keep_durable().await }))
    }

    fn writer(&mut self) -> Result<&mut Writer, FileError> {
        self.0.as_deref_mut().ok_or_else(|| FileError::new(FileErrorKind::BadRequest, "the file is closed"))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        drop(self.start_interrupt());
    }
}

impl Writer {
    fn log_end(&self, whole: bool, failure: Option<&FileError>) {
        let (who, path, moved) = (self.session.who(), self.proof.path(), Moved::In(self.received));
        match failure {
            None => who.closed(path, moved, whole),
            Some(error) => who.failed(Operation::Close, path, Some(moved), error),
        }
    }

    /// What this is to be, by the place of its first write.
    async fn decide(&mut self, offset: u64) -> Result<(), FileError> {
        if let Some(partial) = self.interrupted.take() {
            return self.choose(partial, offset).await;
        }
        let existing = self.existing.clone();
        match existing.filter(|info| self.mode.append || offset == info.bytes) {
            Some(existing) => self.go_on_behind(existing).await,
            None => self.announce(),
        }
    }

    async fn take(&mut self, offset: u64, data: Bytes) -> Result<(), FileError> {
        if offset.saturating_add(data.len() as u64) > MAX_FILE_BYTES {
            return Err(too_large());
        }
        self.reserve(offset.saturating_add(data.len() as u64)).await?;
        if self.buffer.is_small() && self.buffer.needs_memory() {
            self.buffer.reserve(self.session.shared.budget.small().await?);
        }
        self.buffer.take(offset, data, &self.session.shared.budget)?;
        // a whole part leaves as soon as there is more, so that the last one is never empty
        while self.buffer.overflows() {
            if !self.buffer.is_small() {
                let (part, memory) = self.buffer.cut();
                self.parts.send(part, memory)?;
            }
            let memory = self.parts.memory_for_next().await?;
            self.buffer.grow(self.parts.next_bytes()?, memory);
        }
        Ok(())
    }
}

/// Beyond what an object's parts hold.
pub(super) fn too_large() -> FileError {
    FileError::new(FileErrorKind::TooLarge, format!("files over {} GiB are not supported", MAX_FILE_BYTES >> 30))
}

fn unsupported(text: impl Into<std::borrow::Cow<'static, str>>) -> FileError {
    FileError::new(FileErrorKind::Unsupported, text)
}
