//! Trying again, knowing that we did.
//!
//! S3 may answer "slow down" or not at all for a while, and the client of an upload is served better by waiting than by an
//! error after which it has to send everything again. So a call is tried for [`PATIENCE`], which rides out a storm of 503s
//! or a restart of something on the way. Not by the SDK: its retries share an allowance, which a storm uses up within
//! seconds, and it does not tell whether it has tried before.

use super::ObjectError;
use futures_util::FutureExt as _;
use rand::Rng as _;
use std::time::{Duration, Instant};

/// For how long a call is tried again. With the last try's own minute it stays below the deadline that the doors have for
/// an operation on a path.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is tried at least: a try may take a minute to fail.
const LEAST: u32 = 2;
/// The pause before the second try; it doubles, with jitter, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(40);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Why a conditional write failed.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct WriteError {
    /// What S3 answered to the last try.
    #[source]
    pub error: ObjectError,
    /// Whether an earlier try ended without a clear answer, so that it may have happened.
    pub tried_before: bool,
}

/// Tries `call` until it succeeds, fails clearly, or has failed for long enough.
pub(super) async fn attempts<T, F>(call: impl FnMut() -> F) -> Result<T, WriteError>
where
    F: Future<Output = Result<T, ObjectError>> + Send,
{
    attempts_for(PATIENCE, call).await
}

async fn attempts_for<T, F>(patience: Duration, mut call: impl FnMut() -> F) -> Result<T, WriteError>
where
    F: Future<Output = Result<T, ObjectError>> + Send,
{
    let (mut tried_before, mut pause, mut attempt) = (false, FIRST_PAUSE, 1);
    let end = Instant::now() + patience;
    loop {
        // boxed: the SDK's futures are large and nest deeply, and every future around this one would hold them
        let error = match call().boxed().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        // a conflict happened to nobody's object: the same request may simply be sent again
        let again = error.outcome_unknown() || matches!(error, ObjectError::Conflict);
        if !again || (attempt >= LEAST && Instant::now() >= end) {
            return Err(WriteError { error, tried_before });
        }
        tried_before |= error.outcome_unknown();
        let jitter = rand::rng().random_range(0.5..1.0);
        tokio::time::sleep(pause.mul_f64(jitter)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        attempt += 1;
    }
}

/// The same for calls that may happen any number of times.
pub(super) async fn repeatedly<T, F>(call: impl FnMut() -> F) -> Result<T, ObjectError>
where
    F: Future<Output = Result<T, ObjectError>> + Send,
{
    attempts(call).await.map_err(|failed| failed.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tries for 300 ms what fails the first times; answers the result and how often it was called.
    async fn failing(times: u32, error: impl Fn() -> ObjectError) -> (Result<(), WriteError>, u32) {
        let mut calls = 0;
        let result = attempts_for(Duration::from_millis(300), || {
            calls += 1;
            std::future::ready(if calls <= times { Err(error()) } else { Ok(()) })
        });
        (result.await, calls)
    }

    #[tokio::test]
    async fn a_storm_is_ridden_out_and_an_endless_one_ends() {
        let storm = || ObjectError::Unavailable("503".into());
        assert!(failing(3, storm).await.0.is_ok());
        let (result, calls) = failing(u32::MAX, storm).await;
        assert!(result.unwrap_err().tried_before);
        assert!((4..10).contains(&calls), "{calls} calls");
    }

    #[tokio::test]
    async fn a_clear_answer_is_the_last() {
        let (result, calls) = failing(u32::MAX, || ObjectError::PreconditionFailed).await;
        assert!(!result.unwrap_err().tried_before);
        assert_eq!(calls, 1);
    }
}
