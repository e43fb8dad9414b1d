//! Writing a file: buffered, cut into parts, sent in parallel, visible only when [`Upload::finish`] succeeds.
//!
//! An upload has two ends, `finish` and `abort`; dropping it means abort. Whatever ends it, its multipart upload is
//! completed or aborted, and its intent settled or dropped; what a crash leaves is found by the sweep.

mod buffer;
mod commit;
mod parts;

use super::intent::Kept;
use super::{FileSession, WriteMode, file_subject, new_operation, object_failure};
use buffer::Buffer;
use bytes::Bytes;
use domain::access::{self, Authorized};
use domain::event::Topic;
use domain::file_error::{FileError, FileErrorKind};
use domain::id::OperationId;
use domain::intent::Change;
use domain::path::VPath;
use domain::upload::MAX_FILE_BYTES;
use parts::Parts;
use std::sync::Arc;
use store::objects::ObjectInfo;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

/// How many files one session may have open for writing: what one client can hold of the node's memory.
pub(super) const MAX_UPLOADS: usize = 64;

/// A file open for writing. Dropping it means [`Upload::abort`].
pub struct Upload(Option<Box<Writer>>);

struct Writer {
    session: FileSession,
    proof: Arc<Authorized<access::Upload>>,
    mode: WriteMode,
    operation: OperationId,
    /// The intent, being written since OPEN and kept alive since; taken at the end.
    intent: Option<Kept>,
    /// The file that was there at OPEN, if the mode needed to know.
    existing: Option<ObjectInfo>,
    buffer: Buffer,
    parts: Parts,
    /// One of the session's uploads.
    _place: OwnedSemaphorePermit,
    /// The client said how long the file is to be.
    declared: Option<u64>,
    /// What went wrong; every later call answers it.
    failure: Option<FileError>,
}

impl FileSession {
    /// Opens a file for writing. Nothing is visible before [`Upload::finish`].
    pub async fn open_write(&self, path: &VPath, mode: WriteMode) -> Result<Upload, FileError> {
        let proof = access::authorize_upload(&self.principal, path)?;
        let Some(key) = proof.location().file_key() else {
            return Err(FileError::new(FileErrorKind::IsAFolder, "this is a folder, not a file"));
        };
        if self.principal.chroot.is_home(path) {
            return Err(FileError::new(FileErrorKind::IsAFolder, "this is a folder, not a file"));
        }
        let place = Arc::clone(&self.uploads).try_acquire_owned().map_err(|_| {
            let text = format!("at most {MAX_UPLOADS} files can be open for writing at the same time");
            FileError::new(FileErrorKind::Unavailable, text)
        })?;
        let existing = self.look_before_writing(&proof, mode).await?;
        // the intent is written while the client sends; it is awaited before anything becomes visible
        let operation = new_operation();
        let event = self.event(&operation, Topic::FileCreated, file_subject(proof.location(), None));
        let intent = self.intent(&operation, &key, Change::Upload, Some(event), existing.as_ref());
        let intent = Some(self.keep(intent));
        let proof = Arc::new(proof);
        let parts = Parts::new(self.clone(), Arc::clone(&proof), operation.clone());
        Ok(Upload(Some(Box::new(Writer {
            session: self.clone(),
            proof,
            mode,
            operation,
            intent,
            existing,
            buffer: Buffer::new(),
            _place: place,
            parts,
            declared: None,
            failure: None,
        }))))
    }

    /// What is there now, where the mode or the permissions depend on it. The common case, a whole new file by somebody who
    /// may overwrite, asks nothing: the conditional write at the end will tell.
    async fn look_before_writing(
        &self,
        proof: &Authorized<access::Upload>,
        mode: WriteMode,
    ) -> Result<Option<ObjectInfo>, FileError> {
        let may_replace = proof.action().may_replace() && !mode.exclusive;
        if mode.create && mode.truncate && !mode.append && may_replace {
            return Ok(None);
        }
        let existing = self.shared.objects.head(proof).await.map_err(object_failure)?;
        if existing.is_none() && !mode.create {
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
        if mode.append && existing.as_ref().is_some_and(|info| info.bytes > 0) {
            return Err(unsupported("appending to a file is not supported: send it whole"));
        }
        Ok(existing)
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
        let offset = if writer.mode.append { writer.buffer.end() } else { offset };
        let result = writer.take(offset, data).await;
        if let Err(error) = &result {
            writer.failure = Some(error.repeat());
        }
        result
    }

    /// The bytes taken so far, from the start without a gap.
    pub fn bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, |writer| writer.buffer.end())
    }

    /// The client says how long the file is to be (FSETSTAT size).
    pub async fn set_bytes(&mut self, bytes: u64) -> Result<(), FileError> {
        self.writer()?.declared = Some(bytes);
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
            result
        });
        match finishing.await {
            Ok(result) => result,
            Err(error) => Err(FileError::new(FileErrorKind::Internal, "the upload was interrupted").with_source(error)),
        }
    }

    /// Throws everything away.
    pub async fn abort(mut self) {
        if let Some(cleaning) = self.start_abort() {
            // a panic in there is in the log already
            let _ = cleaning.await;
        }
    }

    fn start_abort(&mut self) -> Option<JoinHandle<()>> {
        let mut writer = self.0.take()?;
        let tracker = writer.session.shared.cleanups.clone();
        Some(tracker.spawn(async move { writer.clean_up().await }))
    }

    fn writer(&mut self) -> Result<&mut Writer, FileError> {
        self.0.as_deref_mut().ok_or_else(|| FileError::new(FileErrorKind::BadRequest, "the file is closed"))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        drop(self.start_abort());
    }
}

impl Writer {
    async fn take(&mut self, offset: u64, data: Bytes) -> Result<(), FileError> {
        if offset.saturating_add(data.len() as u64) > MAX_FILE_BYTES {
            let text = format!("files over {} GiB are not supported", MAX_FILE_BYTES >> 30);
            return Err(FileError::new(FileErrorKind::TooLarge, text));
        }
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

fn unsupported(text: impl Into<std::borrow::Cow<'static, str>>) -> FileError {
    FileError::new(FileErrorKind::Unsupported, text)
}
