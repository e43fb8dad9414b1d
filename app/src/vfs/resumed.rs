//! Bytes of an object that are asked for again from where they broke off.

use bytes::Bytes;
use std::time::Duration;
use store::objects::{Body, ObjectError};

/// How often, for all bytes together.
const TRIES: u32 = 4;
/// How long they may stand still.
const STALL: Duration = Duration::from_secs(20);

/// A body, or the next try of one.
pub(super) struct Resumed {
    body: Option<Body>,
    tries: u32,
}

impl Resumed {
    /// `body` if the first bytes are on their way already.
    pub(super) fn new(body: Option<Body>) -> Self {
        Self { body, tries: 0 }
    }

    /// The next bytes, of which there must be some; `open` asks for all that are still missing.
    pub(super) async fn next<F>(&mut self, open: impl Fn() -> F) -> Result<Bytes, ObjectError>
    where
        F: Future<Output = Result<Body, ObjectError>>,
    {
        loop {
            let failure = match self.try_next(&open).await {
                Ok(Some(chunk)) => return Ok(chunk),
                Ok(None) => ObjectError::Incomplete("all bytes of the range"),
                Err(error) => error,
            };
            self.tries += 1;
            self.body = None;
            if !failure.outcome_unknown() || self.tries == TRIES {
                return Err(failure);
            }
        }
    }

    async fn try_next<F>(&mut self, open: impl Fn() -> F) -> Result<Option<Bytes>, ObjectError>
    where
        F: Future<Output = Result<Body, ObjectError>>,
    {
        let body = match &mut self.body {
            Some(body) => body,
            None => self.body.insert(open().await?),
        };
        match tokio::time::timeout(STALL, body.next()).await {
            Ok(chunk) => chunk,
            Err(elapsed) => Err(ObjectError::Unavailable(elapsed.into())),
        }
    }
}
