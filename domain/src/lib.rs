//! What Towpath decides: types and pure functions.
//!
//! Nothing here does I/O, knows an async runtime, AWS or HTTP, reads a clock or rolls a die: time and randomness are
//! arguments. `tests/tests/policy.rs` fails if this package reaches tokio, hyper, axum, russh or the
//! AWS SDK.
//!
//! Raw input becomes a type at the edge ([`path::VPath`], [`id::OrganizationId`], [`access::Verbs`], …); inside there
//! are no strings that might be anything.

pub mod access;
pub mod admin;
pub mod api_key;
pub mod bandwidth;
pub mod connection;
pub mod credential;
pub mod defender;
pub mod digest;
pub mod direct_upload;
pub mod event;
pub mod file_error;
pub mod folder;
pub mod id;
pub mod idempotency;
pub mod identity;
pub mod inbound;
pub mod intent;
pub mod invalid;
pub mod iso8601;
pub mod job;
pub mod kept_time;
pub mod organization;
pub mod partial;
pub mod password;
pub mod path;
pub mod picture;
pub mod preview;
pub mod queue_message;
pub mod quota;
pub mod rate;
pub mod retention;
pub mod right;
pub mod sealed;
pub mod share;
pub mod spread;
pub mod ssh_key;
pub mod ticket;
pub mod time;
pub mod token;
pub mod upload;
pub mod webhook;
pub mod window;
