//! One data connection (RFC 4217, sections 7 and 12): from the place that PASV or EPSV made to its TLS end, with a deadline
//! for every step. What goes wrong is a reply; nothing here ever holds up the control connection.

use super::Times;
use super::passive::Pending;
use super::reply::{self, Reply};
use super::tls::SessionTls;
use crate::door::Stream;
use bytes::{Bytes, BytesMut};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::HandshakeKind;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// How much is read at once, and handed to an upload in one piece.
pub(crate) const PIECE: usize = 256 * 1024;

/// The least room that is worth a read: the content of a TLS record.
const LEAST_ROOM: usize = 16 * 1024;

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
    pub(crate) pending: Pending,
    pub(crate) tls: SessionTls,
    pub(crate) reuse_required: bool,
    pub(crate) times: Arc<Times>,
    pub(crate) kill: CancellationToken,
}

/// An open data connection.
pub(crate) struct Data {
    stream: TlsStream<Stream>,
    /// What is being read. Its memory is used again when nobody holds the piece before.
    piece: BytesMut,
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
    /// Waits for the client's connection and begins TLS on it.
    pub(crate) async fn meet(self, direction: Direction) -> Result<Data, Reply> {
        let Self { mut pending, tls, reuse_required, times, kill } = self;
        let stranger = Arc::clone(&pending.stranger);
        let arrived = tokio::select! {
            arrived = &mut pending.arrived => arrived.map_err(|_| reply::NO_CONNECTION)?,
            () = tokio::time::sleep(times.connect) => return Err(reply::NO_CONNECTION),
            () = async {
                stranger.notified().await;
                // it may have been somebody else's
                tokio::time::sleep(times.own_after_stranger).await;
            } => return Err(reply::NOT_REUSED),
        };
        let config = match direction {
            Direction::ToClient => tls.reading,
            Direction::FromClient => tls.writing,
        };
        let stream = Stream::after(arrived.read, arrived.socket, kill).acknowledging_at_once();
        let stream = match timeout(times.handshake, TlsAcceptor::from(config).accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::info!(%error, "TLS failed on a data connection");
                return Err(reply::NO_TLS);
            }
            Err(_) => return Err(reply::NO_TLS),
        };
        if reuse_required && stream.get_ref().1.handshake_kind() != Some(HandshakeKind::Resumed) {
            tracing::info!("a data connection does not continue the TLS session of its control connection");
            return Err(reply::NOT_REUSED);
        }
        let pace = Pace::new(&times);
        Ok(Data { stream, piece: BytesMut::new(), pace, times })
    }
}

impl Data {
    /// Reads until a piece is full or the client has ended. What it ends without TLS's own end is cut off.
    pub(crate) async fn read(&mut self) -> Result<Came, Reply> {
        let Self { stream, piece, pace, times } = self;
        piece.reserve(PIECE);
        while piece.capacity() - piece.len() >= LEAST_ROOM {
            let read = timeout(times.stall, stream.read_buf(piece)).await;
            match read {
                Ok(Ok(0)) if piece.is_empty() => return Ok(Came::End),
                Ok(Ok(0)) => break,
                Ok(Ok(bytes)) => pace.moved(bytes)?,
                Ok(Err(error)) => {
                    tracing::info!(%error, "a data connection broke");
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
    window: std::time::Duration,
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
