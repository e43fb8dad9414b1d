//! The S3 index: one SQLite connection that knows every bucket, object, part and blob reference.
//!
//! Rule: everything a request decides (does the key exist, does the ETag match, who replaces whom) happens in one
//! transaction on the one connection, so conditional writes have exactly one winner. Transactions run on the blocking
//! pool, one at a time; a waiting request holds no thread. Blobs without references are deleted after the commit.

use super::blobs::{Blobs, NewBlob};
use super::failure::{Failure, Outcome};
use super::record::{Detail, Record, Segment};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use s3s::s3_error;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Mutex;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, created_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
    id INTEGER PRIMARY KEY, bucket TEXT NOT NULL, key BLOB NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL,
    modified_ms INTEGER NOT NULL, detail TEXT NOT NULL, UNIQUE (bucket, key));
CREATE TABLE IF NOT EXISTS blobs (id INTEGER PRIMARY KEY, refs INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key BLOB NOT NULL, created_ms INTEGER NOT NULL, head TEXT NOT NULL,
    algorithm TEXT, composite INTEGER NOT NULL, done TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS uploads_by_key ON uploads (bucket, key, id) WHERE done IS NULL;
CREATE TABLE IF NOT EXISTS parts (
    upload TEXT NOT NULL, number INTEGER NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL,
    modified_ms INTEGER NOT NULL, sums TEXT NOT NULL, segments TEXT NOT NULL, PRIMARY KEY (upload, number)) WITHOUT ROWID;
";

#[derive(Clone)]
pub(super) struct Index {
    connection: Arc<Mutex<Connection>>,
    pub(super) blobs: Arc<Blobs>,
}

impl Index {
    pub(super) fn memory() -> Outcome<Self> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self::new(connection, Blobs::memory()))
    }

    pub(super) fn folder(dir: &Path) -> Outcome<Self> {
        std::fs::create_dir_all(dir)?;
        let connection = crate::sqlite::open(&dir.join("index.db"))?;
        connection.execute_batch(SCHEMA)?;
        let blobs = Blobs::folder(&dir.join("blobs"))?;
        let known: HashSet<i64> = connection
            .prepare("SELECT id FROM blobs")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, rusqlite::Error>>()?;
        let swept = blobs.sweep(&known)?;
        if swept > 0 {
            tracing::info!(swept, "deleted blobs left over from the last run");
        }
        Ok(Self::new(connection, blobs))
    }

    fn new(connection: Connection, blobs: Blobs) -> Self {
        connection.set_prepared_statement_cache_capacity(64);
        Self { connection: Arc::new(Mutex::new(connection)), blobs: Arc::new(blobs) }
    }

    /// Runs `work` in a transaction: all of it happens, or nothing. Also when nobody waits for it any more: a client that
    /// hangs up drops the future, while the transaction goes on; so what belongs to its success is done in here.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Work<'_>) -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        let mut connection = self.connection.clone().lock_owned().await;
        let blobs = self.blobs.clone();
        tokio::task::spawn_blocking(move || {
            let (done, freed, adopted) = {
                let transaction = connection.transaction()?;
                let mut unit = Work { transaction, blobs: &blobs, freed: Vec::new(), adopted: Vec::new() };
                let done = work(&mut unit)?;
                let Work { transaction, freed, adopted, .. } = unit;
                transaction.commit()?;
                (done, freed, adopted)
            };
            adopted.into_iter().for_each(NewBlob::keep);
            drop(connection);
            for id in freed {
                blobs.remove(id);
            }
            Ok(done)
        })
        .await?
    }
}

/// A transaction in progress.
pub(super) struct Work<'a> {
    pub(super) transaction: Transaction<'a>,
    pub(super) blobs: &'a Arc<Blobs>,
    freed: Vec<i64>,
    adopted: Vec<NewBlob>,
}

/// SQLite stores signed numbers; object sizes stay far below the limit.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

impl Work<'_> {
    pub(super) fn bucket(&self, name: &str) -> Outcome<()> {
        let found: Option<i64> = self
            .transaction
            .prepare_cached("SELECT 1 FROM buckets WHERE name = ?1")?
            .query_row([name], |row| row.get(0))
            .optional()?;
        found.map(|_| ()).ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist").into())
    }

    pub(super) fn find(&self, bucket: &str, key: &str) -> Outcome<Option<(i64, Record)>> {
        let mut statement = self
            .transaction
            .prepare_cached("SELECT id, size, etag, modified_ms, detail FROM objects WHERE bucket = ?1 AND key = ?2")?;
        let row = statement
            .query_row(params![bucket, key.as_bytes()], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get::<_, String>(4)?))
            })
            .optional()?;
        let Some((id, size, etag, modified_ms, detail)) = row else {
            return Ok(None);
        };
        let detail: Detail = serde_json::from_str(&detail)?;
        Ok(Some((id, Record { size: unsigned(size), etag, modified_ms, detail })))
    }

    /// The object, or the S3 error that says why there is none.
    pub(super) fn object(&self, bucket: &str, key: &str) -> Outcome<Record> {
        match self.find(bucket, key)? {
            Some((_, record)) => Ok(record),
            None => {
                self.bucket(bucket)?;
                Err(s3_error!(NoSuchKey, "The specified key does not exist.").into())
            }
        }
    }

    /// Puts `record` at the key in place of `old`. References to the new segments must be counted already.
    pub(super) fn replace(&mut self, bucket: &str, key: &str, old: Option<(i64, Record)>, new: &Record) -> Outcome<()> {
        let detail = serde_json::to_string(&new.detail)?;
        match old {
            Some((id, old)) => {
                self.transaction
                    .prepare_cached(
                        "UPDATE objects SET size = ?2, etag = ?3, modified_ms = ?4, detail = ?5 WHERE id = ?1",
                    )?
                    .execute(params![id, signed(new.size), new.etag, new.modified_ms, detail])?;
                self.release(&old.detail.segments)?;
            }
            None => {
                self.transaction
                    .prepare_cached(
                        "INSERT INTO objects (bucket, key, size, etag, modified_ms, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    )?
                    .execute(params![bucket, key.as_bytes(), signed(new.size), new.etag, new.modified_ms, detail])?;
            }
        }
        Ok(())
    }

    pub(super) fn delete(&mut self, id: i64, record: &Record) -> Outcome<()> {
        self.transaction.prepare_cached("DELETE FROM objects WHERE id = ?1")?.execute([id])?;
        self.release(&record.detail.segments)
    }

    /// Takes a new blob over, whose references this transaction counts: it stays if the transaction happens.
    pub(super) fn adopt(&mut self, blob: Option<NewBlob>) {
        self.adopted.extend(blob);
    }

    /// Counts one reference for each segment.
    pub(super) fn retain(&self, segments: &[Segment]) -> Outcome<()> {
        let mut statement = self.transaction.prepare_cached(
            "INSERT INTO blobs (id, refs) VALUES (?1, 1) ON CONFLICT (id) DO UPDATE SET refs = refs + 1",
        )?;
        for segment in segments {
            statement.execute([segment.blob])?;
        }
        Ok(())
    }

    pub(super) fn release(&mut self, segments: &[Segment]) -> Outcome<()> {
        let mut less =
            self.transaction.prepare_cached("UPDATE blobs SET refs = refs - 1 WHERE id = ?1 RETURNING refs")?;
        let mut delete = self.transaction.prepare_cached("DELETE FROM blobs WHERE id = ?1")?;
        for segment in segments {
            let refs: i64 = less.query_row([segment.blob], |row| row.get(0))?;
            if refs <= 0 {
                delete.execute([segment.blob])?;
                self.freed.push(segment.blob);
            }
        }
        Ok(())
    }
}

impl From<Failure> for std::io::Error {
    fn from(failure: Failure) -> Self {
        Self::other(failure.to_string())
    }
}
