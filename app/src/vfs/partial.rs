//! What a session sees beyond the bucket: uploads of its credential whose connection broke ([`domain::partial`]), and its
//! own that are under way.
//!
//! A session looks at the records of its credential when it looks at names, at most every [`FRESH`]. If they
//! cannot be read, names are shown without them: only going on with an upload demands the record itself.

use super::FileSession;
use domain::file_error::{FileError, FileErrorKind};
use domain::id::OperationId;
use domain::partial::PartialUpload;
use domain::path::{Located, ObjectKey, VPath};
use domain::time::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use store::aws::Aws;
use store::clock;
use store::direct_uploads::DirectUploads;
use store::objects::{MultipartUpload, ObjectError, Objects};
use store::partials::{PartialError, Partials};

/// How long what was read is believed. A client that reconnects begins a new session, which reads anew.
const FRESH: Duration = Duration::from_secs(10);

/// How long a look at names waits for them.
const PATIENCE: Duration = Duration::from_secs(3);

/// The records, and how long interrupted uploads are kept: not at all if zero.
#[derive(Clone)]
pub struct Resuming {
    /// The records.
    pub partials: Partials,
    /// Those of uploads that go straight to S3.
    pub direct: DirectUploads,
    /// How long an interrupted upload is kept.
    pub keep_for: Duration,
}

impl Resuming {
    /// In the table of the settings.
    pub fn new(aws: &Aws, keep_for: Duration) -> Self {
        Self { partials: Partials::new(aws), direct: DirectUploads::new(aws), keep_for }
    }

    /// Whether anything is kept.
    pub fn keeps(&self) -> bool {
        !self.keep_for.is_zero()
    }

    /// The end of what is interrupted now.
    pub fn until(&self, now: Timestamp) -> Timestamp {
        now.plus_millis(i64::try_from(self.keep_for.as_millis()).unwrap_or(i64::MAX / 4))
    }

    /// Throws one away, unless somebody has it by now.
    pub async fn discard(&self, objects: &Objects, partial: &PartialUpload) -> Result<(), DiscardError> {
        if self.partials.take(partial).await?
            && let Some(key) = ObjectKey::from_record(&partial.organization, partial.key.clone())
        {
            objects.abort_multipart(&MultipartUpload::recorded(key, partial.upload.clone())).await?;
        }
        Ok(())
    }
}

/// Why an interrupted upload could not be thrown away; housekeeping will do it when its time has passed.
#[derive(Debug, thiserror::Error)]
pub enum DiscardError {
    /// Its record.
    #[error(transparent)]
    Record(#[from] PartialError),
    /// Its parts.
    #[error(transparent)]
    Parts(#[from] ObjectError),
}

/// What one session knows; shared by its clones.
#[derive(Default)]
pub(super) struct Beyond {
    read: tokio::sync::Mutex<Option<(Instant, Arc<ByKey>)>>,
    uploads: Mutex<HashMap<String, Weak<UnderWay>>>,
    /// The last uploads that became files.
    made: Mutex<VecDeque<OperationId>>,
}

/// How many uploads a session remembers: whose files it may give times, if it may not do so to others.
const REMEMBERED: usize = 256;

type ByKey = HashMap<String, PartialUpload>;

/// What the session knows of an upload of its own; known while this lives.
pub(super) type Progress = Arc<UnderWay>;

/// An upload of this session that is under way.
pub(super) struct UnderWay {
    bytes: AtomicU64,
    /// The time that the client has set for the file.
    modified: Mutex<Option<Timestamp>>,
}

impl UnderWay {
    /// The bytes that it has taken, or that were there before.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// It has taken so many.
    pub(super) fn set_bytes(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// The time that the file is to have.
    pub(super) fn modified(&self) -> Option<Timestamp> {
        *self.modified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file is to have this time.
    pub(super) fn set_modified(&self, modified: Timestamp) {
        *self.modified.lock().unwrap_or_else(PoisonError::into_inner) = Some(modified);
    }
}

impl Beyond {
    /// An upload to this key begins, which shows `bytes` until it has taken some.
    pub(super) fn begins(&self, key: &ObjectKey, bytes: u64) -> Progress {
        let progress = Progress::new(UnderWay { bytes: AtomicU64::new(bytes), modified: Mutex::default() });
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.retain(|_, other| other.strong_count() > 0);
        uploads.insert(key.as_str().to_owned(), Arc::downgrade(&progress));
        progress
    }

    /// An upload of this session to this key.
    pub(super) fn progress(&self, key: &ObjectKey) -> Option<Progress> {
        let uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.get(key.as_str()).and_then(Weak::upgrade)
    }

    /// Gives an upload of this session to this key a time; `false` if there is none.
    pub(super) fn set_modified(&self, key: &ObjectKey, modified: Timestamp) -> bool {
        self.progress(key).map(|upload| upload.set_modified(modified)).is_some()
    }

    /// An upload became a file.
    pub(super) fn made(&self, operation: OperationId) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.len() == REMEMBERED {
            made.pop_front();
        }
        made.push_back(operation);
    }

    /// Whether this session has uploaded what this operation made.
    pub(super) fn has_made(&self, operation: Option<&OperationId>) -> bool {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        operation.is_some_and(|operation| made.contains(operation))
    }
}

impl FileSession {
    /// The interrupted uploads of the credential, by key.
    pub(super) async fn partials(&self) -> Arc<ByKey> {
        let resuming = &self.shared.resuming;
        // visitors of a share link do not see what its owner has interrupted
        if !resuming.keeps() || self.principal.link.is_some() {
            return Arc::default();
        }
        // held while they are read, so that many who look at once read once
        let mut known = self.beyond.read.lock().await;
        if let Some((at, partials)) = &*known
            && at.elapsed() < FRESH
        {
            return Arc::clone(partials);
        }
        let principal = &self.principal;
        let reading = resuming.partials.of_credential(&principal.organization, &principal.credential);
        let found = match tokio::time::timeout(PATIENCE, reading).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::warn!(%error, "names are shown without interrupted uploads");
                Vec::new()
            }
            Err(_) => {
                tracing::warn!("names are shown without interrupted uploads: DynamoDB is slow");
                Vec::new()
            }
        };
        let partials: ByKey = found.into_iter().map(|partial| (partial.key.clone(), partial)).collect();
        let partials = Arc::new(partials);
        *known = Some((Instant::now(), Arc::clone(&partials)));
        partials
    }

    /// The interrupted upload that stands for this key, where an object was written at `object`.
    pub(super) async fn partial_at(&self, key: Option<&ObjectKey>, object: Option<Timestamp>) -> Option<PartialUpload> {
        let partials = self.partials().await;
        let partial = partials.get(key?.as_str())?;
        partial.stands(object, clock::now()).then(|| partial.clone())
    }

    /// The same from the record itself, for going on with it.
    pub(super) async fn recorded_partial(&self, key: &ObjectKey) -> Result<Option<PartialUpload>, FileError> {
        let resuming = &self.shared.resuming;
        if !resuming.keeps() {
            return Ok(None);
        }
        let principal = &self.principal;
        let recorded = resuming.partials.get(&principal.organization, &principal.credential, key.as_str()).await;
        recorded.map_err(|error| {
            let text = "whether an interrupted upload can be continued cannot be told now; try again";
            FileError::new(FileErrorKind::Unavailable, text).with_source(error)
        })
    }

    /// What is known of interrupted uploads has changed: the next who looks reads anew.
    pub(super) async fn partials_changed(&self) {
        *self.beyond.read.lock().await = None;
    }

    /// What a folder shows that is no file yet.
    pub(crate) async fn interrupted_in(&self, folder: &VPath) -> Vec<VPath> {
        let Ok(Located::Inside(location)) = self.principal.chroot.locate(folder) else { return Vec::new() };
        let prefix = location.folder_key();
        let partials = self.partials().await;
        let inside = partials.keys().filter_map(|key| folder.join(&VPath::parse(prefix.below(key)?).ok()?).ok());
        inside.collect()
    }

    /// Throws an interrupted upload away that a new file has taken the place of, or that is to be deleted.
    pub(super) async fn discard(&self, partial: &PartialUpload) -> Result<(), FileError> {
        let discarded = self.shared.resuming.discard(&self.shared.objects, partial).await;
        self.partials_changed().await;
        discarded.map_err(|error| {
            let text = "the interrupted upload could not be removed; try again";
            FileError::new(FileErrorKind::Unavailable, text).with_source(error)
        })
    }

    /// After a whole file came to this key: what was kept for it is of no use. Only looks where this session has looked
    /// before; otherwise the file, being newer, stands for its name anyway.
    pub(super) async fn forget_partial(&self, key: &str) {
        let known = match &*self.beyond.read.lock().await {
            Some((_, partials)) => partials.get(key).cloned(),
            None => None,
        };
        if let Some(partial) = known
            && let Err(error) = self.discard(&partial).await
        {
            tracing::info!(%error, "an interrupted upload is left to housekeeping");
        }
    }
}

/// Reading what stands for an interrupted upload.
pub(super) fn unfinished() -> FileError {
    let text = "the upload of this file was interrupted: continue it, send it again or delete it";
    FileError::new(FileErrorKind::PermissionDenied, text)
}
