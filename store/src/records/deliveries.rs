//! The delivery log ([`domain::webhook::delivery`]) and what has failed of a webhook ([`domain::webhook::health`]).
//!
//! A delivery that is given up is written in one transaction with the counter of failures and with what is announced of it: so it
//! counts once, whoever sees it how often.

use super::{RecordError, Records, Versioned};
use crate::item::{Item, decode, encode, key_attributes, number, on_revision, text};
use crate::patience::{conditionally, patiently};
use crate::table::{self, REV, SWEEP_AT, SWEEP_INDEX, SWEEP_SHARD, SWEEP_SHARDS, TTL, VERSION};
use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update};
use domain::id::OrganizationId;
use domain::time::Timestamp;
use domain::webhook::Webhook;
use domain::webhook::delivery::{KEPT_SECONDS, Logged};
use domain::webhook::health::Health;

impl Records {
    /// One delivery.
    pub async fn delivery(
        &self,
        organization: &OrganizationId,
        webhook: &str,
        id: &str,
    ) -> Result<Option<Versioned<Logged>>, RecordError> {
        self.get(table::delivery(organization, webhook, id)).await
    }

    /// Writes a delivery: a new one if `read` is `None`, otherwise over the revision that was read. The new revision, or `None` if
    /// somebody else was faster.
    pub async fn save_delivery(&self, record: &Logged, read: Option<u64>) -> Result<Option<u64>, RecordError> {
        let rev = read.map_or(1, |rev| rev.saturating_add(1));
        let request = self.client.put_item().table_name(&self.table).set_item(Some(delivery_item(record, rev)?));
        let request = on_revision(request, read);
        let written = conditionally(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        Ok(written.then_some(rev))
    }

    /// Writes a delivery that was given up, over the revision that was read; counts it if it `counts`. What is announced with it is
    /// told by [`Records::announcing`]. A conflict: somebody else was faster.
    pub async fn give_up_delivery(&self, record: &Logged, read: u64, counts: bool) -> Result<(), RecordError> {
        let put = Put::builder().table_name(&self.table).set_item(Some(delivery_item(record, read.saturating_add(1))?));
        let put = put
            .condition_expression("#rev = :rev")
            .expression_attribute_names("#rev", REV)
            .expression_attribute_values(":rev", number(read))
            .build()
            .map_err(RecordError::internal)?;
        let mut writes = vec![TransactWriteItem::builder().put(put).build()];
        if counts {
            let (organization, webhook) = (&record.delivery.organization, &record.delivery.webhook);
            let update = Update::builder()
                .table_name(&self.table)
                .set_key(Some(key_attributes(table::webhook_health(organization, webhook))))
                .update_expression(format!("{FAILING} ADD #rev :one, failures :one"))
                .expression_attribute_names("#rev", REV)
                .expression_attribute_names("#v", VERSION)
                .expression_attribute_names("#ttl", TTL)
                .set_expression_attribute_values(Some(failing_values(record.updated_at)));
            let update = update.build().map_err(RecordError::internal)?;
            writes.push(TransactWriteItem::builder().update(update).build());
        }
        self.transact(writes).await
    }

    /// What has failed of a webhook since its last success.
    pub async fn webhook_health(&self, organization: &OrganizationId, webhook: &str) -> Result<Health, RecordError> {
        let found: Option<Versioned<Health>> = self.get(table::webhook_health(organization, webhook)).await?;
        Ok(found.map(|found| found.value).unwrap_or_default())
    }

    /// Notes that an attempt has failed.
    pub async fn note_failing(
        &self,
        organization: &OrganizationId,
        webhook: &str,
        now: Timestamp,
    ) -> Result<(), RecordError> {
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key_attributes(table::webhook_health(organization, webhook))))
            .update_expression(format!("{FAILING} ADD #rev :one"))
            .expression_attribute_names("#rev", REV)
            .expression_attribute_names("#v", VERSION)
            .expression_attribute_names("#ttl", TTL)
            .set_expression_attribute_values(Some(failing_values(now)));
        patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        Ok(())
    }

    /// Notes that nothing fails any more.
    pub async fn forget_failures(&self, organization: &OrganizationId, webhook: &str) -> Result<(), RecordError> {
        let key = key_attributes(table::webhook_health(organization, webhook));
        let request = self.client.delete_item().table_name(&self.table).set_key(Some(key));
        patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        Ok(())
    }

    /// Writes a webhook that is served again: what failed before does not count any more.
    pub async fn resume_webhook(&self, webhook: &Webhook, read: u64) -> Result<u64, RecordError> {
        let (organization, id) = (&webhook.organization, &webhook.id);
        let put = self.put_in(&table::webhook(organization, id), Some(read), webhook)?;
        let forgotten = self.delete_in(table::webhook_health(organization, id), None)?;
        self.transact(vec![put, forgotten]).await.map(|()| read.saturating_add(1))
    }

    /// Up to `limit` deliveries of a webhook older than `before`, the newest first; and whether there may be more.
    pub async fn deliveries(
        &self,
        organization: &OrganizationId,
        webhook: &str,
        before: Option<&str>,
        limit: u16,
    ) -> Result<(Vec<Logged>, bool), RecordError> {
        let start = before.map(|id| key_attributes(table::delivery(organization, webhook, id)));
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .scan_index_forward(false)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(table::deliveries(organization, webhook)))
            .set_exclusive_start_key(start)
            .limit(i32::from(limit));
        let answer = patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        let more = answer.last_evaluated_key.is_some();
        Ok((values(answer.items.unwrap_or_default())?, more))
    }

    /// Up to `limit` deliveries of a webhook whose ids lie between these two, the oldest first.
    pub async fn deliveries_between(
        &self,
        organization: &OrganizationId,
        webhook: &str,
        (from, to): (&str, &str),
        limit: u16,
    ) -> Result<Vec<Logged>, RecordError> {
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", text(table::deliveries(organization, webhook)))
            .expression_attribute_values(":from", text(from))
            .expression_attribute_values(":to", text(to))
            .limit(i32::from(limit));
        let answer = patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        values(answer.items.unwrap_or_default())
    }

    /// Up to `limit` deliveries of a shard whose next attempt should have begun before `now`.
    pub async fn due_deliveries(
        &self,
        shard: u8,
        now: Timestamp,
        limit: u16,
    ) -> Result<Vec<Versioned<Logged>>, RecordError> {
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(SWEEP_INDEX)
            .key_condition_expression("sweep_shard = :shard AND sweep_at < :now")
            .expression_attribute_values(":shard", text(table::swept_deliveries(shard)))
            .expression_attribute_values(":now", number(now.millis()))
            .limit(i32::from(limit));
        let answer = patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        let readable = answer.items.unwrap_or_default().into_iter().filter_map(|item: Item| {
            decode(item).inspect_err(|error| tracing::error!(%error, "skipped a delivery")).ok()
        });
        Ok(readable.collect())
    }
}

/// What every failure notes; the first one stands.
const FAILING: &str = "SET #v = :one, #ttl = :ttl, failing_since = if_not_exists(failing_since, :now)";

fn failing_values(now: Timestamp) -> Item {
    let values = [
        (":one", number(1)),
        (":now", number(now.millis())),
        (":ttl", number(now.seconds().saturating_add(KEPT_SECONDS))),
    ];
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn values(items: Vec<Item>) -> Result<Vec<Logged>, RecordError> {
    items.into_iter().map(|item| decode(item).map(|found| found.value)).collect()
}

fn delivery_item(record: &Logged, rev: u64) -> Result<Item, RecordError> {
    let delivery = &record.delivery;
    let key = table::delivery(&delivery.organization, &delivery.webhook, &delivery.id);
    let mut item = encode(&key, rev, record)?;
    item.insert(TTL.to_owned(), number(record.updated_at.seconds().saturating_add(KEPT_SECONDS)));
    if let Some(due) = record.due() {
        // ids end in random digits
        let shard = delivery.id.bytes().rev().take(2).fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
        item.insert(SWEEP_SHARD.to_owned(), text(table::swept_deliveries(shard % SWEEP_SHARDS)));
        item.insert(SWEEP_AT.to_owned(), number(due.millis()));
    }
    Ok(item)
}
