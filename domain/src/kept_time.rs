//! The time that a client has given a file: S3 knows only when it got the object, and DynamoDB keeps the other beside it.
//!
//! A record is of one version of the object and says nothing about any other: a file that was written anew without a
//! time has S3's. So nothing has to be removed before a file may be written, and what is left behind does no harm.

use crate::intent::Seen;
use crate::time::Timestamp;

/// A file's time, as a client set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptTime {
    /// The ETag of the version.
    pub etag: String,
    /// When S3 got the version. With the ETag it is what a listing shows of it.
    pub written: Timestamp,
    /// The version's name, as [`Seen::version`].
    pub version: String,
    /// The time that the client set.
    pub modified: Timestamp,
    /// When the file arrived: not changed by clients, and not by renames.
    pub arrived: Timestamp,
    /// When this was noted.
    pub kept_at: Timestamp,
}

impl KeptTime {
    /// The time `modified` for a version, noted `now`.
    pub fn of(seen: &Seen, arrived: Timestamp, modified: Timestamp, now: Timestamp) -> Self {
        let (etag, written, version) = (seen.etag.clone(), seen.modified, seen.version());
        Self { etag, written, version, modified, arrived, kept_at: now }
    }

    /// Whether it is of the version that has this ETag and that S3 got then. Listings and HEAD name whole seconds, some
    /// with zeros behind them.
    pub fn is_of(&self, etag: &str, written: Timestamp) -> bool {
        self.etag == etag && self.written.seconds() == written.seconds()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_of_one_version() {
        let time = Timestamp::from_millis;
        let seen = Seen { etag: "\"e\"".into(), bytes: 1, modified: time(5_000), operation: None };
        let kept = KeptTime::of(&seen, time(4_000), time(7), time(6_000));
        assert!(kept.is_of("\"e\"", time(5_000)));
        assert!(kept.is_of("\"e\"", time(5_999)));
        assert!(!kept.is_of("\"e\"", time(6_000)));
        assert!(!kept.is_of("\"f\"", time(5_000)));
        assert_eq!(kept.version, seen.version());
    }
}
