//! Uploads whose client is gone, and those that go on where one ended ([`domain::partial`]).
//!
//! An upload is kept by a record beside the multipart upload that S3 has open. Who goes on takes the record out, which
//! one of several succeeds in, and records an intent again under the first operation's id, because the object will carry
//! that id. A crash between these two leaves parts without a record, which housekeeping ends by their age.

use super::{Buffer, Parts, Writer, unsupported};
use crate::vfs::{file_subject, object_failure};
use domain::event::Topic;
use domain::file_error::{FileError, FileErrorKind};
use domain::intent::Change;
use domain::partial::{FirstWrite, PartialUpload};
use domain::upload::{StoredPart, without_gap};
use std::sync::Arc;
use store::clock;
use store::objects::ObjectError;

impl Writer {
    /// Starts to record the intent. It is written while the client sends, and awaited before anything becomes visible.
    pub(super) fn announce(&mut self) -> Result<(), FileError> {
        let location = self.proof.location();
        let key = location.file_key().ok_or_else(FileError::no_such_file)?;
        let event = self.session.event(&self.operation, Topic::FileCreated, file_subject(location, None));
        let seen = self.existing.as_ref();
        let at = (&key, location.counted());
        let mut intent = self.session.intent(&self.operation, at, Change::Upload, Some(event), seen);
        intent.appends = self.appends;
        self.intent = Some(self.session.keep(intent, self.parts.begun()));
        Ok(())
    }

    /// The first write tells whether this goes on with an interrupted upload or takes its place.
    pub(super) async fn choose(&mut self, partial: PartialUpload, offset: u64) -> Result<(), FileError> {
        match partial.first_write(offset, self.mode.append) {
            FirstWrite::GoesOn => self.go_on(&partial).await?,
            FirstWrite::StartsAfresh => self.session.discard(&partial).await?,
            FirstWrite::Elsewhere => {
                return Err(unsupported(format!(
                    "the upload of this file was interrupted after {} bytes: continue there, or send it from the start",
                    partial.bytes
                )));
            }
        }
        self.announce()
    }

    async fn go_on(&mut self, partial: &PartialUpload) -> Result<(), FileError> {
        let shared = &self.session.shared;
        let upload = shared.objects.recorded_multipart(&self.proof, &partial.upload).map_err(object_failure)?;
        let stored = match shared.objects.stored_parts(&upload).await {
            Ok(stored) => first_bytes(stored, partial.bytes),
            Err(ObjectError::NoSuchUpload) => None,
            Err(error) => return Err(object_failure(error)),
        };
        let Some(stored) = stored else {
            self.session.discard(partial).await?;
            let text = "what was kept of the interrupted upload is gone: send the file from the start";
            return Err(FileError::new(FileErrorKind::Changed, text));
        };
        let taken = shared.resuming.partials.take(partial).await;
        self.session.partials_changed().await;
        let taken = taken.map_err(|error| {
            let text = "the interrupted upload cannot be continued now; try again";
            FileError::new(FileErrorKind::Unavailable, text).with_source(error)
        })?;
        if !taken {
            let text = "another session continues this upload, or has replaced it";
            return Err(FileError::new(FileErrorKind::Changed, text));
        }
        self.operation = partial.operation.clone();
        let parts = Parts::new(self.session.clone(), Arc::clone(&self.proof), self.operation.clone());
        self.parts = parts.going_on(upload, stored);
        self.buffer = Buffer::from(partial.bytes);
        // it was opened as a whole replacement when it began; what it goes on from has been acknowledged as sent
        self.mode.truncate = true;
        Ok(())
    }

    /// The client is gone.
    pub(super) async fn keep_durable(&mut self) {
        if self.failure.is_none()
            && !self.appends
            && self.session.shared.resuming.keeps()
            && let Some(partial) = self.durable().await
        {
            match self.session.shared.resuming.partials.put(&partial).await {
                Ok(before) => {
                    tracing::info!(bytes = partial.bytes, "an interrupted upload is kept");
                    self.let_go();
                    if let Some(before) = before {
                        self.end(&before).await;
                    }
                }
                Err(error) => tracing::warn!(%error, "an interrupted upload could not be kept"),
            }
        }
        self.clean_up().await;
        self.session.partials_changed().await;
    }

    async fn durable(&mut self) -> Option<PartialUpload> {
        let key = self.proof.location().file_key()?;
        let (upload, bytes) = self.parts.durable().await?;
        let now = clock::now();
        Some(PartialUpload {
            organization: self.session.principal.organization.clone(),
            credential: self.session.principal.credential.clone(),
            key: key.as_str().to_owned(),
            upload: upload.id().to_owned(),
            operation: self.operation.clone(),
            bytes,
            kept_at: now,
            until: self.session.shared.resuming.until(now),
        })
    }

    /// Another interrupted upload of the same name, whose record is gone.
    async fn end(&self, other: &PartialUpload) {
        let objects = &self.session.shared.objects;
        let ended = match objects.recorded_multipart(&self.proof, &other.upload) {
            Ok(upload) => objects.abort_multipart(&upload).await,
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            tracing::info!(%error, "an older interrupted upload is left to housekeeping");
        }
    }

    /// From here on nothing is aborted: the parts are somebody else's, or the object is there.
    pub(super) fn let_go(&mut self) {
        self.parts = Parts::new(self.session.clone(), Arc::clone(&self.proof), self.operation.clone());
    }
}

/// The parts that hold exactly the first `bytes`.
fn first_bytes(parts: Vec<StoredPart>, bytes: u64) -> Option<Vec<StoredPart>> {
    let mut parts = without_gap(parts);
    let mut sum = 0;
    let count = parts.iter().take_while(|part| {
        sum += part.bytes;
        sum <= bytes
    });
    let count = count.count();
    parts.truncate(count);
    (parts.iter().map(|part| part.bytes).sum::<u64>() == bytes).then_some(parts)
}
