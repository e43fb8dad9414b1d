//! Requests counted for an organization's rules: one conditional UpdateItem for each rule that a request meets.

use super::auth::counter;
use super::{RecordError, Records};
use crate::item::{Item, key_attributes, number, optional_number};
use crate::patience::briefly;
use crate::table::{self, TTL, VERSION};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValue;
use domain::id::OrganizationId;
use domain::rate::rule::RateRule;
use domain::rate::{Minute, RateStatus};
use domain::time::Timestamp;

/// A counter is of no use after its minute.
const FORGET_MILLIS: i64 = 3600 * 1000;

impl Records {
    /// Counts a request for a rule. The inner error: there were too many in this minute.
    pub async fn count_for_rule(
        &self,
        organization: &OrganizationId,
        rule: &RateRule,
        subject: &str,
        now: Timestamp,
    ) -> Result<Result<RateStatus, RateStatus>, RecordError> {
        let minute = Minute::of(now);
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key_attributes(table::rate_rule(organization, &rule.id, subject))))
            .update_expression("ADD #now :one SET #ttl = :ttl, #v = :one REMOVE #before, #long_before")
            .condition_expression("attribute_not_exists(#now) OR #now < :limit")
            .expression_attribute_names("#now", counter(minute))
            .expression_attribute_names("#before", counter(minute.minus(1)))
            .expression_attribute_names("#long_before", counter(minute.minus(2)))
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_names("#v", VERSION)
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":ttl", number(now.plus_millis(FORGET_MILLIS).seconds()))
            .expression_attribute_values(":limit", number(rule.requests))
            .return_values(ReturnValue::AllNew);
        match briefly(|| update.clone().send()).await {
            Ok(answer) => {
                let item: Item = answer.attributes.unwrap_or_default();
                let used = optional_number(&item, &counter(minute)).and_then(|used| u32::try_from(used).ok());
                Ok(Ok(RateStatus::new(rule.requests, used.unwrap_or(1), now)))
            }
            Err(error)
                if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(Err(RateStatus::new(rule.requests, rule.requests, now)))
            }
            Err(error) => Err(RecordError::unavailable(error)),
        }
    }
}
