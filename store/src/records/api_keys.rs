//! API keys as people see them. The item that requests are checked against is written in the same transaction.

use super::auth::AuthItem;
use super::{Page, RecordError, Records, Versioned};
use crate::item::{Item, key_attributes, number, optional_number, text};
use crate::table::{self, ListOf};
use aws_sdk_dynamodb::types::{KeysAndAttributes, TransactWriteItem};
use domain::api_key::{ApiKey, ApiKeyId, KeyHash};
use domain::connection::Close;
use domain::id::OrganizationId;
use domain::time::Timestamp;
use futures_util::FutureExt as _;
use std::collections::HashMap;

impl Records {
    /// A key. One consistent read.
    pub async fn api_key(
        &self,
        organization: &OrganizationId,
        id: &ApiKeyId,
    ) -> Result<Option<Versioned<ApiKey>>, RecordError> {
        self.get(table::api_key(organization, id)).await
    }

    /// The keys of an organization after an id.
    pub async fn api_keys(
        &self,
        organization: &OrganizationId,
        after: Option<&str>,
        limit: u16,
    ) -> Result<Page<ApiKey>, RecordError> {
        self.list(organization, ListOf::ApiKeys, after, limit).await
    }

    /// When these keys were last used: one batch read for each 100.
    pub async fn api_keys_last_used(&self, ids: &[ApiKeyId]) -> Result<HashMap<ApiKeyId, Timestamp>, RecordError> {
        let mut found = HashMap::new();
        for chunk in ids.chunks(100) {
            let mut keys: Vec<Item> = chunk.iter().map(|id| key_attributes(table::auth(id))).collect();
            // unprocessed keys are asked for again, a bounded number of times: last use is for display only
            for _ in 0..5 {
                if keys.is_empty() {
                    break;
                }
                let request = KeysAndAttributes::builder().set_keys(Some(keys)).build();
                let request = request.map_err(RecordError::internal)?;
                let answer = self.client.batch_get_item().request_items(&self.table, request).send().boxed().await;
                let answer = answer.map_err(RecordError::unavailable)?;
                for item in answer.responses.and_then(|mut tables| tables.remove(&self.table)).unwrap_or_default() {
                    let id = item.get(table::PK).and_then(|pk| pk.as_s().ok()).and_then(|pk| pk.strip_prefix("AUTH#"));
                    let at = optional_number(&item, "last_used").and_then(|at| i64::try_from(at).ok());
                    if let (Some(Ok(id)), Some(at)) = (id.map(ApiKeyId::parse), at) {
                        found.insert(id, Timestamp::from_millis(at));
                    }
                }
                keys = answer
                    .unprocessed_keys
                    .and_then(|mut tables| tables.remove(&self.table))
                    .map(|left| left.keys)
                    .unwrap_or_default();
            }
        }
        Ok(found)
    }

    /// Adds a key.
    pub async fn create_api_key(&self, key: &ApiKey, hash: KeyHash, limit: u32) -> Result<u64, RecordError> {
        self.transact(self.create_api_key_writes(key, hash, limit)?).await?;
        Ok(1)
    }

    pub(super) fn create_api_key_writes(
        &self,
        key: &ApiKey,
        hash: KeyHash,
        limit: u32,
    ) -> Result<Vec<TransactWriteItem>, RecordError> {
        Ok(vec![
            self.put_in(&table::api_key(&key.organization, &key.id), None, key)?,
            self.put_in(&table::auth(&key.id), None, &AuthItem::new(key, hash, limit))?,
        ])
    }

    /// Changes a key's name, state, rights, addresses or expiry, for people and for requests at once, and ends sessions.
    pub async fn save_api_key(&self, key: &ApiKey, read: u64, close: Option<&Close>) -> Result<u64, RecordError> {
        let item = self.put_in(&table::api_key(&key.organization, &key.id), Some(read), key)?;
        let mut writes = vec![item, self.auth_change(key)?];
        writes.extend(self.close_in(close)?);
        self.transact(writes).await?;
        Ok(read.saturating_add(1))
    }

    /// Puts a new key in the place of another, which ends: now, or as `ending` says.
    pub async fn rotate_api_key(
        &self,
        old: &Versioned<ApiKey>,
        ending: Option<&ApiKey>,
        (new, hash, limit): (&ApiKey, KeyHash, u32),
        close: &Close,
    ) -> Result<u64, RecordError> {
        let mut writes = self.create_api_key_writes(new, hash, limit)?;
        let place = table::api_key(&new.organization, &old.value.id);
        match ending {
            Some(ending) => writes.extend([self.put_in(&place, Some(old.rev), ending)?, self.auth_change(ending)?]),
            None => {
                writes.push(self.delete_in(place, Some(old.rev))?);
                writes.push(self.delete_in(table::auth(&old.value.id), None)?);
            }
        }
        writes.extend(self.close_in(Some(close))?);
        self.transact(writes).await?;
        Ok(1)
    }

    /// Deletes a key. Requests with it fail from the next one on; sessions that it opened are ended.
    pub async fn delete_api_key(&self, old: &Versioned<ApiKey>, close: &Close) -> Result<(), RecordError> {
        let key = &old.value;
        let mut writes = vec![
            self.delete_in(table::api_key(&key.organization, &key.id), Some(old.rev))?,
            self.delete_in(table::auth(&key.id), None)?,
        ];
        writes.extend(self.close_in(Some(close))?);
        self.transact(writes).await
    }

    /// Gives all keys of an organization another limit.
    pub async fn set_request_limit(&self, organization: &OrganizationId, limit: u32) -> Result<(), RecordError> {
        let mut after: Option<String> = None;
        loop {
            let page = self.api_keys(organization, after.as_deref(), 100).await?;
            for key in page.records {
                let update = self
                    .client
                    .update_item()
                    .table_name(&self.table)
                    .set_key(Some(key_attributes(table::auth(&key.value.id))))
                    .update_expression("SET #limit = :limit")
                    .condition_expression("attribute_exists(pk)")
                    .expression_attribute_names("#limit", "limit")
                    .expression_attribute_values(":limit", number(limit));
                match update.send().boxed().await {
                    Ok(_) => {}
                    // deleted meanwhile
                    Err(error)
                        if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => {}
                    Err(error) => return Err(RecordError::unavailable(error)),
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    fn auth_change(&self, key: &ApiKey) -> Result<TransactWriteItem, RecordError> {
        let (set, mut values) = AuthItem::change(key)?;
        values.insert(":organization".to_owned(), text(key.organization.as_str()));
        self.auth_update(&key.id, &set, values)
    }
}
