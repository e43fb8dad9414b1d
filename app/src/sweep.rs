//! Finishing what a crash interrupted: intents that nobody settled.
//!
//! An intent whose lease has passed belongs to an operation that is no longer worked on. The sweep takes it over, looks at
//! the object and at the other intents of its key, and either counts and announces the operation or drops the intent
//! ([`domain::intent::judge`]). Any number of sweeps may run; each intent is claimed by one.

mod folders;
mod parts;

use crate::settler::{Done, SettlingStores, settle};
use crate::vfs::{DiscardError, Resuming, seen_of};
use domain::intent::{Change, Evidence, Intent, Seen, Verdict, judge, renamed};
use domain::kept_time::KeptTime;
use domain::path::ObjectKey;
use domain::retention::{UNNOTED_MILLIS, came_in_parts};
use domain::time::Timestamp;
use store::intents::{IntentError, Overdue};
use store::objects::{ETag, ObjectError, Objects};
use store::records::RecordError;
use store::table::SWEEP_SHARDS;
use store::times::TimesError;
use tracing::{info, warn};

/// A multipart upload without an intent, and without a record that it is kept, is ended when it is an hour old.
const ORPHANED_AFTER_MILLIS: i64 = 3600 * 1000;

/// How many intents of a shard one round takes.
const ROUND: i32 = 100;

/// What a round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Operations that had happened.
    pub settled: usize,
    /// Operations that had not.
    pub dropped: usize,
    /// Those for a later round.
    pub failed: usize,
}

/// Why an intent waits for a later round.
#[derive(Debug, thiserror::Error)]
enum SweepError {
    #[error(transparent)]
    Intent(#[from] IntentError),
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error(transparent)]
    Times(#[from] TimesError),
    #[error(transparent)]
    Partial(#[from] DiscardError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("the intent's key is not one of its organization's files")]
    ForeignKey,
}

/// The sweep's stores.
#[derive(Clone)]
pub struct Sweep {
    objects: Objects,
    stores: SettlingStores,
    resuming: Resuming,
}

impl Sweep {
    /// Over these stores.
    pub fn new(objects: Objects, stores: SettlingStores, resuming: Resuming) -> Self {
        Self { objects, stores, resuming }
    }

    /// What is to be done now and then: a round, and an end to parts that nobody will use. What fails is for the next time.
    pub async fn everything(&self, now: Timestamp) {
        self.round(now).await;
        if let Err(error) = self.abort_orphans(now.plus_millis(-ORPHANED_AFTER_MILLIS), now).await {
            warn!(%error, "multipart uploads that were left behind cannot be ended now");
        }
    }

    /// One round over all shards: what was due before `now`.
    pub async fn round(&self, now: Timestamp) -> Swept {
        let mut swept = Swept::default();
        for shard in 0..SWEEP_SHARDS {
            let overdue = match self.stores.intents.overdue(shard, now, ROUND).await {
                Ok(overdue) => overdue,
                Err(error) => {
                    warn!(%error, shard, "the sweep cannot read this shard now");
                    swept.failed += 1;
                    continue;
                }
            };
            for one in overdue {
                match self.finish(&one, now).await {
                    Ok(Some(true)) => swept.settled += 1,
                    Ok(Some(false)) => swept.dropped += 1,
                    Ok(None) => {}
                    Err(error) => {
                        warn!(%error, operation = %one.intent.operation, "an interrupted operation waits for the next round");
                        swept.failed += 1;
                    }
                }
            }
        }
        if swept != Swept::default() {
            info!(settled = swept.settled, dropped = swept.dropped, failed = swept.failed, "swept");
        }
        swept
    }

    /// Finishes one operation now, for somebody who waits for it; `false` if it is not over yet.
    pub async fn finish_one(&self, overdue: &Overdue, now: Timestamp) -> bool {
        match self.finish(overdue, now).await {
            Ok(done) => done.is_some(),
            Err(error) => {
                warn!(%error, operation = %overdue.intent.operation, "an interrupted operation waits for the next round");
                false
            }
        }
    }

    /// `None` if somebody else has it, or it is not over.
    async fn finish(&self, overdue: &Overdue, now: Timestamp) -> Result<Option<bool>, SweepError> {
        if !self.stores.intents.claim(overdue, now).await? {
            return Ok(None);
        }
        let Some((intent, evidence)) = self.evidence(&overdue.intent).await? else {
            return Ok(None);
        };
        let verdict = match judge(&intent, &evidence) {
            Verdict::FinishFolder => {
                let Change::RenameFolder { from, .. } = &intent.change else {
                    return Ok(None);
                };
                return Ok(self.finish_folder(&intent, from).await?.then_some(true));
            }
            Verdict::FinishRename => self.finish_rename(&intent, evidence.now.as_ref(), now).await?,
            verdict => verdict,
        };
        let mut intent = intent;
        let change = match verdict {
            Verdict::Happened(change) => change,
            Verdict::KeptBoth => {
                intent.keep_both();
                renamed(intent.seen.as_ref())
            }
            Verdict::DidNot | Verdict::FinishRename | Verdict::FinishFolder => {
                if let Some(upload) = &intent.upload
                    && !self.end_parts(&intent, upload, &evidence, now).await?
                {
                    // it was completed at the last moment: the next round counts it
                    return Ok(None);
                }
                self.stores.intents.give_up(&intent, now).await?;
                return Ok(Some(false));
            }
        };
        if let (Change::Upload, Some(file)) = (&intent.change, intent.event.as_mut().and_then(|it| it.file.as_mut())) {
            let made = intent.made_bytes.or_else(|| evidence.seen_by_other.as_ref().map(|seen| seen.bytes));
            file.size = made.or_else(|| evidence.now.as_ref().map(|seen| seen.bytes));
        }
        self.note_arrival(&intent, evidence.now.as_ref(), now).await?;
        settle(&self.stores, vec![Done::of(intent, change)]).await;
        Ok(Some(true))
    }

    /// Notes that a file which came in parts is there since now at the latest, where S3 says that it is much older: its node
    /// would have done so, had it lived.
    async fn note_arrival(&self, intent: &Intent, there: Option<&Seen>, now: Timestamp) -> Result<(), SweepError> {
        let Some(file) = there.filter(|seen| matches!(intent.change, Change::Upload) && made_by(seen, intent)) else {
            return Ok(());
        };
        let recent = now.millis().saturating_sub(file.modified.millis()) < UNNOTED_MILLIS;
        if !came_in_parts(&file.etag) || recent {
            return Ok(());
        }
        let (organization, key) = (&intent.organization, recorded_key(intent, &intent.key)?);
        let kept = self.stores.times.get(organization, key.as_str()).await?;
        if !kept.is_some_and(|kept| kept.is_of(&file.etag, file.modified)) {
            self.stores.times.put(organization, &key, &KeptTime::of(file, now, file.modified, now)).await?;
        }
        Ok(())
    }

    /// The intent as it is now, and what there is to judge it by; `None` if it was settled meanwhile.
    ///
    /// The objects are read before the intents: who replaced our object before that has an intent which names it, or was
    /// settled and has marked ours.
    async fn evidence(&self, intent: &Intent) -> Result<Option<(Intent, Evidence)>, SweepError> {
        let source_now = match &intent.change {
            Change::RenameTo { from, .. } => self.at(intent, from).await?,
            Change::Upload
            | Change::MakeFolder
            | Change::Delete
            | Change::DeleteFolder
            | Change::RenameFolder { .. } => None,
            // no object can tell anything
            Change::Records => return Ok(Some((intent.clone(), Evidence::default()))),
        };
        let now = self.at(intent, &intent.key).await?;
        let others = self.stores.intents.on_key(&intent.organization, &intent.key).await?;
        let Some(ours) = others.iter().find(|other| other.operation == intent.operation).cloned() else {
            return Ok(None);
        };
        let seen_by_other = others.iter().filter_map(|other| other.seen.clone()).find(|seen| made_by(seen, intent));
        let replaced_by_other = match intent.removes() {
            Some((key, removed)) if key == intent.key => self.was_replaced(intent, key, removed, &now, others).await?,
            Some((key, removed)) => {
                let others = self.stores.intents.on_key(&intent.organization, key).await?;
                self.was_replaced(intent, key, removed, &source_now, others).await?
            }
            None => false,
        };
        Ok(Some((ours, Evidence { now, seen_by_other, source_now, replaced_by_other })))
    }

    /// Whether another operation took the place of what `intent` was to take away. The note is read last: who replaced it
    /// has an intent among `others`, or has left the note.
    async fn was_replaced(
        &self,
        intent: &Intent,
        key: &str,
        removed: &Seen,
        now: &Option<Seen>,
        others: Vec<Intent>,
    ) -> Result<bool, SweepError> {
        let replaced = others.iter().any(|other| {
            let makes = matches!(other.change, Change::Upload | Change::RenameTo { .. });
            let saw = other.seen.as_ref().is_some_and(|seen| seen.version() == removed.version());
            let made = other.made_bytes.is_some()
                || now.iter().chain(others.iter().filter_map(|one| one.seen.as_ref())).any(|seen| made_by(seen, other));
            makes && saw && made && other.operation != intent.operation
        });
        Ok(replaced || self.stores.intents.was_replaced(&intent.organization, key, removed).await?)
    }

    async fn at(&self, intent: &Intent, key: &str) -> Result<Option<Seen>, SweepError> {
        let info = self.objects.head_recorded(&recorded_key(intent, key)?).await?;
        Ok(info.as_ref().map(seen_of))
    }

    /// The copy exists, the source does, too: the delete that was authorized with the rename.
    async fn finish_rename(&self, intent: &Intent, copy: Option<&Seen>, now: Timestamp) -> Result<Verdict, SweepError> {
        let Change::RenameTo { from, source, .. } = &intent.change else {
            return Ok(Verdict::DidNot);
        };
        let key = recorded_key(intent, from)?;
        // the rename may have died before its mark: with the source goes the evidence of who made it
        self.stores.intents.mark_made(&intent.organization, from, source).await?;
        // so does the time that a client gave it
        let kept = self.stores.times.get(&intent.organization, from).await?;
        if let Some(copy) = copy.filter(|copy| made_by(copy, intent))
            && let Some(kept) = kept.filter(|kept| kept.is_of(&source.etag, source.modified))
        {
            let kept = KeptTime::of(copy, kept.arrived, kept.modified, now);
            self.stores.times.put(&intent.organization, &recorded_key(intent, &intent.key)?, &kept).await?;
        }
        match self.objects.delete_recorded(&key, &ETag::new(source.etag.as_str())).await {
            Ok(()) => Ok(Verdict::Happened(renamed(intent.seen.as_ref()))),
            Err(failed) => match failed.error {
                ObjectError::NotFound => Ok(Verdict::Happened(renamed(intent.seen.as_ref()))),
                // the source has a newer version by now: both stay
                ObjectError::PreconditionFailed => Ok(Verdict::KeptBoth),
                error => Err(error.into()),
            },
        }
    }
}

fn made_by(seen: &Seen, intent: &Intent) -> bool {
    seen.operation.as_ref() == Some(&intent.operation)
}

fn recorded_key(intent: &Intent, key: &str) -> Result<ObjectKey, SweepError> {
    ObjectKey::from_record(&intent.organization, key.to_owned()).ok_or(SweepError::ForeignKey)
}
