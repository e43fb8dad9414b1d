//! One connection from its first byte to its last, and its deadlines.

use super::handler::Handler;
use super::listener::Shared;
use super::offer::{Outcome, Tap};
use super::transport;
use crate::door::{self, Arrival, FAREWELL, Place, SHORT_FAREWELL, Stream};
use crate::sftp;
use app::activity;
use domain::event::{Origin, Protocol};
use russh::server::{self, RunningSession};
use russh::{Disconnect, Error};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// How often idleness is looked at, and how often when the node is stopping.
const LOOK: Duration = Duration::from_secs(30);
const LOOK_DRAINING: Duration = Duration::from_millis(200);

/// What a connection's supervisor and its handler share.
pub(super) struct Watch {
    /// Cancelled at the login.
    pub(super) logged_in: CancellationToken,
    /// Cancelled to end the connection at once.
    pub(super) kill: CancellationToken,
    /// Cancelled when the session is to end.
    pub(super) ended: CancellationToken,
    /// What both sides have agreed on.
    pub(super) agreed: Outcome,
    seen: Mutex<Seen>,
}

struct Seen {
    last: Instant,
    channels: Vec<sftp::Activity>,
}

impl Watch {
    fn new(kill: CancellationToken) -> Self {
        Self {
            logged_in: CancellationToken::new(),
            kill,
            ended: CancellationToken::new(),
            agreed: Outcome::default(),
            seen: Mutex::new(Seen { last: Instant::now(), channels: Vec::new() }),
        }
    }

    /// The client has asked something.
    pub(super) fn touch(&self) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).last = Instant::now();
    }

    /// A channel was opened.
    pub(super) fn add(&self, activity: sftp::Activity) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.channels.retain(sftp::Activity::is_alive);
        seen.channels.push(activity);
    }

    /// Whether something is open or unanswered.
    fn is_busy(&self) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.channels.iter().any(sftp::Activity::is_busy)
    }

    /// Whether answers are due, which is not the client's idleness.
    fn is_idle(&self, limit: Duration) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.last.elapsed() > limit && !seen.channels.iter().any(sftp::Activity::owes_answers)
    }
}

/// Serves a connection.
pub(super) async fn serve(shared: Arc<Shared>, arrival: Arrival) {
    let Arrival { socket, ends, place } = arrival;
    let origin = door::origin(Protocol::Sftp, ends.client);
    let span = door::span(&origin, ends.client);
    let watch = Arc::new(Watch::new(shared.doors.kill.child_token()));
    // whatever ends this task ends the connection
    let _end = watch.kill.clone().drop_guard();
    let mut tap = Tap::new(transport::OURS, Arc::clone(&watch.agreed));
    let stream = Stream::new(socket, watch.kill.clone()).seen_by(Box::new(move |bytes| tap.take(bytes)));
    let handler = Handler::new(Arc::clone(&shared), Arc::clone(&watch), origin.clone(), span.clone());
    supervise(&shared, &watch, stream, handler, &origin, place).instrument(span).await;
}

async fn supervise(
    shared: &Shared,
    watch: &Watch,
    stream: Stream,
    handler: Handler,
    origin: &Origin,
    mut place: Place,
) {
    let limits = shared.doors.limits;
    let deadline = Instant::now() + limits.login;
    // boxed, as are the ends below: this task would keep room for them as long as the session lasts
    let beginning = Box::pin(server::run_stream(Arc::clone(&shared.ssh), stream, handler));
    let begun = timeout_at(deadline, beginning).await;
    let mut session = match begun {
        Ok(Ok(session)) => session,
        Ok(Err(error)) => return tracing::debug!(%error, "a connection ended before the protocol began"),
        Err(_) => return tracing::debug!("a client sent no SSH identification"),
    };
    tokio::select! {
        ended = &mut session => return log_end(ended),
        () = watch.logged_in.cancelled() => place.logging_in = None,
        () = sleep_until(deadline) => {
            activity::exit_reason(origin, "the client did not log in in time");
            return Box::pin(end(watch, session)).await;
        }
        () = shared.doors.draining.cancelled() => return Box::pin(disconnect(watch, session, STOPPING)).await,
    }
    loop {
        let look = if shared.doors.draining.is_cancelled() { LOOK_DRAINING } else { LOOK.min(limits.idle) };
        tokio::select! {
            ended = &mut session => return log_end(ended),
            () = watch.ended.cancelled() => return Box::pin(disconnect(watch, session, ENDED)).await,
            () = shared.doors.draining.cancelled(), if !shared.doors.draining.is_cancelled() => {}
            () = sleep(look) => {}
        }
        if shared.doors.draining.is_cancelled() && !watch.is_busy() {
            return Box::pin(disconnect(watch, session, STOPPING)).await;
        }
        if watch.is_idle(limits.idle) {
            activity::exit_reason(origin, "the client was idle for too long");
            return Box::pin(disconnect(watch, session, IDLE)).await;
        }
    }
}

/// What a client is told at the end, and how long it has to close its side.
struct End {
    why: &'static str,
    farewell: Duration,
}

const STOPPING: End = End { why: "the server is stopping", farewell: FAREWELL };
const IDLE: End = End { why: "idle for too long", farewell: FAREWELL };
const ENDED: End = End { why: "the session was ended by the server", farewell: SHORT_FAREWELL };

/// Says why, waits a moment for the client to close, and closes.
async fn disconnect(watch: &Watch, mut session: RunningSession<Handler>, End { why, farewell: limit }: End) {
    let farewell = async {
        let handle = session.handle();
        let told = handle.disconnect(Disconnect::ByApplication, why.to_owned(), "en".to_owned());
        if told.await.is_ok() {
            let _ = (&mut session).await;
        }
    };
    if timeout(limit, farewell).await.is_err() {
        end(watch, session).await;
    }
}

/// Closes.
async fn end(watch: &Watch, session: RunningSession<Handler>) {
    watch.kill.cancel();
    let _ = timeout(FAREWELL, session).await;
}

fn log_end(ended: Result<(), super::handler::SessionError>) {
    match ended {
        Ok(()) => tracing::debug!("the client has disconnected"),
        // clients often just close the socket
        Err(error) => match error.0 {
            Error::IO(_) | Error::HUP | Error::Disconnect => tracing::debug!(%error, "the connection has ended"),
            _ => tracing::info!(%error, "the connection was ended by an error"),
        },
    }
}
