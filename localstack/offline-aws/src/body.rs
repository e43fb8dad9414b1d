//! Request bodies that can be read to their end by somebody else than the one they were given to: a client that is
//! still sending when the error answer comes reports a broken pipe and not the answer.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// Beyond this the client gets its broken pipe.
const DRAIN_BYTES: u64 = 256 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// A request body shared between the service and whoever drains the rest.
pub(crate) struct SharedBody(Arc<Mutex<Incoming>>);

/// The other end of a [`SharedBody`].
pub(crate) struct Rest(Arc<Mutex<Incoming>>);

pub(crate) fn shared(body: Incoming) -> (SharedBody, Rest) {
    let body = Arc::new(Mutex::new(body));
    (SharedBody(body.clone()), Rest(body))
}

impl Body for SharedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Pin::new(&mut *body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}

impl Rest {
    /// Reads what is left, within limits of size and time.
    pub(crate) async fn drain(self) {
        drain(SharedBody(self.0)).await;
    }
}

/// Reads a body nobody wants, within limits of size and time.
pub(crate) async fn drain(mut body: impl Body<Data = Bytes> + Unpin) {
    let mut read = 0u64;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, |data| data.len() as u64);
            if read > DRAIN_BYTES {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(DRAIN_TIME, reading).await;
}
