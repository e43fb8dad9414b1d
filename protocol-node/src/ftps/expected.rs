//! A data connection from PASV or EPSV on, until a transfer takes it.
//!
//! TLS begins when the client's ClientHello is there, and does not wait for the command: some clients (curl) connect and begin
//! TLS as soon as they know the port, and go on when it is answered. Only where tickets depend on the command
//! ([`Tickets::depend_on_direction`]) the handshake waits for it, not for long.

use super::Times;
use super::data::Direction;
use super::passive::{Arrived, Pending};
use super::reply::{self, Reply};
use super::tls::SessionTls;
use crate::door::Stream;
use app::activity;
use domain::event::Origin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{HandshakeKind, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

/// How long a handshake waits for the command that tells which tickets it is to bring.
const COMMAND_GRACE: Duration = Duration::from_millis(500);

/// What is needed to begin TLS on a data connection.
pub(super) struct Shaking {
    pub(super) tls: SessionTls,
    pub(super) reuse_required: bool,
    pub(super) times: Arc<Times>,
    pub(super) kill: CancellationToken,
    pub(super) origin: Origin,
}

/// The connection that a session's client is to make.
pub(super) struct Expected {
    hello: oneshot::Receiver<()>,
    tell: Option<oneshot::Sender<Direction>>,
    secured: oneshot::Receiver<Result<TlsStream<Stream>, Reply>>,
    stranger: Arc<Notify>,
    pub(super) shaking: Arc<Shaking>,
    // the place at the port, and the handshake, end with it
    _meeting: AbortOnDropHandle<()>,
}

/// The other ends of what [`Expected`] waits for.
struct Ends {
    came: oneshot::Sender<()>,
    direction: oneshot::Receiver<Direction>,
    done: oneshot::Sender<Result<TlsStream<Stream>, Reply>>,
}

impl Expected {
    /// Waits for it on a task.
    pub(super) fn new(pending: Pending, shaking: Shaking) -> Self {
        let shaking = Arc::new(shaking);
        let stranger = Arc::clone(&pending.stranger);
        let ((came, hello), (tell, direction), (done, secured)) =
            (oneshot::channel(), oneshot::channel(), oneshot::channel());
        let meet = meet(pending, Arc::clone(&shaking), Ends { came, direction, done });
        let meeting = tokio::spawn(meet.in_current_span());
        Self { hello, tell: Some(tell), secured, stranger, shaking, _meeting: AbortOnDropHandle::new(meeting) }
    }

    /// Says which way the bytes will go.
    pub(super) fn is_for(&mut self, direction: Direction) {
        // nobody listens if the handshake has begun
        let _ = self.tell.take().map(|tell| tell.send(direction));
    }

    /// Until its ClientHello is there. May be cancelled; once it has answered it may not be called again.
    pub(super) async fn hello(&mut self) -> Result<(), Reply> {
        (&mut self.hello).await.map_err(|_| reply::NO_CONNECTION)
    }

    /// The same with a deadline.
    pub(super) async fn hello_in_time(&mut self) -> Result<(), Reply> {
        let Self { hello, stranger, shaking, .. } = self;
        tokio::select! {
            hello = hello => hello.map_err(|_| reply::NO_CONNECTION),
            () = sleep(shaking.times.connect) => Err(reply::NO_CONNECTION),
            () = async {
                stranger.notified().await;
                // it may have been somebody else's
                sleep(shaking.times.own_after_stranger).await;
            } => {
                activity::tls_resume_failure(&shaking.origin);
                Err(reply::NOT_REUSED)
            }
        }
    }

    /// The end of the handshake, which has a deadline of its own.
    pub(super) async fn secured(&mut self) -> Result<TlsStream<Stream>, Reply> {
        (&mut self.secured).await.unwrap_or(Err(reply::NO_TLS))
    }
}

async fn meet(mut pending: Pending, shaking: Arc<Shaking>, ends: Ends) {
    let Ends { came, mut direction, done } = ends;
    let Ok(arrived) = (&mut pending.arrived).await else {
        return;
    };
    drop(pending);
    // here and below: who does not listen has gone, and this task with it
    let _ = came.send(());
    let direction = match direction.try_recv() {
        Ok(direction) => Some(direction),
        Err(_) if shaking.tls.tickets.depend_on_direction() => {
            timeout(COMMAND_GRACE, direction).await.ok().and_then(Result::ok)
        }
        Err(_) => None,
    };
    let config = match direction {
        Some(Direction::ToClient) => &shaking.tls.reading,
        // it may be an upload, and this very ClientHello may show that one should bring no ticket
        Some(Direction::FromClient) | None => &shaking.tls.writing,
    };
    let _ = done.send(shaking.shake(arrived, Arc::clone(config)).await);
}

impl Shaking {
    async fn shake(&self, arrived: Arrived, config: Arc<ServerConfig>) -> Result<TlsStream<Stream>, Reply> {
        let stream = Stream::after(arrived.read, arrived.socket, self.kill.clone()).acknowledging_at_once();
        let stream = match timeout(self.times.handshake, TlsAcceptor::from(config).accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::info!(%error, "TLS failed on a data connection");
                return Err(reply::NO_TLS);
            }
            Err(_) => return Err(reply::NO_TLS),
        };
        if self.reuse_required && stream.get_ref().1.handshake_kind() != Some(HandshakeKind::Resumed) {
            activity::tls_resume_failure(&self.origin);
            return Err(reply::NOT_REUSED);
        }
        Ok(stream)
    }
}
