//! What was asked with a key: the last [`MAX_REQUESTS`] of each, for people who look for who uses it and for what.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// How many of a key's requests are kept. They lie in as many slots, which are written over in turn.
pub const MAX_REQUESTS: u64 = 1000;

/// One request. Nothing of what it named or carried: the route stands as the program spells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRequest {
    /// When it came.
    pub at: Timestamp,
    /// `GET` and so on.
    pub method: String,
    /// `/api/v2/users/{username}`.
    pub route: String,
    /// How it was answered.
    pub status: u16,
    /// From where it came.
    pub address: IpAddr,
}

/// The slot of a key's n-th request.
pub const fn slot(request: u64) -> u64 {
    request % MAX_REQUESTS
}
