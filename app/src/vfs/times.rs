//! Times that clients set ([`domain::kept_time`]): setting them, and showing them in the place of S3's.
//!
//! Setting a time is acknowledged when its record is durable; that of an upload which is still open becomes durable
//! with its CLOSE. Looking is another matter: if the records cannot be read within [`PATIENCE`], files are shown with
//! the time at which S3 got them, rather than not at all.

use super::deep::FoundFile;
use super::partial::unfinished;
use super::{FileSession, object_failure, seen_of};
use crate::activity::Operation;
use domain::access::{self, Shown};
use domain::file_error::{FileError, FileErrorKind};
use domain::kept_time::KeptTime;
use domain::path::{Located, ObjectKey, VPath};
use domain::retention::{self, came_in_parts};
use domain::time::Timestamp;
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::time::Duration;
use store::clock;
use store::objects::ObjectInfo;
use store::times::TimesError;

/// How long a look at names waits for the records.
const PATIENCE: Duration = Duration::from_secs(3);

/// A record without its file is removed by a listing when it is older: younger ones may belong to a file that came after
/// the page.
const STALE_AFTER_MILLIS: i64 = 24 * 3600 * 1000;
/// How many such records one listing removes.
const MOST_STALE: usize = 100;

impl FileSession {
    /// Gives a file the time `modified`. Folders have no times: setting one is accepted and changes nothing.
    pub async fn set_modified(&self, path: &VPath, modified: Timestamp) -> Result<(), FileError> {
        let outcome = self.set_modified_now(path, modified).await;
        self.who().ended(Operation::SetStat, path, None, &outcome);
        outcome
    }

    async fn set_modified_now(&self, path: &VPath, modified: Timestamp) -> Result<(), FileError> {
        self.live.touch();
        let proof = match self.allowed(path, access::authorize_times(&self.principal, path))? {
            Shown::Above(_) => return Ok(()),
            Shown::Inside(proof) => proof,
        };
        let Some(key) = proof.location().file_key() else {
            return Ok(());
        };
        // an upload of this session that is under way takes it along
        if self.beyond.set_modified(&key, modified) {
            return Ok(());
        }
        let objects = &self.shared.objects;
        let (file, _) = tokio::join!(objects.head(&proof), self.partials());
        let file = file.map_err(object_failure)?;
        if self.partial_at(Some(&key), file.as_ref().map(|info| info.modified)).await.is_some() {
            return Err(unfinished());
        }
        let Some(mut info) = file else {
            let inside = objects.peek(&proof).await.map_err(object_failure)?;
            let folder = inside.marker.is_some() || !inside.entries.is_empty();
            return if folder { Ok(()) } else { Err(FileError::no_such_file()) };
        };
        if proof.action().only_own() && !self.beyond.has_made(info.operation.as_ref()) {
            return Err(FileError::permission_denied());
        }
        if came_in_parts(info.etag.as_str())
            && let Some(kept) = self.recorded_time(&key).await?
            && kept.is_of(info.etag.as_str(), info.modified)
        {
            info.arrived = info.arrived.max(kept.arrived);
        }
        self.keep_time(&key, &info, modified).await
    }

    /// Makes the time of this version durable.
    pub(super) async fn keep_time(
        &self,
        key: &ObjectKey,
        info: &ObjectInfo,
        modified: Timestamp,
    ) -> Result<(), FileError> {
        let kept = KeptTime::of(&seen_of(info), info.arrived, modified, clock::now());
        let times = &self.shared.stores.times;
        times.put(&self.principal.organization, key, &kept).await.map_err(times_failure)
    }

    /// What is recorded for a name; for a rename, which takes it along.
    pub(super) async fn recorded_time(&self, key: &ObjectKey) -> Result<Option<KeptTime>, FileError> {
        let recorded = self.shared.stores.times.get(&self.principal.organization, key.as_str()).await;
        recorded.map_err(times_failure)
    }

    /// When a file that was found arrived ([`retention::arrived`]).
    pub(crate) async fn arrived(&self, found: &FoundFile) -> Result<Timestamp, FileError> {
        let in_parts = came_in_parts(found.version.as_str());
        let mut kept = None;
        if in_parts && let Ok(Located::Inside(location)) = self.principal.chroot.locate(&found.path) {
            let recorded = location.file_key().map(async |key| self.recorded_time(&key).await);
            if let Some(recorded) = recorded {
                kept = recorded.await?.filter(|kept| kept.is_of(found.version.as_str(), found.written));
            }
        }
        Ok(retention::arrived(found.written, in_parts, kept.as_ref()))
    }

    /// The same for showing it.
    pub(super) async fn kept_time(&self, key: Option<&ObjectKey>) -> Option<KeptTime> {
        let reading = self.shared.stores.times.get(&self.principal.organization, key?.as_str());
        answered(tokio::time::timeout(PATIENCE, reading).await).flatten()
    }
}

/// The time to show for a version.
pub(super) fn shown(kept: Option<&KeptTime>, info: &ObjectInfo) -> Timestamp {
    let kept = kept.filter(|kept| kept.is_of(info.etag.as_str(), info.modified));
    kept.map_or(info.modified, |kept| kept.modified)
}

fn answered<T>(read: Result<Result<T, TimesError>, tokio::time::error::Elapsed>) -> Option<T> {
    match read {
        Ok(Ok(read)) => Some(read),
        Ok(Err(error)) => {
            tracing::warn!(%error, "files are shown with the time at which S3 got them");
            None
        }
        Err(_) => {
            tracing::warn!("files are shown with the time at which S3 got them: DynamoDB is slow");
            None
        }
    }
}

fn times_failure(error: TimesError) -> FileError {
    let text = "the time of the file could not be kept; set it again";
    FileError::new(FileErrorKind::Unavailable, text).with_source(error)
}

/// The kept times of a folder, read in step with its listing: both are in the order of the names' bytes. It holds one page
/// of records.
pub(super) struct FolderTimes {
    session: FileSession,
    folder: ObjectKey,
    ready: VecDeque<(String, KeptTime)>,
    /// Whether there may be more, and behind which name.
    more: bool,
    after: Option<String>,
    /// Records whose files are gone.
    stale: Vec<(String, KeptTime)>,
}

impl FolderTimes {
    /// At the beginning, with the first records.
    pub(super) async fn begin(session: FileSession, folder: ObjectKey) -> Self {
        let (ready, stale) = (VecDeque::new(), Vec::new());
        let mut times = Self { session, folder, ready, more: true, after: None, stale };
        times.read_on().await;
        times
    }

    /// The time to show for the file `name`, which must come behind all that were asked for before.
    pub(super) async fn of(&mut self, name: &str, etag: &str, written: Timestamp) -> Timestamp {
        loop {
            while let Some((first, _)) = self.ready.front() {
                let order = first.as_str().cmp(name);
                if order == Ordering::Greater {
                    return written;
                }
                let Some((first, kept)) = self.ready.pop_front() else { break };
                if order == Ordering::Equal && kept.is_of(etag, written) {
                    return kept.modified;
                }
                self.stale.push((first, kept));
            }
            if !self.more {
                return written;
            }
            self.read_on().await;
        }
    }

    async fn read_on(&mut self) {
        let organization = &self.session.principal.organization;
        let reading = self.session.shared.stores.times.page(organization, &self.folder, self.after.as_deref());
        let page = answered(tokio::time::timeout(PATIENCE, reading).await).unwrap_or_default();
        self.ready.extend(page.records);
        self.more = page.next.is_some();
        self.after = page.next;
        self.forget_stale();
    }

    /// The listing has ended: what is left has no file.
    pub(super) fn end(mut self) {
        if !self.more {
            self.stale.extend(std::mem::take(&mut self.ready));
        }
        self.forget_stale();
    }

    /// Removes in the background what a change from outside has left: ours remove the records of what they take away.
    fn forget_stale(&mut self) {
        let before = clock::now().plus_millis(-STALE_AFTER_MILLIS);
        let mut stale = std::mem::take(&mut self.stale);
        stale.retain(|(_, kept)| kept.kept_at < before);
        stale.truncate(MOST_STALE);
        if stale.is_empty() {
            return;
        }
        let (session, folder) = (self.session.clone(), self.folder.clone());
        self.session.shared.cleanups.spawn(async move {
            let organization = &session.principal.organization;
            for (name, kept) in stale {
                let key = format!("{}{name}", folder.as_str());
                if let Err(error) = session.shared.stores.times.forget(organization, &key, &kept.version).await {
                    tracing::debug!(%error, "the time of a file that is gone is left");
                    return;
                }
            }
        });
    }
}
