//! Jobs: what takes longer than an answer may. A job is a record that somebody works on under a lease; what it has come to is in
//! the record, so that another worker can go on from there.

mod event_export;

pub use event_export::EventExport;

use crate::api_key::KeyUse;
use crate::id::{CredentialId, OrganizationId};
use crate::path::VPath;
use crate::quota::Holder;
use crate::retention::RetentionPolicy;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::net::IpAddr;

/// A worker that gives no sign of life for so long is taken for dead, in milliseconds.
pub const LEASE_MILLIS: i64 = 60_000;

/// How many failures, or deaths of its worker, end a job.
pub const MOST_FAILURES: u32 = 5;

/// How long the record of a job that has ended is kept, in seconds.
pub const KEPT_SECONDS: i64 = 30 * 24 * 3600;

/// The id of a job: its time in milliseconds and 16 hex digits, so that ids are in the order of time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(String);

impl JobId {
    /// A new one.
    pub fn new(at: Timestamp, random: [u8; 8]) -> Self {
        Self(format!("{:013}-{}", at.millis().max(0), hex::encode(random)))
    }

    /// Reads one.
    pub fn parse(text: &str) -> Option<Self> {
        let (time, random) = text.split_once('-')?;
        let digits = time.len() == 13 && time.bytes().all(|byte| byte.is_ascii_digit());
        let hex = random.len() == 16 && random.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (digits && hex).then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for JobId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| "not a job's id".to_owned())
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.0
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Task {
    /// Count again what a holder has stored.
    QuotaScan {
        /// Whose.
        holder: Holder,
        /// Its name, for people.
        name: String,
        /// The folders of the organization's tree that count for it.
        folders: Vec<VPath>,
    },
    /// Write events into a file.
    EventExport(EventExport),
    /// Send a webhook again what happened.
    WebhookReplay {
        /// Which.
        webhook: String,
        /// From when on, until the job was asked for.
        since: Timestamp,
    },
    /// Delete a folder with everything in it.
    DeleteFolder {
        /// Who does.
        by: By,
        /// Which.
        path: VPath,
    },
    /// Copy a folder with everything in it.
    CopyFolder {
        /// Who does.
        by: By,
        /// Which.
        from: VPath,
        /// Its new name.
        to: VPath,
    },
    /// Delete what has been kept for long enough.
    RetentionCheck {
        /// Whose files.
        credential: CredentialId,
        /// Its name, for people.
        name: String,
        /// For how long what stays.
        policy: RetentionPolicy,
        /// Nothing is deleted, only told.
        dry_run: bool,
        /// Whether the organization gets a mail about it.
        mail: bool,
    },
}

/// The credential that a job works for, with what it had when it asked: a job may do what its credential still may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// Which.
    pub credential: CredentialId,
    /// Its name, for people.
    pub name: String,
    /// The API key that it came with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyUse>,
    /// From where.
    pub client_ip: IpAddr,
}

impl Task {
    /// Whether one of them is enough.
    pub fn does_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::QuotaScan { holder, .. }, Self::QuotaScan { holder: other, .. }) => holder == other,
            (Self::WebhookReplay { webhook, .. }, Self::WebhookReplay { webhook: other, .. }) => webhook == other,
            (Self::RetentionCheck { credential, .. }, Self::RetentionCheck { credential: other, .. }) => {
                credential == other
            }
            _ => self == other,
        }
    }

    /// As the API names it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::QuotaScan { .. } => "QuotaScan",
            Self::EventExport(_) => "EventExport",
            Self::WebhookReplay { .. } => "WebhookReplay",
            Self::DeleteFolder { .. } => "DeleteFolder",
            Self::CopyFolder { .. } => "CopyFolder",
            Self::RetentionCheck { .. } => "RetentionCheck",
        }
    }

    /// The credential that it works for, if it does for one.
    pub const fn by(&self) -> Option<&By> {
        match self {
            Self::DeleteFolder { by, .. } | Self::CopyFolder { by, .. } => Some(by),
            Self::QuotaScan { .. }
            | Self::EventExport(_)
            | Self::RetentionCheck { .. }
            | Self::WebhookReplay { .. } => None,
        }
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody works on it yet, or just now.
    Queued,
    /// Somebody does.
    Running,
    /// It has ended well.
    Succeeded,
    /// It has been given up.
    Failed,
}

impl State {
    /// Whether nothing more will happen.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }

    /// As the API names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "Queued",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }
}

/// What it has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Files looked at, or deliveries sent.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// One job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Which.
    pub id: JobId,
    /// Whose.
    pub organization: OrganizationId,
    /// What.
    pub task: Task,
    /// How far.
    pub state: State,
    /// Who asked for it, as events name actors.
    pub asked_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was last gone on with.
    pub updated_at: Timestamp,
    /// What it has come to.
    #[serde(default)]
    pub progress: Progress,
    /// For people: why it failed, or what was found.
    #[serde(default)]
    pub note: String,
    /// What was found or done, beyond numbers; whose shape is the task's.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub result: Value,
    /// Where it goes on; whose meaning is the task's.
    #[serde(default)]
    pub place: String,
    /// How often it has failed.
    #[serde(default)]
    pub failures: u32,
    /// Until when its worker has it; or when it is sent again, while nobody has.
    pub due: Timestamp,
}

impl Job {
    /// A new one, to be sent to the queue at once.
    pub fn new(id: JobId, organization: OrganizationId, task: Task, asked_by: String, now: Timestamp) -> Self {
        Self {
            id,
            organization,
            task,
            state: State::Queued,
            asked_by,
            created_at: now,
            updated_at: now,
            progress: Progress::default(),
            note: String::new(),
            result: Value::Null,
            place: String::new(),
            failures: 0,
            due: now.plus_millis(LEASE_MILLIS),
        }
    }

    /// Whether a worker may take it.
    pub fn is_free(&self, now: Timestamp) -> bool {
        match self.state {
            State::Queued => true,
            State::Running => self.due <= now,
            State::Succeeded | State::Failed => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_in_the_order_of_time() {
        let id = |millis| JobId::new(Timestamp::from_millis(millis), [7; 8]);
        assert!(id(1) < id(2) && id(999) < id(1_700_000_000_000));
        assert_eq!(JobId::parse(id(1_700_000_000_000).as_str()), Some(id(1_700_000_000_000)));
        for bad in ["", "1-2", "1700000000000-", "1700000000000-07070707070707ZZ", "x700000000000-0707070707070707"] {
            assert_eq!(JobId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_job_is_free_until_somebody_has_it_and_when_that_one_is_dead() {
        let at = Timestamp::from_millis;
        let (id, organization) = (JobId::new(at(0), [1; 8]), OrganizationId::from_random([1; 16]));
        let task = Task::QuotaScan { holder: Holder::Organization, name: String::new(), folders: Vec::new() };
        let mut job = Job::new(id, organization, task, "ana".into(), at(0));
        assert!(job.is_free(at(0)));
        job.state = State::Running;
        assert!(!job.is_free(at(LEASE_MILLIS - 1)) && job.is_free(at(LEASE_MILLIS)));
        job.state = State::Succeeded;
        assert!(!job.is_free(at(i64::MAX)));
    }
}
