//! The whole system, started as `make dev` starts it and used by real clients: OpenSSH's `sftp`, `scp` and `ssh`, lftp, curl,
//! and HTTP.
//!
//! Needs the built programs (`cargo build --workspace`) and `openssh-client`, `lftp` and `curl`; what is missing fails the test and says so.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends at what it did not expect")]

mod accounts;
mod clients;
mod files;
mod lifecycle;
mod receiver;
mod resume;
mod stack;
mod webhooks;
