//! Looking again at a file that others keep changing.
//!
//! A delete, a rename and the end of an upload are conditional on the version that they saw. If that has been replaced,
//! they look again and follow the newer one. Against clients that overwrite one name all the time each round is a matter
//! of luck, so rounds are bound by time and not by their number.

use rand::Rng as _;
use std::time::{Duration, Instant};

/// For how long an operation looks again. A round has the patience of `store::objects` for S3 beyond it, and both stay below
/// the deadline that the doors have for an operation on a path.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many rounds there are at least: in a storm of errors one may take longer than all of the patience.
const LEAST: u32 = 3;
/// The longest pause between two rounds at first; it doubles up to [`LONGEST_PAUSE`]. Short, because what was seen should
/// be fresh: who hesitates is overtaken again.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(80);

/// The rounds of one operation.
pub(super) struct Rounds {
    end: Instant,
    begun: u32,
    pause: Duration,
}

impl Rounds {
    pub(super) fn new() -> Self {
        Self::within(PATIENCE)
    }

    fn within(patience: Duration) -> Self {
        Self { end: Instant::now() + patience, begun: 0, pause: FIRST_PAUSE }
    }

    /// Whether there is another round; the first begins at once, the others after a pause with jitter.
    pub(super) async fn another(&mut self) -> bool {
        if self.begun > 0 {
            if self.begun >= LEAST && Instant::now() >= self.end {
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

    #[tokio::test]
    async fn they_end_by_time_and_not_by_number() {
        let begun = Instant::now();
        let (mut rounds, mut count) = (Rounds::within(Duration::from_millis(400)), 0);
        while rounds.another().await {
            count += 1;
        }
        assert!(begun.elapsed() >= Duration::from_millis(400) && begun.elapsed() < Duration::from_secs(2));
        assert!(count > 8, "{count} rounds");
    }

    #[tokio::test]
    async fn slow_rounds_have_a_few_all_the_same() {
        let (mut rounds, mut count) = (Rounds::within(Duration::ZERO), 0);
        while rounds.another().await {
            count += 1;
        }
        assert_eq!(count, LEAST);
    }
}
