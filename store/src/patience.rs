//! Trying DynamoDB again where the SDK does not: a single-item write that meets a transaction on the same item
//! (`TransactionConflictException`) may simply be sent again, and what an operation's intent needs is worth waiting longer
//! for than the SDK's shared allowance of retries under a storm of throttling.

use crate::clock;
use crate::records::RecordError;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use domain::id::uuid_text;
use futures_util::FutureExt as _;
use rand::Rng as _;
use std::time::{Duration, Instant};

/// For how long a call is made again: with S3's calls it is what an operation can wait for and still be answered within
/// its door's deadline.
const PATIENCE: Duration = Duration::from_secs(45);
/// The same for what a client of the API waits for.
const BRIEFLY: Duration = Duration::from_secs(3);
/// The pause before the second one; it doubles, with jitter, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How often a transaction is sent again that met another write of one of its items, as those of busy accounts do.
pub(crate) const COLLISIONS: u32 = 8;
/// The pause before that.
pub(crate) const AFTER_A_COLLISION: Duration = Duration::from_millis(50);

/// Calls until it succeeds, fails for good, or has failed for long enough.
pub(crate) async fn patiently<T, E, R, F>(call: impl FnMut() -> F) -> Result<T, SdkError<E, R>>
where
    E: ProvideErrorMetadata,
    F: Future<Output = Result<T, SdkError<E, R>>> + Send,
{
    until(Instant::now() + PATIENCE, call).await
}

/// The same for a few seconds, where a client waits who can be told to try again.
pub(crate) async fn briefly<T, E, R, F>(call: impl FnMut() -> F) -> Result<T, SdkError<E, R>>
where
    E: ProvideErrorMetadata,
    F: Future<Output = Result<T, SdkError<E, R>>> + Send,
{
    until(Instant::now() + BRIEFLY, call).await
}

async fn until<T, E, R, F>(end: Instant, mut call: impl FnMut() -> F) -> Result<T, SdkError<E, R>>
where
    E: ProvideErrorMetadata,
    F: Future<Output = Result<T, SdkError<E, R>>> + Send,
{
    let mut pause = FIRST_PAUSE;
    loop {
        // boxed: the SDK's futures are large and nest deeply, and every future around this one would hold them
        match call().boxed().await {
            Err(error) if is_passing(&error) && Instant::now() < end => {}
            result => return result,
        }
        let jitter = rand::rng().random_range(0.5..1.0);
        tokio::time::sleep(pause.mul_f64(jitter)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A write with a condition: whether it held. After a retry a failed condition may be our own success, so the condition is
/// to allow for that, or the caller for a wrong `false`.
pub(crate) async fn conditionally<T, E, R, F>(call: impl FnMut() -> F) -> Result<bool, SdkError<E, R>>
where
    E: ProvideErrorMetadata,
    F: Future<Output = Result<T, SdkError<E, R>>> + Send,
{
    match patiently(call).await {
        Ok(_) => Ok(true),
        Err(error) => match error.as_service_error().and_then(ProvideErrorMetadata::code) {
            Some("ConditionalCheckFailedException") => Ok(false),
            _ => Err(error),
        },
    }
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

/// Whether this is why a transaction failed.
pub(crate) fn was_cancelled_by<R>(error: &SdkError<TransactWriteItemsError, R>, code: &str) -> bool {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons().iter().any(|reason| reason.code() == Some(code))
        }
        _ => false,
    }
}

/// An update that happens once, though its answer gets lost: a transaction, which DynamoDB knows by its token for ten minutes.
/// `false` if its condition did not hold.
pub(crate) async fn once(client: &aws_sdk_dynamodb::Client, update: Update) -> Result<bool, RecordError> {
    let request = client
        .transact_write_items()
        .transact_items(TransactWriteItem::builder().update(update).build())
        .client_request_token(uuid_text(clock::random()));
    let mut collisions = 0;
    loop {
        match patiently(|| request.clone().send()).await {
            Ok(_) => return Ok(true),
            Err(error) if was_cancelled_by(&error, "ConditionalCheckFailed") => return Ok(false),
            Err(error) if collisions < COLLISIONS && was_cancelled_by(&error, "TransactionConflict") => {
                collisions += 1;
                tokio::time::sleep(AFTER_A_COLLISION * collisions).await;
            }
            Err(error) => return Err(RecordError::unavailable(error)),
        }
    }
}
