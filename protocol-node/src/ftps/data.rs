//! One data connection (RFC 4217, sections 7 and 12): from the place that PASV or EPSV made to its TLS end, with a deadline
//! for every step. What goes wrong is a reply; nothing here ever holds up the control connection.

use super::Times;
use super::expected::Expected;
use super::job::Work;
use super::reply::{self, Reply};
use super::tickets::Tickets;
use crate::door::Stream;
use bytes::{Bytes, BytesMut};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};
use tokio_rustls::server::TlsStream;

/// How much is read at once, and handed to an upload in one piece.
pub(crate) const PIECE: usize = 256 * 1024;

/// The least room that is worth a read: the content of a TLS record.
const LEAST_ROOM: usize = 16 * 1024;

/// How long 150 waits for the ClientHello of a client that sent its last one before 150.
const HELLO_GRACE: Duration = Duration::from_millis(50);

/// How long it waits for the handshake, should the client wait for 150 in the middle of it.
const EARLY_HANDSHAKE: Duration = Duration::from_secs(1);

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The client reads: RETR, listings.
    ToClient,
    /// The client writes: STOR and its kin.
    FromClient,
}

/// What is needed to meet a data connection.
pub(crate) struct Meeting {
    pub(super) expected: Expected,
    /// Whether the session's client sent its last ClientHello before 150.
    pub(crate) hello_first: Arc<AtomicBool>,
}

/// An open data connection.
pub(crate) struct Data {
    stream: TlsStream<Stream>,
    /// What is being read. Its memory is used again when nobody holds the piece before.
    piece: BytesMut,
    tickets: Arc<Tickets>,
    pace: Pace,
    times: Arc<Times>,
}

/// What came on a data connection.
pub(crate) enum Came {
    /// Bytes, at most [`PIECE`].
    Bytes(Bytes),
    /// The client has ended TLS: that was all.
    End,
}

impl Meeting {
    /// Says 150, and begins TLS on the client's connection.
    ///
    /// Most clients begin TLS after 150. Some do at once, and go on sending after 150: for them the handshake comes first, so that
    /// the ticket at its end is there before they have sent a small file and closed ([`super::tickets`]).
    pub(crate) async fn begin(self, direction: Direction, work: &Work, first: Reply) -> Result<Data, Reply> {
        let Self { mut expected, hello_first } = self;
        expected.is_for(direction);
        let grace = if hello_first.load(Ordering::Relaxed) { HELLO_GRACE } else { Duration::ZERO };
        let early = timeout(grace, expected.hello()).await;
        hello_first.store(early.is_ok(), Ordering::Relaxed);
        let stream = if let Ok(hello) = early {
            hello?;
            let ready = timeout(EARLY_HANDSHAKE, expected.secured()).await.ok().transpose()?;
            work.tell(first);
            match ready {
                Some(stream) => stream,
                None => expected.secured().await?,
            }
        } else {
            work.tell(first);
            expected.hello_in_time().await?;
            expected.secured().await?
        };
        let (times, tickets) = (Arc::clone(&expected.shaking.times), Arc::clone(&expected.shaking.tls.tickets));
        let pace = Pace::new(&times);
        Ok(Data { stream, piece: BytesMut::new(), tickets, pace, times })
    }
}

impl Data {
    /// Reads until a piece is full or the client has ended. What it ends without TLS's own end is cut off.
    pub(crate) async fn read(&mut self) -> Result<Came, Reply> {
        let Self { stream, piece, tickets, pace, times } = self;
        piece.reserve(PIECE);
        while piece.capacity() - piece.len() >= LEAST_ROOM {
            let read = timeout(times.stall, stream.read_buf(piece)).await;
            match read {
                Ok(Ok(0)) if piece.is_empty() => return Ok(Came::End),
                Ok(Ok(0)) => break,
                Ok(Ok(bytes)) => pace.moved(bytes)?,
                Ok(Err(error)) => {
                    tracing::info!(%error, "a data connection broke");
                    if error.kind() == io::ErrorKind::ConnectionReset {
                        tickets.upload_was_reset();
                    }
                    return Err(reply::CUT);
                }
                Err(_) => return Err(reply::STALLED),
            }
        }
        Ok(Came::Bytes(piece.split().freeze()))
    }

    /// Writes all of `bytes`.
    pub(crate) async fn write(&mut self, mut bytes: &[u8]) -> Result<(), Reply> {
        while !bytes.is_empty() {
            match timeout(self.times.stall, self.stream.write(bytes)).await {
                Ok(Ok(0)) => return Err(reply::BROKEN),
                Ok(Ok(written)) => {
                    bytes = bytes.get(written..).unwrap_or_default();
                    self.pace.moved(written)?;
                }
                Ok(Err(error)) => return Err(broken(&error)),
                Err(_) => return Err(reply::STALLED),
            }
        }
        Ok(())
    }

    /// Ends TLS and the connection's sending side, so that the client knows that it has everything.
    pub(crate) async fn end(&mut self) -> Result<(), Reply> {
        match timeout(self.times.stall, self.stream.shutdown()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(broken(&error)),
            Err(_) => Err(reply::STALLED),
        }
    }

    /// The same where nobody depends on it.
    pub(crate) async fn end_beside(mut self) {
        let _ = timeout(self.times.linger, self.stream.shutdown()).await;
    }

    /// Reads whatever the client still sends until it closes: a socket that is closed with bytes unread makes the kernel
    /// throw away what the client has not received yet.
    pub(crate) async fn linger(mut self) {
        let mut ignored = [0; 512];
        let rest = async { while let Ok(1..) = self.stream.read(&mut ignored).await {} };
        let _ = timeout(self.times.linger, rest).await;
    }
}

fn broken(error: &io::Error) -> Reply {
    tracing::info!(%error, "a data connection broke");
    reply::BROKEN
}

/// Who moves a byte now and then never stands still, and must not hold a transfer's memory for ever.
struct Pace {
    since: Instant,
    bytes: u64,
    window: Duration,
    least: u64,
}

impl Pace {
    fn new(times: &Times) -> Self {
        Self { since: Instant::now(), bytes: 0, window: times.pace_window, least: times.pace_bytes }
    }

    fn moved(&mut self, bytes: usize) -> Result<(), Reply> {
        self.bytes += bytes as u64;
        if self.since.elapsed() < self.window {
            return Ok(());
        }
        if self.bytes < self.least {
            return Err(reply::STALLED);
        }
        (self.since, self.bytes) = (Instant::now(), 0);
        Ok(())
    }
}
