//! What all routes share: authentication, answers, errors, reading bodies.

pub mod auth;
pub mod basic;
pub mod error;
pub mod extract;
pub mod fields;
pub mod frame;
pub(crate) mod idempotency;
mod key_log;
pub mod list;
mod rate_rules;
pub mod routes;
pub mod shown;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

/// What may stand unencoded in a segment of a path (RFC 3986, section 3.3).
pub(crate) const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
