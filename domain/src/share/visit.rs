//! A visit: what is counted as one access of a link. It begins when content is first released, and all that follows is free.

use crate::digest::keyed_hash;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// How long a visit of a browser lasts.
pub const MAX_VISIT_MILLIS: i64 = 12 * 3600 * 1000;

/// How long a program may fetch the rest of what it has begun to download.
pub const RANGES_MILLIS: i64 = 3600 * 1000;

/// A visit, as it is recorded under the hash of what its visitor shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// Its name in events.
    pub id: String,
    /// The password that was right, as [`Visit::fingerprint`] tells it: another password ends what this one opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<String>,
    /// Until when it lasts.
    pub until: Timestamp,
}

impl Visit {
    /// What tells one password's hash from another's.
    pub fn fingerprint(hash: &str) -> String {
        hex::encode(keyed_hash(b"towpath share password", &[hash.as_bytes()]))
    }

    /// Whether it goes on.
    pub fn lasts(&self, now: Timestamp) -> bool {
        now < self.until
    }

    /// Whether the link's password was shown in it, or there is none.
    pub fn knows(&self, password: Option<&str>) -> bool {
        password.is_none_or(|hash| self.passed.as_deref() == Some(Self::fingerprint(hash).as_str()))
    }
}

/// What stands for a program that has no cookies: its address and what it calls itself, for one path.
pub fn program_key(address: IpAddr, user_agent: &str, path: &str) -> String {
    let address = address.to_canonical().to_string();
    hex::encode(keyed_hash(b"towpath share program", &[address.as_bytes(), user_agent.as_bytes(), path.as_bytes()]))
}
