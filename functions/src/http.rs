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
