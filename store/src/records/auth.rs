//! The check of an API key: one conditional UpdateItem, which is also the count of the rate limit and the last use.
//!
//! The counter of a minute is an attribute named after the minute (`m29384756`), so that a new minute starts at nothing
//! without a second request; each update removes the counters of the two minutes before. A pause leaves one behind,
//! which the next [`Passed`] names and [`Records::forget_counters`] removes, beside the request's own work.

use super::{RecordError, Records};
use crate::item::{Item, decode, key_attributes, number, optional_number, text};
use crate::table::{self, Key};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use domain::api_key::{ApiKey, ApiKeyId, AuthState, Denied, KeyHash, KeyKind, KeyOwner, Presented, Scopes, judge};
use domain::credential::State;
use domain::id::OrganizationId;
use domain::inbound::Source;
use domain::rate::{Minute, RateStatus};
use domain::time::Timestamp;
use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The item as it lies in the table, apart from counters and last use.
#[derive(Serialize, Deserialize)]
pub(super) struct AuthItem {
    organization: OrganizationId,
    kind: KeyKind,
    /// Absent in the first ones, none of which is dynamic.
    #[serde(default)]
    scope: u8,
    owner: Option<KeyOwner>,
    permissions: Scopes,
    allowed_ips: Vec<Source>,
    hash: KeyHash,
    state: State,
    /// Absent for never, because the condition asks for its existence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    limit: u32,
    /// Absent in the first ones.
    #[serde(default)]
    created_at: Option<Timestamp>,
}

impl AuthItem {
    pub(super) fn new(key: &ApiKey, hash: KeyHash, limit: u32) -> Self {
        Self {
            organization: key.organization.clone(),
            kind: key.kind,
            scope: key.scope,
            owner: key.owner.clone(),
            permissions: key.permissions.clone(),
            allowed_ips: key.allowed_ips.clone(),
            hash,
            state: key.state,
            expires_at: key.expires_at,
            limit,
            created_at: Some(key.created_at),
        }
    }

    /// The update expression, and its values, that brings the item in line with a changed key.
    pub(super) fn change(key: &ApiKey) -> Result<(String, Item), RecordError> {
        let value = |value: Result<AttributeValue, serde_dynamo::Error>| value.map_err(RecordError::internal);
        let mut values = HashMap::from([
            (":state".to_owned(), value(serde_dynamo::to_attribute_value(key.state))?),
            (":permissions".to_owned(), value(serde_dynamo::to_attribute_value(&key.permissions))?),
            (":ips".to_owned(), value(serde_dynamo::to_attribute_value(&key.allowed_ips))?),
        ]);
        let mut set = "SET #state = :state, #permissions = :permissions, allowed_ips = :ips".to_owned();
        match key.expires_at {
            Some(at) => {
                values.insert(":expires".to_owned(), number(at.millis()));
                set.push_str(", expires_at = :expires");
            }
            None => set.push_str(" REMOVE expires_at"),
        }
        Ok((set, values))
    }

    fn state(self, id: &ApiKeyId, used: u32, requests: u64) -> AuthState {
        AuthState {
            id: id.clone(),
            organization: self.organization,
            kind: self.kind,
            scope: self.scope,
            owner: self.owner,
            permissions: self.permissions,
            allowed_ips: self.allowed_ips,
            hash: self.hash,
            state: self.state,
            expires_at: self.expires_at,
            limit: self.limit,
            used,
            requests,
            created_at: self.created_at,
        }
    }
}

/// A request that may go on.
pub struct Passed {
    /// The key's rights and where it stands.
    pub state: AuthState,
    /// Where the client stands.
    pub rate: RateStatus,
    /// Counters of older minutes, for [`Records::forget_counters`].
    pub old_counters: Vec<String>,
}

pub(super) fn counter(minute: Minute) -> String {
    format!("m{}", minute.number())
}

impl Records {
    /// What a key stands for, without a look at its secret. One consistent read.
    pub async fn auth_state(&self, id: &ApiKeyId) -> Result<Option<AuthState>, RecordError> {
        Ok(self.get::<AuthItem>(table::auth(id)).await?.map(|found| found.value.state(id, 0, 0)))
    }

    /// Checks a shown key and counts the request: one write unit, whatever the verdict. The outer error is ours, the
    /// inner one the client's.
    pub async fn check_api_key(
        &self,
        id: &ApiKeyId,
        shown: &Presented<'_>,
    ) -> Result<Result<Passed, Denied>, RecordError> {
        let minute = Minute::of(shown.now);
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key_attributes(table::auth(id))))
            .update_expression("ADD #now :one, requests :one SET last_used = :time REMOVE #before, #long_before")
            .condition_expression(
                "#hash = :hash AND #state = :active AND (attribute_not_exists(expires_at) OR expires_at > :time) \
                 AND (attribute_not_exists(#now) OR #now < #limit)",
            )
            .expression_attribute_names("#now", counter(minute))
            .expression_attribute_names("#before", counter(minute.minus(1)))
            .expression_attribute_names("#long_before", counter(minute.minus(2)))
            .expression_attribute_names("#hash", "hash")
            .expression_attribute_names("#state", "state")
            .expression_attribute_names("#limit", "limit")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":time", number(shown.now.millis()))
            .expression_attribute_values(":hash", text(shown.hash.as_hex()))
            .expression_attribute_values(":active", text("active"))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .boxed()
            .await;
        match answer {
            Ok(answer) => {
                let (state, old_counters) = read(id, answer.attributes.unwrap_or_default(), minute)?;
                let rate = RateStatus::new(state.limit, state.used, shown.now);
                // the condition has asked all but the address
                Ok(judge(&state, shown).map(|()| Passed { state, rate, old_counters }))
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => match failed.item() {
                    None => Ok(Err(Denied::Unknown)),
                    Some(item) => {
                        let (state, _) = read(id, item.clone(), minute)?;
                        let rate = RateStatus::new(state.limit, state.used, shown.now);
                        Ok(Err(judge(&state, shown).err().unwrap_or(Denied::Limited(rate))))
                    }
                },
                _ => Err(RecordError::unavailable(error)),
            },
        }
    }

    /// Removes counters that a pause has left behind. A failure is of no consequence: the next request tries again.
    pub async fn forget_counters(&self, id: &ApiKeyId, names: &[String]) {
        self.forget_attributes(table::auth(id), names).await;
    }

    /// The same for any item that has counters.
    pub(super) async fn forget_attributes(&self, key: Key, names: &[String]) {
        if names.is_empty() {
            return;
        }
        let mut request = self.client.update_item().table_name(&self.table);
        let mut places = Vec::new();
        for (at, name) in names.iter().enumerate() {
            places.push(format!("#c{at}"));
            request = request.expression_attribute_names(format!("#c{at}"), name);
        }
        let request = request
            .set_key(Some(key_attributes(key)))
            .update_expression(format!("REMOVE {}", places.join(", ")))
            .condition_expression("attribute_exists(pk)");
        if let Err(error) = request.send().boxed().await {
            tracing::debug!(error = %RecordError::unavailable(error), "old counters stay for now");
        }
    }

    pub(super) fn auth_update(&self, id: &ApiKeyId, set: &str, values: Item) -> Result<TransactWriteItem, RecordError> {
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key_attributes(table::auth(id))))
            .update_expression(set)
            .condition_expression("organization = :organization")
            .expression_attribute_names("#state", "state")
            .expression_attribute_names("#permissions", "permissions")
            .set_expression_attribute_values(Some(values))
            .build()
            .map_err(RecordError::internal)?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

/// The state in an item, and the counters of other minutes in it.
fn read(id: &ApiKeyId, item: Item, minute: Minute) -> Result<(AuthState, Vec<String>), RecordError> {
    let name = counter(minute);
    let used = optional_number(&item, &name).and_then(|used| u32::try_from(used).ok()).unwrap_or(0);
    let requests = optional_number(&item, "requests").unwrap_or(0);
    let old = old_counters(&item, &name);
    Ok((decode::<AuthItem>(item)?.value.state(id, used, requests), old))
}

/// The counters of other minutes in an item, at most 20, to bound the clean-up.
pub(super) fn old_counters(item: &Item, now: &str) -> Vec<String> {
    let is_counter = |name: &str| {
        name.strip_prefix('m').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    item.keys().filter(|key| *key != now && is_counter(key)).take(20).cloned().collect()
}
