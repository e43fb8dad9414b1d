//! Writing on behind a file that is there: APPEND, or a first write at exactly its end.
//!
//! S3 cannot append. So the file becomes the first parts of a new one, by copies that S3 makes, pinned to the version that
//! was seen at OPEN; below S3's minimum for a part its bytes are read once instead, and become the beginning of the buffer.
//! The new file takes the place of that version and of no other: if somebody has replaced it, CLOSE fails and both stay
//! what they are.
//!
//! An append that is interrupted keeps nothing: the file stays as it was, and can be read and appended to again. (A record
//! of an interrupted upload would stand for the name, and with it hide a whole file from its own sender.)

use super::{Buffer, Writer};
use crate::vfs::object_failure;
use domain::file_error::FileError;
use domain::upload::MIN_PART_BYTES;
use std::sync::Arc;
use std::time::Duration;
use store::objects::{Body, ObjectError, ObjectInfo};

/// How often the bytes of a small file are asked for again, from where they broke off.
const TRIES: u32 = 4;
/// How long they may stand still.
const STALL: Duration = Duration::from_secs(20);

impl Writer {
    /// Takes the file that is there as the beginning of this one.
    pub(super) async fn go_on_behind(&mut self, existing: ObjectInfo) -> Result<(), FileError> {
        self.appends = true;
        self.announce()?;
        if existing.bytes < MIN_PART_BYTES as u64 {
            return self.read_in(&existing).await;
        }
        self.buffer = Buffer::from(existing.bytes);
        let proof = Arc::clone(&self.proof);
        self.parts.copy(&proof, (&existing.etag, existing.bytes), &(0..existing.bytes))
    }

    /// Takes a file's bytes as if the client had sent them, and within the same memory.
    async fn read_in(&mut self, existing: &ObjectInfo) -> Result<(), FileError> {
        let (mut tries, mut body) = (0, None);
        while self.buffer.end() < existing.bytes {
            let from = self.buffer.end();
            let failure = match self.next_of(existing, &mut body).await {
                Ok(Some(chunk)) => {
                    self.take(from, chunk).await?;
                    continue;
                }
                Ok(None) => ObjectError::Incomplete("all bytes of the file"),
                // another version is there, or none
                Err(ObjectError::NotFound | ObjectError::RangeBehindEnd) => ObjectError::PreconditionFailed,
                Err(error) => error,
            };
            tries += 1;
            body = None;
            if !failure.outcome_unknown() || tries == TRIES {
                return Err(object_failure(failure));
            }
        }
        Ok(())
    }

    async fn next_of(
        &self,
        existing: &ObjectInfo,
        body: &mut Option<Body>,
    ) -> Result<Option<bytes::Bytes>, ObjectError> {
        let open = match body {
            Some(open) => open,
            None => {
                let range = self.buffer.end()..existing.bytes;
                body.insert(self.session.shared.objects.read_on(&self.proof, &existing.etag, range).await?)
            }
        };
        match tokio::time::timeout(STALL, open.next()).await {
            Ok(chunk) => chunk,
            Err(elapsed) => Err(ObjectError::Unavailable(elapsed.into())),
        }
    }
}
