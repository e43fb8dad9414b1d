//! An operation's intent while the operation lasts.

use super::{FileSession, intent_failure};
use domain::event::Event;
use domain::file_error::{FileError, FileErrorKind};
use domain::id::OperationId;
use domain::intent::{Change, Intent, Seen};
use domain::path::ObjectKey;
use domain::quota::Counted;
use domain::time::Timestamp;
use std::sync::Arc;
use store::clock;
use store::objects::{ETag, MultipartUpload, ObjectInfo, Precondition};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// An intent that is recorded.
pub(super) struct Recorded {
    intent: Intent,
}

impl Recorded {
    /// What is recorded.
    pub(super) fn intent(&self) -> &Intent {
        &self.intent
    }

    /// For settling it.
    pub(super) fn into_intent(self) -> Intent {
        self.intent
    }

    /// Names the object that will be replaced or removed, durably.
    pub(super) async fn saw(
        &mut self,
        session: &FileSession,
        seen: Option<&ObjectInfo>,
        now: Timestamp,
    ) -> Result<(), FileError> {
        self.intent.seen = seen.map(seen_of);
        self.record(session, now).await
    }

    /// Names the multipart upload that is to be a copy of another object, so that a crash leaves no parts. If this cannot be
    /// recorded, housekeeping finds them by their age.
    pub(super) async fn copies_by(&mut self, session: &FileSession, upload: &MultipartUpload) {
        (self.intent.upload, self.intent.appends) = (Some(upload.id().to_owned()), true);
        if let Err(error) = self.record(session, clock::now()).await {
            tracing::info!(%error, "a crash would leave parts until housekeeping finds them by their age");
        }
    }

    /// Makes the S3 call that makes something visible or takes it away, and keeps the intent alive while it lasts: the
    /// sweep must not take it for abandoned.
    pub(super) async fn during<T>(&mut self, session: &FileSession, call: impl Future<Output = T>) -> T {
        let mut call = std::pin::pin!(call);
        let renewal = session.shared.stores.intents.renewal();
        loop {
            tokio::select! {
                result = &mut call => return result,
                () = tokio::time::sleep(renewal) => self.renew(session).await,
            }
        }
    }

    /// To be called before a write of `bytes` bytes is acknowledged. S3 knows a version by its content: if this one has the
    /// same as what it replaced, then somebody who saw the old one may replace or delete this one without knowing, and the
    /// evidence for it is gone. So it is noted, durably, that it was made. (Other content of the same size is noted, too,
    /// which does no harm.)
    pub(super) async fn note_made(&self, session: &FileSession, bytes: u64) -> Result<(), FileError> {
        let intent = &self.intent;
        let Some(replaced) = intent.seen.as_ref().filter(|seen| seen.bytes == bytes) else {
            return Ok(());
        };
        let made = Seen { operation: Some(intent.operation.clone()), ..replaced.clone() };
        session.shared.stores.intents.mark_made(&intent.organization, &intent.key, &made).await.map_err(intent_failure)
    }

    /// Whether the object of this operation was there, after an answer got lost and somebody else's is there now. Who
    /// replaced it has an intent that names it, or was settled and has marked ours; so this is to be asked after S3.
    pub(super) async fn seen_by_others(&self, session: &FileSession) -> Result<bool, FileError> {
        let ours = &self.intent.operation;
        let all = session.shared.stores.intents.on_key(&self.intent.organization, &self.intent.key).await;
        let all = all.map_err(intent_failure)?;
        let saw_ours = |other: &Intent| other.seen.as_ref().and_then(|seen| seen.operation.as_ref()) == Some(ours);
        Ok(all.iter().any(|one| saw_ours(one) || (one.operation == *ours && one.made_bytes.is_some())))
    }

    /// A sign of life.
    async fn renew(&mut self, session: &FileSession) {
        let now = clock::now();
        let kept = match session.shared.stores.intents.keep(&self.intent, now).await {
            Ok(true) => Ok(()),
            // swept while this process stood still: the operation lives all the same
            Ok(false) => self.record(session, now).await,
            Err(error) => Err(intent_failure(error)),
        };
        if let Err(error) = kept {
            tracing::warn!(%error, operation = %self.intent.operation, "an intent could not be renewed");
        }
    }

    /// Goes on as another operation, because the first may have happened: that one is the sweep's to judge.
    pub(super) fn into_new_operation(mut self, operation: &OperationId) -> Self {
        self.intent.operation = operation.clone();
        if let Some(event) = &mut self.intent.event {
            event.id = operation.to_string();
        }
        self
    }

    async fn record(&self, session: &FileSession, now: Timestamp) -> Result<(), FileError> {
        let recorded = session.shared.stores.intents.record(&self.intent, now).await;
        if recorded.map_err(intent_failure)? {
            return Ok(());
        }
        let text = "somebody else is deleting or renaming this file";
        Err(FileError::new(FileErrorKind::Changed, text))
    }

    /// The operation did not happen. If this fails, the sweep comes to the same conclusion later.
    pub(super) async fn drop(self, session: &FileSession) {
        if let Err(error) = session.shared.stores.intents.drop(&self.intent).await {
            tracing::debug!(%error, "the intent of a failed operation is left to the sweep");
        }
    }
}

/// An intent that is kept alive beside a lasting operation.
pub(super) struct Kept {
    /// What it was begun with.
    operation: OperationId,
    seen: Option<Seen>,
    task: JoinHandle<Result<Recorded, FileError>>,
    stop: Arc<Notify>,
}

impl Kept {
    /// Whose it is, and on what condition its write will be made.
    pub(super) fn write(&self) -> (OperationId, Precondition) {
        (self.operation.clone(), precondition(self.seen.as_ref()))
    }

    /// The intent, durable.
    pub(super) async fn take(self) -> Result<Recorded, FileError> {
        self.stop.notify_one();
        let interrupted = |error| {
            FileError::new(FileErrorKind::Internal, "recording the operation was interrupted").with_source(error)
        };
        self.task.await.map_err(interrupted)?
    }
}

impl FileSession {
    /// What this session is about to do.
    pub(super) fn intent(
        &self,
        operation: &OperationId,
        (key, counted): (&ObjectKey, &Counted),
        change: Change,
        event: Option<Event>,
        seen: Option<&ObjectInfo>,
    ) -> Intent {
        Intent {
            operation: operation.clone(),
            organization: self.principal.organization.clone(),
            credential: self.principal.credential.clone(),
            key: key.as_str().to_owned(),
            counted: counted.clone(),
            change,
            event,
            seen: seen.map(seen_of),
            made_bytes: None,
            upload: None,
            appends: false,
        }
    }

    /// Makes an intent durable and keeps it alive until it is asked back with [`Kept::take`]. When its multipart upload has
    /// `begun`, the intent names it.
    pub(super) fn keep(&self, intent: Intent, mut begun: watch::Receiver<Option<String>>) -> Kept {
        let stop = Arc::new(Notify::new());
        let (session, stopped) = (self.clone(), Arc::clone(&stop));
        let (operation, seen) = (intent.operation.clone(), intent.seen.clone());
        let task = tokio::spawn(async move {
            let mut recorded = session.record(intent).await?;
            let begins = async {
                let upload = begun.wait_for(Option::is_some).await.map(|upload| upload.clone()).ok();
                match upload {
                    Some(upload) => upload,
                    // the upload ends without
                    None => std::future::pending().await,
                }
            };
            let first = async {
                tokio::select! {
                    // what is known goes before the end
                    biased;
                    upload = begins => upload,
                    () = stopped.notified() => None,
                }
            };
            let upload = recorded.during(&session, first).await;
            if upload.is_some() {
                recorded.intent.upload = upload;
                if let Err(error) = recorded.record(&session, clock::now()).await {
                    tracing::info!(%error, "a crash would leave parts until housekeeping finds them by their age");
                }
                recorded.during(&session, stopped.notified()).await;
            }
            Ok(recorded)
        });
        Kept { operation, seen, task, stop }
    }

    /// Makes an intent durable. `Changed` if it is to take away what somebody else has taken or is taking away.
    pub(super) async fn record(&self, intent: Intent) -> Result<Recorded, FileError> {
        let recorded = Recorded { intent };
        recorded.record(self, clock::now()).await?;
        Ok(recorded)
    }
}

pub(crate) fn seen_of(info: &ObjectInfo) -> Seen {
    Seen {
        etag: info.etag.as_str().to_owned(),
        bytes: info.bytes,
        modified: info.modified,
        operation: info.operation.clone(),
    }
}

/// What must hold for a write that replaces what was seen.
pub(super) fn precondition(seen: Option<&Seen>) -> Precondition {
    seen.map_or(Precondition::Absent, |seen| Precondition::Is(ETag::new(seen.etag.as_str())))
}
