//! Recounts: a holder's files are listed in S3, and what is found takes the place of what was counted
//! ([`domain::quota::Holder`]).
//!
//! Listing takes as long as it takes, and files come and go meanwhile. So a recount begins by saying so in the usage record; from
//! then on whoever settles an operation adds it to usage as always, and notes it beside, with its key, in the same write. The
//! recount reads these notes page by page and adds those that are about keys it has listed already. Its last write puts the sum
//! in the place of usage on condition that no note is unread, so nothing is lost and nothing counted twice.
//!
//! At the limit: when [`MOST_NOTES`] are unread, nobody reads them any more, and whoever settles next ends the recount.

use crate::aws::Aws;
use crate::item::{Item, key_attributes, number, text};
use crate::patience::{AFTER_A_COLLISION, COLLISIONS, patiently, was_cancelled_by};
use crate::records::RecordError;
use crate::table;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};
use domain::id::{OrganizationId, uuid_text};
use domain::intent::UsageChange;
use domain::quota::Holder;
use domain::time::Timestamp;

/// The notes, oldest first.
pub(crate) const LOG: &str = "recount_log";
/// That nothing is to be noted.
pub(crate) const NONE: &str = "attribute_not_exists(recount)";
/// That notes are to be made, and there is room; [`MOST_NOTES`] is `:most`.
pub(crate) const NOTES: &str = "attribute_exists(recount) AND size(recount_log) < :most";
/// How many unread notes there may be before another batch of up to 60 is added: with the longest keys that is what an item may
/// hold.
pub(crate) const MOST_NOTES: usize = 300;

/// How often notes are read again because others came between.
const TRIES: usize = 20;

/// What was counted while a recount went on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The object's key.
    pub key: String,
    /// What was added there.
    pub change: UsageChange,
}

/// How usage is set by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// To this.
    To(UsageChange),
    /// By this.
    By(UsageChange),
}

/// How a recount's end went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The sum is the usage now.
    Counted,
    /// There are notes to be read first.
    Notes,
    /// Another recount has begun, or this one was given up.
    Lost,
}

/// The records. Cheap to clone.
#[derive(Clone)]
pub struct Scans {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

pub(crate) fn note(key: &str, change: UsageChange) -> String {
    format!("{} {} {key}", change.bytes, change.files)
}

fn read_note(text: &str) -> Option<Note> {
    let mut parts = text.splitn(3, ' ');
    let mut number = || parts.next()?.parse::<i64>().ok();
    let change = UsageChange { bytes: number()?, files: number()? };
    Some(Note { key: parts.next()?.to_owned(), change })
}

impl Scans {
    /// In the table of the settings.
    pub fn new(aws: &Aws) -> Self {
        Self { client: aws.dynamodb.clone(), table: aws.settings.table.clone() }
    }

    /// Begins a recount, in the place of one that may be going on.
    pub async fn begin(&self, organization: &OrganizationId, holder: &Holder, run: &str) -> Result<(), RecordError> {
        let update = self
            .update(organization, holder)
            .update_expression("SET v = :v, recount = :run, recount_log = :none")
            .expression_attribute_values(":v", number(1))
            .expression_attribute_values(":run", text(run))
            .expression_attribute_values(":none", AttributeValue::L(Vec::new()));
        self.once(update).await.map(|_| ())
    }

    /// The notes since the last time. `None`: this recount is not the one that goes on.
    pub async fn take(
        &self,
        organization: &OrganizationId,
        holder: &Holder,
        run: &str,
    ) -> Result<Option<Vec<Note>>, RecordError> {
        for _ in 0..TRIES {
            let Some(log) = self.log(organization, holder, Some(run)).await? else {
                return Ok(None);
            };
            if log.is_empty() {
                return Ok(Some(Vec::new()));
            }
            let update = self
                .update(organization, holder)
                .update_expression("SET recount_log = :none")
                .condition_expression("recount = :run AND size(recount_log) = :read")
                .expression_attribute_values(":run", text(run))
                .expression_attribute_values(":read", number(log.len()))
                .expression_attribute_values(":none", AttributeValue::L(Vec::new()));
            if self.once(update).await? {
                let notes: Option<Vec<Note>> = log.iter().map(|note| read_note(note)).collect();
                return notes.map(Some).ok_or_else(|| RecordError::Internal("a note of a recount".to_owned()));
            }
        }
        Err(RecordError::Conflict)
    }

    /// Puts the sum in the place of what was counted, if no note is unread.
    pub async fn end(
        &self,
        organization: &OrganizationId,
        holder: &Holder,
        (run, sum, now): (&str, UsageChange, Timestamp),
    ) -> Result<End, RecordError> {
        let update = self
            .update(organization, holder)
            .update_expression(
                "SET v = :v, bytes = :bytes, files = :files, updated_at = :now REMOVE recount, recount_log",
            )
            .condition_expression("recount = :run AND size(recount_log) = :none")
            .expression_attribute_values(":v", number(1))
            .expression_attribute_values(":run", text(run))
            .expression_attribute_values(":none", number(0))
            .expression_attribute_values(":bytes", number(sum.bytes))
            .expression_attribute_values(":files", number(sum.files))
            .expression_attribute_values(":now", number(now.millis()));
        if self.once(update).await? {
            return Ok(End::Counted);
        }
        Ok(if self.log(organization, holder, Some(run)).await?.is_some() { End::Notes } else { End::Lost })
    }

    /// Sets usage by hand; `false` while it is being counted.
    pub async fn set(
        &self,
        organization: &OrganizationId,
        holder: &Holder,
        set: Set,
        now: Timestamp,
    ) -> Result<bool, RecordError> {
        let (expression, usage) = match set {
            Set::To(usage) => ("SET v = :v, bytes = :bytes, files = :files, updated_at = :now", usage),
            Set::By(usage) => ("SET v = :v, updated_at = :now ADD bytes :bytes, files :files", usage),
        };
        let update = self
            .update(organization, holder)
            .update_expression(expression)
            .condition_expression(NONE)
            .expression_attribute_values(":v", number(1))
            .expression_attribute_values(":bytes", number(usage.bytes))
            .expression_attribute_values(":files", number(usage.files))
            .expression_attribute_values(":now", number(now.millis()));
        self.once(update).await
    }

    /// Ends a recount without a sum.
    pub async fn give_up(&self, organization: &OrganizationId, holder: &Holder, run: &str) -> Result<(), RecordError> {
        let update = self
            .update(organization, holder)
            .update_expression("REMOVE recount, recount_log")
            .condition_expression("recount = :run")
            .expression_attribute_values(":run", text(run));
        self.once(update).await.map(|_| ())
    }

    /// Whether a recount goes on whose notes are read; one whose notes are not is given up.
    pub(crate) async fn is_read(&self, organization: &OrganizationId, holder: &Holder) -> Result<bool, RecordError> {
        let item = self.item(organization, holder).await?;
        let Some(run) = item.as_ref().and_then(run) else {
            return Ok(false);
        };
        if log(item.as_ref()).len() < MOST_NOTES {
            return Ok(true);
        }
        tracing::warn!(%holder, run, "nobody reads what is counted during this recount: it is given up");
        self.give_up(organization, holder, run).await?;
        Ok(false)
    }

    /// The notes of a recount, if it goes on.
    async fn log(
        &self,
        organization: &OrganizationId,
        holder: &Holder,
        wanted: Option<&str>,
    ) -> Result<Option<Vec<String>>, RecordError> {
        let item = self.item(organization, holder).await?;
        Ok(item.filter(|item| run(item) == wanted).map(|item| log(Some(&item))))
    }

    async fn item(&self, organization: &OrganizationId, holder: &Holder) -> Result<Option<Item>, RecordError> {
        let key = key_attributes(table::usage(organization, holder));
        let request = self.client.get_item().table_name(&self.table).consistent_read(true).set_key(Some(key));
        Ok(patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?.item)
    }

    fn update(
        &self,
        organization: &OrganizationId,
        holder: &Holder,
    ) -> aws_sdk_dynamodb::types::builders::UpdateBuilder {
        let key = key_attributes(table::usage(organization, holder));
        Update::builder().table_name(&self.table).set_key(Some(key))
    }

    async fn once(&self, update: aws_sdk_dynamodb::types::builders::UpdateBuilder) -> Result<bool, RecordError> {
        once(&self.client, update.build().map_err(RecordError::internal)?).await
    }
}

fn run(item: &Item) -> Option<&str> {
    item.get("recount").and_then(|run| run.as_s().ok()).map(String::as_str)
}

fn log(item: Option<&Item>) -> Vec<String> {
    let notes = item.and_then(|item| item.get(LOG)).and_then(|log| log.as_l().ok()).cloned().unwrap_or_default();
    notes.into_iter().filter_map(|note| note.as_s().ok().cloned()).collect()
}

/// An update that happens once, though its answer gets lost: a transaction, which DynamoDB knows by its token for ten minutes.
/// `false` if its condition did not hold.
pub(crate) async fn once(client: &aws_sdk_dynamodb::Client, update: Update) -> Result<bool, RecordError> {
    let request = client
        .transact_write_items()
        .transact_items(TransactWriteItem::builder().update(update).build())
        .client_request_token(uuid_text(crate::clock::random()));
    let mut collisions = 0;
    loop {
        match patiently(|| request.clone().send()).await {
            Ok(_) => return Ok(true),
            Err(error) if was_cancelled_by(&error, "ConditionalCheckFailed") => return Ok(false),
            Err(error) if collisions < COLLISIONS && was_cancelled_by(&error, "TransactionConflict") => {
                collisions += 1;
                tokio::time::sleep(AFTER_A_COLLISION * collisions).await;
            }
            Err(error) => return Err(RecordError::unavailable(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_as_they_were_made() {
        let change = UsageChange { bytes: -5, files: 1 };
        for key in ["o/files/a", "o/files/a b  c", "o/files/ä\n1 2 3"] {
            assert_eq!(read_note(&note(key, change)), Some(Note { key: key.to_owned(), change }));
        }
        assert_eq!(read_note("1 x k"), None);
    }
}
