//! Looking again at a file that others keep changing.
//!
//! A delete, a rename and the end of an upload are conditional on the version that they saw. If that has been replaced,
//! they look again and follow the newer one. Against clients that overwrite one name all the time each round is a matter
//! of luck, so rounds are bound by time and not by their number.

use rand::Rng as _;
use std::time::{Duration, Instant};

/// For how long an operation looks again, at least.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many rounds there are at least: most of that time may have gone by while storage or table did not answer.
const ENOUGH: u32 = 24;
/// After this it gives up in any case: the doors have a deadline of about this for an operation on a path.
const LIMIT: Duration = Duration::from_secs(120);
/// The longest pause between two rounds at first; it doubles up to [`LONGEST_PAUSE`]. Short, because what was seen should
/// be fresh: who hesitates is overtaken again.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(80);

/// The rounds of one operation.
pub(super) struct Rounds {
    since: Instant,
    patience: Duration,
    limit: Duration,
    begun: u32,
    pause: Duration,
}

impl Rounds {
    pub(super) fn new() -> Self {
        Self::within(PATIENCE, LIMIT)
    }

    fn within(patience: Duration, limit: Duration) -> Self {
        Self { since: Instant::now(), patience, limit, begun: 0, pause: FIRST_PAUSE }
    }

    /// Whether there is another round; the first begins at once, the others after a pause with jitter.
    pub(super) async fn another(&mut self) -> bool {
        if self.begun > 0 {
            let passed = self.since.elapsed();
            if passed >= self.limit || (passed >= self.patience && self.begun >= ENOUGH) {
                return false;
            }
            let jitter = rand::rng().random_range(0.0..1.0);
            tokio::time::sleep(self.pause.mul_f64(jitter)).await;
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
        self.begun += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many rounds there are, each of which takes so long.
    async fn count(mut rounds: Rounds, each: Duration) -> u32 {
        let mut count = 0;
        while rounds.another().await {
            tokio::time::sleep(each).await;
            count += 1;
        }
        count
    }

    #[tokio::test]
    async fn they_end_when_there_were_enough_and_time_has_passed() {
        let quick = count(Rounds::within(Duration::ZERO, LIMIT), Duration::ZERO).await;
        assert_eq!(quick, ENOUGH, "no time is needed");
        let begun = Instant::now();
        let patient = count(Rounds::within(Duration::from_millis(1500), LIMIT), Duration::ZERO).await;
        assert!(patient >= ENOUGH && begun.elapsed() >= Duration::from_millis(1500));
        let slow = count(Rounds::within(Duration::ZERO, Duration::from_millis(100)), Duration::from_millis(40)).await;
        assert!((1..=3).contains(&slow), "{slow} rounds");
    }
}
