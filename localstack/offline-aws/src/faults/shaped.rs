//! A TCP connection with a bandwidth limit for each direction. Which service a connection talks to is known from its
//! last request; the first bytes of the first request pass unlimited.

use super::{FaultControl, Service};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// What one pass through the bucket may carry at most: short enough that a transfer is smooth.
const BURST: Duration = Duration::from_millis(20);
const WAIT: Duration = Duration::from_millis(2);

/// What one pass carries at least: a TLS record, which is what S3 sends at a time. With less, the connection would never
/// sleep and pass a few bytes in each of a million writes, at the cost of the processor that client and server share.
const LEAST: f64 = 16.0 * 1024.0;

/// The service a connection talks to, shared between the connection and its requests.
#[derive(Clone, Default)]
pub(crate) struct Peer(Arc<AtomicU8>);

impl Peer {
    pub(crate) fn set(&self, service: Service) {
        let number = match service {
            Service::S3 => 1,
            Service::DynamoDb => 2,
            Service::Sqs => 3,
        };
        self.0.store(number, Ordering::Relaxed);
    }

    fn get(&self) -> Option<Service> {
        match self.0.load(Ordering::Relaxed) {
            1 => Some(Service::S3),
            2 => Some(Service::DynamoDb),
            3 => Some(Service::Sqs),
            _ => None,
        }
    }
}

pub(crate) struct Shaped {
    stream: TcpStream,
    faults: FaultControl,
    peer: Peer,
    reading: Bucket,
    writing: Bucket,
}

struct Bucket {
    tokens: f64,
    filled: Instant,
    wait: Option<Pin<Box<Sleep>>>,
}

impl Bucket {
    fn new() -> Self {
        Self { tokens: 0.0, filled: Instant::now(), wait: None }
    }

    /// How many bytes may pass now; at least [`LEAST`], or what a slower connection earns in [`BURST`].
    fn poll(&mut self, rate: f64, cx: &mut Context<'_>) -> Poll<usize> {
        loop {
            if let Some(wait) = &mut self.wait {
                ready!(wait.as_mut().poll(cx));
                self.wait = None;
            }
            let now = Instant::now();
            let earned = rate * now.duration_since(self.filled).as_secs_f64();
            let most = (rate * BURST.as_secs_f64()).max(1.0);
            self.tokens = (self.tokens + earned).min(most);
            self.filled = now;
            if self.tokens >= LEAST.min(most) {
                return Poll::Ready(whole(self.tokens));
            }
            self.wait = Some(Box::pin(sleep(WAIT)));
        }
    }

    fn spend(&mut self, bytes: usize) {
        self.tokens -= u32::try_from(bytes).map_or(f64::from(u32::MAX), f64::from);
    }
}

fn whole(tokens: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to a positive u32 just before"
    )]
    let tokens = tokens.clamp(1.0, f64::from(u32::MAX)) as usize;
    tokens
}

impl Shaped {
    pub(crate) fn new(stream: TcpStream, faults: FaultControl, peer: Peer) -> Self {
        Self { stream, faults, peer, reading: Bucket::new(), writing: Bucket::new() }
    }

    fn rate(&self) -> Option<f64> {
        self.faults.rate(self.peer.get()?)
    }
}

impl AsyncRead for Shaped {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = &mut *self;
        let Some(rate) = me.rate() else {
            return Pin::new(&mut me.stream).poll_read(cx, buf);
        };
        let allowed = ready!(me.reading.poll(rate, cx)).min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(allowed));
        ready!(Pin::new(&mut me.stream).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        buf.advance(read);
        me.reading.spend(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Shaped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let me = &mut *self;
        let Some(rate) = me.rate() else {
            return Pin::new(&mut me.stream).poll_write(cx, bytes);
        };
        let allowed = ready!(me.writing.poll(rate, cx));
        let part = bytes.get(..allowed).unwrap_or(bytes);
        let written = ready!(Pin::new(&mut me.stream).poll_write(cx, part))?;
        me.writing.spend(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.rate().is_none() {
            return Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        }
        let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice);
        self.poll_write(cx, first)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
