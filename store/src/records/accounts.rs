//! The small item of an account that tokens are made for: one conditional UpdateItem makes a token count, another checks one,
//! counts the request and notes the last use, as for API keys ([`super::auth`]).
//!
//! The item of an admin is made and changed in the transactions of the admin; that of a credential with its first token. A change
//! that ends tokens raises `valid_from` to the account's new revision, in its own transaction; what was logged in before it
//! carries an older one.

use super::auth::{counter, old_counters};
use super::{RecordError, Records};
use crate::item::{Item, decode, encode, key_attributes, number, optional_number, text};
use crate::patience::briefly;
use crate::table::{self, Key, REV, VERSION};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use domain::admin::Permissions;
use domain::admin::second_factor::MOST_WRONG_CODES;
use domain::inbound::Source;
use domain::organization::DEFAULT_REQUESTS;
use domain::rate::{Minute, RateStatus};
use domain::time::Timestamp;
use domain::token::{AccountId, AccountState, Claims, Denied, clean_up, judge};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The item, apart from counters and last use.
#[derive(Serialize, Deserialize)]
pub(super) struct AccountItem {
    pub(super) valid_from: u64,
    #[serde(default)]
    pub(super) void_until: i64,
    /// A set of DynamoDB, which cannot be empty.
    #[serde(default, skip_serializing)]
    pub(super) revoked: BTreeSet<String>,
    #[serde(default)]
    pub(super) permissions: Permissions,
    #[serde(default)]
    pub(super) allow_list: Vec<Source>,
    pub(super) limit: u32,
}

impl AccountItem {
    /// One that has no rights of its own: a credential's, whose rights are in its record.
    pub(super) fn without_rights(limit: u32) -> Self {
        let (permissions, allow_list) = (Permissions::default(), Vec::new());
        Self { valid_from: 1, void_until: 0, revoked: BTreeSet::new(), permissions, allow_list, limit }
    }

    fn state(self, used: u32) -> AccountState {
        AccountState {
            valid_from: self.valid_from,
            void_until: self.void_until,
            revoked: self.revoked,
            permissions: self.permissions,
            allow_list: self.allow_list,
            limit: self.limit,
            used,
        }
    }
}

/// A login that counts: a token can be made.
pub struct Opened {
    /// Where the client stands.
    pub rate: RateStatus,
}

/// Why a login does not count, though everything else was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOpened {
    /// There is no item: an account that was made before there were tokens, or never had one, or is gone.
    Missing,
    /// The account has changed since the login was decided.
    Changed,
    /// The one-time code was used before, or there were too many wrong ones.
    Code,
    /// Too many requests in this minute.
    Limited(RateStatus),
}

/// A request that may go on.
pub struct PassedToken {
    /// The account's rights.
    pub state: AccountState,
    /// Where the client stands.
    pub rate: RateStatus,
    /// Counters of older minutes, for [`Records::forget_token_counters`].
    pub old_counters: Vec<String>,
}

/// Wrong one-time codes of an hour.
fn wrong_codes(now: Timestamp, hours_ago: i64) -> String {
    format!("codes{}", now.seconds().div_euclid(3600) - hours_ago)
}

/// The state in an item with the requests of a minute, and the counters of others.
fn read(item: Item, minute: Minute) -> Result<(AccountState, Vec<String>), RecordError> {
    let name = counter(minute);
    let used = optional_number(&item, &name).and_then(|used| u32::try_from(used).ok()).unwrap_or(0);
    let old = old_counters(&item, &name);
    Ok((decode::<AccountItem>(item)?.value.state(used), old))
}

impl Records {
    fn account_update(&self, account: &AccountId) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.table).set_key(Some(key_attributes(table::account_auth(account))))
    }

    /// Counts a request in this minute, for [`Self::open_account`] and [`Self::check_token`].
    fn counted(&self, account: &AccountId, now: Timestamp) -> UpdateItemFluentBuilder {
        let minute = Minute::of(now);
        self.account_update(account)
            .expression_attribute_names("#now", counter(minute))
            .expression_attribute_names("#before", counter(minute.minus(1)))
            .expression_attribute_names("#long_before", counter(minute.minus(2)))
            .expression_attribute_names("#limit", "limit")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":time", number(now.millis()))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// Makes a login count that was decided on revision `rev`, and uses its one-time code up. One write; the outer error is ours.
    pub async fn open_account(
        &self,
        account: &AccountId,
        rev: u64,
        limit: u32,
        step: Option<u64>,
        now: Timestamp,
    ) -> Result<Result<Opened, NotOpened>, RecordError> {
        let minute = Minute::of(now);
        let mut update = "ADD #now :one SET last_used = :time, #limit = :new_limit".to_owned();
        let mut condition = "valid_from <= :rev AND (attribute_not_exists(#now) OR #now < :new_limit)".to_owned();
        let mut request = self
            .counted(account, now)
            .expression_attribute_values(":rev", number(rev))
            .expression_attribute_values(":new_limit", number(limit));
        if let Some(step) = step {
            update.push_str(", code_step = :step");
            condition.push_str(
                " AND (attribute_not_exists(code_step) OR code_step < :step) \
                 AND (attribute_not_exists(#codes) OR #codes < :most)",
            );
            request = request
                .expression_attribute_names("#codes", wrong_codes(now, 0))
                .expression_attribute_values(":step", number(step))
                .expression_attribute_values(":most", number(MOST_WRONG_CODES));
        }
        update.push_str(" REMOVE #before, #long_before");
        let request = request.update_expression(update).condition_expression(condition);
        match briefly(|| request.clone().send()).await {
            Ok(answer) => {
                let (state, _) = read(answer.attributes.unwrap_or_default(), minute)?;
                Ok(Ok(Opened { rate: RateStatus::new(limit, state.used, now) }))
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    let Some(item) = failed.item() else { return Ok(Err(NotOpened::Missing)) };
                    let (state, _) = read(item.clone(), minute)?;
                    Ok(Err(if rev < state.valid_from {
                        NotOpened::Changed
                    } else if state.used >= limit {
                        NotOpened::Limited(RateStatus::new(limit, state.used, now))
                    } else {
                        NotOpened::Code
                    }))
                }
                _ => Err(RecordError::unavailable(error)),
            },
        }
    }

    /// Counts a wrong one-time code.
    pub async fn count_wrong_code(&self, account: &AccountId, now: Timestamp) -> Result<(), RecordError> {
        let request = self
            .account_update(account)
            .update_expression("ADD #codes :one REMOVE #before, #long_before")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#codes", wrong_codes(now, 0))
            .expression_attribute_names("#before", wrong_codes(now, 1))
            .expression_attribute_names("#long_before", wrong_codes(now, 2))
            .expression_attribute_values(":one", number(1));
        briefly(|| request.clone().send()).await.map(|_| ()).map_err(RecordError::unavailable)
    }

    /// How many were wrong in this hour. One consistent read.
    pub async fn wrong_codes(&self, account: &AccountId, now: Timestamp) -> Result<u32, RecordError> {
        let key = key_attributes(table::account_auth(account));
        let request = self.client.get_item().table_name(&self.table).set_key(Some(key)).consistent_read(true);
        let answer = briefly(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        let wrong = answer.item.as_ref().and_then(|item| optional_number(item, &wrong_codes(now, 0)));
        Ok(wrong.and_then(|wrong| u32::try_from(wrong).ok()).unwrap_or(0))
    }

    /// Checks what a token says against its account and counts the request: one write unit, whatever the verdict.
    pub async fn check_token(
        &self,
        claims: &Claims,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Result<PassedToken, Denied>, RecordError> {
        let minute = Minute::of(now);
        let request = self
            .counted(&claims.sub, now)
            .update_expression("ADD #now :one SET last_used = :time REMOVE #before, #long_before")
            .condition_expression(
                "valid_from <= :rev AND (attribute_not_exists(void_until) OR void_until < :exp) \
                 AND (attribute_not_exists(revoked) OR NOT contains(revoked, :mark)) \
                 AND (attribute_not_exists(#now) OR #now < #limit)",
            )
            .expression_attribute_values(":rev", number(claims.rev))
            .expression_attribute_values(":exp", number(claims.exp))
            .expression_attribute_values(":mark", text(claims.mark()));
        match briefly(|| request.clone().send()).await {
            Ok(answer) => {
                let (state, old_counters) = read(answer.attributes.unwrap_or_default(), minute)?;
                let rate = RateStatus::new(state.limit, state.used, now);
                // the condition has asked all but the address
                Ok(judge(&state, claims, address, now).map(|()| PassedToken { state, rate, old_counters }))
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => match failed.item() {
                    None => Ok(Err(Denied::Gone)),
                    Some(item) => {
                        let (state, _) = read(item.clone(), minute)?;
                        let rate = RateStatus::new(state.limit, state.used, now);
                        Ok(Err(judge(&state, claims, address, now).err().unwrap_or(Denied::Limited(rate))))
                    }
                },
                _ => Err(RecordError::unavailable(error)),
            },
        }
    }

    /// Removes counters that a pause has left behind.
    pub async fn forget_token_counters(&self, account: &AccountId, names: &[String]) {
        self.forget_attributes(table::account_auth(account), names).await;
    }

    /// Logs a token out. Those whose time is over are forgotten on the way.
    pub async fn revoke_token(&self, claims: &Claims, now: Timestamp) -> Result<(), RecordError> {
        let request = self
            .account_update(&claims.sub)
            .update_expression("ADD revoked :marks")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":marks", AttributeValue::Ss(vec![claims.mark()]))
            .return_values(ReturnValue::AllNew);
        let answer = match briefly(|| request.clone().send()).await {
            Ok(answer) => answer,
            // the account is gone, and its tokens with it
            Err(error) if is_condition(&error) => return Ok(()),
            Err(error) => return Err(RecordError::unavailable(error)),
        };
        let (state, _) = read(answer.attributes.unwrap_or_default(), Minute::of(now))?;
        let (going, void_until) = clean_up(&state.revoked, now);
        if let Some(until) = void_until {
            let request = self
                .account_update(&claims.sub)
                .update_expression("SET void_until = :until")
                .condition_expression(
                    "attribute_exists(pk) AND (attribute_not_exists(void_until) OR void_until < :until)",
                )
                .expression_attribute_values(":until", number(until));
            match briefly(|| request.clone().send()).await {
                Ok(_) => {}
                Err(error) if is_condition(&error) => {}
                Err(error) => return Err(RecordError::unavailable(error)),
            }
        }
        if !going.is_empty() {
            let request = self
                .account_update(&claims.sub)
                .update_expression("DELETE revoked :marks")
                .condition_expression("attribute_exists(pk)")
                .expression_attribute_values(":marks", AttributeValue::Ss(going));
            // the next logout tries again
            if let Err(error) = briefly(|| request.clone().send()).await {
                tracing::debug!(error = %RecordError::unavailable(error), "old logouts stay for now");
            }
        }
        Ok(())
    }

    /// Makes the item of an account, if what it stands on is still at the revision that was read.
    pub(super) async fn make_account(
        &self,
        account: &AccountId,
        item: &AccountItem,
        (whose, rev): (Key, u64),
    ) -> Result<(), RecordError> {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(key_attributes(whose)))
            .condition_expression("#rev = :rev")
            .expression_attribute_names("#rev", REV)
            .expression_attribute_values(":rev", number(rev))
            .build()
            .map_err(RecordError::internal)?;
        let put = self.account_in(account, item)?;
        self.transact(vec![TransactWriteItem::builder().condition_check(check).build(), put]).await
    }

    /// A new item.
    pub(super) fn account_in(&self, account: &AccountId, item: &AccountItem) -> Result<TransactWriteItem, RecordError> {
        let key = table::account_auth(account);
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(encode(&key, 1, item)?))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(RecordError::internal)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Ends the tokens of logins before revision `rev`, as a part of the change that makes it.
    pub(super) fn end_tokens_in(&self, account: &AccountId, rev: u64) -> Result<TransactWriteItem, RecordError> {
        self.change_account_in(account, rev, "", [])
    }

    /// The same, with other rights.
    pub(super) fn change_rights_in(
        &self,
        account: &AccountId,
        rev: u64,
        permissions: &Permissions,
        allow_list: &[Source],
    ) -> Result<TransactWriteItem, RecordError> {
        let permissions = serde_dynamo::to_attribute_value(permissions).map_err(RecordError::internal)?;
        let allow_list = serde_dynamo::to_attribute_value(allow_list).map_err(RecordError::internal)?;
        let values = [(":permissions", permissions), (":allow_list", allow_list)];
        self.change_account_in(account, rev, ", #permissions = :permissions, allow_list = :allow_list", values)
    }

    /// An account without an item gets one, so that no login that is under way makes it with an older revision.
    fn change_account_in<const N: usize>(
        &self,
        account: &AccountId,
        rev: u64,
        more: &str,
        values: [(&str, AttributeValue); N],
    ) -> Result<TransactWriteItem, RecordError> {
        let expression = "SET valid_from = :rev, #v = if_not_exists(#v, :one), #rev = if_not_exists(#rev, :one), \
                          #limit = if_not_exists(#limit, :limit)";
        let mut update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key_attributes(table::account_auth(account))))
            .update_expression(format!("{expression}{more}"))
            .expression_attribute_names("#v", VERSION)
            .expression_attribute_names("#rev", REV)
            .expression_attribute_names("#limit", "limit")
            .expression_attribute_values(":rev", number(rev))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":limit", number(DEFAULT_REQUESTS));
        if !more.is_empty() {
            update = update.expression_attribute_names("#permissions", "permissions");
        }
        for (name, value) in values {
            update = update.expression_attribute_values(name, value);
        }
        Ok(TransactWriteItem::builder().update(update.build().map_err(RecordError::internal)?).build())
    }
}

fn is_condition<R>(error: &aws_sdk_dynamodb::error::SdkError<UpdateItemError, R>) -> bool {
    error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception)
}
