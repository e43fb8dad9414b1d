//! Points in time as Towpath's records and APIs carry them: milliseconds since the Unix epoch.

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// Numbers below this are taken as seconds, others as milliseconds, when a client sends a time: 10^11 ms is March
/// 1973, 10^11 s is the year 5138.
const SECONDS_BELOW: i64 = 100_000_000_000;

impl Timestamp {
    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From a number that a client sent, which may be seconds or milliseconds.
    pub const fn from_client(number: i64) -> Self {
        if number < SECONDS_BELOW { Self(number.saturating_mul(1000)) } else { Self(number) }
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This time moved by `millis` (negative: earlier), clamped to what the type can hold.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_milliseconds_are_told_apart() {
        assert_eq!(Timestamp::from_client(1_739_120_350), Timestamp::from_millis(1_739_120_350_000));
        assert_eq!(Timestamp::from_client(1_739_120_350_624), Timestamp::from_millis(1_739_120_350_624));
    }
}
