//! Who changed what: each change of an account or a setting is announced, with the names of the fields and not what is in them.
//!
//! The announcement is written with the change, in one transaction, as an intent ([`Change::Records`]). Then it goes to the
//! queue; if that fails, or this process dies, the sweep of a node sends it: so an answered change is never unannounced.
//!
//! [`Change::Records`]: domain::intent::Change::Records

use crate::management::{Caller, Management};
use domain::event::{Actor, Changed, ChangedHow, ChangedKind, Event, Origin, Topic};
use domain::id::{OperationId, OrganizationId, uuid_text};
use domain::intent::Intent;
use domain::queue_message::QueueMessage;
use serde::Serialize;
use serde_json::Value;
use store::clock;
use store::messages::Messages;
use store::records::{RecordError, Records};

/// What differs between any two versions of a record, and says nothing.
const ALWAYS: [&str; 2] = ["updated_at", "ssh_keys"];

/// Records whose next write is announced.
pub(crate) struct Announced<'a> {
    messages: &'a Messages,
    intents: Vec<Intent>,
    /// To write with, once.
    pub(crate) records: Records,
}

/// Records whose next write announces these events.
pub(crate) fn announcing<'a>(records: &Records, messages: &'a Messages, events: Vec<Event>) -> Announced<'a> {
    let intent = |event| Intent::announcing(OperationId::from_random(clock::random()), event);
    let intents: Vec<Intent> = events.into_iter().map(intent).collect();
    Announced { messages, records: records.announcing(&intents), intents }
}

impl Management {
    /// The same for its own.
    pub(crate) fn announcing(&self, events: Vec<Event>) -> Announced<'_> {
        announcing(&self.records, &self.messages, events)
    }

    /// Announces what was done elsewhere than in these records, before it is answered.
    pub(super) async fn announce(&self, event: Event) -> Result<(), RecordError> {
        let announced = self.announcing(vec![event]);
        let written = announced.records.write_announcements().await;
        announced.told(written).await
    }
}

impl Announced<'_> {
    /// Sends the events if the write happened.
    pub(crate) async fn told<T>(self, written: Result<T, RecordError>) -> Result<T, RecordError> {
        if written.is_ok() {
            let events = self.intents.iter().filter_map(|intent| intent.event.clone());
            let messages: Vec<_> = events.map(|event| (QueueMessage::event(event), 0)).collect();
            let sent = match self.messages.send(&messages).await {
                Ok(()) => self.records.forget_announced(&self.intents).await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = sent {
                tracing::warn!(error, "a change is announced by the sweep");
            }
        }
        written
    }
}

/// What was changed.
pub(crate) fn changed(kind: ChangedKind, how: ChangedHow, id: impl ToString, name: impl ToString) -> Changed {
    Changed { kind, id: id.to_string(), name: name.to_string(), how, fields: Vec::new() }
}

/// The same with what is different now.
pub(crate) fn updated<T: Serialize>(
    kind: ChangedKind,
    (id, name): (impl ToString, impl ToString),
    old: &T,
    new: &T,
) -> Changed {
    Changed { fields: different(old, new), ..changed(kind, ChangedHow::Updated, id, name) }
}

/// The names of the fields of a record that differ.
fn different<T: Serialize>(old: &T, new: &T) -> Vec<String> {
    let (Ok(Value::Object(old)), Ok(Value::Object(new))) = (serde_json::to_value(old), serde_json::to_value(new))
    else {
        return Vec::new();
    };
    let mut names: Vec<String> = old.keys().chain(new.keys()).cloned().collect();
    names.sort();
    names.dedup();
    names.retain(|name| old.get(name) != new.get(name) && !ALWAYS.contains(&name.as_str()));
    names
}

/// The event of a change by an admin or a key.
pub(crate) fn by(caller: &Caller, changed: Changed) -> Event {
    event(Topic::AdminChanged, caller.organization.clone(), caller.actor(), None, changed)
}

pub(crate) fn event(
    topic: Topic,
    organization: OrganizationId,
    actor: Actor,
    origin: Option<Origin>,
    changed: Changed,
) -> Event {
    Event {
        id: uuid_text(clock::random()),
        topic,
        created_at: clock::now(),
        organization,
        actor,
        origin,
        file: None,
        reason: None,
        api_key: None,
        changed: Some(Box::new(changed)),
        previous: None,
        user_agent: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_and_no_values() {
        let old = json!({"a": 1, "b": "secret", "updated_at": 1, "gone": 1, "same": [1]});
        let new = json!({"a": 1, "b": "another", "updated_at": 2, "new": 1, "same": [1]});
        assert_eq!(different(&old, &new), ["b", "gone", "new"]);
        let text = serde_json::to_string(&updated(ChangedKind::Webhook, ("i", "n"), &old, &new)).unwrap();
        assert!(!text.contains("secret") && !text.contains("another"), "{text}");
    }
}
