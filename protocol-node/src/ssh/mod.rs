//! SSH (RFC 4251 to 4254) as far as SFTP needs it: the port, the connections' deadlines, logins, and the one thing
//! that a channel may be.

mod connection;
mod handler;
mod listener;
mod offer;
mod transport;

#[cfg(test)]
mod tests;

pub use listener::Door;
