//! Records in DynamoDB: typed loads and saves, each naming what it costs in [`crate::table`].
//!
//! A save names the revision that was read; [`RecordError::Conflict`] means that somebody else was faster, or that the
//! name or record is taken. A conditional write whose answer was lost is repeated by the SDK and then fails on its own
//! effect; [`Records::put`] recognises its own item and calls that a success, and transactions carry a token.

mod accounts;
mod admins;
mod api_keys;
mod auth;
mod credential_lists;
mod credentials;
mod deliveries;
mod deployment;
mod folders;
mod idempotency;
mod key_requests;
mod organizations;
mod rate_rules;
mod retention;
mod shares;
mod ssh_keys;
mod webhooks;

pub use crate::item::Versioned;
pub use accounts::{NotOpened, Opened, PassedToken};
pub use admins::FullAdmins;
pub use auth::Passed;
pub use credentials::LoginRecords;
pub use deployment::{Bootstrap, BootstrapRecord};
pub use idempotency::{Claim, Claimed};
pub use shares::{Counted, FoundLink};

use crate::aws::Aws;
use crate::intents::{self, LEASE_MILLIS};
use crate::item::{Item, decode, encode, key_attributes, number, on_revision, sort_key, text};
use crate::nodes;
use crate::patience::{AFTER_A_COLLISION, COLLISIONS, patiently, was_cancelled_by};
use crate::seal::Sealer;
use crate::table::{Key, ListOf, PK, REV, SK, organization_partition};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update};
use domain::connection::Close;
use domain::id::OrganizationId;
use domain::intent::Intent;
use futures_util::FutureExt as _;
use rand::Rng as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a record could not be read or written. The source is for the log.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Somebody else was faster, or the name is taken.
    #[error("the record was changed meanwhile, or the name is taken")]
    Conflict,
    /// DynamoDB did not answer, or had no capacity.
    #[error("the table did not answer: {0}")]
    Unavailable(String),
    /// An item that this program cannot read or write.
    #[error("a record could not be read or written: {0}")]
    Internal(String),
}

impl RecordError {
    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        Self::Internal(error.to_string())
    }

    pub(crate) fn unavailable<E: std::error::Error + 'static>(error: E) -> Self {
        Self::Unavailable(aws_smithy_types::error::display::DisplayErrorContext(error).to_string())
    }
}

/// One page of a list.
pub struct Page<T> {
    /// The records.
    pub records: Vec<Versioned<T>>,
    /// The id after which the next page starts, if there is one.
    pub next: Option<String>,
}

/// The records of the deployment. Cheap to clone.
#[derive(Clone)]
pub struct Records {
    client: Client,
    table: String,
    sealer: Sealer,
    /// Written with the next change.
    with_it: Vec<Intent>,
}

impl Records {
    /// On the table of the settings.
    pub fn new(aws: &Aws, sealer: Sealer) -> Self {
        Self { client: aws.dynamodb.clone(), table: aws.settings.table.clone(), sealer, with_it: Vec::new() }
    }

    /// The same; the next change writes these intents with it. For one change: a second one would fail.
    #[must_use]
    pub fn announcing(&self, intents: &[Intent]) -> Self {
        Self { with_it: intents.to_vec(), ..self.clone() }
    }

    /// Writes the intents of [`Records::announcing`] and nothing with them.
    pub async fn write_announcements(&self) -> Result<(), RecordError> {
        self.transact(Vec::new()).await
    }

    /// Removes intents whose events are in the queue.
    pub async fn forget_announced(&self, intents: &[Intent]) -> Result<(), RecordError> {
        for intent in intents {
            let key = intents::item_key(&intent.organization, &intent.key, &intent.operation);
            let request = self.client.delete_item().table_name(&self.table).set_key(Some(key));
            patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        }
        Ok(())
    }

    /// For sealing and opening the secrets in records.
    pub fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    async fn get<T: DeserializeOwned>(&self, key: Key) -> Result<Option<Versioned<T>>, RecordError> {
        let request = self.client.get_item().table_name(&self.table).set_key(Some(key_attributes(key)));
        let answer = request.consistent_read(true).send().boxed().await.map_err(RecordError::unavailable)?;
        answer.item.map(decode).transpose()
    }

    /// Writes a record: a new one if `read` is `None`, otherwise over the revision that was read. Answers the new
    /// revision.
    async fn put<T: Serialize>(&self, key: &Key, read: Option<u64>, record: &T) -> Result<u64, RecordError> {
        let rev = read.map_or(1, |rev| rev.saturating_add(1));
        if !self.with_it.is_empty() {
            return self.transact(vec![self.put_in(key, read, record)?]).await.map(|()| rev);
        }
        let item = encode(key, rev, record)?;
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item.clone()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let request = on_revision(request, read);
        match patiently(|| request.clone().send()).await {
            Ok(_) => Ok(rev),
            Err(error) => match error.as_service_error() {
                Some(aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(failed)) => {
                    if failed.item() == Some(&item) {
                        Ok(rev)
                    } else {
                        Err(RecordError::Conflict)
                    }
                }
                _ => Err(RecordError::unavailable(error)),
            },
        }
    }

    /// The entries of an organization's list after an id, at most `limit` of them.
    async fn list<T: DeserializeOwned>(
        &self,
        organization: &OrganizationId,
        list: ListOf,
        after: Option<&str>,
        limit: u16,
    ) -> Result<Page<T>, RecordError> {
        self.query(organization_partition(organization), list.prefix(), after, limit).await
    }

    async fn query<T: DeserializeOwned>(
        &self,
        partition: String,
        prefix: &str,
        after: Option<&str>,
        limit: u16,
    ) -> Result<Page<T>, RecordError> {
        let start = after.map(|id| key_attributes(Key { pk: partition.clone(), sk: format!("{prefix}{id}") }));
        let mut request = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .expression_attribute_names("#pk", PK)
            .expression_attribute_values(":pk", text(partition))
            .set_exclusive_start_key(start)
            .limit(i32::from(limit));
        // DynamoDB takes no empty text for a key, also not as what one begins with
        request = if prefix.is_empty() {
            request.key_condition_expression("#pk = :pk")
        } else {
            request
                .key_condition_expression("#pk = :pk AND begins_with(#sk, :prefix)")
                .expression_attribute_names("#sk", SK)
                .expression_attribute_values(":prefix", text(prefix))
        };
        let answer = request.send().boxed().await.map_err(RecordError::unavailable)?;
        let next = answer.last_evaluated_key.as_ref().and_then(sort_key);
        let next = next.and_then(|key| key.strip_prefix(prefix)).map(str::to_owned);
        let records = answer.items.unwrap_or_default().into_iter().map(decode).collect::<Result<_, _>>()?;
        Ok(Page { records, next })
    }

    /// Writes everything or nothing. One that meets another write of its items is sent again a few times.
    async fn transact(&self, mut writes: Vec<TransactWriteItem>) -> Result<(), RecordError> {
        for intent in &self.with_it {
            let due = crate::clock::now().plus_millis(LEASE_MILLIS);
            let item = intents::item(intent, due).map_err(RecordError::internal)?;
            let put = Put::builder().table_name(&self.table).set_item(Some(item));
            let put = put.condition_expression("attribute_not_exists(pk)").build().map_err(RecordError::internal)?;
            writes.push(TransactWriteItem::builder().put(put).build());
        }
        // what is announced is the effect of a request
        if !self.with_it.is_empty() {
            writes.extend(self.mark_in()?);
        }
        let request = self.client.transact_write_items().set_transact_items(Some(writes));
        let mut left = COLLISIONS;
        loop {
            match request.clone().send().boxed().await {
                Ok(_) => return Ok(()),
                Err(error) if was_cancelled_by(&error, "ConditionalCheckFailed") => return Err(RecordError::Conflict),
                Err(error) if left > 0 && was_cancelled_by(&error, "TransactionConflict") => {
                    left -= 1;
                    let pause = AFTER_A_COLLISION.mul_f64(rand::rng().random_range(0.5..1.5));
                    tokio::time::sleep(pause).await;
                }
                Err(error) => return Err(RecordError::unavailable(error)),
            }
        }
    }

    fn put_in<T: Serialize>(&self, key: &Key, read: Option<u64>, record: &T) -> Result<TransactWriteItem, RecordError> {
        let rev = read.map_or(1, |rev| rev.saturating_add(1));
        let put = Put::builder().table_name(&self.table).set_item(Some(encode(key, rev, record)?));
        let put = match read {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(rev) => put
                .condition_expression("#rev = :rev")
                .expression_attribute_names("#rev", REV)
                .expression_attribute_values(":rev", number(rev)),
        };
        let put = put.build().map_err(RecordError::internal)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Deletes over the revision that was read, or whatever is there.
    fn delete_in(&self, key: Key, read: Option<u64>) -> Result<TransactWriteItem, RecordError> {
        let delete = Delete::builder().table_name(&self.table).set_key(Some(key_attributes(key)));
        let delete = match read {
            None => delete,
            Some(rev) => delete
                .condition_expression("#rev = :rev")
                .expression_attribute_names("#rev", REV)
                .expression_attribute_values(":rev", number(rev)),
        };
        let delete = delete.build().map_err(RecordError::internal)?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// The order to end sessions, as a part of what makes it necessary.
    fn close_in(&self, close: Option<&Close>) -> Result<Option<TransactWriteItem>, RecordError> {
        let Some(close) = close else {
            return Ok(None);
        };
        let put = nodes::close_in(&self.table, close, crate::clock::now())?;
        Ok(Some(TransactWriteItem::builder().put(put).build()))
    }

    /// Changes an item in place: `expression` must not touch `rev`, which grows by one, and `condition` is asked
    /// beside the item's existence.
    fn update_in(
        &self,
        key: Key,
        expression: &str,
        condition: &str,
        values: Item,
    ) -> Result<TransactWriteItem, RecordError> {
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key_attributes(key)))
            .update_expression(format!("ADD #rev :one, {expression}"))
            .condition_expression(format!("attribute_exists(pk){condition}"))
            .expression_attribute_names("#rev", REV)
            .set_expression_attribute_values(Some(values.into_iter().chain([(":one".to_owned(), number(1))]).collect()))
            .build()
            .map_err(RecordError::internal)?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}
