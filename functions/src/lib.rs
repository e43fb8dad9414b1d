//! The Lambda functions: routers and queue handlers over the use cases of `app`. The binaries in `bin/` only read their
//! settings, make the state and run; [`local`] runs the same code without Lambda.

pub mod config;
pub mod http;
pub mod local;
pub mod management;
mod sftpgo;
pub mod webhook;
