//! Queues and messages in SQLite, one connection, one transaction for each operation, and a bell for each queue that
//! wakes waiting receivers.

use super::attributes::Attributes;
use super::error::{Outcome, SqsError};
use crate::faults::FaultControl;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS queues (name TEXT PRIMARY KEY, created_ms INTEGER NOT NULL, modified_ms INTEGER NOT NULL,
    attributes TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, message_id TEXT NOT NULL, body TEXT NOT NULL,
    attributes TEXT NOT NULL, sent_ms INTEGER NOT NULL, visible_ms INTEGER NOT NULL,
    receives INTEGER NOT NULL DEFAULT 0, first_receive_ms INTEGER, receipt TEXT);
CREATE INDEX IF NOT EXISTS messages_by_time ON messages (queue, visible_ms, id);
";

const MANY_BELLS: usize = 1024;

pub(super) struct Queues {
    connection: Arc<tokio::sync::Mutex<Connection>>,
    bells: Mutex<HashMap<String, Arc<Notify>>>,
    pub(super) region: String,
    pub(super) faults: FaultControl,
}

/// What is stored, for the statistics page.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct StoredMessages {
    queues: i64,
    messages: i64,
}

impl Queues {
    pub(super) fn new(connection: Connection, region: &str, faults: FaultControl) -> Result<Self, rusqlite::Error> {
        connection.execute_batch(SCHEMA)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Self {
            connection: Arc::new(tokio::sync::Mutex::new(connection)),
            bells: Mutex::default(),
            region: region.to_owned(),
            faults,
        })
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        let mut connection = self.connection.clone().lock_owned().await;
        tokio::task::spawn_blocking(move || {
            let transaction = connection.transaction()?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })
        .await?
    }

    /// Rung when messages of the queue may have become visible.
    pub(super) fn bell(&self, queue: &str) -> Arc<Notify> {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        if bells.len() >= MANY_BELLS {
            // names nobody waits on; a later request makes a new bell
            bells.retain(|_, bell| Arc::strong_count(bell) > 1);
        }
        bells.entry(queue.to_owned()).or_default().clone()
    }

    pub(super) async fn stored(&self) -> Outcome<StoredMessages> {
        self.run(|transaction| {
            let sql = "SELECT (SELECT count(*) FROM queues), (SELECT count(*) FROM messages)";
            Ok(transaction
                .query_row(sql, [], |row| Ok(StoredMessages { queues: row.get(0)?, messages: row.get(1)? }))?)
        })
        .await
    }
}

/// A queue's attributes, or the error that it does not exist.
pub(super) fn attributes(transaction: &Transaction<'_>, queue: &str) -> Outcome<Attributes> {
    find(transaction, queue)?.ok_or_else(SqsError::no_queue)
}

pub(super) fn find(transaction: &Transaction<'_>, queue: &str) -> Outcome<Option<Attributes>> {
    let text: Option<String> = transaction
        .prepare_cached("SELECT attributes FROM queues WHERE name = ?1")?
        .query_row(params![queue], |row| row.get(0))
        .optional()?;
    Ok(match text {
        Some(text) => Some(serde_json::from_str(&text)?),
        None => None,
    })
}

/// The queue's name from its URL: the last segment, whatever host the URL names.
pub(super) fn queue_name(url: &str) -> Outcome<String> {
    let name = url.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if name.is_empty() {
        return Err(SqsError::no_queue());
    }
    Ok(name.to_owned())
}
