//! An operation's intent while the operation lasts.

use super::{FileSession, intent_failure};
use domain::event::Event;
use domain::file_error::{FileError, FileErrorKind};
use domain::id::OperationId;
use domain::intent::{Change, Intent, Seen};
use domain::path::ObjectKey;
use domain::time::Timestamp;
use store::clock;
use store::intents::FRESH_MILLIS;
use store::objects::{ETag, ObjectInfo, Precondition};

/// An intent and when it was last renewed.
pub(super) struct Recorded {
    intent: Intent,
    at: Timestamp,
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

    /// To be called right before the S3 call that makes something visible: the sweep must not take the intent for
    /// abandoned while that call runs.
    pub(super) async fn refresh(&mut self, session: &FileSession) -> Result<(), FileError> {
        let now = clock::now();
        if now.millis() - self.at.millis() < FRESH_MILLIS {
            Ok(())
        } else {
            self.record(session, now).await
        }
    }

    async fn record(&mut self, session: &FileSession, now: Timestamp) -> Result<(), FileError> {
        let recorded = session.shared.intents.record(&self.intent, now).await;
        if recorded.map_err(intent_failure)? {
            self.at = now;
            return Ok(());
        }
        let text = "somebody else is deleting or renaming this file";
        Err(FileError::new(FileErrorKind::Changed, text))
    }

    /// The operation did not happen. If this fails, the sweep comes to the same conclusion later.
    pub(super) async fn drop(self, session: &FileSession) {
        if let Err(error) = session.shared.intents.drop(&self.intent).await {
            tracing::debug!(%error, "the intent of a failed operation is left to the sweep");
        }
    }
}

impl FileSession {
    /// What this session is about to do.
    pub(super) fn intent(
        &self,
        operation: &OperationId,
        key: &ObjectKey,
        change: Change,
        event: Option<Event>,
        seen: Option<&ObjectInfo>,
    ) -> Intent {
        Intent {
            operation: operation.clone(),
            organization: self.principal.organization.clone(),
            credential: self.principal.credential.clone(),
            key: key.as_str().to_owned(),
            change,
            event,
            seen: seen.map(seen_of),
            made_bytes: None,
        }
    }

    /// Makes an intent durable. `Changed` if it is to take away what somebody else has taken or is taking away.
    pub(super) async fn record(&self, intent: Intent) -> Result<Recorded, FileError> {
        let mut recorded = Recorded {
            intent,
            at: clock::now(),
        };
        let now = recorded.at;
        recorded.record(self, now).await?;
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
    seen.map_or(Precondition::Absent, |seen| {
        Precondition::Is(ETag::new(seen.etag.as_str()))
    })
}
