//! What the doors of a node share, whatever they speak: the limits on connections, the accept loop, the header of a balancer
//! in front, the buffered socket, the deadlines of a login, and an orderly end.

mod certificates;
mod limits;
mod listener;
mod proxy;
mod stream;

#[cfg(test)]
pub(crate) use certificates::tests as certificate_tests;
pub use certificates::{CertificateError, CertificateFiles};
pub(crate) use certificates::{Certificates, LOOK};
pub use limits::Limits;
pub(crate) use limits::Place;
pub(crate) use listener::{Arrival, accept, bind, next, prepare};
pub(crate) use proxy::Ends;
pub use proxy::Proxy;
pub(crate) use stream::Stream;

use crate::backend::{Accounts, Vfs};
use app::activity;
use app::budget::Budget;
use app::sessions::Sessions;
use domain::event::{Origin, Protocol};
use domain::id::uuid_text;
use limits::{Counter, Exceeded};
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Span;

/// For the check of one login.
pub(crate) const CHECK_DEADLINE: Duration = Duration::from_secs(30);

/// Refused logins of one connection.
pub(crate) const MAX_LOGIN_ATTEMPTS: usize = 6;

/// No user name is longer; longer ones are not looked up.
pub(crate) const MAX_USER_BYTES: usize = 255;

/// For a client to close its side after it was told that we are done.
pub(crate) const FAREWELL: Duration = Duration::from_secs(5);

/// The same for one whose session was ended from outside, which is to be over soon.
pub(crate) const SHORT_FAREWELL: Duration = Duration::from_secs(1);

/// What all connections of a node share. Cheap to clone.
#[derive(Clone)]
pub struct Doors(Arc<Common>);

/// The same, as the doors see it.
pub struct Common {
    pub(crate) accounts: Accounts,
    pub(crate) vfs: Vfs,
    pub(crate) budget: Budget,
    /// Who has logged in.
    pub(crate) sessions: Sessions,
    /// The node is stopping: connections end when they have nothing open.
    pub(crate) draining: CancellationToken,
    /// Connections end now.
    pub(crate) kill: CancellationToken,
    /// Connections and uploads, which are awaited when the node stops.
    pub(crate) tasks: TaskTracker,
    /// Deadlines of a session.
    pub(crate) limits: Limits,
    counter: Counter,
    refused: app::meters::Counter,
    unbelieved: app::meters::Counter,
    headless: app::meters::Counter,
}

impl Doors {
    /// For a node with this state. The limits count over all its doors.
    pub fn new(state: &crate::state::State, limits: Limits) -> Self {
        Self(Arc::new(Common {
            accounts: state.accounts.clone(),
            vfs: state.vfs.clone(),
            budget: state.budget.clone(),
            sessions: state.sessions.clone(),
            draining: CancellationToken::new(),
            kill: CancellationToken::new(),
            tasks: TaskTracker::new(),
            limits,
            counter: Counter::new(limits),
            refused: app::meters::Counter::default(),
            unbelieved: app::meters::Counter::default(),
            headless: app::meters::Counter::default(),
        }))
    }

    /// Connections that are open.
    pub(crate) fn open_connections(&self) -> usize {
        self.counter.open()
    }

    /// Connections that a limit has refused so far.
    pub(crate) fn refused_connections(&self) -> u64 {
        self.refused.get()
    }

    /// Connections that were closed because their peer is no balancer that is believed, and for want of a PROXY header.
    pub(crate) fn connections_without_header(&self) -> (u64, u64) {
        (self.unbelieved.get(), self.headless.get())
    }

    /// Counts and logs a connection that a limit refuses.
    fn refuse(&self, client: SocketAddr, exceeded: Exceeded) {
        self.refused.add(1);
        activity::connection_rejected(client.ip(), &exceeded);
    }

    /// Whether this peer may connect, where it is said whom to believe.
    pub(crate) fn takes(&self, proxy: &Proxy, peer: SocketAddr) -> bool {
        let takes = proxy.takes(peer.ip());
        if !takes {
            self.unbelieved.add(1);
            let reason = "its peer is not in the networks whose PROXY headers are believed";
            activity::connection_rejected(peer.ip(), &reason);
        }
        takes
    }

    /// Whose connection it is; none if it does not say so as it must.
    pub(crate) async fn ends(&self, proxy: &Proxy, socket: &mut TcpStream, peer: SocketAddr) -> Option<Ends> {
        let ends = proxy.ends(socket, peer).await;
        ends.inspect_err(|reason| {
            self.headless.add(1);
            activity::connection_rejected(peer.ip(), reason);
        })
        .ok()
    }

    /// Whether the node has been told to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Stops all doors: accepts nothing more, lets transfers end for at most `limit`, then closes what is left. Uploads whose
    /// end has been received are finished in any case, within `limit` once more.
    pub async fn stop(self, limit: Duration) {
        self.draining.cancel();
        self.tasks.close();
        if tokio::time::timeout(limit, self.tasks.wait()).await.is_ok() {
            return;
        }
        tracing::info!(limit_s = limit.as_secs(), "closing connections that did not end in time");
        self.kill.cancel();
        if tokio::time::timeout(limit, self.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "stopping with work left");
        }
    }
}

/// A new session.
pub(crate) fn origin(protocol: Protocol, client: SocketAddr) -> Origin {
    Origin { protocol, client_ip: client.ip().to_canonical(), session_id: uuid_text(store::clock::random()) }
}

/// What the lines of its log have in common; `user` is for the login to fill in.
pub(crate) fn span(origin: &Origin, client: SocketAddr) -> Span {
    tracing::info_span!(
        "session",
        "session-id" = origin.session_id,
        "source-ip" = %origin.client_ip,
        "source-port" = client.port(),
        user = tracing::field::Empty
    )
}

impl Deref for Doors {
    type Target = Common;
    fn deref(&self) -> &Common {
        &self.0
    }
}
