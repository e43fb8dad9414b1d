//! The whole system, started as `make dev` starts it and used by real clients: OpenSSH's `sftp`, `scp` and `ssh`, lftp, curl,
//! Python's ftplib, and HTTP.
//!
//! Needs the built programs (`cargo build --workspace`) and `openssh-client`, `lftp`, `curl` and `python3`; what is missing fails the test and says so.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends at what it did not expect")]

mod accounts;
mod busy;
mod certificates;
mod clients;
mod connections;
mod files;
mod ftps;
mod hostile_sftp;
mod hostile_ssh;
mod https;
mod lifecycle;
mod log;
mod more;
mod mounted;
mod node;
mod patterns;
mod pressure;
mod proxy;
mod raw;
mod receiver;
mod resume;
#[path = "../shared/mod.rs"]
mod shared;
mod stack;
mod tokens;
mod webhooks;
