//! Requests that happen once ([`domain::idempotency`]): claiming a key, marking the claim with the effect, noting the answer.

use super::{RecordError, Records};
use crate::clock;
use crate::item::{decode, encode, key_attributes, number, text};
use crate::patience::briefly;
use crate::table::{self, Key, TTL};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update};
use domain::id::uuid_text;
use domain::idempotency::{KEPT_MILLIS, KeptAnswer, Record, Verdict, judge};

tokio::task_local! {
    /// The claim of the request that this task works on.
    static CLAIM: Claim;
}

/// A claimed key.
#[derive(Clone, Debug)]
pub struct Claim {
    key: Key,
    text: String,
}

/// Whether a request goes on.
pub enum Claimed {
    /// It does.
    Mine(Claim),
    /// It does not.
    Not(Verdict),
}

impl Claim {
    /// Works on its request: the write with the effect marks the claim.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        CLAIM.scope(self.clone(), work).await
    }
}

impl Records {
    /// Claims a key for a request.
    pub async fn claim_request(&self, place: &str, body: &str) -> Result<Claimed, RecordError> {
        let key = table::idempotency(place);
        let now = clock::now();
        let text_of_claim = uuid_text(clock::random());
        let record = Record {
            body: body.to_owned(),
            claim: text_of_claim.clone(),
            claimed_at: now,
            effect: false,
            answer: None,
        };
        let mut item = encode(&key, 1, &record)?;
        item.insert(TTL.to_owned(), number(now.plus_millis(KEPT_MILLIS).seconds()));
        let claim = Claim { key, text: text_of_claim };
        // the second time over what is dead, unless somebody else was faster
        let mut over: Option<String> = None;
        for _ in 0..2 {
            let put = self
                .client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(item.clone()))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            let put = match &over {
                None => put.condition_expression("attribute_not_exists(pk)"),
                Some(dead) => put
                    .condition_expression("claim = :dead AND effect = :none")
                    .expression_attribute_values(":dead", text(dead))
                    .expression_attribute_values(":none", aws_sdk_dynamodb::types::AttributeValue::Bool(false)),
            };
            let failed = match briefly(|| put.clone().send()).await {
                Ok(_) => return Ok(Claimed::Mine(claim)),
                Err(error) => match error.into_service_error() {
                    PutItemError::ConditionalCheckFailedException(failed) => failed,
                    error => return Err(RecordError::unavailable(error)),
                },
            };
            let there = failed.item.map(decode::<Record>).transpose()?.map(|found| found.value);
            match there {
                // an answer that was lost on its way: it is ours
                Some(record) if record.claim == claim.text => return Ok(Claimed::Mine(claim)),
                Some(record) => match judge(&record, body, now) {
                    // what happened a day ago is forgotten like what never did
                    Verdict::Free if record.effect || record.answer.is_some() => {
                        self.forget_request(&claim.key, &record.claim).await?;
                        over = None;
                    }
                    Verdict::Free => over = Some(record.claim),
                    verdict => return Ok(Claimed::Not(verdict)),
                },
                None => over = None,
            }
        }
        Ok(Claimed::Not(Verdict::InProgress))
    }

    /// Notes the answer.
    pub async fn keep_answer(&self, claim: &Claim, answer: &KeptAnswer) -> Result<(), RecordError> {
        let answer = serde_dynamo::to_attribute_value(answer).map_err(RecordError::internal)?;
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key_attributes(claim.key.clone())))
            .update_expression("SET answer = :answer")
            .condition_expression("claim = :claim")
            .expression_attribute_values(":answer", answer)
            .expression_attribute_values(":claim", text(&claim.text));
        match briefly(|| update.clone().send()).await {
            Ok(_) => Ok(()),
            Err(error)
                if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Err(RecordError::Conflict)
            }
            Err(error) => Err(RecordError::unavailable(error)),
        }
    }

    /// Gives a key back after a request that had no effect.
    pub async fn give_back(&self, claim: &Claim) -> Result<(), RecordError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key_attributes(claim.key.clone())))
            .condition_expression("claim = :claim AND effect = :none")
            .expression_attribute_values(":claim", text(&claim.text))
            .expression_attribute_values(":none", aws_sdk_dynamodb::types::AttributeValue::Bool(false));
        unless_condition(briefly(|| delete.clone().send()).await)
    }

    async fn forget_request(&self, key: &Key, claim: &str) -> Result<(), RecordError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key_attributes(key.clone())))
            .condition_expression("claim = :claim")
            .expression_attribute_values(":claim", text(claim));
        unless_condition(briefly(|| delete.clone().send()).await)
    }

    /// The mark of the effect, as a part of its transaction, if this task works on a claimed request.
    pub(super) fn mark_in(&self) -> Result<Option<TransactWriteItem>, RecordError> {
        let Ok(claim) = CLAIM.try_with(Clone::clone) else { return Ok(None) };
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key_attributes(claim.key)))
            .update_expression("SET effect = :yes")
            .condition_expression("claim = :claim")
            .expression_attribute_values(":yes", aws_sdk_dynamodb::types::AttributeValue::Bool(true))
            .expression_attribute_values(":claim", text(claim.text))
            .build()
            .map_err(RecordError::internal)?;
        Ok(Some(TransactWriteItem::builder().update(update).build()))
    }
}

fn unless_condition<T, R>(
    deleted: Result<T, aws_sdk_dynamodb::error::SdkError<DeleteItemError, R>>,
) -> Result<(), RecordError>
where
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match deleted {
        Ok(_) => Ok(()),
        Err(error) if error.as_service_error().is_some_and(DeleteItemError::is_conditional_check_failed_exception) => {
            Ok(())
        }
        Err(error) => Err(RecordError::unavailable(error)),
    }
}
