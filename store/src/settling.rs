//! Counting: usage records, changed in one transaction with the intents that it settles, so that an operation is counted
//! once, whoever settles it and however often.
//!
//! Keys: `pk = USAGE#<organization>`, `sk = <credential id>`. One settled operation costs two shares of a transaction; many
//! operations of one credential share the usage record's write.

use crate::aws::Aws;
use crate::intents::item_key;
use crate::table::{self, PK, SK};
use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, TransactWriteItem, Update};
use domain::id::{CredentialId, OperationId, OrganizationId};
use domain::intent::UsageChange;

/// How many operations one transaction settles at most: DynamoDB takes 100 items, one is the usage record.
pub const BATCH: usize = 50;

/// One operation that happened.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The key of the intent.
    pub key: String,
    /// The operation.
    pub operation: OperationId,
    /// What it changed.
    pub change: UsageChange,
}

/// What a credential's files take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes.
    pub bytes: i64,
    /// Files.
    pub files: i64,
}

/// Why a batch was not counted.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// These (by place in the batch) have no intent any more: somebody else settled them. Nothing was counted.
    #[error("{} operations are settled already", .0.len())]
    SettledAlready(Vec<usize>),
    /// Another transaction had its hands on the same records; try again.
    #[error("another transaction was faster")]
    Conflict,
    /// DynamoDB did not answer, or refused.
    #[error("usage could not be counted: {0}")]
    Unavailable(String),
}

/// The records.
#[derive(Clone)]
pub struct Settling {
    dynamodb: aws_sdk_dynamodb::Client,
    table: String,
}

impl Settling {
    /// In the table of the settings.
    pub fn new(aws: &Aws) -> Self {
        Self { dynamodb: aws.dynamodb.clone(), table: aws.settings.table.clone() }
    }

    /// Counts up to [`BATCH`] operations of one credential and removes their intents: all, or none.
    pub async fn settle(
        &self,
        organization: &OrganizationId,
        credential: &CredentialId,
        operations: &[Settled],
    ) -> Result<(), SettleError> {
        let total = operations.iter().fold(UsageChange::default(), |sum, one| sum.plus(one.change));
        let broken = |error: aws_sdk_dynamodb::error::BuildError| SettleError::Unavailable(error.to_string());
        let mut items = Vec::with_capacity(operations.len() + 1);
        for one in operations {
            let delete = Delete::builder()
                .table_name(&self.table)
                .set_key(Some(item_key(organization, &one.key, &one.operation)))
                .condition_expression("attribute_exists(pk)")
                .build()
                .map_err(broken)?;
            items.push(TransactWriteItem::builder().delete(delete).build());
        }
        if total != UsageChange::default() {
            let usage = table::usage(organization, credential);
            let update = Update::builder()
                .table_name(&self.table)
                .key(PK, AttributeValue::S(usage.pk))
                .key(SK, AttributeValue::S(usage.sk))
                .update_expression("SET v = :v ADD bytes :bytes, files :files")
                .expression_attribute_values(":v", AttributeValue::N("1".to_owned()))
                .expression_attribute_values(":bytes", AttributeValue::N(total.bytes.to_string()))
                .expression_attribute_values(":files", AttributeValue::N(total.files.to_string()))
                .build()
                .map_err(broken)?;
            items.push(TransactWriteItem::builder().update(update).build());
        }
        let answer = self.dynamodb.transact_write_items().set_transact_items(Some(items)).send().await;
        let Err(error) = answer else {
            return Ok(());
        };
        if let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) = error.as_service_error() {
            let gone: Vec<usize> = canceled
                .cancellation_reasons()
                .iter()
                .take(operations.len())
                .enumerate()
                .filter(|(_, reason)| reason.code() == Some("ConditionalCheckFailed"))
                .map(|(at, _)| at)
                .collect();
            return Err(if gone.is_empty() { SettleError::Conflict } else { SettleError::SettledAlready(gone) });
        }
        Err(SettleError::Unavailable(DisplayErrorContext(&error).to_string()))
    }

    /// What a credential's files take, as counted.
    pub async fn usage(&self, organization: &OrganizationId, credential: &CredentialId) -> Result<Usage, SettleError> {
        let key = table::usage(organization, credential);
        let answer = self
            .dynamodb
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .key(PK, AttributeValue::S(key.pk))
            .key(SK, AttributeValue::S(key.sk))
            .send()
            .await
            .map_err(|error| SettleError::Unavailable(DisplayErrorContext(&error).to_string()))?;
        let number = |name: &str| {
            answer.item().and_then(|item| item.get(name)).and_then(|value| value.as_n().ok()?.parse().ok()).unwrap_or(0)
        };
        Ok(Usage { bytes: number("bytes"), files: number("files") })
    }
}
