//! The end of an upload whose parts went straight to S3: it becomes a file as every other upload does.

use super::{Buffer, Parts, Upload};
use crate::vfs::{FileSession, WriteMode, object_failure};
use domain::access::{self, Authorized};
use domain::direct_upload::DirectUpload;
use domain::file_error::{FileError, FileErrorKind};
use std::sync::Arc;
use store::objects::MultipartUpload;

impl FileSession {
    /// What S3 has of it, if this session may still write there, and the place is still the same.
    pub(in crate::vfs) fn direct(
        &self,
        direct: &DirectUpload,
    ) -> Result<(Authorized<access::Upload>, MultipartUpload), FileError> {
        let proof = self.allowed(&direct.path, access::authorize_upload(&self.principal, &direct.path))?;
        let same = proof.location().file_key().is_some_and(|key| key.as_str() == direct.key);
        if !same {
            let text = "the folder of this upload has been moved: begin again";
            return Err(FileError::new(FileErrorKind::Changed, text));
        }
        let upload = self.shared.objects.recorded_multipart(&proof, &direct.upload).map_err(object_failure)?;
        Ok((proof, upload))
    }

    /// The parts that S3 has as an upload that only has to be finished. Its record is taken: nobody else does that.
    pub(in crate::vfs) async fn received_upload(
        &self,
        direct: &DirectUpload,
        upload: MultipartUpload,
    ) -> Result<Upload, FileError> {
        let mut writer = self.writer(&direct.path, WriteMode::WHOLE).await?;
        writer.reserve(direct.bytes).await?;
        if let Some(modified) = direct.modified {
            writer.progress.set_modified(modified);
        }
        if direct.parts() == 0 {
            // S3 makes nothing of no parts: an empty file is one of its own
            self.shared.objects.abort_multipart(&upload).await.map_err(object_failure)?;
            writer.announce()?;
            return Ok(Upload(Some(writer)));
        }
        let stored = self.shared.objects.stored_parts(&upload).await.map_err(object_failure)?;
        writer.received = direct.bytes;
        writer.operation = direct.operation.clone();
        let parts = Parts::new(self.clone(), Arc::clone(&writer.proof), writer.operation.clone());
        writer.parts = parts.going_on(upload, stored);
        writer.buffer = Buffer::from(direct.bytes);
        writer.progress.set_bytes(direct.bytes);
        writer.announce()?;
        Ok(Upload(Some(writer)))
    }
}
