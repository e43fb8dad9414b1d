//! SSH (RFC 4251 to 4254) as far as SFTP needs it: the listener, the connections' limits and deadlines, logins, and the
//! one thing that a channel may be.

mod connection;
mod handler;
mod limits;
mod listener;
mod stream;
mod transport;

#[cfg(test)]
mod tests;

pub use limits::Limits;
pub use listener::{Door, Running};
