//! Share links, how often they were opened, and the visits that were counted.
//!
//! A link is two items. Its record lies in its organization's list and is edited there; what its address finds, `LINK#<hash of the
//! secret>`, says whose it is and counts. So counting never meets an edit, and an address costs one read that names everything else.

use super::{Page, RecordError, Records, Versioned};
use crate::clock;
use crate::item::{Item, decode, encode, key_attributes, number};
use crate::patience::briefly;
use crate::table::{self, ListOf, TTL};
use aws_sdk_dynamodb::types::{Delete, KeysAndAttributes, Put, TransactWriteItem, Update};
use domain::id::{CredentialId, OrganizationId, ShareId};
use domain::share::{Share, Visit};
use domain::time::Timestamp;
use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// How long a link that was opened for the last time is kept for its owner to see, in seconds.
const USED_UP_SECONDS: i64 = 30 * 24 * 3600;

/// What the address of a link leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundLink {
    /// Whose.
    pub organization: OrganizationId,
    /// Which.
    pub share: ShareId,
    /// Whose files; never changes.
    pub owner: CredentialId,
    /// How often it was opened.
    #[serde(default)]
    pub used: u64,
    /// When it was opened last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
}

/// How a visit began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// It is counted.
    Now,
    /// Not: the link is used up, or gone. Or the visit was there already, where it had to be a new one.
    Not,
}

impl Records {
    /// What a secret with this hash leads to. One consistent read.
    pub async fn link(&self, secret_hash: &str) -> Result<Option<FoundLink>, RecordError> {
        Ok(self.get(table::link(secret_hash)).await?.map(|found: Versioned<FoundLink>| found.value))
    }

    /// A visit by the hash of what its visitor shows, if it goes on. One consistent read.
    pub async fn visit(&self, secret_hash: &str, key: &str) -> Result<Option<Visit>, RecordError> {
        let found: Option<Versioned<Visit>> = self.get(table::visit(secret_hash, key)).await?;
        Ok(found.map(|found| found.value).filter(|visit| visit.lasts(clock::now())))
    }

    /// Counts a visit, if the link has not been opened `limit` times (0: no limit), and notes it; both or nothing. With `once` it must
    /// not be there yet.
    pub async fn count_visit(
        &self,
        secret_hash: &str,
        limit: u64,
        (key, visit): (&str, &Visit),
        once: bool,
    ) -> Result<Counted, RecordError> {
        let now = clock::now();
        let mut values = Item::from([(":one".to_owned(), number(1)), (":now".to_owned(), number(now.millis()))]);
        let mut condition = "attribute_exists(pk)".to_owned();
        if limit > 0 {
            condition.push_str(" AND (attribute_not_exists(used) OR used < :limit)");
            values.insert(":limit".to_owned(), number(limit));
        }
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key_attributes(table::link(secret_hash))))
            .update_expression("ADD used :one SET last_used_at = :now")
            .condition_expression(condition)
            .set_expression_attribute_values(Some(values))
            .build()
            .map_err(RecordError::internal)?;
        let put = Put::builder().table_name(&self.table).set_item(Some(visit_item(secret_hash, key, visit)?));
        let put = match once {
            false => put,
            true => put
                .condition_expression("attribute_not_exists(pk) OR #until <= :now")
                .expression_attribute_names("#until", "until")
                .expression_attribute_values(":now", number(now.millis())),
        };
        let put = put.build().map_err(RecordError::internal)?;
        let writes =
            vec![TransactWriteItem::builder().update(update).build(), TransactWriteItem::builder().put(put).build()];
        match self.transact(writes).await {
            Ok(()) => Ok(Counted::Now),
            Err(RecordError::Conflict) => Ok(Counted::Not),
            Err(error) => Err(error),
        }
    }

    /// A link.  One consistent read.
    pub async fn share(
        &self,
        organization: &OrganizationId,
        id: &ShareId,
    ) -> Result<Option<Versioned<Share>>, RecordError> {
        self.get(table::share(organization, id)).await
    }

    /// The links of an organization after an id.
    pub async fn shares(
        &self,
        organization: &OrganizationId,
        after: Option<&str>,
        limit: u16,
    ) -> Result<Page<Share>, RecordError> {
        self.list(organization, ListOf::Shares, after, limit).await
    }

    /// What the addresses of these links lead to, by the hashes of their secrets: one batch read for each 100.
    pub async fn links(&self, hashes: &[&str]) -> Result<HashMap<String, FoundLink>, RecordError> {
        let mut found = HashMap::new();
        for chunk in hashes.chunks(100) {
            let mut keys: Vec<Item> = chunk.iter().map(|hash| key_attributes(table::link(hash))).collect();
            for _ in 0..8 {
                if keys.is_empty() {
                    break;
                }
                let request = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
                let request = request.map_err(RecordError::internal)?;
                let answer = self.client.batch_get_item().request_items(&self.table, request).send().boxed().await;
                let answer = answer.map_err(RecordError::unavailable)?;
                for item in answer.responses.and_then(|mut tables| tables.remove(&self.table)).unwrap_or_default() {
                    let hash = item.get(table::PK).and_then(|pk| pk.as_s().ok()).and_then(|pk| table::link_hash(pk));
                    if let Some(hash) = hash.map(str::to_owned) {
                        found.insert(hash, decode::<FoundLink>(item)?.value);
                    }
                }
                let left = answer.unprocessed_keys.and_then(|mut tables| tables.remove(&self.table));
                keys = left.map(|left| left.keys).unwrap_or_default();
            }
            if !keys.is_empty() {
                return Err(RecordError::Unavailable("not all counters of links were read".to_owned()));
            }
        }
        Ok(found)
    }

    /// Adds a link.
    pub async fn create_share(&self, share: &Share) -> Result<u64, RecordError> {
        let (organization, owner) = (share.organization.clone(), share.owner.clone());
        let link = FoundLink { organization, share: share.id.clone(), owner, used: 0, last_used_at: None };
        self.transact(vec![
            self.put_in(&table::share(&share.organization, &share.id), None, share)?,
            self.put_in(&table::link(&share.secret_hash), None, &link)?,
        ])
        .await?;
        Ok(1)
    }

    /// Changes a link. One that was used up is kept again.
    pub async fn save_share(&self, share: &Share, read: u64) -> Result<u64, RecordError> {
        let kept = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key_attributes(table::link(&share.secret_hash))))
            .update_expression("REMOVE #ttl")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#ttl", TTL)
            .build()
            .map_err(RecordError::internal)?;
        let record = self.put_in(&table::share(&share.organization, &share.id), Some(read), share)?;
        self.transact(vec![record, TransactWriteItem::builder().update(kept).build()]).await?;
        Ok(read.saturating_add(1))
    }

    /// Deletes a link: nothing leads there from now on, visits included.
    pub async fn delete_share(&self, old: &Versioned<Share>) -> Result<(), RecordError> {
        let share = &old.value;
        let link =
            Delete::builder().table_name(&self.table).set_key(Some(key_attributes(table::link(&share.secret_hash))));
        let link = link.build().map_err(RecordError::internal)?;
        let record = self.delete_in(table::share(&share.organization, &share.id), Some(old.rev))?;
        self.transact(vec![record, TransactWriteItem::builder().delete(link).build()]).await
    }

    /// Lets a link go a while after it was opened for the last time. Where this fails it stays, and nobody comes in.
    pub async fn let_go(&self, share: &Share) -> Result<(), RecordError> {
        let ttl = clock::now().seconds().saturating_add(USED_UP_SECONDS);
        for key in [table::share(&share.organization, &share.id), table::link(&share.secret_hash)] {
            let request = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key_attributes(key)))
                .update_expression("SET #ttl = :ttl")
                .condition_expression("attribute_exists(pk) AND attribute_not_exists(#ttl)")
                .expression_attribute_names("#ttl", TTL)
                .expression_attribute_values(":ttl", number(ttl));
            match briefly(|| request.clone().send()).await {
                Ok(_) => {}
                Err(error)
                    if error.as_service_error().is_some_and(|error| error.is_conditional_check_failed_exception()) => {}
                Err(error) => return Err(RecordError::unavailable(error)),
            }
        }
        Ok(())
    }
}

fn visit_item(secret_hash: &str, key: &str, visit: &Visit) -> Result<Item, RecordError> {
    let mut item = encode(&table::visit(secret_hash, key), 1, visit)?;
    item.insert(TTL.to_owned(), number(visit.until.seconds()));
    Ok(item)
}
