//! Sending, deleting, and changing the visibility of messages, one by one and in batches.

use super::add;
use super::attributes::{Attributes, MAX_MESSAGE};
use super::digest::{self, MessageAttributes};
use super::error::{Outcome, SqsError};
use super::store::{self, Queues, queue_name};
use crate::clock;
use crate::faults::{Kind, Service};
use rusqlite::{OptionalExtension, Transaction, params};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashSet;

const MAX_BATCH: usize = 10;
const MAX_DELAY_S: i64 = 900;
const MAX_VISIBILITY_S: i64 = 43_200;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Message {
    #[serde(default)]
    message_body: String,
    delay_seconds: Option<i64>,
    #[serde(default)]
    message_attributes: MessageAttributes,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Send {
    queue_url: String,
    #[serde(flatten)]
    message: Message,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch<T> {
    queue_url: String,
    #[serde(default = "Vec::new")]
    entries: Vec<Entry<T>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<T> {
    id: String,
    #[serde(flatten)]
    item: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Delete {
    receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeVisibility {
    receipt_handle: String,
    visibility_timeout: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct On<T> {
    queue_url: String,
    #[serde(flatten)]
    item: T,
}

impl Message {
    fn check(&self, queue: &Attributes) -> Outcome<()> {
        if self.message_body.is_empty() {
            return Err(SqsError::new(
                "MissingRequiredParameterException",
                "MissingParameter",
                "The request must contain the parameter MessageBody.",
            ));
        }
        let size = digest::size(&self.message_body, &self.message_attributes);
        let limit = queue.max_size().min(MAX_MESSAGE);
        if i64::try_from(size).is_ok_and(|size| size > limit) {
            return Err(SqsError::invalid_value(format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes."
            )));
        }
        if self.delay_seconds.is_some_and(|delay| !(0..=MAX_DELAY_S).contains(&delay)) {
            return Err(SqsError::invalid_value(
                "Value for parameter DelaySeconds is invalid. Reason: Must be between 0 and 900.",
            ));
        }
        let legal = |c: char| matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && c != '\u{fffe}' && c != '\u{ffff}');
        if !self.message_body.chars().all(legal) {
            return Err(SqsError::new("InvalidMessageContents", "InvalidMessageContents", "Invalid characters found."));
        }
        Ok(())
    }

    fn store(&self, transaction: &Transaction<'_>, name: &str, queue: &Attributes, copies: usize) -> Outcome<Value> {
        let message_id = uuid::Uuid::new_v4().to_string();
        let now = clock::now_ms();
        let visible = now + self.delay_seconds.unwrap_or_else(|| queue.delay_s()) * 1000;
        let attributes = serde_json::to_string(&self.message_attributes)?;
        for _ in 0..copies {
            transaction
                .prepare_cached(
                    "INSERT INTO messages (queue, message_id, body, attributes, sent_ms, visible_ms)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![name, message_id, self.message_body, attributes, now, visible])?;
        }
        let mut output = json!({ "MessageId": message_id, "MD5OfMessageBody": digest::of_body(&self.message_body) });
        if let Some(md5) = digest::of_attributes(&self.message_attributes) {
            add(&mut output, "MD5OfMessageAttributes", json!(md5));
        }
        Ok(output)
    }
}

/// What every batch must fulfil before any entry is looked at.
fn check_batch<T>(entries: &[Entry<T>]) -> Outcome<()> {
    let error = |shape, code, message: &str| Err(SqsError::new(shape, code, message));
    if entries.is_empty() {
        return error(
            "EmptyBatchRequest",
            "AWS.SimpleQueueService.EmptyBatchRequest",
            "There should be at least one entry in the request.",
        );
    }
    if entries.len() > MAX_BATCH {
        return error(
            "TooManyEntriesInBatchRequest",
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            "Maximum number of entries per request are 10.",
        );
    }
    let mut seen = HashSet::new();
    for entry in entries {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if entry.id.is_empty() || entry.id.len() > 80 || !entry.id.bytes().all(legal) {
            return error(
                "InvalidBatchEntryId",
                "AWS.SimpleQueueService.InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.",
            );
        }
        if !seen.insert(entry.id.as_str()) {
            return error(
                "BatchEntryIdsNotDistinct",
                "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
                "Two or more batch entries in the request have the same Id.",
            );
        }
    }
    Ok(())
}

/// Collects the answers of a batch, each entry on its own.
fn answer_batch(results: Vec<(String, Outcome<Value>)>) -> Value {
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for (id, result) in results {
        match result {
            Ok(mut output) => {
                add(&mut output, "Id", json!(id));
                successful.push(output);
            }
            Err(error) => failed.push(json!({
                "Id": id, "Code": error.query_code, "Message": error.message,
                "SenderFault": error.status.is_client_error(),
            })),
        }
    }
    json!({ "Successful": successful, "Failed": failed })
}

/// The row a receipt handle stands for, if the handle is the message's latest.
fn received(transaction: &Transaction<'_>, queue: &str, handle: &str) -> Outcome<Option<(i64, i64)>> {
    let row = handle.split_once('-').and_then(|(row, _)| i64::from_str_radix(row, 16).ok());
    let Some(row) = row else {
        return Err(SqsError::new(
            "ReceiptHandleIsInvalid",
            "ReceiptHandleIsInvalid",
            "The input receipt handle is not a valid receipt handle.",
        ));
    };
    Ok(transaction
        .prepare_cached("SELECT id, visible_ms FROM messages WHERE id = ?1 AND queue = ?2 AND receipt = ?3")?
        .query_row(params![row, queue, handle], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

fn delete(transaction: &Transaction<'_>, queue: &str, item: &Delete) -> Outcome<Value> {
    // an outdated handle deletes nothing and is no error, as on AWS
    if let Some((row, _)) = received(transaction, queue, &item.receipt_handle)? {
        transaction.prepare_cached("DELETE FROM messages WHERE id = ?1")?.execute([row])?;
    }
    Ok(json!({}))
}

fn change(transaction: &Transaction<'_>, queue: &str, item: &ChangeVisibility) -> Outcome<Value> {
    let Some(timeout) = item.visibility_timeout.filter(|timeout| (0..=MAX_VISIBILITY_S).contains(timeout)) else {
        return Err(SqsError::invalid_value(
            "Value for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and 43200.",
        ));
    };
    let now = clock::now_ms();
    match received(transaction, queue, &item.receipt_handle)? {
        Some((row, visible)) if visible > now => {
            transaction
                .prepare_cached("UPDATE messages SET visible_ms = ?2 WHERE id = ?1")?
                .execute(params![row, now + timeout * 1000])?;
            Ok(json!({}))
        }
        Some(_) | None => Err(SqsError::new(
            "MessageNotInflight",
            "AWS.SimpleQueueService.MessageNotInflight",
            "The message referred to is not in flight.",
        )),
    }
}

impl Queues {
    fn copies(&self) -> usize {
        let rate = self.faults.get().sqs.duplicate_rate;
        if self.faults.happens(Service::Sqs, Kind::Duplicate, rate) { 2 } else { 1 }
    }

    pub(super) async fn send(&self, input: Send) -> Outcome<Value> {
        let name = queue_name(&input.queue_url)?;
        let (bell, copies) = (self.bell(&name), self.copies());
        let output = self
            .run(move |transaction| {
                let queue = store::attributes(transaction, &name)?;
                input.message.check(&queue)?;
                input.message.store(transaction, &name, &queue, copies)
            })
            .await?;
        bell.notify_waiters();
        Ok(output)
    }

    pub(super) async fn send_batch(&self, input: Batch<Message>) -> Outcome<Value> {
        let name = queue_name(&input.queue_url)?;
        check_batch(&input.entries)?;
        let size = |entry: &Entry<Message>| digest::size(&entry.item.message_body, &entry.item.message_attributes);
        let total: usize = input.entries.iter().map(size).sum();
        if i64::try_from(total).is_ok_and(|total| total > MAX_MESSAGE) {
            return Err(SqsError::new(
                "BatchRequestTooLong",
                "AWS.SimpleQueueService.BatchRequestTooLong",
                format!("Batch requests cannot be longer than {MAX_MESSAGE} bytes. You have sent {total} bytes."),
            ));
        }
        let bell = self.bell(&name);
        let copies: Vec<usize> = input.entries.iter().map(|_| self.copies()).collect();
        let output = self
            .run(move |transaction| {
                let queue = store::attributes(transaction, &name)?;
                let mut results = Vec::new();
                for (entry, copies) in input.entries.into_iter().zip(copies) {
                    let stored =
                        entry.item.check(&queue).and_then(|()| entry.item.store(transaction, &name, &queue, copies));
                    results.push((entry.id, stored));
                }
                Ok(answer_batch(results))
            })
            .await?;
        bell.notify_waiters();
        Ok(output)
    }

    pub(super) async fn delete_message(&self, input: On<Delete>) -> Outcome<Value> {
        let name = queue_name(&input.queue_url)?;
        self.run(move |transaction| {
            store::attributes(transaction, &name)?;
            delete(transaction, &name, &input.item)
        })
        .await
    }

    pub(super) async fn delete_batch(&self, input: Batch<Delete>) -> Outcome<Value> {
        let name = queue_name(&input.queue_url)?;
        check_batch(&input.entries)?;
        self.run(move |transaction| {
            store::attributes(transaction, &name)?;
            let results = input.entries.into_iter().map(|entry| (entry.id, delete(transaction, &name, &entry.item)));
            Ok(answer_batch(results.collect()))
        })
        .await
    }

    pub(super) async fn change_visibility(&self, input: On<ChangeVisibility>) -> Outcome<Value> {
        let name = queue_name(&input.queue_url)?;
        let bell = self.bell(&name);
        let output = self
            .run(move |transaction| {
                store::attributes(transaction, &name)?;
                change(transaction, &name, &input.item)
            })
            .await?;
        bell.notify_waiters();
        Ok(output)
    }

    pub(super) async fn change_visibility_batch(&self, input: Batch<ChangeVisibility>) -> Outcome<Value> {
        let name = queue_name(&input.queue_url)?;
        check_batch(&input.entries)?;
        let bell = self.bell(&name);
        let output = self
            .run(move |transaction| {
                store::attributes(transaction, &name)?;
                let results =
                    input.entries.into_iter().map(|entry| (entry.id, change(transaction, &name, &entry.item)));
                Ok(answer_batch(results.collect()))
            })
            .await?;
        bell.notify_waiters();
        Ok(output)
    }
}
