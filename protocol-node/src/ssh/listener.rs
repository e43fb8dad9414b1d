//! The SFTP port.

use super::connection;
use super::transport;
use crate::door::{self, Doors, Proxy};
use crate::host_keys::HostKeys;
use russh::server;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// What the connections of this door share.
pub(super) struct Shared {
    pub(super) ssh: Arc<server::Config>,
    pub(super) doors: Doors,
}

/// A bound SFTP port that does not accept yet.
pub struct Door {
    listener: TcpListener,
    proxy: Proxy,
    shared: Arc<Shared>,
}

impl Door {
    /// Binds the port.
    pub fn bind(address: SocketAddr, proxy: Proxy, keys: &HostKeys, doors: &Doors) -> io::Result<Self> {
        let shared = Shared { ssh: Arc::new(transport::config(keys)), doors: doors.clone() };
        Ok(Self { listener: door::bind(address)?, proxy, shared: Arc::new(shared) })
    }

    /// Starts to accept, until the doors are stopped; answers where it listens.
    pub fn open(self) -> io::Result<SocketAddr> {
        let address = self.listener.local_addr()?;
        let doors = self.shared.doors.clone();
        let shared = self.shared;
        let serve = move |arrival| connection::serve(Arc::clone(&shared), arrival);
        doors.tasks.spawn(door::accept(self.listener, self.proxy, doors.clone(), serve));
        Ok(address)
    }
}
