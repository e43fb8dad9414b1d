//! Finishing what a crash interrupted: intents that nobody settled.
//!
//! An intent whose lease has passed belongs to an operation that is no longer worked on. The sweep takes it over, looks at
//! the object and at the other intents of its key, and either counts and announces the operation or drops the intent
//! ([`domain::intent::judge`]). Any number of sweeps may run; each intent is claimed by one.

mod parts;

use crate::settler::{Done, SettlingStores, settle};
use crate::vfs::{DiscardError, Resuming, seen_of};
use domain::intent::{Change, Evidence, Intent, Seen, UsageChange, Verdict, judge, renamed};
use domain::path::ObjectKey;
use domain::time::Timestamp;
use store::intents::{IntentError, Overdue};
use store::objects::{ETag, ObjectError, Objects};
use store::table::SWEEP_SHARDS;
use tracing::{info, warn};

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
    Partial(#[from] DiscardError),
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

    /// `None` if somebody else has it.
    async fn finish(&self, overdue: &Overdue, now: Timestamp) -> Result<Option<bool>, SweepError> {
        if !self.stores.intents.claim(overdue, now).await? {
            return Ok(None);
        }
        let Some((intent, evidence)) = self.evidence(&overdue.intent).await? else {
            return Ok(None);
        };
        let change = match judge(&intent, &evidence) {
            Verdict::DidNot => {
                if let Some(upload) = &intent.upload
                    && !self.end_parts(&intent, upload, &evidence, now).await?
                {
                    // it was completed at the last moment: the next round counts it
                    return Ok(None);
                }
                self.stores.intents.drop(&intent).await?;
                return Ok(Some(false));
            }
            Verdict::Happened(change) => change,
            Verdict::FinishRename => self.finish_rename(&intent).await?,
        };
        let mut intent = intent;
        if let (Change::Upload, Some(event)) = (&intent.change, &mut intent.event) {
            let made = intent.made_bytes.or_else(|| evidence.seen_by_other.as_ref().map(|seen| seen.bytes));
            event.file.size = made.or_else(|| evidence.now.as_ref().map(|seen| seen.bytes));
        }
        settle(&self.stores, vec![Done::of(intent, change)]).await;
        Ok(Some(true))
    }

    /// The intent as it is now, and what there is to judge it by; `None` if it was settled meanwhile.
    ///
    /// The objects are read before the intents: who replaced our object before that has an intent which names it, or was
    /// settled and has marked ours.
    async fn evidence(&self, intent: &Intent) -> Result<Option<(Intent, Evidence)>, SweepError> {
        let source_now = match &intent.change {
            Change::RenameTo { from, .. } => self.at(intent, from).await?,
            Change::Upload | Change::MakeFolder | Change::Delete | Change::DeleteFolder => None,
        };
        let now = self.at(intent, &intent.key).await?;
        let mut ours = None;
        let mut seen_by_other = None;
        let mut replaced_by_other = match (&intent.change, &intent.seen) {
            (Change::Delete, Some(seen)) => {
                self.stores.intents.was_replaced(&intent.organization, &intent.key, seen).await?
            }
            _ => false,
        };
        for other in self.stores.intents.on_key(&intent.organization, &intent.key).await? {
            if other.operation == intent.operation {
                ours = Some(other);
            } else if other.seen.as_ref().and_then(|seen| seen.operation.as_ref()) == Some(&intent.operation) {
                seen_by_other = other.seen;
            } else if intent.seen.is_some() && same_version(other.seen.as_ref(), intent.seen.as_ref()) {
                // it took the place of what we were to delete, if it did happen
                let there = now.as_ref().and_then(|now| now.operation.as_ref()) == Some(&other.operation);
                replaced_by_other |= there || other.made_bytes.is_some();
            }
        }
        Ok(ours.map(|intent| (intent, Evidence { now, seen_by_other, source_now, replaced_by_other })))
    }

    async fn at(&self, intent: &Intent, key: &str) -> Result<Option<Seen>, SweepError> {
        let info = self.objects.head_recorded(&recorded_key(intent, key)?).await?;
        Ok(info.as_ref().map(seen_of))
    }

    /// The copy exists, the source does, too: the delete that was authorized with the rename.
    async fn finish_rename(&self, intent: &Intent) -> Result<UsageChange, SweepError> {
        let Change::RenameTo { from, source } = &intent.change else {
            return Ok(UsageChange::default());
        };
        let key = recorded_key(intent, from)?;
        match self.objects.delete_recorded(&key, &ETag::new(source.etag.as_str())).await {
            Ok(()) => Ok(renamed(intent.seen.as_ref())),
            Err(failed) => match failed.error {
                ObjectError::NotFound => Ok(renamed(intent.seen.as_ref())),
                // the source has a newer version by now: both stay
                ObjectError::PreconditionFailed => Ok(UsageChange::written(source.bytes, intent.seen.as_ref())),
                error => Err(error.into()),
            },
        }
    }
}

fn same_version(one: Option<&Seen>, other: Option<&Seen>) -> bool {
    one.map(Seen::version) == other.map(Seen::version)
}

fn recorded_key(intent: &Intent, key: &str) -> Result<ObjectKey, SweepError> {
    ObjectKey::from_record(&intent.organization, key.to_owned()).ok_or(SweepError::ForeignKey)
}
