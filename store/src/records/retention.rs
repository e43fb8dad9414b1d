//! Retention policies. They lie in the index `sweep` by when they are to be run.

use super::{RecordError, Records, Versioned};
use crate::item::{Item, decode, encode, number, on_revision, text};
use crate::patience::{conditionally, patiently};
use crate::table::{self, SWEEP_AT, SWEEP_INDEX, SWEEP_SHARD, SWEPT_POLICIES};
use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use domain::id::{CredentialId, OrganizationId};
use domain::retention::KeptPolicy;
use domain::time::Timestamp;

/// How many due policies one look takes.
const DUE: i32 = 100;

impl Records {
    /// The policy of a credential. One consistent read.
    pub async fn retention(
        &self,
        organization: &OrganizationId,
        credential: &CredentialId,
    ) -> Result<Option<Versioned<KeptPolicy>>, RecordError> {
        self.get(table::retention(organization, credential)).await
    }

    /// Keeps a policy in the place of the revision that was read, if there was one.
    pub async fn save_retention(&self, kept: &KeptPolicy, read: Option<u64>) -> Result<(), RecordError> {
        let put = Put::builder().table_name(&self.table).set_item(Some(policy_item(kept, read)?));
        let put = match read {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(rev) => put
                .condition_expression("#rev = :rev")
                .expression_attribute_names("#rev", table::REV)
                .expression_attribute_values(":rev", number(rev)),
        };
        let put = put.build().map_err(RecordError::internal)?;
        self.transact(vec![TransactWriteItem::builder().put(put).build()]).await
    }

    /// Forgets a policy over the revision that was read.
    pub async fn delete_retention(&self, old: &Versioned<KeptPolicy>) -> Result<(), RecordError> {
        let key = table::retention(&old.value.organization, &old.value.credential);
        self.transact(vec![self.delete_in(key, Some(old.rev))?]).await
    }

    /// Policies that should have been run before `now`.
    pub async fn due_retentions(&self, now: Timestamp) -> Result<Vec<Versioned<KeptPolicy>>, RecordError> {
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(SWEEP_INDEX)
            .key_condition_expression("sweep_shard = :policies AND sweep_at < :now")
            .expression_attribute_values(":policies", text(SWEPT_POLICIES))
            .expression_attribute_values(":now", number(now.millis()))
            .limit(DUE);
        let answer = patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        let readable = answer.items.unwrap_or_default().into_iter().filter_map(|item: Item| {
            decode(item).inspect_err(|error| tracing::error!(%error, "skipped a retention policy")).ok()
        });
        Ok(readable.collect())
    }

    /// Notes when a policy that was due is run next; `false` if somebody else has, or has changed it.
    pub async fn put_off_retention(&self, old: &Versioned<KeptPolicy>, due: Timestamp) -> Result<bool, RecordError> {
        let kept = KeptPolicy { due, ..old.value.clone() };
        let request = self.client.put_item().table_name(&self.table).set_item(Some(policy_item(&kept, Some(old.rev))?));
        let request = on_revision(request, Some(old.rev));
        conditionally(|| request.clone().send()).await.map_err(RecordError::unavailable)
    }
}

fn policy_item(kept: &KeptPolicy, read: Option<u64>) -> Result<Item, RecordError> {
    let rev = read.map_or(1, |rev| rev.saturating_add(1));
    let mut item = encode(&table::retention(&kept.organization, &kept.credential), rev, kept)?;
    item.insert(SWEEP_SHARD.to_owned(), text(SWEPT_POLICIES));
    item.insert(SWEEP_AT.to_owned(), number(kept.due.millis()));
    Ok(item)
}
