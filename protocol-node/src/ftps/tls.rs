//! TLS of one session (RFC 4217): the settings of its control connection and of its data connections.
//!
//! Rule: what binds a data connection to its control connection is resumption ([`super::tickets`]). Early data (0-RTT) is
//! off: it could be replayed.

use super::tickets::{NoKey, Tickets, UploadTickets};
use std::sync::Arc;
use tokio_rustls::rustls::ServerConfig;

/// Tickets with which a client of TLS 1.3 begins: some use each for one data connection only.
const TICKETS: usize = 4;

/// What a client may ask for (RFC 9149).
const MAX_TICKETS: usize = 16;

/// The settings of one control connection and its data connections.
#[derive(Clone)]
pub(crate) struct SessionTls {
    pub(crate) tickets: Arc<Tickets>,
    /// Of the control connection.
    pub(crate) control: Arc<ServerConfig>,
    /// Of data connections on which the client reads.
    pub(crate) reading: Arc<ServerConfig>,
    /// Of data connections on which it writes.
    pub(crate) writing: Arc<ServerConfig>,
}

impl SessionTls {
    /// For a new control connection.
    pub(super) fn new(base: &ServerConfig) -> Result<Self, NoKey> {
        let tickets = Tickets::new()?;
        let mut control = base.clone();
        control.send_tls13_tickets = TICKETS;
        control.max_tls13_tickets = MAX_TICKETS;
        control.session_storage = Arc::clone(&tickets) as _;
        control.ticketer = Arc::clone(&tickets) as _;
        let mut reading = control.clone();
        reading.send_tls13_tickets = 1;
        reading.max_tls13_tickets = 0;
        let mut writing = reading.clone();
        writing.ticketer = Arc::new(UploadTickets(Arc::clone(&tickets)));
        Ok(Self { tickets, control: Arc::new(control), reading: Arc::new(reading), writing: Arc::new(writing) })
    }
}
