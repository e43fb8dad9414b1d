//! Writing events into a table in the bucket.
//!
//! Rows gather until they make a part of a multipart upload. Where a slice of the work ends before that, what there is waits in an
//! object of its own for the next one, so that looking for what is rare comes to an end as well. The object has the job's id in its
//! name: a job that begins again writes it again.

use super::Slice;
use super::run::{Run, RunError};
use bytes::Bytes;
use domain::audit::{COLUMNS, Position, Search, cells, row};
use domain::job::{EventExport, Job, Progress};
use domain::path::ObjectKey;
use serde::{Deserialize, Serialize};
use store::clock;
use store::events::Events;
use store::objects::{MultipartUpload, ObjectError, Objects, WriteError};
use store::records::RecordError;
use tokio::time::Instant;

/// A part. S3 takes 10,000 of them, so this is 78 GiB of rows.
const PART: usize = 8 << 20;
/// Events that are read at once.
const PAGE: usize = 1000;

#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    #[error("the events could not be read: {0}")]
    Records(#[from] RecordError),
    #[error("the table could not be written: {0}")]
    Objects(#[from] ObjectError),
    #[error("the table could not be completed: {0}")]
    Write(#[from] WriteError),
    #[error("the table is larger than an object can be; ask for a shorter time")]
    TooLarge,
    #[error(transparent)]
    Run(#[from] RunError),
}

/// One export.
pub(super) struct Export<'a> {
    pub(super) objects: &'a Objects,
    pub(super) events: &'a Events,
}

/// Where it goes on in its next slice.
#[derive(Default, Serialize, Deserialize)]
struct Place {
    /// The multipart upload, once there is one.
    upload: Option<String>,
    parts: u32,
    after: Option<Position>,
    /// Whether rows wait in an object.
    rest: bool,
}

/// The object that a job writes.
pub(crate) fn key(job: &Job) -> ObjectKey {
    ObjectKey::event_export(&job.organization, &job.id)
}

impl Export<'_> {
    pub(super) async fn slice(&self, asked: &EventExport, run: &mut Run, until: Instant) -> Result<Slice, ExportError> {
        let key = key(run.job());
        let going_on: Option<Place> = serde_json::from_str(&run.job().place).ok();
        let mut seen = if going_on.is_some() { run.job().progress } else { Progress::default() };
        let mut rows = match &going_on {
            None => row(COLUMNS).into_bytes(),
            Some(place) if place.rest => self.objects.read_export(&key.rest_of_export()).await?.to_vec(),
            Some(_) => Vec::new(),
        };
        let mut place = going_on.unwrap_or_default();
        let span = asked.span.kept(clock::now());
        let search = Search { organization: run.job().organization.clone(), span, order: asked.order };
        loop {
            let keep = |event: &_| asked.filter.matches(event);
            let found = self.events.find(&search, keep, place.after.as_ref(), PAGE).await?;
            for event in &found.events {
                let made = row(cells(event).iter().map(String::as_str));
                seen.bytes += made.len() as u64;
                rows.extend_from_slice(made.as_bytes());
            }
            seen.files += found.events.len() as u64;
            run.progress(seen).await?;
            let Some(next) = found.next else { break };
            place.after = Some(next);
            if rows.len() >= PART {
                self.send(&key, &mut place, std::mem::take(&mut rows)).await?;
            }
            if Instant::now() >= until {
                place.rest = !rows.is_empty();
                if place.rest {
                    self.objects.put_export(&key.rest_of_export(), rows.into()).await?;
                }
                return Ok(Slice::GoesOn(serde_json::to_string(&place).unwrap_or_default()));
            }
        }
        self.finish(&key, place, rows).await?;
        // a table that is there again is the same
        self.objects.delete_export(&key.rest_of_export()).await?;
        Ok(Slice::Ended(format!("events: {}", seen.files)))
    }

    async fn send(&self, key: &ObjectKey, place: &mut Place, rows: Vec<u8>) -> Result<MultipartUpload, ExportError> {
        if place.parts >= 10_000 {
            return Err(ExportError::TooLarge);
        }
        let upload = match &place.upload {
            Some(id) => MultipartUpload::recorded(key.clone(), id.clone()),
            None => self.objects.begin_export(key).await?,
        };
        place.upload = Some(upload.id().to_owned());
        place.parts += 1;
        self.objects.put_part(&upload, place.parts, Bytes::from(rows)).await?;
        Ok(upload)
    }

    async fn finish(&self, key: &ObjectKey, mut place: Place, rows: Vec<u8>) -> Result<(), ExportError> {
        if place.upload.is_none() {
            return Ok(self.objects.put_export(key, rows.into()).await?);
        }
        // the last part may be of any size, and of none
        let upload = self.send(key, &mut place, rows).await?;
        let parts = self.objects.stored_parts(&upload).await?;
        Ok(self.objects.complete_export(&upload, &parts).await?)
    }
}
