//! Renames of folders that a crash cut off: what is left in the old folder moves to the new one.
//!
//! Each object moves by an operation of its own, as in [`crate::vfs`]. One that a dead node was moving has an intent, which
//! the sweep finishes by itself; the job waits for that. What came into the old folder after the rename had begun stays
//! there, and so does what would replace a file of somebody else in the new one.

use super::{Sweep, SweepError, recorded_key};
use crate::large_copy::{copy_in_parts, is_large};
use crate::settler::{Done, settle};
use crate::vfs::seen_of;
use domain::id::OperationId;
use domain::intent::{Change, Intent, renamed};
use domain::kept_time::KeptTime;
use domain::path::ObjectKey;
use domain::quota::Counted;
use domain::time::Timestamp;
use domain::upload::COPY_PART_BYTES;
use futures_util::{StreamExt as _, stream};
use store::clock;
use store::objects::{ObjectError, ObjectInfo, Precondition, WriteError};
use tracing::{info, warn};

/// Objects on their way at the same time.
const PARALLEL: usize = 8;

/// What became of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum One {
    /// It is in the new folder, or gone.
    Moved,
    /// It is to stay where it is.
    Stays,
    /// It is for a later round.
    Later,
}

impl Sweep {
    /// Goes on with a job that this sweep has claimed; `false` if something is left for a later round.
    pub(super) async fn finish_folder(&self, job: &Intent, from: &str) -> Result<bool, SweepError> {
        let (from, to) = (recorded_key(job, from)?, recorded_key(job, &job.key)?);
        let started = job.event.as_ref().map_or(Timestamp::from_millis(0), |event| event.created_at);
        let (mut page, mut counts) = (None, [0_usize; 3]);
        loop {
            let (keys, next) = self.objects.keys_recorded(&from, page.take()).await?;
            let moving = keys.into_iter().map(|key| self.move_one(job, &from, &to, key, started));
            let mut moving = stream::iter(moving).buffer_unordered(PARALLEL);
            while let Some(one) = moving.next().await {
                match one {
                    Ok(One::Moved) => counts[0] += 1,
                    Ok(One::Stays) => counts[1] += 1,
                    Ok(One::Later) => counts[2] += 1,
                    Err(error) => {
                        warn!(%error, job = %job.operation, "an object of a renamed folder waits for a later round");
                        counts[2] += 1;
                    }
                }
            }
            // a sign of life; if it fails, another sweep may join in, which does no harm
            if let Err(error) = self.stores.intents.keep(job, clock::now()).await {
                info!(%error, "the rename of a folder could not be renewed");
            }
            match next {
                Some(next) => page = Some(next),
                None => break,
            }
        }
        let [moved, stays, later] = counts;
        info!(moved, stays, later, job = %job.operation, "went on with the rename of a folder");
        if later > 0 {
            return Ok(false);
        }
        settle(&self.stores, vec![Done::of(job.clone(), renamed(None))]).await;
        Ok(true)
    }

    async fn move_one(
        &self,
        job: &Intent,
        from: &ObjectKey,
        to: &ObjectKey,
        key: ObjectKey,
        started: Timestamp,
    ) -> Result<One, SweepError> {
        let Some(target) = from.below(key.as_str()).and_then(|below| to.inside(below)) else {
            return Ok(One::Stays);
        };
        let Some(source) = self.objects.head_recorded(&key).await? else {
            return Ok(One::Moved);
        };
        if source.modified.seconds() > started.seconds() {
            return Ok(One::Stays);
        }
        if let Some(there) = self.objects.head_recorded(&target).await? {
            // a copy whose rename is not over, or somebody else's
            let others = self.stores.intents.on_key(&job.organization, target.as_str()).await?;
            let ours = others.iter().any(|other| {
                there.operation.as_ref() == Some(&other.operation) && matches!(other.change, Change::RenameTo { .. })
            });
            return Ok(if ours { One::Later } else { One::Stays });
        }
        let operation = OperationId::from_random(clock::random());
        let intent = Intent {
            operation: operation.clone(),
            organization: job.organization.clone(),
            credential: job.credential.clone(),
            key: target.as_str().to_owned(),
            counted: job.counted.clone(),
            change: Change::RenameTo {
                from: key.as_str().to_owned(),
                source: seen_of(&source),
                counted: counted_there(job),
            },
            event: None,
            seen: None,
            made_bytes: None,
            upload: None,
            appends: false,
        };
        if !self.stores.intents.record(&intent, clock::now()).await? {
            // the dead node's claim, which ends with its intent
            return Ok(One::Later);
        }
        self.stores.intents.mark_made(&job.organization, key.as_str(), &seen_of(&source)).await?;
        match self.copy(&key, &source, &target, &operation).await {
            Ok(()) => {}
            Err(failed) if failed.tried_before || failed.error.outcome_unknown() => return Ok(One::Later),
            Err(_) => {
                self.stores.intents.drop(&intent).await?;
                return Ok(One::Later);
            }
        }
        let kept = self.stores.times.get(&job.organization, key.as_str()).await?;
        if let Some(kept) = kept.filter(|kept| kept.is_of(source.etag.as_str(), source.modified))
            && let Some(copy) = self.objects.head_recorded(&target).await?
            && copy.operation.as_ref() == Some(&operation)
        {
            let kept = KeptTime::of(&seen_of(&copy), kept.arrived, kept.modified, clock::now());
            self.stores.times.put(&job.organization, &target, &kept).await?;
        }
        let mut intent = intent;
        match self.objects.delete_recorded(&key, &source.etag).await {
            Ok(()) => {}
            Err(failed) => match failed.error {
                ObjectError::NotFound => {}
                // replaced meanwhile: both stay
                ObjectError::PreconditionFailed => intent.keep_both(),
                _ => return Ok(One::Later),
            },
        }
        settle(&self.stores, vec![Done::of(intent, renamed(None))]).await;
        Ok(One::Moved)
    }

    async fn copy(
        &self,
        from: &ObjectKey,
        source: &ObjectInfo,
        to: &ObjectKey,
        operation: &OperationId,
    ) -> Result<(), WriteError> {
        if !is_large(source.bytes, COPY_PART_BYTES) {
            return self.objects.copy_recorded(from, source, to, &Precondition::Absent, operation).await;
        }
        let begun = self.objects.begin_copy(to.clone(), operation, source).await;
        let upload = begun.map_err(|error| WriteError { error, tried_before: false })?;
        copy_in_parts(&self.objects, &upload, from, source, COPY_PART_BYTES, &Precondition::Absent).await
    }
}

/// For whom what lies in the old folder counts.
fn counted_there(job: &Intent) -> Counted {
    match &job.change {
        Change::RenameFolder { counted, .. } => counted.clone(),
        _ => Counted::default(),
    }
}
