//! Rate limits: fixed windows of one minute, counted in the table, and the headers that tell a client where it stands.

pub mod rule;

use crate::time::Timestamp;

/// The length of a window, in seconds.
pub const WINDOW_SECONDS: i64 = 60;

/// One minute, counted since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Minute(i64);

impl Minute {
    /// The minute that holds `now`.
    pub const fn of(now: Timestamp) -> Self {
        Self(now.seconds().div_euclid(WINDOW_SECONDS))
    }

    /// Its number.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// `n` minutes earlier.
    #[must_use]
    pub const fn minus(self, n: i64) -> Self {
        Self(self.0.saturating_sub(n))
    }

    /// When the next one starts, in seconds since the epoch.
    pub const fn end_seconds(self) -> i64 {
        self.0.saturating_add(1).saturating_mul(WINDOW_SECONDS)
    }
}

/// Where a client stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateStatus {
    /// Requests a minute.
    pub limit: u32,
    /// Requests counted in this minute, this one included.
    pub used: u32,
    /// When the count starts anew, in seconds since the epoch.
    pub reset: i64,
    /// Seconds until then, at least 1.
    pub seconds_left: i64,
}

impl RateStatus {
    /// The state after `used` requests in the minute of `now`.
    pub fn new(limit: u32, used: u32, now: Timestamp) -> Self {
        let reset = Minute::of(now).end_seconds();
        Self { limit, used, reset, seconds_left: (reset - now.seconds()).max(1) }
    }

    /// Requests left in this minute.
    pub const fn remaining(&self) -> u32 {
        self.limit.saturating_sub(self.used)
    }

    /// The headers of every answer: the old names, whose reset is a time, and those of
    /// draft-ietf-httpapi-ratelimit-headers-11, whose `t` is a duration.
    pub fn headers(&self) -> [(&'static str, String); 5] {
        let remaining = self.remaining();
        [
            ("x-ratelimit-limit", self.limit.to_string()),
            ("x-ratelimit-remaining", remaining.to_string()),
            ("x-ratelimit-reset", self.reset.to_string()),
            ("ratelimit-policy", format!("\"default\";q={};w={WINDOW_SECONDS}", self.limit)),
            ("ratelimit", format!("\"default\";r={remaining};t={}", self.seconds_left)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_on_the_minute() {
        let status = RateStatus::new(1000, 3, Timestamp::from_millis(119_999));
        assert_eq!((status.reset, status.seconds_left, status.remaining()), (120, 1, 997));
        let status = RateStatus::new(1000, 1001, Timestamp::from_millis(120_000));
        assert_eq!((status.reset, status.seconds_left, status.remaining()), (180, 60, 0));
        let headers = status.headers().map(|(name, value)| format!("{name}: {value}"));
        assert_eq!(
            headers,
            [
                "x-ratelimit-limit: 1000",
                "x-ratelimit-remaining: 0",
                "x-ratelimit-reset: 180",
                "ratelimit-policy: \"default\";q=1000;w=60",
                "ratelimit: \"default\";r=0;t=60",
            ]
        );
    }
}
