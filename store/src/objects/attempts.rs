//! Trying writes again, knowing that we did.

use super::ObjectError;
use rand::Rng as _;
use std::time::Duration;

/// How often a write is tried.
const ATTEMPTS: u32 = 6;
/// The pause before the second try; it doubles, with jitter, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(40);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

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

/// Tries `call` until it succeeds, fails clearly, or has failed often enough.
pub(super) async fn attempts<T, F>(mut call: impl FnMut() -> F) -> Result<T, WriteError>
where
    F: Future<Output = Result<T, ObjectError>>,
{
    let mut tried_before = false;
    let mut pause = FIRST_PAUSE;
    let mut attempt = 1;
    loop {
        let error = match call().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        // a conflict happened to nobody's object: the same request may simply be sent again
        let again = error.outcome_unknown() || matches!(error, ObjectError::Conflict);
        if !again || attempt == ATTEMPTS {
            return Err(WriteError { error, tried_before });
        }
        tried_before |= error.outcome_unknown();
        let jitter = rand::rng().random_range(0.5..1.0);
        tokio::time::sleep(pause.mul_f64(jitter)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        attempt += 1;
    }
}
