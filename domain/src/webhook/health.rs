//! When a webhook is paused by itself: its receiver does not take what it is sent, and nobody may notice.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// So many deliveries that failed one after the other pause a webhook.
pub const MOST_FAILURES: u32 = 5;

/// So long without a success while something failed pauses it as well, in milliseconds.
pub const LONGEST_FAILING_MILLIS: i64 = 24 * 3600 * 1000;

/// What has failed since the last success. There is no record of it where nothing has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Deliveries that were given up.
    #[serde(default)]
    pub failures: u32,
    /// When the first attempt failed.
    #[serde(default)]
    pub failing_since: Option<Timestamp>,
}

/// Why a webhook is paused, for people.
pub fn pause_reason(health: Health, gone: bool, now: Timestamp) -> Option<String> {
    if gone {
        return Some("the receiver answered 410".to_owned());
    }
    if health.failures >= MOST_FAILURES {
        return Some(format!("{} deliveries failed one after the other", health.failures));
    }
    let silent = health.failing_since.is_some_and(|since| now.millis() - since.millis() >= LONGEST_FAILING_MILLIS);
    silent.then(|| "no delivery has arrived for 24 hours".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_a_day_of_them_or_a_410() {
        let at = Timestamp::from_millis;
        let health = |failures, since| Health { failures, failing_since: Some(at(since)) };
        let day = LONGEST_FAILING_MILLIS;
        assert_eq!(pause_reason(Health::default(), false, at(day * 9)), None);
        assert_eq!(pause_reason(health(4, 1), false, at(day)), None);
        assert!(pause_reason(health(5, 1), false, at(2)).is_some_and(|reason| reason.starts_with("5 deliveries")));
        assert!(pause_reason(health(0, 1), false, at(day + 1)).is_some_and(|reason| reason.contains("24 hours")));
        assert!(pause_reason(Health::default(), true, at(0)).is_some_and(|reason| reason.contains("410")));
    }
}
