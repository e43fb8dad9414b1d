//! When a failed delivery is tried again, and when it is not.

/// The waits that Standard Webhooks recommends, in seconds.
const WAITS: [u32; 9] = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// The longest `Retry-After` that is honoured.
const MAX_RETRY_AFTER: u32 = 24 * 3600;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver answered.
    Answered {
        /// The HTTP status.
        status: u16,
        /// Its `Retry-After`, in seconds.
        retry_after: Option<u32>,
    },
    /// It was taken by something that has no status: mail.
    Taken,
    /// No answer: no address, no connection, no TLS.
    NoAnswer,
    /// No answer in time.
    TimedOut,
    /// The target itself is not allowed: trying again changes nothing.
    Forbidden,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It arrived.
    Done,
    /// Try again after so many seconds.
    Retry(u32),
    /// It failed for good.
    Failed,
    /// The receiver wants no more of them (410).
    Gone,
}

/// Decides what follows the `failed`th failed attempt (or a success). `random` is any number: waits vary by up to a
/// tenth, so that the deliveries that failed together are not all tried again together.
pub fn next(failed: u32, outcome: Outcome, random: u32) -> Next {
    let retry_after = match outcome {
        Outcome::Answered { status: 200..=299, .. } | Outcome::Taken => return Next::Done,
        Outcome::Answered { status: 408 | 429 | 500..=599, retry_after } => retry_after,
        Outcome::Answered { status: 410, .. } => return Next::Gone,
        Outcome::Answered { .. } | Outcome::Forbidden => return Next::Failed,
        Outcome::NoAnswer | Outcome::TimedOut => None,
    };
    let index = usize::try_from(failed.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some(wait) = WAITS.get(index).copied() else {
        return Next::Failed;
    };
    let jitter = random.checked_rem(wait / 10 + 1).unwrap_or(0);
    Next::Retry(wait.saturating_add(jitter).max(retry_after.unwrap_or(0).min(MAX_RETRY_AFTER)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answered(status: u16) -> Outcome {
        Outcome::Answered { status, retry_after: None }
    }

    #[test]
    fn the_published_waits() {
        let waits: Vec<Next> = (1..=10).map(|failed| next(failed, Outcome::NoAnswer, 0)).collect();
        let mut expected: Vec<Next> = WAITS.iter().copied().map(Next::Retry).collect();
        expected.push(Next::Failed);
        assert_eq!(waits, expected);
    }

    #[test]
    fn which_answers_are_tried_again() {
        for status in [200, 204, 299] {
            assert_eq!(next(1, answered(status), 7), Next::Done, "{status}");
        }
        for status in [408, 429, 500, 503, 599] {
            assert!(matches!(next(1, answered(status), 0), Next::Retry(5)), "{status}");
        }
        for status in [301, 302, 400, 401, 404] {
            assert_eq!(next(1, answered(status), 0), Next::Failed, "{status}");
        }
        assert_eq!(next(1, answered(410), 0), Next::Gone);
        assert_eq!(next(1, Outcome::Forbidden, 0), Next::Failed);
    }

    #[test]
    fn retry_after_only_makes_it_later_and_has_a_bound() {
        let after = |seconds| Outcome::Answered { status: 503, retry_after: Some(seconds) };
        assert_eq!(next(1, after(60), 0), Next::Retry(60));
        assert_eq!(next(2, after(60), 0), Next::Retry(300));
        assert_eq!(next(1, after(u32::MAX), 0), Next::Retry(MAX_RETRY_AFTER));
    }

    proptest! {
        #[test]
        fn jitter_is_at_most_a_tenth(failed in 1u32..=9, random: u32) {
            let wait = WAITS[failed as usize - 1];
            let Next::Retry(seconds) = next(failed, Outcome::NoAnswer, random) else { panic!("no retry") };
            prop_assert!(seconds >= wait && seconds <= wait + wait / 10);
        }
    }
}
