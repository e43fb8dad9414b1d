//! ReceiveMessage. A long poll sleeps until its queue's bell rings, the next hidden message becomes visible, or its time
//! is over; it never polls.

use super::add;
use super::digest::{self, MessageAttributes};
use super::error::{Outcome, SqsError};
use super::store::{self, Queues, queue_name};
use crate::clock;
use rusqlite::{OptionalExtension, Transaction, params};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::time::Instant;

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Receive {
    queue_url: String,
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

struct Row {
    id: i64,
    message_id: String,
    body: String,
    attributes: MessageAttributes,
    sent_ms: i64,
    receives: i64,
    first_receive_ms: Option<i64>,
}

/// What one look at the queue found.
struct Look {
    messages: Vec<Value>,
    /// When the next hidden message becomes visible.
    next_ms: Option<i64>,
    /// Dead-letter queues that got messages.
    moved_to: Option<String>,
    wait_s: i64,
}

fn in_range(name: &str, value: Option<i64>, low: i64, high: i64) -> Outcome<()> {
    if value.is_some_and(|value| !(low..=high).contains(&value)) {
        return Err(SqsError::invalid_value(format!(
            "Value for parameter {name} is invalid. Reason: Must be between {low} and {high}, if provided."
        )));
    }
    Ok(())
}

impl Receive {
    fn check(&self) -> Outcome<()> {
        in_range("MaxNumberOfMessages", self.max_number_of_messages, 1, 10)?;
        in_range("VisibilityTimeout", self.visibility_timeout, 0, 43_200)?;
        in_range("WaitTimeSeconds", self.wait_time_seconds, 0, 20)
    }

    fn wants(&self, attribute: &str) -> bool {
        let named = |names: &[String]| names.iter().any(|name| name == "All" || name == attribute);
        named(&self.attribute_names) || named(&self.message_system_attribute_names)
    }

    fn wanted_attributes(&self, all: &MessageAttributes) -> MessageAttributes {
        let wanted = |name: &str| {
            self.message_attribute_names.iter().any(|pattern| match pattern.strip_suffix(".*") {
                Some(prefix) => name.starts_with(prefix),
                None => pattern == "All" || pattern == ".*" || pattern == name,
            })
        };
        all.iter().filter(|(name, _)| wanted(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn shown(&self, row: &Row, receipt: &str, now: i64) -> Value {
        let mut system = Map::new();
        for (name, value) in [
            ("ApproximateReceiveCount", row.receives + 1),
            ("SentTimestamp", row.sent_ms),
            ("ApproximateFirstReceiveTimestamp", row.first_receive_ms.unwrap_or(now)),
        ] {
            if self.wants(name) {
                system.insert(name.to_owned(), json!(value.to_string()));
            }
        }
        if self.wants("SenderId") {
            system.insert("SenderId".to_owned(), json!(crate::s3::ACCOUNT));
        }
        let mut message = json!({
            "MessageId": row.message_id, "ReceiptHandle": receipt, "Body": row.body,
            "MD5OfBody": digest::of_body(&row.body),
        });
        if !system.is_empty() {
            add(&mut message, "Attributes", Value::Object(system));
        }
        let attributes = self.wanted_attributes(&row.attributes);
        if let Some(md5) = digest::of_attributes(&attributes) {
            add(&mut message, "MD5OfMessageAttributes", json!(md5));
            add(&mut message, "MessageAttributes", json!(attributes));
        }
        message
    }
}

fn candidates(transaction: &Transaction<'_>, queue: &str, now: i64, limit: i64) -> Outcome<Vec<Row>> {
    let mut statement = transaction.prepare_cached(
        "SELECT id, message_id, body, attributes, sent_ms, receives, first_receive_ms FROM messages
         WHERE queue = ?1 AND visible_ms <= ?2 ORDER BY visible_ms, id LIMIT ?3",
    )?;
    let mut rows = statement.query(params![queue, now, limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Row {
            id: row.get(0)?,
            message_id: row.get(1)?,
            body: row.get(2)?,
            attributes: serde_json::from_str(&row.get::<_, String>(3)?)?,
            sent_ms: row.get(4)?,
            receives: row.get(5)?,
            first_receive_ms: row.get(6)?,
        });
    }
    Ok(found)
}

fn look(transaction: &Transaction<'_>, queue: &str, input: &Receive) -> Outcome<Look> {
    let attributes = store::attributes(transaction, queue)?;
    let now = clock::now_ms();
    let redrive = attributes.redrive();
    let visibility = input.visibility_timeout.unwrap_or_else(|| attributes.visibility_s());
    let wanted = input.max_number_of_messages.unwrap_or(1);
    transaction
        .prepare_cached("DELETE FROM messages WHERE queue = ?1 AND sent_ms < ?2")?
        .execute(params![queue, now - attributes.retention_s() * 1000])?;
    let mut look = Look { messages: Vec::new(), next_ms: None, moved_to: None, wait_s: attributes.wait_s() };
    // messages that go to the dead-letter queue make room for others
    loop {
        let missing = wanted - i64::try_from(look.messages.len()).unwrap_or(wanted);
        let rows = candidates(transaction, queue, now, missing)?;
        let mut moved = false;
        for row in rows {
            if let Some(redrive) = redrive.as_ref().filter(|redrive| row.receives >= redrive.max_receives)
                && store::find(transaction, &redrive.queue)?.is_some()
            {
                transaction
                    .prepare_cached("UPDATE messages SET queue = ?2, visible_ms = ?3, receipt = NULL WHERE id = ?1")?
                    .execute(params![row.id, redrive.queue, now])?;
                look.moved_to = Some(redrive.queue.clone());
                moved = true;
                continue;
            }
            let receipt = format!("{:x}-{}", row.id, uuid::Uuid::new_v4().simple());
            transaction
                .prepare_cached(
                    "UPDATE messages SET visible_ms = ?2, receives = receives + 1, receipt = ?3,
                     first_receive_ms = coalesce(first_receive_ms, ?4) WHERE id = ?1",
                )?
                .execute(params![row.id, now + visibility * 1000, receipt, now])?;
            look.messages.push(input.shown(&row, &receipt, now));
        }
        if !moved {
            break;
        }
    }
    if look.messages.is_empty() {
        look.next_ms = transaction
            .prepare_cached(
                "SELECT visible_ms FROM messages WHERE queue = ?1 AND visible_ms > ?2 ORDER BY visible_ms LIMIT 1",
            )?
            .query_row(params![queue, now], |row| row.get(0))
            .optional()?;
    }
    Ok(look)
}

impl Queues {
    pub(super) async fn receive(&self, input: Receive) -> Outcome<Value> {
        input.check()?;
        let name = queue_name(&input.queue_url)?;
        let bell = self.bell(&name);
        let started = Instant::now();
        loop {
            // registered before looking, so that a message sent in between rings
            let rung = bell.notified();
            tokio::pin!(rung);
            rung.as_mut().enable();
            let (queue, request) = (name.clone(), input.clone());
            let found = self.run(move |transaction| look(transaction, &queue, &request)).await?;
            if let Some(dead) = &found.moved_to {
                self.bell(dead).notify_waiters();
            }
            let wait_s = u64::try_from(input.wait_time_seconds.unwrap_or(found.wait_s)).unwrap_or(0);
            let end = started + Duration::from_secs(wait_s);
            if !found.messages.is_empty() {
                return Ok(json!({ "Messages": found.messages }));
            }
            if Instant::now() >= end {
                return Ok(json!({}));
            }
            let next = found.next_ms.map(|next| {
                // one more millisecond: the clock may stand just before it
                Instant::now() + Duration::from_millis(u64::try_from(next - clock::now_ms() + 1).unwrap_or(1))
            });
            let until = next.map_or(end, |next| next.min(end));
            tokio::select! {
                () = &mut rung => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }
}
