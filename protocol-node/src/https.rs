//! The HTTPS door: large bodies that the API sends here, with tickets ([`transfers::door`]), over TLS or behind a balancer that
//! ends it. HTTP/1.1; connections are limited and counted as those of the other doors.
//!
//! Bounds: [`Times`] for a handshake, for a head, and for a client that takes nothing; a body may pause as long as
//! [`transfers::receive`] says. A request holds of its body what hyper reads at once (400 KiB), of an answer two pieces.

#[cfg(test)]
mod tests;

use crate::door::{self, Arrival, CertificateError, CertificateFiles, Certificates, Doors, LOOK, Proxy};
use app::tickets::Tickets;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;
use tower::ServiceExt as _;
use transfers::door::Client;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// A TLS handshake.
    handshake: Duration,
    /// For the head of a request, and between two requests.
    head: Duration,
    /// For a client to take some of an answer.
    stall: Duration,
}

const TIMES: Times =
    Times { handshake: Duration::from_secs(20), head: Duration::from_secs(30), stall: Duration::from_secs(120) };

/// How it is offered. No Debug output: it can read tickets.
#[derive(Clone)]
pub struct Settings {
    /// `TOWPATH_HTTPS_LISTEN`: where.
    pub listen: SocketAddr,
    /// `TOWPATH_HTTPS_CERTIFICATE_FILE`, `TOWPATH_HTTPS_KEY_FILE`; none where a balancer ends TLS (`TOWPATH_HTTPS_TLS`).
    pub certificate: Option<CertificateFiles>,
    /// `TOWPATH_HTTPS_PROXY_PROTOCOL`: whether connections begin with a PROXY header.
    pub proxy: Proxy,
    /// From `TOWPATH_TICKET_SECRET`.
    pub tickets: Tickets,
}

/// Why it cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The port.
    #[error("TOWPATH_HTTPS_LISTEN: {0}")]
    Io(#[from] std::io::Error),
    /// The certificate.
    #[error("TOWPATH_HTTPS_CERTIFICATE_FILE and TOWPATH_HTTPS_KEY_FILE: {0}")]
    Certificate(#[from] CertificateError),
}

/// A bound port that does not accept yet.
pub struct Door {
    listener: TcpListener,
    proxy: Proxy,
    shared: Arc<Shared>,
}

struct Shared {
    doors: Doors,
    routes: Router,
    times: Times,
    certificates: Option<Arc<Certificates>>,
    _following: Option<AbortOnDropHandle<()>>,
}

impl Door {
    /// Reads the certificate and binds the port.
    pub fn bind(settings: Settings, routes: Router, doors: &Doors) -> Result<Self, DoorError> {
        Self::bind_with(settings, routes, doors, TIMES)
    }

    fn bind_with(settings: Settings, routes: Router, doors: &Doors, times: Times) -> Result<Self, DoorError> {
        let certificates = settings.certificate.map(|files| Certificates::load(files, None)).transpose()?;
        let following = certificates.clone().map(|certificates| tokio::spawn(certificates.follow(LOOK)));
        let _following = following.map(AbortOnDropHandle::new);
        let shared = Shared { doors: doors.clone(), routes, times, certificates, _following };
        let listener = door::bind(settings.listen)?;
        Ok(Self { listener, proxy: settings.proxy, shared: Arc::new(shared) })
    }

    /// Starts to accept, until the doors are stopped.
    pub fn open(self) -> io::Result<SocketAddr> {
        let Self { listener, proxy, shared } = self;
        let address = listener.local_addr()?;
        let doors = shared.doors.clone();
        let serve = move |arrival| serve(Arc::clone(&shared), arrival);
        doors.tasks.spawn(door::accept(listener, proxy, doors.clone(), serve));
        Ok(address)
    }
}

async fn serve(shared: Arc<Shared>, arrival: Arrival) {
    let Arrival { socket, ends, mut place } = arrival;
    let client = Client(ends.client.ip().to_canonical());
    let mut socket = TimeoutStream::new(socket);
    socket.set_write_timeout(Some(shared.times.stall));
    let socket = Box::pin(socket);
    match &shared.certificates {
        None => {
            place.logging_in = None;
            requests(&shared, socket, client).await;
        }
        Some(certificates) => {
            let accepting = TlsAcceptor::from(certificates.current()).accept(socket);
            let shaken = shared
                .doors
                .draining
                .run_until_cancelled(tokio::time::timeout(shared.times.handshake, accepting))
                .await;
            match shaken {
                Some(Ok(Ok(socket))) => {
                    place.logging_in = None;
                    requests(&shared, socket, client).await;
                }
                Some(Ok(Err(error))) => tracing::debug!(%error, "a TLS handshake failed"),
                Some(Err(_)) | None => {}
            }
        }
    }
}

/// The requests of one connection, until it ends or the node stops; the one under way goes on until then.
async fn requests(shared: &Shared, socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, client: Client) {
    let routes = shared.routes.clone().map_request(move |mut request: axum::http::Request<_>| {
        request.extensions_mut().insert(client);
        request
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(shared.times.head);
    let serving = http.serve_connection(TokioIo::new(socket), TowerToHyperService::new(routes));
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = shared.doors.draining.cancelled() => {
            serving.as_mut().graceful_shutdown();
            tokio::select! {
                ended = serving => ended,
                () = shared.doors.kill.cancelled() => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}
