//! Trying DynamoDB again where the SDK does not: a single-item write that meets a transaction on the same item
//! (`TransactionConflictException`) may simply be sent again, and what an operation's intent needs is worth waiting longer
//! for than the SDK's shared allowance of retries under a storm of throttling.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use rand::Rng as _;
use std::time::Duration;

/// How often a call is made.
const ATTEMPTS: u32 = 6;
/// The pause before the second one; it doubles, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// Calls until it succeeds, fails for good, or has failed often enough.
pub(crate) async fn patiently<T, E, R, F>(mut call: impl FnMut() -> F) -> Result<T, SdkError<E, R>>
where
    E: ProvideErrorMetadata,
    F: Future<Output = Result<T, SdkError<E, R>>>,
{
    let mut pause = FIRST_PAUSE;
    for _ in 1..ATTEMPTS {
        match call().await {
            Err(error) if is_passing(&error) => {}
            result => return result,
        }
        let jitter = rand::rng().random_range(0.5..1.0);
        tokio::time::sleep(pause.mul_f64(jitter)).await;
        pause *= 2;
    }
    call().await
}

fn is_passing<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    let Some(service) = error.as_service_error() else {
        // no answer: cut, timed out, unreadable
        return true;
    };
    matches!(
        service.code(),
        Some(
            "TransactionConflictException"
                | "TransactionInProgressException"
                | "ThrottlingException"
                | "ProvisionedThroughputExceededException"
                | "RequestLimitExceeded"
                | "InternalServerError"
                | "ServiceUnavailable"
        )
    )
}
