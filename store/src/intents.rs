//! Intents in DynamoDB: what is about to happen to which object ([`domain::intent`]).
//!
//! Keys: `pk = INTENT#<organization>#<object key>`, `sk = <operation id>`, so that all operations on one key lie together;
//! and the sparse index `sweep` (`sweep_shard`, `sweep_at`), in which the sweep finds what nobody settled. An intent costs
//! one write (two with the index) when its operation begins and one share of a transaction when it is settled.
//!
//! `sweep_at` is a lease: its operation moves it on while it lasts ([`Intents::keep`]), the sweep takes it over when it has
//! passed ([`Intents::claim`]).

use crate::aws::Aws;
use crate::patience::{conditionally, patiently};
use crate::table::{self, PK, SK, SWEEP_AT, SWEEP_INDEX, SWEEP_SHARD, TTL, VERSION, sweep_partition};
use aws_sdk_dynamodb::error::{DisplayErrorContext, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use domain::id::{OperationId, OrganizationId};
use domain::intent::{Change, Intent, Seen};
use domain::time::Timestamp;
use std::collections::HashMap;
use std::time::Duration;

/// How long an intent is left alone after its operation last gave a sign of life, in milliseconds, if nothing else is
/// set. Operations give one every quarter of it while they last, so three may get lost.
pub const LEASE_MILLIS: i64 = 180_000;

/// Renewals in one lease.
const RENEWALS: u64 = 4;

/// How often a transaction is tried that meets another one, and the pause after the first time; it grows.
const MAX_CONFLICTS: u32 = 8;
const CONFLICT_PAUSE: Duration = Duration::from_millis(10);

/// How long a claim is kept, in seconds: far longer than any operation that may still believe in the version.
const CLAIM_SECONDS: i64 = 24 * 3600;

/// The records.
#[derive(Clone)]
pub struct Intents {
    dynamodb: aws_sdk_dynamodb::Client,
    table: String,
    lease_millis: i64,
}

/// An intent as the sweep found it.
#[derive(Clone, Debug)]
pub struct Overdue {
    /// What was to happen.
    pub intent: Intent,
    due: Timestamp,
}

/// Why an intent could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum IntentError {
    /// DynamoDB did not answer, or refused.
    #[error("the intent could not be recorded: {0}")]
    Unavailable(String),
    /// A record that this version cannot read.
    #[error("an intent record cannot be read: {0}")]
    Unreadable(String),
}

impl IntentError {
    fn built(error: aws_sdk_dynamodb::error::BuildError) -> Self {
        Self::Unavailable(error.to_string())
    }

    fn of<E, R>(error: SdkError<E, R>) -> Self
    where
        E: std::error::Error + 'static,
        R: std::fmt::Debug,
    {
        Self::Unavailable(DisplayErrorContext(&error).to_string())
    }
}

/// The primary key of one intent.
pub(crate) fn item_key(
    organization: &OrganizationId,
    key: &str,
    operation: &OperationId,
) -> HashMap<String, AttributeValue> {
    let key = table::intent(organization, key, operation);
    HashMap::from([(PK.to_owned(), AttributeValue::S(key.pk)), (SK.to_owned(), AttributeValue::S(key.sk))])
}

/// An intent as it is kept, which the sweep takes over at `due`.
pub(crate) fn item(intent: &Intent, due: Timestamp) -> Result<HashMap<String, AttributeValue>, IntentError> {
    let body = serde_json::to_string(intent).map_err(|error| IntentError::Unreadable(error.to_string()))?;
    let mut item = item_key(&intent.organization, &intent.key, &intent.operation);
    item.insert(VERSION.to_owned(), AttributeValue::N("1".to_owned()));
    item.insert("intent".to_owned(), AttributeValue::S(body));
    item.insert(SWEEP_SHARD.to_owned(), AttributeValue::S(sweep_partition(shard_of(&intent.operation))));
    item.insert(SWEEP_AT.to_owned(), number(due));
    Ok(item)
}

fn shard_of(operation: &OperationId) -> u8 {
    operation.as_str().bytes().fold(0u8, u8::wrapping_add)
}

/// When the record of a version that was taken away may go.
pub(crate) fn claim_ttl(now: Timestamp) -> AttributeValue {
    AttributeValue::N((now.seconds() + CLAIM_SECONDS).to_string())
}

fn number(time: Timestamp) -> AttributeValue {
    AttributeValue::N(time.millis().to_string())
}

impl Intents {
    /// In the table of the settings.
    pub fn new(aws: &Aws) -> Self {
        Self { dynamodb: aws.dynamodb.clone(), table: aws.settings.table.clone(), lease_millis: LEASE_MILLIS }
    }

    /// With another lease. Each intent carries the end of its own, so nodes with different ones get along.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        Self { lease_millis: i64::try_from(lease.as_millis()).unwrap_or(LEASE_MILLIS), ..self }
    }

    /// How often an operation renews its intent.
    pub fn renewal(&self) -> Duration {
        Duration::from_millis(self.lease_millis.unsigned_abs() / RENEWALS)
    }

    /// Records an intent, or replaces what was recorded for the same operation (when more is known). `false`, and nothing
    /// recorded, if the operation is to take away an object that another operation has taken or is taking away.
    pub async fn record(&self, intent: &Intent, now: Timestamp) -> Result<bool, IntentError> {
        let item = item(intent, now.plus_millis(self.lease_millis))?;
        let Some(claim) = self.claim_of(intent, now)? else {
            let request = self.dynamodb.put_item().table_name(&self.table).set_item(Some(item));
            patiently(|| request.clone().send()).await.map_err(IntentError::of)?;
            return Ok(true);
        };
        let put = Put::builder().table_name(&self.table).set_item(Some(item)).build().map_err(IntentError::built)?;
        let request = self
            .dynamodb
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().put(put).build())
            .transact_items(TransactWriteItem::builder().update(claim).build());
        let mut conflicts = 0;
        loop {
            let Err(error) = patiently(|| request.clone().send()).await else {
                return Ok(true);
            };
            let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) = error.as_service_error() else {
                return Err(IntentError::of(error));
            };
            if canceled.cancellation_reasons().iter().any(|reason| reason.code() == Some("ConditionalCheckFailed")) {
                return Ok(false);
            }
            // another transaction on the same records: it is over in a moment
            conflicts += 1;
            if conflicts == MAX_CONFLICTS {
                return Err(IntentError::of(error));
            }
            tokio::time::sleep(CONFLICT_PAUSE * conflicts).await;
        }
    }

    /// The claim on the version that an operation is to take away: nobody else's, or this operation's already.
    fn claim_of(&self, intent: &Intent, now: Timestamp) -> Result<Option<Update>, IntentError> {
        let Some((key, removed)) = intent.removes() else {
            return Ok(None);
        };
        let key = table::removal(&intent.organization, key, &removed.version());
        let operation = AttributeValue::S(intent.operation.to_string());
        // an update, because the record may say more by now: who counted the version
        let claim = Update::builder()
            .table_name(&self.table)
            .key(PK, AttributeValue::S(key.pk))
            .key(SK, AttributeValue::S(key.sk))
            .update_expression("SET #v = :v, #operation = :operation, #ttl = :ttl")
            .condition_expression("attribute_not_exists(pk) OR #operation = :operation")
            .expression_attribute_names("#v", VERSION)
            .expression_attribute_names("#operation", "operation")
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_values(":v", AttributeValue::N("1".to_owned()))
            .expression_attribute_values(":operation", operation)
            .expression_attribute_values(":ttl", claim_ttl(now))
            .build()
            .map_err(IntentError::built)?;
        Ok(Some(claim))
    }

    /// A sign of life of an operation that lasts; `false` if the intent is gone or was given up.
    pub async fn keep(&self, intent: &Intent, now: Timestamp) -> Result<bool, IntentError> {
        self.update(&intent.organization, &intent.key, &intent.operation, "SET sweep_at = :at", |update| {
            update
                .condition_expression("attribute_exists(sweep_shard)")
                .expression_attribute_values(":at", number(now.plus_millis(self.lease_millis)))
        })
        .await
    }

    /// Notes that `operation` did make the object that was `seen`, if its intent is still there. To be done before the
    /// operation that replaced or removed that object is settled.
    pub async fn mark_made(&self, organization: &OrganizationId, key: &str, seen: &Seen) -> Result<(), IntentError> {
        let Some(operation) = &seen.operation else {
            return Ok(());
        };
        self.update(organization, key, operation, "SET made_bytes = :bytes", |update| {
            update.expression_attribute_values(":bytes", AttributeValue::N(seen.bytes.to_string()))
        })
        .await
        .map(|_| ())
    }

    /// Whether it was noted, when a replacement was settled, that the object which was `seen` was replaced.
    pub async fn was_replaced(
        &self,
        organization: &OrganizationId,
        key: &str,
        seen: &Seen,
    ) -> Result<bool, IntentError> {
        let key = table::removal(organization, key, &seen.version());
        let request = self
            .dynamodb
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .key(PK, AttributeValue::S(key.pk))
            .key(SK, AttributeValue::S(key.sk));
        let answer = patiently(|| request.clone().send()).await.map_err(IntentError::of)?;
        Ok(answer.item().is_some_and(|item| item.contains_key("replaced")))
    }

    /// Takes an overdue intent over, unless somebody else has or its operation lives.
    pub async fn claim(&self, overdue: &Overdue, now: Timestamp) -> Result<bool, IntentError> {
        let intent = &overdue.intent;
        let request = self
            .dynamodb
            .update_item()
            .table_name(&self.table)
            .set_key(Some(item_key(&intent.organization, &intent.key, &intent.operation)))
            .update_expression("SET sweep_at = :at")
            .condition_expression("sweep_at = :seen")
            .expression_attribute_values(":at", number(now.plus_millis(self.lease_millis)))
            .expression_attribute_values(":seen", number(overdue.due));
        conditionally(|| request.clone().send()).await.map_err(IntentError::of)
    }

    /// Removes the intent of an operation that did not happen, and its claim first. For the operation itself, which knows.
    pub async fn drop(&self, intent: &Intent) -> Result<(), IntentError> {
        self.drop_claim(intent).await?;
        let request = self.dynamodb.delete_item().table_name(&self.table).set_key(Some(item_key(
            &intent.organization,
            &intent.key,
            &intent.operation,
        )));
        patiently(|| request.clone().send()).await.map_err(IntentError::of)?;
        Ok(())
    }

    /// For the sweep, which found that the operation has not happened: its claim goes, and nobody looks for it any more.
    /// The record stays for a day, because the operation may live after all, cut off from DynamoDB for longer than its
    /// lease: what it then makes visible is counted with this record, once.
    pub async fn give_up(&self, intent: &Intent, now: Timestamp) -> Result<(), IntentError> {
        self.drop_claim(intent).await?;
        let expression = "SET #ttl = :ttl REMOVE sweep_shard, sweep_at";
        self.update(&intent.organization, &intent.key, &intent.operation, expression, |update| {
            let expires = AttributeValue::N((now.seconds() + CLAIM_SECONDS).to_string());
            update.expression_attribute_names("#ttl", TTL).expression_attribute_values(":ttl", expires)
        })
        .await
        .map(|_| ())
    }

    async fn drop_claim(&self, intent: &Intent) -> Result<(), IntentError> {
        if let Some((key, removed)) = intent.removes() {
            let key = table::removal(&intent.organization, key, &removed.version());
            let request = self
                .dynamodb
                .delete_item()
                .table_name(&self.table)
                .key(PK, AttributeValue::S(key.pk))
                .key(SK, AttributeValue::S(key.sk))
                // once somebody has counted the version, the record says so until it expires
                .condition_expression("#operation = :operation AND attribute_not_exists(counted)")
                .expression_attribute_names("#operation", "operation")
                .expression_attribute_values(":operation", AttributeValue::S(intent.operation.to_string()));
            // if it is somebody else's, there is nothing to drop
            conditionally(|| request.clone().send()).await.map_err(IntentError::of)?;
        }
        Ok(())
    }

    /// All intents on one key, but for those that were given up.
    pub async fn on_key(&self, organization: &OrganizationId, key: &str) -> Result<Vec<Intent>, IntentError> {
        Ok(self.kept_on_key(organization, key).await?.into_iter().map(|found| found.intent).collect())
    }

    async fn kept_on_key(&self, organization: &OrganizationId, key: &str) -> Result<Vec<Overdue>, IntentError> {
        let request = self
            .dynamodb
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(table::intents(organization, key)));
        let answer = patiently(|| request.clone().send()).await.map_err(IntentError::of)?;
        answer.items().iter().filter(|item| item.contains_key(SWEEP_AT)).map(read).collect()
    }

    /// The intent on this key that is to rename the folder `from`, if there is one, as the sweep would find it, and whether
    /// its lease has passed.
    pub async fn folder_rename(
        &self,
        organization: &OrganizationId,
        key: &str,
        from: &str,
        now: Timestamp,
    ) -> Result<Option<(Overdue, bool)>, IntentError> {
        let all = self.kept_on_key(organization, key).await?;
        let wanted =
            |found: &Overdue| matches!(&found.intent.change, Change::RenameFolder { from: other, .. } if other == from);
        Ok(all.into_iter().find(wanted).map(|found| {
            let over = found.due.millis() < now.millis();
            (found, over)
        }))
    }

    /// Up to `limit` intents of one shard whose lease has passed.
    pub async fn overdue(&self, shard: u8, now: Timestamp, limit: i32) -> Result<Vec<Overdue>, IntentError> {
        let request = self
            .dynamodb
            .query()
            .table_name(&self.table)
            .index_name(SWEEP_INDEX)
            .key_condition_expression("sweep_shard = :shard AND sweep_at < :now")
            .expression_attribute_values(":shard", AttributeValue::S(sweep_partition(shard)))
            .expression_attribute_values(":now", number(now))
            .limit(limit);
        let answer = patiently(|| request.clone().send()).await.map_err(IntentError::of)?;
        // one that cannot be read (written by a newer version) must not keep the others waiting
        let readable = answer.items().iter().filter_map(|item| {
            read(item).inspect_err(|error| tracing::error!(%error, shard, "skipped an intent")).ok()
        });
        Ok(readable.collect())
    }

    /// An update of an intent that exists; `false` if it is gone.
    async fn update(
        &self,
        organization: &OrganizationId,
        key: &str,
        operation: &OperationId,
        expression: &str,
        values: impl FnOnce(
            aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder,
        ) -> aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder,
    ) -> Result<bool, IntentError> {
        let update = self
            .dynamodb
            .update_item()
            .table_name(&self.table)
            .set_key(Some(item_key(organization, key, operation)))
            .update_expression(expression)
            .condition_expression("attribute_exists(pk)");
        let request = values(update);
        conditionally(|| request.clone().send()).await.map_err(IntentError::of)
    }
}

fn read(item: &HashMap<String, AttributeValue>) -> Result<Overdue, IntentError> {
    let missing = |what: &str| IntentError::Unreadable(format!("{what} is missing"));
    let text = item.get("intent").and_then(|value| value.as_s().ok()).ok_or_else(|| missing("intent"))?;
    let mut intent: Intent = serde_json::from_str(text).map_err(|error| IntentError::Unreadable(error.to_string()))?;
    let number = |name: &str| item.get(name).and_then(|value| value.as_n().ok());
    if let Some(bytes) = number("made_bytes") {
        intent.made_bytes = Some(bytes.parse().map_err(|_| missing("made_bytes"))?);
    }
    let due = number(SWEEP_AT).and_then(|at| at.parse().ok()).ok_or_else(|| missing("sweep_at"))?;
    Ok(Overdue { intent, due: Timestamp::from_millis(due) })
}
