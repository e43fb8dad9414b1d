//! The protocol node: SFTP and FTPS over the files and accounts of `app`.
//!
//! [`config::Config`] is read from the environment, [`state::build`] makes what the doors work on, [`ssh::Door`] and
//! [`ftps::Door`] and [`https::Door`] open the ports, and [`door::Doors`] is what they share. [`host_keys`] derives the keys that clients know
//! all nodes by.

mod backend;
pub mod config;
#[cfg(test)]
mod cutting;
pub mod door;
#[cfg(test)]
mod doubles;
pub mod ftps;
mod host_keys;
pub mod https;
#[cfg(test)]
mod mutating;
pub mod operation;
mod sftp;
pub mod ssh;
pub mod state;
mod sums;

pub use host_keys::{HostKeyError, HostKeys, MIN_SECRET_BYTES, host_keys};
