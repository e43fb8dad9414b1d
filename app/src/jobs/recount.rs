//! Counting again what a holder has stored, while files come and go ([`store::scans`]).
//!
//! Pages of keys are read in their order and *held* for a while before they count. What is settled meanwhile comes as notes:
//!
//! * about a key that no page has had yet: the page will see it;
//! * about a key of a page that counts already: it is added;
//! * about a key of a page that is held: whether the page has seen it is not known. The key is taken out of the page, asked for by
//!   itself when it has been quiet for as long as pages are held, and held again.
//!
//! So what counts was read at a moment around which nothing was settled, and every change is either in what was read or in a later
//! note. This holds for operations that are settled within that time, as nearly all are within a second; one that a crash left to
//! the sweep just then is found by the next recount.

use super::Slice;
use super::run::{Run, RunError};
use domain::id::{OrganizationId, uuid_text};
use domain::intent::UsageChange;
use domain::job::Progress;
use domain::path::{ObjectKey, VPath};
use domain::quota::Holder;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use store::clock;
use store::objects::{ObjectError, Objects};
use store::records::RecordError;
use store::scans::{End, Note, Scans};
use tokio::time::{Instant, sleep};

/// How many pages may be held: what lies in them is in memory, about 150 bytes for each of 1,000 keys.
const MOST_HELD: usize = 200;

/// How long things are waited for.
#[derive(Clone, Copy, Debug)]
pub struct Pauses {
    /// A page, or a key, counts when nothing was noted about it for so long.
    pub held: Duration,
    /// How often notes are read while there is nothing else to do.
    pub look: Duration,
    /// A key that is changed all the time counts as it is then, so long after the last page.
    pub restless: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { held: Duration::from_secs(10), look: Duration::from_millis(250), restless: Duration::from_secs(60) }
    }
}

/// Why a recount has to begin again.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecountError {
    #[error("another recount has begun, or more files were changed meanwhile than could be noted")]
    Lost,
    #[error("a folder's path cannot be a key")]
    Path,
    #[error("the files could not be listed: {0}")]
    Objects(#[from] ObjectError),
    #[error(transparent)]
    Records(#[from] RecordError),
    #[error(transparent)]
    Run(#[from] RunError),
}

/// One recount.
pub(super) struct Recount<'a> {
    pub(super) objects: &'a Objects,
    pub(super) scans: &'a Scans,
    pub(super) organization: OrganizationId,
    pub(super) holder: Holder,
    pub(super) pauses: Pauses,
}

/// Where a recount goes on in its next slice: nothing is held then.
#[derive(Serialize, Deserialize)]
struct Place {
    run: String,
    /// All keys up to here count.
    after: Option<String>,
    bytes: i64,
    files: i64,
}

/// Keys that were read together: all from where the page before ended up to this one.
struct Page {
    last: String,
    read: Instant,
    sizes: BTreeMap<String, u64>,
}

/// A key that something was noted about while it was held.
enum Touched {
    /// It is to be read when it is quiet.
    At(Instant),
    /// It was read then; `None`: nothing was there.
    Read(Instant, Option<u64>),
}

/// What is known so far.
struct Sum {
    place: Place,
    pages: VecDeque<Page>,
    touched: BTreeMap<String, Touched>,
    /// All keys up to here were read.
    read: Option<String>,
    seen: Progress,
}

impl Recount<'_> {
    /// Goes on until it is done or the slice is over.
    pub(super) async fn slice(&self, folders: &[VPath], run: &mut Run, until: Instant) -> Result<Slice, RecountError> {
        let folders = self.folders(folders)?;
        let mut sum = Sum::at(self.begin(&run.job().place).await?, run.job().progress);
        let listing = self.list(&folders, &mut sum, run, until).await;
        let outcome = match listing {
            Ok(all) => self.finish(&folders, &mut sum, run, all).await,
            Err(error) => Err(error),
        };
        if outcome.is_err() {
            // if this fails, the notes go unread, and whoever makes too many of them ends it
            let _ = self.scans.give_up(&self.organization, &self.holder, &sum.place.run).await;
        }
        outcome
    }

    /// Their keys, in order, none inside another.
    fn folders(&self, trees: &[VPath]) -> Result<Vec<ObjectKey>, RecountError> {
        let root = ObjectKey::root_of(&self.organization);
        let mut keys = Vec::with_capacity(trees.len());
        for tree in trees {
            let below = if tree.is_root() { String::new() } else { format!("{}/", tree.relative()) };
            keys.push(root.inside(&below).ok_or(RecountError::Path)?);
        }
        keys.sort();
        keys.dedup_by(|key, before| before.below(key.as_str()).is_some());
        Ok(keys)
    }

    async fn begin(&self, place: &str) -> Result<Place, RecountError> {
        if let Ok(place) = serde_json::from_str(place) {
            return Ok(place);
        }
        let run = uuid_text(clock::random());
        self.scans.begin(&self.organization, &self.holder, &run).await?;
        Ok(Place { run, after: None, bytes: 0, files: 0 })
    }

    /// Reads pages; `false` when the slice is over before the last.
    async fn list(
        &self,
        folders: &[ObjectKey],
        sum: &mut Sum,
        run: &mut Run,
        until: Instant,
    ) -> Result<bool, RecountError> {
        for folder in folders {
            let end = behind(folder);
            while sum.read.as_ref().is_none_or(|read| *read < end) {
                self.take_notes(sum, folders).await?;
                self.settle_down(sum).await?;
                if Instant::now() >= until {
                    return Ok(false);
                }
                if sum.pages.len() >= MOST_HELD {
                    sleep(self.pauses.look).await;
                    continue;
                }
                let read = Instant::now();
                let (files, more) = self.objects.sizes_recorded(folder, sum.read.as_deref()).await?;
                sum.hold(read, files, more.unwrap_or_else(|| end.clone()));
                run.progress(sum.seen).await?;
            }
        }
        Ok(true)
    }

    /// Waits until nothing is held; then, if all was read, puts the sum in the place of what was counted.
    async fn finish(
        &self,
        folders: &[ObjectKey],
        sum: &mut Sum,
        run: &mut Run,
        all: bool,
    ) -> Result<Slice, RecountError> {
        let deadline = Instant::now() + self.pauses.restless;
        loop {
            self.take_notes(sum, folders).await?;
            self.settle_down(sum).await?;
            if Instant::now() >= deadline {
                self.settle_restless(sum).await?;
            }
            run.progress(sum.seen).await?;
            if !sum.pages.is_empty() || !sum.touched.is_empty() {
                sleep(self.pauses.look).await;
                continue;
            }
            if !all {
                sum.place.after = sum.read.clone();
                return Ok(Slice::GoesOn(serde_json::to_string(&sum.place).unwrap_or_default()));
            }
            let total = UsageChange { bytes: sum.place.bytes, files: sum.place.files };
            let end = (sum.place.run.as_str(), total, clock::now());
            match self.scans.end(&self.organization, &self.holder, end).await? {
                End::Counted => {
                    let note = format!("{} files with {} bytes", total.files, total.bytes);
                    return Ok(Slice::Ended(note));
                }
                End::Notes => {}
                End::Lost => return Err(RecountError::Lost),
            }
        }
    }

    async fn take_notes(&self, sum: &mut Sum, folders: &[ObjectKey]) -> Result<(), RecountError> {
        let notes = self.scans.take(&self.organization, &self.holder, &sum.place.run).await?;
        let now = Instant::now();
        // what lies elsewhere is not what will count
        let here = |note: &Note| folders.iter().any(|folder| folder.below(&note.key).is_some());
        notes.ok_or(RecountError::Lost)?.into_iter().filter(here).for_each(|note| sum.note(note, now));
        Ok(())
    }

    /// What has been quiet for long enough counts, or is read.
    async fn settle_down(&self, sum: &mut Sum) -> Result<(), RecountError> {
        let now = Instant::now();
        let quiet = |since: Instant| now.duration_since(since) >= self.pauses.held;
        while let Some(page) = sum.pages.pop_front_if(|page| quiet(page.read)) {
            page.sizes.values().for_each(|bytes| sum.place.add(*bytes));
            sum.place.after = Some(page.last);
        }
        let due: Vec<String> = sum
            .touched
            .iter()
            .filter(|(_, one)| matches!(one, Touched::At(at) | Touched::Read(at, _) if quiet(*at)))
            .map(|(key, _)| key.clone())
            .collect();
        for key in due {
            match sum.touched.remove(&key) {
                Some(Touched::At(_)) => {
                    let read = Instant::now();
                    let size = self.size(&key).await?;
                    sum.touched.insert(key, Touched::Read(read, size));
                }
                Some(Touched::Read(_, size)) => size.into_iter().for_each(|bytes| sum.place.add(bytes)),
                None => {}
            }
        }
        Ok(())
    }

    /// What never gets quiet counts as it is now.
    async fn settle_restless(&self, sum: &mut Sum) -> Result<(), RecountError> {
        for (key, _) in std::mem::take(&mut sum.touched) {
            tracing::info!(key, "a file was changed all the time while it was counted");
            let size = self.size(&key).await?;
            size.into_iter().for_each(|bytes| sum.place.add(bytes));
        }
        Ok(())
    }

    async fn size(&self, key: &str) -> Result<Option<u64>, RecountError> {
        let key = ObjectKey::from_record(&self.organization, key.to_owned()).ok_or(RecountError::Path)?;
        Ok(self.objects.head_recorded(&key).await?.map(|info| info.bytes))
    }
}

impl Place {
    fn add(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.files = self.files.saturating_add(1);
    }
}

impl Sum {
    fn at(place: Place, seen: Progress) -> Self {
        let seen = if place.after.is_some() { seen } else { Progress::default() };
        Self { read: place.after.clone(), place, pages: VecDeque::new(), touched: BTreeMap::new(), seen }
    }

    fn hold(&mut self, read: Instant, files: Vec<(String, u64)>, last: String) {
        self.seen.files += u64::try_from(files.len()).unwrap_or(0);
        self.seen.bytes += files.iter().map(|(_, bytes)| bytes).sum::<u64>();
        self.read = Some(last.clone());
        self.pages.push_back(Page { last, read, sizes: files.into_iter().collect() });
    }

    fn note(&mut self, note: Note, now: Instant) {
        let Note { key, change } = note;
        if self.read.as_ref().is_none_or(|read| key > *read) {
            // its page will see it
            return;
        }
        if let Some(touched) = self.touched.get_mut(&key) {
            *touched = Touched::At(now);
            return;
        }
        let held = self.pages.iter_mut().find(|page| key <= page.last);
        match held.filter(|_| self.place.after.as_ref().is_none_or(|after| key > *after)) {
            Some(page) => {
                page.sizes.remove(&key);
                self.touched.insert(key, Touched::At(now));
            }
            None => {
                self.place.bytes = self.place.bytes.saturating_add(change.bytes);
                self.place.files = self.place.files.saturating_add(change.files);
            }
        }
    }
}

/// The first text behind everything that begins with this.
fn behind(folder: &ObjectKey) -> String {
    // no key holds this character: it is the last that UTF-8 can say
    format!("{}\u{10ffff}", folder.as_str())
}
