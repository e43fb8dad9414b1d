//! The record of a delivery: what was to be told, each attempt, and what has become of it. It decides who may send: an attempt
//! claims the record under a lease, so that of two messages about one delivery one sends and the other goes away.
//!
//! A delivery that is sent again on demand begins another *round*, with the whole schedule of retries. Of rounds the last one
//! counts; messages of earlier ones find that and go away.

use crate::digest::derived_id;
use crate::event::Topic;
use crate::queue_message::{Content, Delivery};
use crate::time::Timestamp;
use crate::webhook::schedule::Next;
use serde::{Deserialize, Serialize};

/// For how long an attempt has its delivery: as long as its function may run. Nobody sends meanwhile.
pub const LEASE_MILLIS: i64 = 30_000;

/// How long a delivery's record is kept after its last change, in seconds.
pub const KEPT_SECONDS: i64 = 30 * 24 * 3600;

/// How many attempts are remembered, the latest: more than a round has.
pub const MOST_ATTEMPTS: usize = 20;

/// How much of a receiver's answer is kept, in bytes of text.
pub const KEPT_ANSWER: usize = 1024;

/// The longest wait for which a message is put back into its queue; who waits longer is found by its record.
pub const LONGEST_DELAY_SECONDS: u32 = 900;

/// A retry whose message got lost is sent by whoever looks for what is due, so much later, in milliseconds; later by twice as much
/// each time, up to so many times, because the message may only wait behind others.
const GRACE_MILLIS: i64 = 180_000;
const MOST_DOUBLINGS: u32 = 5;

/// The id of the delivery of an event to a webhook: the time of the event, and a hash of both, so that duplicates collapse and ids
/// are in the order of time. In form it is a UUID of version 7.
pub fn delivery_id(at: Timestamp, event_id: &str, webhook_id: &str) -> String {
    let hash = derived_id(&["delivery", event_id, webhook_id]);
    let time = first_id(at);
    // both are UUIDs: 8-4-4-4-12
    format!("{}7{}", time.get(..14).unwrap_or_default(), hash.get(15..).unwrap_or_default())
}

/// What ids of deliveries of this time and later are not less than.
pub fn first_id(at: Timestamp) -> String {
    let millis = u64::try_from(at.millis()).unwrap_or_default().to_be_bytes();
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(millis.iter().skip(2)) {
        *to = *from;
    }
    let hex = hex::encode(bytes);
    let part = |range| hex.get(range).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32))
}

/// What has become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Its first attempt is to come.
    Pending,
    /// It has arrived.
    Succeeded,
    /// It has been given up.
    Failed,
    /// Another attempt is to come.
    Retrying,
    /// The webhook was paused: nothing was sent.
    Missed,
}

impl Status {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Succeeded, Self::Failed, Self::Retrying, Self::Missed];

    /// As the API names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Retrying => "Retrying",
            Self::Missed => "Missed",
        }
    }

    /// Whether no attempt is to come.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Missed)
    }
}

/// One try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// `Metadata.Attempt.Id` of its body.
    pub id: String,
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub millis: u32,
    /// The HTTP status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why there is none, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The beginning of the answer, as text and without our secrets.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub answer: String,
    /// Of which round it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<String>,
}

/// The record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logged {
    /// What is delivered: its id, whose it is, what it tells. How often it failed, in the round that counts.
    pub delivery: Delivery,
    /// What has become of it.
    pub status: Status,
    /// The tries, the latest last.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    /// How many tries there were.
    #[serde(default)]
    pub tried: u32,
    /// Until when somebody has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
    /// When its next try is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    /// How often it was sent since then because no message came.
    #[serde(default)]
    pub woken: u32,
    /// When it was first written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Whether a message may lead to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It does: the record is changed and must be written before anything is sent.
    Yours,
    /// Somebody has it until then.
    Later(Timestamp),
    /// It is over, or another message stands for it.
    Over,
}

impl Logged {
    /// A record of what has not been tried.
    pub fn new(delivery: Delivery, status: Status, now: Timestamp) -> Self {
        Self {
            // which queue a message is in concerns that message alone
            delivery: Delivery { slow: false, not_before: None, ..delivery },
            status,
            attempts: Vec::new(),
            tried: 0,
            lease_until: None,
            next_attempt_at: None,
            woken: 0,
            created_at: now,
            updated_at: now,
        }
    }

    /// A new record that its message has claimed.
    pub fn claimed(delivery: Delivery, now: Timestamp) -> Self {
        let lease_until = Some(now.plus_millis(LEASE_MILLIS));
        Self { lease_until, ..Self::new(delivery, Status::Pending, now) }
    }

    /// What the message may do.
    pub fn claim(&mut self, message: &Delivery, now: Timestamp) -> Claim {
        if message.round == self.delivery.round {
            if self.status.is_over() || message.failed_attempts < self.delivery.failed_attempts {
                return Claim::Over;
            }
        } else {
            let was = |round: &str| self.attempts.iter().any(|attempt| attempt.round.as_deref() == Some(round));
            // without a round: the first one, which another has followed
            if message.round.as_deref().is_none_or(was) {
                return Claim::Over;
            }
        }
        if let Some(until) = self.lease_until.filter(|until| *until > now) {
            return Claim::Later(until);
        }
        if message.round != self.delivery.round {
            self.delivery.round.clone_from(&message.round);
            self.delivery.failed_attempts = 0;
            self.status = Status::Pending;
        }
        self.lease_until = Some(now.plus_millis(LEASE_MILLIS));
        (self.next_attempt_at, self.woken, self.updated_at) = (None, 0, now);
        Claim::Yours
    }

    /// Notes a try and what follows from it.
    pub fn tried(&mut self, mut attempt: Attempt, next: Next, now: Timestamp) {
        attempt.round.clone_from(&self.delivery.round);
        self.attempts.push(attempt);
        if self.attempts.len() > MOST_ATTEMPTS {
            self.attempts.remove(0);
        }
        self.tried = self.tried.saturating_add(1);
        (self.lease_until, self.next_attempt_at, self.updated_at) = (None, None, now);
        if next != Next::Done {
            self.delivery.failed_attempts = self.delivery.failed_attempts.saturating_add(1);
        }
        self.status = match next {
            Next::Done => Status::Succeeded,
            Next::Failed | Next::Gone => Status::Failed,
            Next::Retry(seconds) => {
                self.next_attempt_at = Some(now.plus_millis(i64::from(seconds) * 1000));
                Status::Retrying
            }
        };
    }

    /// Notes that the webhook is paused.
    pub fn missed(&mut self, now: Timestamp) {
        (self.status, self.lease_until, self.next_attempt_at, self.updated_at) = (Status::Missed, None, None, now);
    }

    /// When it must be looked for, if no message does.
    pub fn due(&self) -> Option<Timestamp> {
        let next = self.next_attempt_at?;
        let by_message = next.millis() - self.updated_at.millis() <= i64::from(LONGEST_DELAY_SECONDS) * 1000;
        Some(if by_message { next.plus_millis(GRACE_MILLIS << self.woken.min(MOST_DOUBLINGS)) } else { next })
    }

    /// Notes that it was sent because no message came. When it is due next depends on how often that was.
    pub fn woken(&mut self, now: Timestamp) {
        (self.next_attempt_at, self.woken, self.updated_at) = (Some(now), self.woken.saturating_add(1), now);
    }

    /// Notes that nobody is there any more to be told.
    pub fn abandoned(&mut self, now: Timestamp) {
        (self.status, self.lease_until, self.next_attempt_at, self.updated_at) = (Status::Failed, None, None, now);
    }

    /// What it tells of.
    pub fn topic(&self) -> Topic {
        match &self.delivery.content {
            Content::Event { event } => event.topic,
            Content::Ping { .. } => Topic::WebhookPing,
        }
    }

    /// Whether its end counts for its webhook's pause: that of what nobody asked for does.
    pub fn counts(&self) -> bool {
        self.delivery.round.is_none() && matches!(self.delivery.content, Content::Event { .. })
    }
}

/// The first bytes of an answer as text: what is no text is replaced, and so are these secrets.
pub fn kept_answer(bytes: &[u8], secrets: &[&str]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    // first what could stand between a secret's letters
    text.retain(|one| !one.is_control() || matches!(one, '\n' | '\t'));
    for secret in secrets.iter().filter(|secret| secret.len() >= 4) {
        text = text.replace(secret, "[redacted]");
    }
    text.truncate(text.floor_char_boundary(KEPT_ANSWER));
    text
}

#[cfg(test)]
mod tests;
