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
use crate::vfs::resumed::Resumed;
use domain::file_error::FileError;
use domain::upload::MIN_PART_BYTES;
use std::sync::Arc;
use store::objects::{ObjectError, ObjectInfo};

impl Writer {
    /// Takes the file that is there as the beginning of this one.
    pub(super) async fn go_on_behind(&mut self, existing: ObjectInfo) -> Result<(), FileError> {
        self.appends = true;
        self.room.goes_on_behind(existing.bytes);
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
        let mut body = Resumed::new(None);
        while self.buffer.end() < existing.bytes {
            let from = self.buffer.end();
            let objects = &self.session.shared.objects;
            let missing = body.next(|| objects.read_on(&self.proof, &existing.etag, from..existing.bytes)).await;
            let chunk = missing.map_err(|failure| match failure {
                // another version is there, or none
                ObjectError::NotFound | ObjectError::RangeBehindEnd => object_failure(ObjectError::PreconditionFailed),
                error => object_failure(error),
            })?;
            self.take(from, chunk).await?;
        }
        Ok(())
    }
}
