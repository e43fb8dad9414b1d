//! The use cases that functions and the node share: log in, upload, download, list, rename, delete, announce. They work
//! on concrete stores; faults are injected below the SDK, so no trait stands between.

pub mod accounts;
pub mod activity;
mod announced;
pub mod bootstrap;
pub mod budget;
pub mod defender;
pub mod deliveries;
mod hashing;
pub mod jobs;
mod large_copy;
pub mod management;
pub mod meters;
mod pace;
pub mod quota;
pub mod sessions;
pub mod settler;
pub mod shares;
pub mod signing;
pub mod sweep;
pub mod tickets;
pub mod tokens;
pub mod vfs;
