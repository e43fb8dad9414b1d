//! What lies in the queues of events and of jobs. Both sides use these types: the node and the API write, the functions for webhooks
//! and for housekeeping read.
//!
//! Fields are added, never renamed; a reader that meets a kind or version it does not know fails, so that the message
//! stays in the queue until a reader that knows it is deployed.

use crate::event::{Actor, Event};
use crate::id::OrganizationId;
use crate::job::JobId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The version of the format. Anything else does not parse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct V1;

impl TryFrom<u8> for V1 {
    type Error = String;
    fn try_from(version: u8) -> Result<Self, String> {
        if version == 1 { Ok(Self) } else { Err(format!("queue message version {version} is not known here")) }
    }
}

impl From<V1> for u8 {
    fn from(_: V1) -> Self {
        1
    }
}

/// Word of a job that somebody is to work on. What it is stands in its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobMessage {
    /// The version.
    pub v: V1,
    /// Whose.
    pub organization: OrganizationId,
    /// Which.
    pub job: JobId,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum QueueMessage {
    /// Something happened; each webhook of the organization gets its own delivery.
    Event {
        /// The version.
        v: V1,
        /// What happened.
        event: Event,
    },
    /// One body for one webhook.
    Delivery {
        /// The version.
        v: V1,
        /// What to deliver.
        delivery: Delivery,
    },
    /// Events for the deployment's event bus.
    Stream {
        /// The version.
        v: V1,
        /// Which.
        streamed: Streamed,
    },
    /// Something that people of the organization are told by mail.
    Notice {
        /// The version.
        v: V1,
        /// What happened.
        event: Event,
    },
}

impl QueueMessage {
    /// An event.
    pub fn event(event: Event) -> Self {
        Self::Event { v: V1, event }
    }

    /// Events for the event bus.
    pub fn stream(streamed: Streamed) -> Self {
        Self::Stream { v: V1, streamed }
    }

    /// A mail to the organization.
    pub fn notice(event: Event) -> Self {
        Self::Notice { v: V1, event }
    }

    /// A delivery.
    pub fn delivery(delivery: Delivery) -> Self {
        Self::Delivery { v: V1, delivery }
    }
}

/// A delivery: the same id for the same event and webhook, however often it is tried or announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// A hash of event and webhook.
    pub id: String,
    /// Whose webhook.
    pub organization: OrganizationId,
    /// Which webhook.
    pub webhook: String,
    /// How many attempts have failed.
    pub failed_attempts: u32,
    /// Which time it is sent again on demand; none the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<String>,
    /// Whether it is in the queue for slow receivers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub slow: bool,
    /// Not before this: waits longer than a queue can delay a message are made of several hops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// What to tell.
    pub content: Content,
}

/// Events that an event bus is to have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streamed {
    /// Which.
    pub events: Vec<Event>,
    /// How often it has not taken them.
    pub failed: u32,
    /// When they were first handed over.
    pub since: Timestamp,
    /// Not before this.
    pub not_before: Timestamp,
}

/// What a delivery tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Content {
    /// An event of a file.
    Event {
        /// What happened.
        event: Box<Event>,
    },
    /// Somebody tries the webhook out.
    Ping {
        /// The ping's own id.
        id: String,
        /// When it was asked for.
        created_at: Timestamp,
        /// By whom.
        actor: Actor,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUED: &str = r#"{"v":1,"kind":"event","event":{"id":"5a1c1e0a-9c1e-4d59-9c39-0c2d8b1a7f11",
        "topic":"file.created","created_at":1591106805970,"organization":"0b8f0f0e-6c0a-4a52-9d5a-3f3a1f6e7c11",
        "actor":{"kind":"User","id":"ana"},"origin":{"protocol":"SFTP","client_ip":"127.0.0.1","session_id":"s1"},
        "file":{"path":"/dir/file 1.txt","folder":false,"size":357464}}}"#;

    #[test]
    fn an_event_as_the_node_writes_it() {
        let message: QueueMessage = serde_json::from_str(QUEUED).unwrap();
        let QueueMessage::Event { event, .. } = &message else { panic!("{message:?}") };
        assert_eq!(event.file.as_ref().unwrap().size, Some(357_464));
        let written = serde_json::to_value(&message).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(QUEUED).unwrap());
    }

    #[test]
    fn another_version_or_kind_does_not_parse() {
        assert!(serde_json::from_str::<QueueMessage>(&QUEUED.replace("\"v\":1", "\"v\":2")).is_err());
        assert!(serde_json::from_str::<QueueMessage>(&QUEUED.replace("\"kind\":\"event\"", "\"kind\":\"x\"")).is_err());
    }
}
