//! The whole system, started as `make dev` starts it and used by real clients: OpenSSH's `sftp`, `scp` and `ssh`, and HTTP.
//!
//! Needs the built programs (`cargo build --workspace`) and `openssh-client`; what is missing fails the test and says so.

mod accounts;
mod clients;
mod files;
mod lifecycle;
mod receiver;
mod stack;
mod webhooks;
