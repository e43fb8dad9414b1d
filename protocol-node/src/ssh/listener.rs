//! The SFTP port: accepting connections, and stopping.

use super::connection;
use super::limits::{Counter, Limits};
use super::transport;
use crate::backend::{Accounts, Vfs};
use crate::host_keys::HostKeys;
use app::budget::Budget;
use russh::server;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 4096;

/// After a failed accept, which is most often a lack of file descriptors: time for some to be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The kernel's probes, so that a load balancer's idle limit (350 s) is never reached.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

/// What the connections of a door share.
pub(super) struct Shared {
    pub(super) ssh: Arc<server::Config>,
    pub(super) accounts: Accounts,
    pub(super) vfs: Vfs,
    pub(super) budget: Budget,
    /// The node is stopping: connections end when they have nothing open.
    pub(super) draining: CancellationToken,
    /// Connections end now.
    pub(super) kill: CancellationToken,
    /// Connections and uploads, which are awaited when the node stops.
    pub(super) tasks: TaskTracker,
}

/// A bound SFTP port that does not accept yet.
pub struct Door {
    listener: TcpListener,
    shared: Arc<Shared>,
    limits: Limits,
}

/// An open door.
pub struct Running {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Door {
    /// Binds the port.
    pub fn bind(address: SocketAddr, keys: &HostKeys, state: &crate::state::State, limits: Limits) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(Self {
            listener: socket.listen(BACKLOG)?,
            shared: Arc::new(Shared {
                ssh: Arc::new(transport::config(keys)),
                accounts: state.accounts.clone(),
                vfs: state.vfs.clone(),
                budget: state.budget.clone(),
                draining: CancellationToken::new(),
                kill: CancellationToken::new(),
                tasks: TaskTracker::new(),
            }),
            limits,
        })
    }

    /// Starts to accept.
    pub fn open(self) -> io::Result<Running> {
        let address = self.listener.local_addr()?;
        let shared = Arc::clone(&self.shared);
        let accepting = accept(self.listener, Counter::new(self.limits), Arc::clone(&shared));
        shared.tasks.spawn(accepting);
        Ok(Running { shared, address })
    }
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops: accepts nothing more, lets transfers end for at most `limit`, then closes what is left. Uploads whose
    /// CLOSE has been received are finished in any case, within `limit` once more.
    pub async fn stop(self, limit: Duration) {
        self.shared.draining.cancel();
        self.shared.tasks.close();
        if tokio::time::timeout(limit, self.shared.tasks.wait()).await.is_ok() {
            return;
        }
        tracing::info!(limit_s = limit.as_secs(), "closing connections that did not end in time");
        self.shared.kill.cancel();
        if tokio::time::timeout(limit, self.shared.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.shared.tasks.len(), "stopping with work left");
        }
    }
}

async fn accept(listener: TcpListener, counter: Counter, shared: Arc<Shared>) {
    while let Some(accepted) = shared.draining.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((socket, peer)) => admit(socket, peer, &counter, &shared),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn admit(socket: TcpStream, peer: SocketAddr, counter: &Counter, shared: &Arc<Shared>) {
    let place = match counter.admit(peer.ip()) {
        Ok(place) => place,
        Err(exceeded) => {
            tracing::info!(%peer, limit = ?exceeded, "a connection was refused by a limit");
            return;
        }
    };
    if let Err(error) = prepare(&socket) {
        tracing::debug!(%peer, %error, "a connection ended before it began");
        return;
    }
    shared.tasks.spawn(connection::serve(Arc::clone(shared), socket, peer, place));
}

fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(TCP_KEEPALIVE).with_interval(TCP_KEEPALIVE);
    SockRef::from(socket).set_tcp_keepalive(&keepalive)
}
