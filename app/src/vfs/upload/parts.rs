//! The parts on their way to S3.

use super::FileSession;
use crate::budget::Reserved;
use crate::vfs::object_failure;
use bytes::Bytes;
use domain::access::{self, Action, Authorized};
use domain::file_error::{FileError, FileErrorKind};
use domain::id::OperationId;
use domain::upload::{StoredPart, copy_plan, part_bytes, without_gap};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::objects::{CopiedPart, ETag, MultipartUpload, ObjectError};
use tokio::sync::{OnceCell, Semaphore, watch};
use tokio::task::JoinSet;

/// How many parts of one upload are on their way at the same time, while memory is free; and how many S3 copies.
const PARALLEL: usize = 8;

/// An upload that lasts longer notes when it has become a file, well before what [`domain::retention::UNNOTED_MILLIS`] allows for.
pub(super) const LONG_MILLIS: i64 = 120_000;

/// How often an upload that waits for memory looks for some that nobody uses.
const RELEASE_INTERVAL: Duration = Duration::from_millis(500);

/// What the task of a part comes to.
type Sent = Result<Result<StoredPart, ObjectError>, tokio::task::JoinError>;

/// The parts of one upload.
pub(super) struct Parts {
    session: FileSession,
    proof: Arc<Authorized<access::Upload>>,
    operation: OperationId,
    /// Begun by the first part that is sent.
    multipart: Arc<OnceCell<MultipartUpload>>,
    sending: JoinSet<Result<StoredPart, ObjectError>>,
    /// Parts that S3 copies. They hold no memory of ours, so nobody waits for them before the end.
    copying: JoinSet<Result<StoredPart, ObjectError>>,
    /// How many of those at a time; closed when no more are to begin.
    copies: Arc<Semaphore>,
    stored: Vec<StoredPart>,
    next: u32,
    /// Since when; not known of those that somebody else has begun.
    since: Option<Instant>,
    /// Told S3's id of the multipart upload when it has begun.
    begun: Arc<watch::Sender<Option<String>>>,
}

impl Parts {
    pub(super) fn new(session: FileSession, proof: Arc<Authorized<access::Upload>>, operation: OperationId) -> Self {
        let (begun, _) = watch::channel(None);
        Self {
            session,
            proof,
            operation,
            multipart: Arc::new(OnceCell::new()),
            sending: JoinSet::new(),
            copying: JoinSet::new(),
            copies: Arc::new(Semaphore::new(PARALLEL)),
            stored: Vec::new(),
            next: 1,
            since: Some(Instant::now()),
            begun: Arc::new(begun),
        }
    }

    /// Those of an interrupted upload, to go on with.
    pub(super) fn going_on(self, multipart: MultipartUpload, stored: Vec<StoredPart>) -> Self {
        let next = 1 + u32::try_from(stored.len()).unwrap_or(u32::MAX - 1);
        self.begun.send_replace(Some(multipart.id().to_owned()));
        Self { multipart: Arc::new(OnceCell::new_with(Some(multipart))), stored, next, since: None, ..self }
    }

    /// For the intent: S3's id of the multipart upload, once it has begun.
    pub(super) fn begun(&self) -> watch::Receiver<Option<String>> {
        self.begun.subscribe()
    }

    /// Whether any part was sent.
    pub(super) fn is_empty(&self) -> bool {
        self.next == 1
    }

    /// Whether S3 may have had the first of them for long: it tells of the file as if it had come then.
    pub(super) fn took_long(&self) -> bool {
        !self.is_empty()
            && self.since.is_none_or(|since| since.elapsed().as_millis() >= LONG_MILLIS.unsigned_abs().into())
    }

    /// The size of the next part, if it is full.
    pub(super) fn next_bytes(&self) -> Result<usize, FileError> {
        part_bytes(self.next).ok_or_else(|| FileError::new(FileErrorKind::TooLarge, "the file has too many parts"))
    }

    /// Sends a part; its memory is given back when S3 has it.
    pub(super) fn send(&mut self, body: Bytes, memory: Option<Reserved>) -> Result<(), FileError> {
        let number = self.take_number()?;
        let begin = self.beginning();
        let objects = self.session.shared.objects.clone();
        self.sending.spawn(async move {
            let part = objects.put_part(&begin.await?, number, body).await;
            drop(memory);
            part
        });
        Ok(())
    }

    /// Has S3 copy a range of a version of a file, pinned to its ETag, as the next parts. The range holds at least S3's
    /// minimum for a part.
    pub(super) fn copy<A>(
        &mut self,
        from: &Arc<Authorized<A>>,
        (etag, size): (&ETag, u64),
        part: &Range<u64>,
    ) -> Result<(), FileError>
    where
        A: Action + Send + Sync + 'static,
    {
        let plan = copy_plan(part.end - part.start, self.session.shared.copy_bytes);
        let whole = plan.len() == 1 && *part == (0..size);
        for range in plan {
            let range = part.start + range.start..part.start + range.end;
            let number = self.take_number()?;
            let begin = self.beginning();
            let (objects, copies) = (self.session.shared.objects.clone(), Arc::clone(&self.copies));
            let (from, etag) = (Arc::clone(from), etag.clone());
            self.copying.spawn(async move {
                let Ok(_place) = copies.acquire().await else {
                    return Err(ObjectError::NoSuchUpload);
                };
                let upload = begin.await?;
                objects.copy_part(&upload, number, &from, &etag, CopiedPart { range, whole }).await
            });
        }
        Ok(())
    }

    fn take_number(&mut self) -> Result<u32, FileError> {
        self.next_bytes()?;
        self.next += 1;
        Ok(self.next - 1)
    }

    /// The multipart upload, begun by whoever needs it first.
    fn beginning(&self) -> impl Future<Output = Result<MultipartUpload, ObjectError>> + use<> {
        let (multipart, proof, operation) =
            (Arc::clone(&self.multipart), Arc::clone(&self.proof), self.operation.clone());
        let objects = self.session.shared.objects.clone();
        let begun = Arc::clone(&self.begun);
        async move {
            let begin = async || {
                let upload = objects.begin_multipart(&proof, &operation).await?;
                begun.send_replace(Some(upload.id().to_owned()));
                Ok::<_, ObjectError>(upload)
            };
            multipart.get_or_try_init(begin).await.cloned()
        }
    }

    /// Memory for the next part: at once while there is some that nobody waits for, else when the parts on their way have
    /// given theirs back. So an upload never holds memory while it waits for memory.
    pub(super) async fn memory_for_next(&mut self) -> Result<Reserved, FileError> {
        let bytes = self.next_bytes()?;
        loop {
            while let Some(sent) = self.sending.try_join_next() {
                self.note(sent)?;
            }
            while let Some(copied) = self.copying.try_join_next() {
                self.note_copy(copied)?;
            }
            if self.sending.len() < PARALLEL
                && let Some(memory) = self.session.shared.budget.try_slot(bytes)
            {
                return Ok(memory);
            }
            match self.sending.join_next().await {
                Some(sent) => self.note(sent)?,
                None => return self.wait_for_slot(bytes).await,
            }
        }
    }

    /// Waits in order, and takes back meanwhile what was read ahead for readers that do not read.
    async fn wait_for_slot(&self, bytes: usize) -> Result<Reserved, FileError> {
        let shared = &self.session.shared;
        let mut slot = std::pin::pin!(shared.budget.slot(bytes));
        loop {
            shared.reads.release_idle();
            tokio::select! {
                slot = &mut slot => return slot,
                () = tokio::time::sleep(RELEASE_INTERVAL) => {}
            }
        }
    }

    /// Waits for all parts.
    pub(super) async fn all_stored(&mut self) -> Result<(), FileError> {
        while let Some(sent) = self.sending.join_next().await {
            self.note(sent)?;
        }
        while let Some(copied) = self.copying.join_next().await {
            self.note_copy(copied)?;
        }
        Ok(())
    }

    /// What S3 has, to be completed.
    pub(super) fn stored(&mut self) -> Option<(&MultipartUpload, Vec<StoredPart>)> {
        let stored = std::mem::take(&mut self.stored);
        self.multipart.get().map(|upload| (upload, stored))
    }

    /// Waits for the parts on their way, and answers what S3 has from the start without a gap: what an interrupted upload
    /// can be continued from.
    pub(super) async fn durable(&mut self) -> Option<(MultipartUpload, u64)> {
        while let Some(sent) = self.sending.join_next().await {
            if let Err(error) = self.note(sent) {
                tracing::debug!(%error, "a part of an interrupted upload did not arrive");
            }
        }
        // a copy that came later would take the place of a part that is sent then
        self.copies.close();
        while let Some(copied) = self.copying.join_next().await {
            if let Err(error) = self.note_copy(copied) {
                tracing::debug!(%error, "a part of an interrupted upload was not copied");
            }
        }
        let bytes = without_gap(std::mem::take(&mut self.stored)).iter().map(|part| part.bytes).sum();
        self.multipart.get().filter(|_| bytes > 0).map(|upload| (upload.clone(), bytes))
    }

    /// Waits for the parts on their way (an aborted multipart upload would keep those that arrive later), then throws all
    /// away.
    pub(super) async fn abort(&mut self) {
        self.copies.close();
        while self.sending.join_next().await.is_some() || self.copying.join_next().await.is_some() {}
        if let Some(upload) = self.multipart.get()
            && let Err(error) = self.session.shared.objects.abort_multipart(upload).await
        {
            // the lifecycle rule of the bucket ends it in the end
            tracing::warn!(%error, upload = upload.id(), "a multipart upload could not be aborted");
        }
    }

    fn note_copy(&mut self, copied: Sent) -> Result<(), FileError> {
        match copied {
            // the version that was to be copied is gone
            Ok(Err(ObjectError::NotFound)) => Err(object_failure(ObjectError::PreconditionFailed)),
            copied => self.note(copied),
        }
    }

    fn note(&mut self, sent: Sent) -> Result<(), FileError> {
        match sent {
            Ok(Ok(part)) => {
                self.stored.push(part);
                Ok(())
            }
            Ok(Err(error)) => Err(object_failure(error)),
            Err(error) => {
                Err(FileError::new(FileErrorKind::Internal, "sending a part was interrupted").with_source(error))
            }
        }
    }
}
