//! The two FTPS ports and the passive ones: binding, opening, and serving a connection.

use super::Times;
use super::client_keys::AnyKey;
use super::passive::Passive;
use super::session::Session;
use super::tls::SessionTls;
use crate::door::{
    self, Arrival, CertificateError, CertificateFiles, Certificates, Doors, LOOK, Proxy, SHORT_FAREWELL,
};
use domain::event::Protocol;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

/// How FTPS is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `TOWPATH_FTPS_LISTEN`: explicit, TLS after AUTH TLS.
    pub listen: SocketAddr,
    /// `TOWPATH_FTPS_IMPLICIT_LISTEN`: TLS from the first byte.
    pub implicit_listen: SocketAddr,
    /// `TOWPATH_FTPS_PASSIVE_PORTS`: for data connections, at the address of `listen`.
    pub passive_ports: Vec<u16>,
    /// `TOWPATH_FTPS_PASSIVE_ADDRESS`: what PASV names instead of the address that the client dialled.
    pub passive_address: Option<Ipv4Addr>,
    /// `TOWPATH_FTPS_SESSION_REUSE`: whether data connections must continue the TLS session.
    pub reuse_required: bool,
    /// `TOWPATH_FTPS_PROXY_PROTOCOL`: whether connections begin with a PROXY header, those for data as well.
    pub proxy: Proxy,
    /// `TOWPATH_FTPS_CERTIFICATE_FILE`, `TOWPATH_FTPS_KEY_FILE`.
    pub certificate: CertificateFiles,
    /// `TOWPATH_FTPS_CLIENT_CERTIFICATES`: whether clients are asked for one of theirs.
    pub ask_clients: bool,
}

/// Why FTPS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// A port.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The certificate.
    #[error("TOWPATH_FTPS_CERTIFICATE_FILE and TOWPATH_FTPS_KEY_FILE: {0}")]
    Certificate(#[from] CertificateError),
}

/// What the sessions of this door share.
pub(super) struct Shared {
    pub(super) doors: Doors,
    pub(super) passive: Passive,
    pub(super) passive_address: Option<Ipv4Addr>,
    pub(super) reuse_required: bool,
    pub(super) times: Arc<Times>,
    certificates: Arc<Certificates>,
    _following: AbortOnDropHandle<()>,
}

/// Bound ports that do not accept yet.
pub struct Door {
    explicit: TcpListener,
    implicit: TcpListener,
    proxy: Proxy,
    shared: Arc<Shared>,
}

/// Where an open door listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// Explicit.
    pub explicit: SocketAddr,
    /// Implicit.
    pub implicit: SocketAddr,
}

impl Door {
    /// Reads the certificate and binds the ports.
    pub fn bind(settings: Settings, doors: &Doors) -> Result<Self, DoorError> {
        Self::bind_with(settings, doors, Times::new(&doors.limits))
    }

    /// The same with other deadlines.
    pub(super) fn bind_with(settings: Settings, doors: &Doors, times: Times) -> Result<Self, DoorError> {
        let clients = settings.ask_clients.then(|| Arc::new(AnyKey(Arc::new(aws_lc_rs::default_provider()))) as _);
        let certificates = Certificates::load(settings.certificate, clients)?;
        let following = tokio::spawn(Arc::clone(&certificates).follow(LOOK));
        Ok(Self {
            explicit: door::bind(settings.listen).map_err(named("TOWPATH_FTPS_LISTEN"))?,
            implicit: door::bind(settings.implicit_listen).map_err(named("TOWPATH_FTPS_IMPLICIT_LISTEN"))?,
            proxy: settings.proxy.clone(),
            shared: Arc::new(Shared {
                doors: doors.clone(),
                passive: Passive::bind(settings.listen.ip(), &settings.passive_ports, &settings.proxy, doors)
                    .map_err(named("TOWPATH_FTPS_PASSIVE_PORTS"))?,
                passive_address: settings.passive_address,
                reuse_required: settings.reuse_required,
                times: Arc::new(times),
                certificates,
                _following: AbortOnDropHandle::new(following),
            }),
        })
    }

    /// Starts to accept, until the doors are stopped.
    pub fn open(self) -> io::Result<Open> {
        let Self { explicit, implicit, proxy, shared } = self;
        let open = Open { explicit: explicit.local_addr()?, implicit: implicit.local_addr()? };
        let doors = shared.doors.clone();
        for (listener, implicit) in [(explicit, false), (implicit, true)] {
            let shared = Arc::clone(&shared);
            let serve = move |arrival| serve(Arc::clone(&shared), arrival, implicit);
            doors.tasks.spawn(door::accept(listener, proxy.clone(), doors.clone(), serve));
        }
        Ok(open)
    }
}

fn named(variable: &'static str) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{variable}: {error}"))
}

/// Ends when a session that was ended from outside has had its time to say goodbye, whatever it is waiting for.
async fn overdue(ended: CancellationToken) {
    ended.cancelled().await;
    tokio::time::sleep(SHORT_FAREWELL).await;
}

/// Serves a connection.
async fn serve(shared: Arc<Shared>, arrival: Arrival, implicit: bool) {
    let Arrival { socket, ends, place } = arrival;
    let origin = door::origin(Protocol::Ftps, ends.client);
    let span = door::span(&origin, ends.client);
    let kill = shared.doors.kill.child_token();
    // whatever ends this task ends its connections
    let _end = kill.clone().drop_guard();
    let session = SessionTls::new(&shared.certificates.current())
        .map(|tls| Session::new(Arc::clone(&shared), socket, ends.dialled, tls, origin, place, kill.clone()));
    let serving = async {
        match session {
            Ok(session) => {
                let too_late = overdue(session.ended.clone());
                let serving = kill.run_until_cancelled(Box::pin(session.serve(implicit)));
                tokio::select! {
                    _ = serving => {}
                    () = too_late => {}
                }
            }
            Err(error) => tracing::warn!(%error, "a connection cannot be served"),
        }
    };
    serving.instrument(span).await;
}
