//! A small file costs its client one round trip to S3, and its intent must be durable before that makes the file visible. So
//! the request begins while the intent is still being recorded, with its bytes held back: S3 has looked at all but them when
//! they come.

use super::Writer;
use crate::vfs::intent::Recorded;
use bytes::Bytes;
use domain::file_error::{FileError, FileErrorKind};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use std::sync::Arc;
use std::time::Duration;
use store::objects::{WriteError, hold};
use tokio::time::timeout;

/// How long S3 is kept waiting. It gives up after some twenty seconds, with an answer that could be taken for more than it
/// says; so a request that waits for a slow intent is let go, and begun again when that is durable.
const PATIENCE: Duration = Duration::from_secs(2);

/// The first try of a write, under way or ended.
pub(super) type Begun = BoxFuture<'static, Result<(), WriteError>>;

impl Writer {
    /// Waits for the intent, and begins to write `body` beside that.
    pub(super) async fn recorded_beside(&mut self, body: &Bytes) -> Result<(Recorded, Option<Begun>), FileError> {
        let Some(kept) = self.intent.take() else {
            return Err(FileError::new(FileErrorKind::BadRequest, "the upload has ended"));
        };
        let (operation, condition) = kept.write();
        let (objects, proof, body) = (self.session.shared.objects.clone(), Arc::clone(&self.proof), body.clone());
        let (go, held) = hold();
        let mut begun: Begun =
            async move { objects.put_held(&proof, body, &condition, &operation, &held).await }.boxed();
        let mut recording = std::pin::pin!(kept.take());
        tokio::select! {
            biased;
            recorded = &mut recording => {
                let recorded = recorded?;
                go.go();
                Ok((recorded, Some(begun)))
            }
            ended = timeout(PATIENCE, &mut begun) => {
                drop(begun);
                // without its bytes it can only have failed
                let first = ended.ok().map(|failed| ready(failed).boxed());
                Ok((recording.await?, first))
            }
        }
    }
}
