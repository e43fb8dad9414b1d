//! The socket as the libraries of SSH and TLS see it: with a read buffer, because they ask for a few bytes at a time, and
//! with a switch that ends it from outside.
//!
//! The buffer exists only while there are bytes in it, so an idle connection costs none.

use bytes::{Buf as _, BytesMut};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Two packets of the largest size with what surrounds them; below the size from which allocations are mapped and
/// unmapped each time.
const READ_BUFFER: usize = 96 * 1024;

/// A buffered socket.
pub(crate) struct Stream {
    socket: TcpStream,
    buffer: BytesMut,
    killed: Pin<Box<WaitForCancellationFutureOwned>>,
    acknowledges_at_once: bool,
    tap: Option<Tap>,
}

/// Sees what comes, until it has seen enough and says so.
pub(crate) type Tap = Box<dyn FnMut(&[u8]) -> bool + Send + Sync>;

impl Stream {
    /// Over `socket`, until `kill` is cancelled.
    pub(crate) fn new(socket: TcpStream, kill: CancellationToken) -> Self {
        Self::after(BytesMut::new(), socket, kill)
    }

    /// The same when its first bytes have been read already.
    pub(crate) fn after(read: BytesMut, socket: TcpStream, kill: CancellationToken) -> Self {
        let killed = Box::pin(kill.cancelled_owned());
        Self { socket, buffer: read, killed, acknowledges_at_once: false, tap: None }
    }

    /// What comes is shown to this, too.
    #[must_use]
    pub(crate) fn seen_by(mut self, tap: Tap) -> Self {
        self.tap = Some(tap);
        self
    }

    /// What has come is acknowledged whenever more is waited for. Clients of TLS send the end of a handshake, or of a small
    /// file, in several small pieces, and with Nagle's algorithm the second waits for our acknowledgement of the first, which
    /// the kernel holds back for 40 ms.
    #[must_use]
    pub(crate) fn acknowledging_at_once(mut self) -> Self {
        self.acknowledges_at_once = true;
        self
    }

    /// Whether bytes have come that nobody has asked for yet.
    pub(crate) fn has_unread(&self) -> bool {
        !self.buffer.is_empty()
    }

    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.killed.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "closed by the server")),
            Poll::Pending => Ok(()),
        }
    }

    /// Reads what the socket has into an empty buffer. `Ready(0)` at its end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            match self.socket.poll_read_ready(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => {
                    self.buffer = BytesMut::new();
                    if self.acknowledges_at_once {
                        acknowledge(&self.socket);
                    }
                    return Poll::Pending;
                }
            }
            self.buffer.reserve(READ_BUFFER);
            match self.socket.try_read_buf(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => {
                    // the buffer was empty, so all of it is new
                    if self.tap.as_mut().is_some_and(|tap| tap(&self.buffer)) {
                        self.tap = None;
                    }
                    return Poll::Ready(outcome);
                }
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn acknowledge(socket: &TcpStream) {
    // only time is lost if it fails
    let _ = socket2::SockRef::from(socket).set_tcp_quickack(true);
}

#[cfg(not(target_os = "linux"))]
fn acknowledge(_socket: &TcpStream) {}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        if self.buffer.is_empty() && ready!(self.poll_fill(cx))? == 0 {
            return Poll::Ready(Ok(()));
        }
        let len = out.remaining().min(self.buffer.len());
        out.put_slice(self.buffer.get(..len).unwrap_or_default());
        self.buffer.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.socket).poll_write_vectored(cx, pieces)
    }
    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
