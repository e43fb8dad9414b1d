//! What is about to happen to an object, recorded before it happens.
//!
//! An operation that will be acknowledged writes its intent first, then makes its one visible S3 call, then answers the
//! client; counting and announcing come later, and remove the intent. So whatever crashes when, an acknowledged
//! operation has either been counted and announced or still has an intent, from which [`judge`] tells what happened.
//!
//! The evidence is the object itself, which carries the id of the operation that made it. It is lost when somebody
//! replaces or removes the object before the first operation was settled; therefore the second records whose object it
//! saw ([`Seen`]), and marks the first operation's intent ([`Intent::made_bytes`]) before its own goes.

use crate::event::{Event, Topic};
use crate::id::{CredentialId, OperationId, OrganizationId};
use crate::quota::{Counted, Holder};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One operation on one object key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The operation's id, which the object that it makes carries.
    pub operation: OperationId,
    /// Whose files.
    pub organization: OrganizationId,
    /// Whose usage.
    pub credential: CredentialId,
    /// The object's key, as text.
    pub key: String,
    /// For whom it counts there.
    #[serde(default, skip_serializing_if = "Counted::is_default")]
    pub counted: Counted,
    /// What is to happen.
    pub change: Change,
    /// What to announce when it has happened.
    pub event: Option<Event>,
    /// The object that is replaced or removed, as far as it is known.
    pub seen: Option<Seen>,
    /// Set by a later operation that replaced or removed what this one made: so it did happen, with this size.
    pub made_bytes: Option<u64>,
    /// S3's id of the multipart upload that is to make the object, once it has begun: what a crash leaves of it is ended
    /// with the intent.
    #[serde(default)]
    pub upload: Option<String>,
    /// The upload goes on behind the bytes of the object that was seen, so its parts are of use with that object alone.
    #[serde(default)]
    pub appends: bool,
}

/// What is to happen to the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Change {
    /// An object with new content; usage counts it.
    Upload,
    /// A folder's marker; usage does not count it.
    MakeFolder,
    /// The seen object goes.
    Delete,
    /// The seen marker goes.
    DeleteFolder,
    /// A copy of another object appears here; that one goes afterwards.
    RenameTo {
        /// The other object's key.
        from: String,
        /// The other object.
        source: Seen,
        /// For whom it counts.
        #[serde(default, skip_serializing_if = "Counted::is_default")]
        counted: Counted,
    },
    /// Everything in another folder comes here, each object by an operation of its own.
    RenameFolder {
        /// The other folder's key.
        from: String,
        /// For whom what lies there counts.
        #[serde(default, skip_serializing_if = "Counted::is_default")]
        counted: Counted,
    },
    /// No object is concerned: records have changed, in the transaction that wrote this, and that is to be announced.
    Records,
}

/// An object as an operation saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Its version.
    pub etag: String,
    /// Its size.
    pub bytes: u64,
    /// When S3 got it.
    pub modified: Timestamp,
    /// The operation that made it, if it was one of ours.
    pub operation: Option<OperationId>,
}

impl Seen {
    /// A name for this version of the key, never used for another one.
    pub fn version(&self) -> String {
        match &self.operation {
            Some(operation) => operation.to_string(),
            None => format!("{}@{}", self.etag, self.modified.millis()),
        }
    }
}

impl Intent {
    /// The announcement of a change of records, to be written with it. It is nobody's usage, so any credential will do.
    pub fn announcing(operation: OperationId, event: Event) -> Self {
        Self {
            key: format!("records/{}", event.id),
            counted: Counted::default(),
            operation,
            organization: event.organization.clone(),
            credential: CredentialId::from_random([0; 15]),
            change: Change::Records,
            event: Some(event),
            seen: None,
            made_bytes: None,
            upload: None,
            appends: false,
        }
    }

    /// The object that this operation takes away, with its key: S3 answers a conditional delete of a missing object with
    /// success, so it is for us to see that each version is taken away by one operation only.
    pub fn removes(&self) -> Option<(&str, &Seen)> {
        match &self.change {
            Change::Upload | Change::MakeFolder | Change::RenameFolder { .. } | Change::Records => None,
            Change::Delete | Change::DeleteFolder => self.seen.as_ref().map(|seen| (self.key.as_str(), seen)),
            Change::RenameTo { from, source, .. } => Some((from.as_str(), source)),
        }
    }

    /// The event of a rename whose source was replaced before it was deleted: a file was made, none has moved.
    pub fn keep_both(&mut self) {
        if let Some(event) = &mut self.event {
            event.topic = Topic::FileCreated;
            event.previous = None;
        }
    }
}

/// What an operation that happened adds to usage at one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// The object's key.
    pub key: String,
    /// Whose usage.
    pub holders: Vec<Holder>,
    /// What is added.
    pub change: UsageChange,
}

impl Intent {
    /// What it adds where, if it changed `change` in all: a rename takes its source from one place to another, where it may count
    /// for somebody else.
    pub fn deltas(&self, change: UsageChange) -> Vec<Delta> {
        let one = |key: &str, counted: &Counted, change| Delta {
            key: key.to_owned(),
            holders: counted.holders(&self.credential),
            change,
        };
        match &self.change {
            Change::MakeFolder | Change::DeleteFolder | Change::RenameFolder { .. } | Change::Records => Vec::new(),
            // markers of folders are not counted
            Change::RenameTo { .. } if self.key.ends_with('/') => Vec::new(),
            Change::Upload | Change::Delete => vec![one(&self.key, &self.counted, change)],
            Change::RenameTo { from, source, counted } => {
                let removed = UsageChange::removed(source);
                vec![one(&self.key, &self.counted, change.minus(removed)), one(from, counted, removed)]
            }
        }
    }
}

/// What to add to a usage record. Negative for what goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageChange {
    /// Bytes.
    pub bytes: i64,
    /// Files.
    pub files: i64,
}

impl UsageChange {
    /// An object of `made` bytes in the place of `replaced`.
    pub fn written(made: u64, replaced: Option<&Seen>) -> Self {
        let removed = replaced.map_or(Self::default(), Self::removed);
        Self { bytes: signed(made).saturating_add(removed.bytes), files: 1 + removed.files }
    }

    /// The seen object is gone.
    pub fn removed(seen: &Seen) -> Self {
        Self { bytes: -signed(seen.bytes), files: -1 }
    }

    /// This without `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_sub(other.bytes), files: self.files.saturating_sub(other.files) }
    }

    /// Both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_add(other.bytes), files: self.files.saturating_add(other.files) }
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// What became of an interrupted operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It happened: count this and announce the event.
    Happened(UsageChange),
    /// It did not: drop the intent.
    DidNot,
    /// The copy of a rename exists and its source does, too: delete the source, then it happened.
    FinishRename,
    /// A folder may be half here and half there: move the rest, then it happened.
    FinishFolder,
    /// The copy of a rename exists, and before the source could go, somebody replaced it: the copy is a new file
    /// ([`Intent::keep_both`]).
    KeptBoth,
}

/// What the bucket and the other intents of the key say.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The object at the key now.
    pub now: Option<Seen>,
    /// What another operation, which replaced or removed this one's object, saw there.
    pub seen_by_other: Option<Seen>,
    /// For a rename: the object at the source now.
    pub source_now: Option<Seen>,
    /// For a delete or a rename: whether another operation put its object in the place of the one that was to go.
    pub replaced_by_other: bool,
}

/// Decides what became of `intent`, when nobody works on it any more.
pub fn judge(intent: &Intent, evidence: &Evidence) -> Verdict {
    let ours = |seen: &&Seen| seen.operation.as_ref() == Some(&intent.operation);
    let made = intent
        .made_bytes
        .or_else(|| evidence.seen_by_other.as_ref().filter(ours).map(|seen| seen.bytes))
        .or_else(|| evidence.now.as_ref().filter(ours).map(|seen| seen.bytes));
    match &intent.change {
        Change::Upload => {
            made.map_or(Verdict::DidNot, |bytes| Verdict::Happened(UsageChange::written(bytes, intent.seen.as_ref())))
        }
        Change::MakeFolder => made.map_or(Verdict::DidNot, |_| Verdict::Happened(UsageChange::default())),
        Change::Delete if evidence.replaced_by_other => Verdict::DidNot,
        Change::Delete => match (&intent.seen, &evidence.now) {
            // the same version is still there
            (Some(seen), Some(now)) if seen.etag == now.etag && seen.operation == now.operation => Verdict::DidNot,
            // it went, and perhaps another came
            (Some(seen), _) => Verdict::Happened(UsageChange::removed(seen)),
            (None, _) => Verdict::DidNot,
        },
        Change::DeleteFolder => match (&intent.seen, &evidence.now) {
            (Some(seen), Some(now)) if seen.operation == now.operation => Verdict::DidNot,
            (Some(_), _) => Verdict::Happened(UsageChange::default()),
            (None, _) => Verdict::DidNot,
        },
        Change::RenameFolder { .. } => Verdict::FinishFolder,
        Change::Records => Verdict::Happened(UsageChange::default()),
        Change::RenameTo { source, .. } => match (made, &evidence.source_now) {
            (None, _) => Verdict::DidNot,
            (Some(_), Some(now)) if now.etag == source.etag && now.operation == source.operation => {
                Verdict::FinishRename
            }
            (Some(_), _) if evidence.replaced_by_other => Verdict::KeptBoth,
            (Some(_), _) => Verdict::Happened(renamed(intent.seen.as_ref())),
        },
    }
}

/// A rename moves no usage, if nobody else counts that its source is gone; what it replaced goes.
pub fn renamed(replaced: Option<&Seen>) -> UsageChange {
    replaced.map_or(UsageChange::default(), UsageChange::removed)
}

#[cfg(test)]
mod tests;
