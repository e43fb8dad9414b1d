//! Who has failed to log in too often, and what follows.
//!
//! Failures are scored for an address, and for one credential at an address. A score that reaches its limit bans *passwords*: of
//! that credential from there, or all from there. Public keys go on, no account is ever locked, and an address from which
//! somebody has logged in of late is slowed down instead of banned, so that one bad client does not lock its office out.

use crate::identity::Refusal;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Scores count for this long.
pub const WINDOW_MILLIS: i64 = 30 * 60_000;
/// A credential at an address is banned at this score: ten wrong passwords.
pub const CREDENTIAL_LIMIT: u32 = 10;
/// An address is banned at this score: more than one credential can bring it to.
pub const ADDRESS_LIMIT: u32 = 20;
/// A login from an address is remembered for so long.
pub const SUCCESS_MILLIS: i64 = 24 * 3_600_000;
/// The first ban; each further one takes twice as long.
const FIRST_BAN_MILLIS: i64 = 15 * 60_000;
/// The longest ban.
const LONGEST_BAN_MILLIS: i64 = 24 * 3_600_000;
/// When earlier bans are forgotten.
pub const FORGET_MILLIS: i64 = 7 * 24 * 3_600_000;
/// Who is slowed down may try a password so often.
pub const SLOWED_MILLIS: i64 = 5_000;

/// An address as it is scored: of IPv6 the /64, which is what one customer has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Host(IpAddr);

impl Host {
    /// The host of an address.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        })
    }

    /// Its address, or the first of its /64.
    pub fn address(self) -> IpAddr {
        self.0
    }

    /// Parses the text form.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self::of)
    }

    /// Whether it may be scored: loopback and private ranges are proxies, balancers and offices.
    pub fn is_public(self) -> bool {
        match self.0 {
            IpAddr::V4(address) => {
                let [a, b, ..] = address.octets();
                let shared = a == 100 && (64..128).contains(&b);
                !(address.is_private() || address.is_loopback() || address.is_link_local() || shared)
            }
            IpAddr::V6(address) => {
                // of loopback, ::1, the /64 is left
                !(address.is_unspecified() || address.is_unique_local() || address.is_unicast_link_local())
            }
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a refused password adds to the score of its address; 0 for what is no guess.
pub fn weight(refusal: &Refusal) -> u32 {
    match refusal {
        // names are guessed as well
        Refusal::UnknownUser => 2,
        Refusal::WrongPassword | Refusal::NoPassword | Refusal::WrongCode | Refusal::ApiKey(_) => 1,
        Refusal::Inactive
        | Refusal::Expired
        | Refusal::NoPermission
        | Refusal::Address
        | Refusal::UnknownKey
        | Refusal::KeyNeeded
        | Refusal::Protocol
        | Refusal::Method
        | Refusal::TooManySessions
        | Refusal::Banned => 0,
    }
}

/// What is known when a score has grown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The score within the window.
    pub score: u32,
    /// Bans that are not forgotten yet.
    pub bans: u32,
    /// Whether somebody has logged in from there of late.
    pub trusted: bool,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// Until when.
    pub until: Timestamp,
    /// Passwords are tried, one in a while, and not refused altogether.
    pub slowed: bool,
}

/// Whether a score that has grown is a ban.
pub fn judge(record: Record, limit: u32, now: Timestamp) -> Option<Ban> {
    if record.score < limit {
        return None;
    }
    let doubled = FIRST_BAN_MILLIS.saturating_mul(1 << record.bans.min(16));
    Some(Ban { until: now.plus_millis(doubled.min(LONGEST_BAN_MILLIS)), slowed: record.trusted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bans_grow_and_known_addresses_are_slowed() {
        let now = Timestamp::from_millis(1_000);
        let record = |score, bans, trusted| judge(Record { score, bans, trusted }, CREDENTIAL_LIMIT, now);
        assert_eq!(record(9, 5, false), None);
        let minutes = |ban: Option<Ban>| ban.map(|ban| (ban.until.millis() - 1_000) / 60_000);
        assert_eq!(minutes(record(10, 0, false)), Some(15));
        assert_eq!(minutes(record(10, 2, false)), Some(60));
        assert_eq!(minutes(record(99, u32::MAX, false)), Some(24 * 60));
        assert!(record(10, 0, true).unwrap().slowed && !record(10, 0, false).unwrap().slowed);
    }

    #[test]
    fn one_credential_alone_does_not_ban_its_address() {
        assert!(CREDENTIAL_LIMIT * weight(&Refusal::WrongPassword) < ADDRESS_LIMIT);
    }

    #[test]
    fn hosts() {
        let host = |text: &str| Host::parse(text).unwrap();
        assert_eq!(host("2001:db8::1:2"), host("2001:db8::ffff:0:0:1"));
        assert_ne!(host("2001:db8::1"), host("2001:db8:0:1::1"));
        assert_eq!(host("::ffff:192.0.2.1"), host("192.0.2.1"));
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.1.1",
            "::1",
            "fd00::1",
            "fe80::1",
        ] {
            assert!(!host(private).is_public(), "{private}");
        }
        for public in ["192.0.2.1", "100.128.0.1", "172.32.0.1", "2001:db8::1"] {
            assert!(host(public).is_public(), "{public}");
        }
    }
}
