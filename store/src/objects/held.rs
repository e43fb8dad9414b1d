//! A body whose bytes are held back. A PUT can so be under way, as far as S3 makes it anything, before what must be durable
//! first is durable: without its last byte it is nothing, and if the word never comes it breaks off.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::watch;

/// Lets the bytes go. Dropped without that, they never leave.
pub struct Go(watch::Sender<bool>);

/// What holds them back.
#[derive(Clone)]
pub struct Held(watch::Receiver<bool>);

/// Both ends.
pub fn hold() -> (Go, Held) {
    let (go, held) = watch::channel(false);
    (Go(go), Held(held))
}

impl Go {
    /// Now.
    pub fn go(self) {
        self.0.send_replace(true);
    }
}

type Word = Pin<Box<dyn Future<Output = bool> + Send + Sync>>;

/// All bytes at once, when they may go.
pub(super) struct HeldBody {
    word: Word,
    bytes: Option<Bytes>,
}

impl HeldBody {
    pub(super) fn new(bytes: Bytes, held: Held) -> Self {
        let mut word = held.0;
        let word = Box::pin(async move { word.wait_for(|go| *go).await.is_ok() });
        Self { word, bytes: Some(bytes) }
    }
}

impl Body for HeldBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.bytes.is_none() {
            return Poll::Ready(None);
        }
        if !ready!(self.word.as_mut().poll(cx)) {
            self.bytes = None;
            return Poll::Ready(Some(Err(io::Error::other("what the request waited for has failed"))));
        }
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    #[test]
    fn the_bytes_leave_at_the_word_and_never_without_it() {
        let mut cx = Context::from_waker(Waker::noop());
        let (go, held) = hold();
        let body = || Box::pin(HeldBody::new(Bytes::from_static(b"all"), held.clone()));
        let (mut first, mut second) = (body(), body());
        assert!(first.as_mut().poll_frame(&mut cx).is_pending());
        assert_eq!(first.size_hint().exact(), Some(3));
        go.go();
        for body in [&mut first, &mut second] {
            let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(&mut cx) else { panic!("no bytes") };
            assert_eq!(frame.into_data().ok(), Some(Bytes::from_static(b"all")));
            assert!(matches!(body.as_mut().poll_frame(&mut cx), Poll::Ready(None)));
        }
        let (go, held) = hold();
        let mut body = Box::pin(HeldBody::new(Bytes::from_static(b"all"), held));
        assert!(body.as_mut().poll_frame(&mut cx).is_pending());
        drop(go);
        assert!(matches!(body.as_mut().poll_frame(&mut cx), Poll::Ready(Some(Err(_)))));
    }
}
