//! What goes wrong, as data: one section for each service.

use serde::{Deserialize, Serialize};

/// Faults to inject. The default injects none. Rates are probabilities from 0 to 1; the decisions follow from `seed`
/// and each service's request count since the plan was set, so a repeated run of the same requests fails the same way.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultPlan {
    /// Where the decisions start from.
    pub seed: u64,
    /// S3.
    pub s3: S3Faults,
    /// DynamoDB.
    pub dynamodb: DynamoDbFaults,
    /// SQS.
    pub sqs: SqsFaults,
}

/// Faults of S3.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3Faults {
    /// Added before every answer, in milliseconds.
    pub latency_ms: u64,
    /// Limit for each connection and direction, in MiB/s. 0 or absent is no limit.
    pub bandwidth_mib_s: Option<f64>,
    /// 503 SlowDown; nothing was done.
    pub error_rate: f64,
    /// The request is carried out, then every other time the connection is cut or 500 InternalError answered.
    pub lost_answer_rate: f64,
    /// Every connection is cut at its first request.
    pub down: bool,
    /// 409 ConditionalRequestConflict on writes with If-Match or If-None-Match.
    pub conflict_rate: f64,
}

/// Faults of DynamoDB.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DynamoDbFaults {
    /// Added before every answer, in milliseconds.
    pub latency_ms: u64,
    /// Limit for each connection and direction, in MiB/s. 0 or absent is no limit.
    pub bandwidth_mib_s: Option<f64>,
    /// 400 ThrottlingException; nothing was done.
    pub error_rate: f64,
    /// The request is carried out, then every other time the connection is cut or 500 InternalServerError answered.
    pub lost_answer_rate: f64,
    /// Every connection is cut at its first request.
    pub down: bool,
    /// TransactWriteItems: TransactionCanceledException with TransactionConflict as every reason. PutItem, UpdateItem
    /// and DeleteItem: TransactionConflictException. Nothing was done.
    pub conflict_rate: f64,
    /// GetItem, Query, Scan and BatchGetItem without ConsistentRead answer what the same request answered before, if it
    /// was asked before (the last 1,024 different reads since the plan was set are remembered).
    pub stale_read_rate: f64,
}

/// Faults of SQS.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SqsFaults {
    /// Added before every answer, in milliseconds.
    pub latency_ms: u64,
    /// Limit for each connection and direction, in MiB/s. 0 or absent is no limit.
    pub bandwidth_mib_s: Option<f64>,
    /// 400 ThrottlingException; nothing was done.
    pub error_rate: f64,
    /// The request is carried out, then every other time the connection is cut or 500 InternalFailure answered.
    pub lost_answer_rate: f64,
    /// Every connection is cut at its first request.
    pub down: bool,
    /// A sent message is stored twice under the same message id, as at-least-once delivery may look.
    pub duplicate_rate: f64,
}

impl FaultPlan {
    /// The shape of the real services from a machine in the same region: S3 30 ms and 90 MiB/s for each connection,
    /// DynamoDB 5 ms, SQS 10 ms.
    #[must_use]
    pub fn shaped() -> Self {
        Self {
            seed: 0,
            s3: S3Faults { latency_ms: 30, bandwidth_mib_s: Some(90.0), ..S3Faults::default() },
            dynamodb: DynamoDbFaults { latency_ms: 5, ..DynamoDbFaults::default() },
            sqs: SqsFaults { latency_ms: 10, ..SqsFaults::default() },
        }
    }
}
