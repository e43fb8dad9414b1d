//! Many credentials at once, in the order of their names: SFTPGo's lists. Items are kept in the order of ids, so the names are
//! read first, all of them, and then what a page shows.

use super::{RecordError, Records, Versioned};
use crate::item::{Item, decode, key_attributes, optional_number, sort_key, text};
use crate::table::{self, ListOf};
use aws_sdk_dynamodb::types::KeysAndAttributes;
use domain::credential::{Credential, UserName};
use domain::id::{CredentialId, OrganizationId};
use domain::quota::{Amount, Holder};
use futures_util::FutureExt as _;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// Keys of one BatchGetItem.
const BATCH: usize = 100;
/// How often what a batch did not answer is asked for again.
const BATCH_ATTEMPTS: usize = 10;

/// A credential in the list of names.
#[derive(Deserialize)]
struct Named {
    user_name: UserName,
    id: CredentialId,
}

impl Records {
    /// The user names of an organization's credentials, in order. One Query over its credentials, of which only the names come.
    pub async fn user_names(
        &self,
        organization: &OrganizationId,
    ) -> Result<BTreeMap<UserName, CredentialId>, RecordError> {
        let mut names = BTreeMap::new();
        let mut start: Option<Item> = None;
        loop {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression("#pk = :pk AND begins_with(#sk, :prefix)")
                .projection_expression("user_name, id")
                .expression_attribute_names("#pk", table::PK)
                .expression_attribute_names("#sk", table::SK)
                .expression_attribute_values(":pk", text(table::organization_partition(organization)))
                .expression_attribute_values(":prefix", text(ListOf::Credentials.prefix()))
                .set_exclusive_start_key(start)
                .send()
                .boxed()
                .await
                .map_err(RecordError::unavailable)?;
            for item in answer.items.unwrap_or_default() {
                let Named { user_name, id } = serde_dynamo::from_item(item).map_err(RecordError::internal)?;
                names.insert(user_name, id);
            }
            match answer.last_evaluated_key {
                Some(next) => start = Some(next),
                None => return Ok(names),
            }
        }
    }

    /// These credentials: one batch of consistent reads for each 100. What is gone is left out.
    pub async fn credentials_by_id(
        &self,
        organization: &OrganizationId,
        ids: &[CredentialId],
    ) -> Result<HashMap<CredentialId, Versioned<Credential>>, RecordError> {
        let keys = ids.iter().map(|id| key_attributes(table::credential(organization, id))).collect();
        let found = self.batch(keys).await?.into_iter().map(|item| {
            let found: Versioned<Credential> = decode(item)?;
            Ok((found.value.id.clone(), found))
        });
        found.collect()
    }

    /// What the files of these credentials take, as counted: one batch of reads for each 100. Who has none is left out.
    pub async fn usage_of(
        &self,
        organization: &OrganizationId,
        ids: &[CredentialId],
    ) -> Result<HashMap<CredentialId, Amount>, RecordError> {
        let holder = |id: &CredentialId| Holder::Credential(id.clone());
        let keys = ids.iter().map(|id| key_attributes(table::usage(organization, &holder(id)))).collect();
        let found = self.batch(keys).await?.into_iter().filter_map(|item| {
            let id = sort_key(&item).and_then(|id| CredentialId::parse(id).ok())?;
            let part = |name| optional_number(&item, name).unwrap_or(0);
            Some((id, Amount { bytes: part("bytes"), files: part("files") }))
        });
        Ok(found.collect())
    }

    /// Items by their keys, those that exist.
    async fn batch(&self, keys: Vec<Item>) -> Result<Vec<Item>, RecordError> {
        let mut found = Vec::new();
        for chunk in keys.chunks(BATCH) {
            let mut left = chunk.to_vec();
            for _ in 0..BATCH_ATTEMPTS {
                let request = KeysAndAttributes::builder().set_keys(Some(left)).consistent_read(true).build();
                let request = request.map_err(RecordError::internal)?;
                let answer = self.client.batch_get_item().request_items(&self.table, request).send().boxed().await;
                let answer = answer.map_err(RecordError::unavailable)?;
                let mine =
                    |tables: Option<HashMap<String, Vec<Item>>>| tables.and_then(|mut all| all.remove(&self.table));
                found.extend(mine(answer.responses).unwrap_or_default());
                let unprocessed = answer.unprocessed_keys.and_then(|mut tables| tables.remove(&self.table));
                left = unprocessed.map(|unprocessed| unprocessed.keys).unwrap_or_default();
                if left.is_empty() {
                    break;
                }
            }
            if !left.is_empty() {
                return Err(RecordError::Unavailable("a batch was not answered whole".to_owned()));
            }
        }
        Ok(found)
    }
}
