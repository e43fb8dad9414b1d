//! What Towpath decides: types and pure functions.
//!
//! Nothing here does I/O, knows an async runtime, AWS or HTTP, reads a clock or rolls a die: time and randomness are
//! arguments. `make check` fails if `cargo tree -p domain` shows tokio, aws, hyper, axum or russh.
//!
//! Raw input becomes a type at the edge ([`path::VPath`], [`id::OrganizationId`], [`access::Verbs`], …); inside there
//! are no strings that might be anything.

pub mod access;
pub mod event;
pub mod file_error;
pub mod id;
pub mod intent;
pub mod path;
pub mod time;
pub mod upload;
pub mod window;
