//! Webhooks.

use super::{RecordError, Records, Versioned};
use crate::item::{key_attributes, number};
use crate::patience::conditionally;
use crate::table::{self, ListOf};
use domain::id::OrganizationId;
use domain::time::Timestamp;
use domain::webhook::{MAX_WEBHOOKS, Webhook};

impl Records {
    /// A webhook. One consistent read.
    pub async fn webhook(
        &self,
        organization: &OrganizationId,
        id: &str,
    ) -> Result<Option<Versioned<Webhook>>, RecordError> {
        self.get(table::webhook(organization, id)).await
    }

    /// All webhooks of an organization: one query of at most 1 MB, in practice one page.
    pub async fn webhooks(&self, organization: &OrganizationId) -> Result<Vec<Versioned<Webhook>>, RecordError> {
        let limit = u16::try_from(MAX_WEBHOOKS).unwrap_or(u16::MAX);
        let mut all = Vec::new();
        let mut after: Option<String> = None;
        // twice the maximum, because the check of the maximum and the creation are not one step
        while all.len() < MAX_WEBHOOKS * 2 {
            let page = self.list(organization, ListOf::Webhooks, after.as_deref(), limit).await?;
            all.extend(page.records);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        Ok(all)
    }

    /// Writes a webhook: a new one if `read` is `None`. Answers the new revision.
    pub async fn save_webhook(&self, webhook: &Webhook, read: Option<u64>) -> Result<u64, RecordError> {
        self.put(&table::webhook(&webhook.organization, &webhook.id), read, webhook).await
    }

    /// Notes that its receiver is slow. No change of the record that somebody else could come second to; who writes it at the same
    /// time may undo this, which the next delivery that is not answered in time does again.
    pub async fn note_slow(
        &self,
        organization: &OrganizationId,
        id: &str,
        until: Timestamp,
    ) -> Result<(), RecordError> {
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key_attributes(table::webhook(organization, id))))
            .update_expression("SET slow_until = :until")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":until", number(until.millis()));
        conditionally(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        Ok(())
    }

    /// Deletes a webhook over the revision that was read.
    pub async fn delete_webhook(&self, old: &Versioned<Webhook>) -> Result<(), RecordError> {
        let key = table::webhook(&old.value.organization, &old.value.id);
        self.transact(vec![self.delete_in(key, Some(old.rev))?]).await
    }
}
