//! The files of one session, whatever the door.
//!
//! [`Vfs`] belongs to the process and holds the stores, the memory budget and the settler. [`FileSession`] is what one
//! login sees; every call authorizes first, and the proof is what the stores demand.

mod deep;
mod delete;
mod direct;
mod download;
mod entry;
mod folder;
mod intent;
mod listing;
mod partial;
mod rename;
mod resumed;
mod rounds;
mod times;
mod upload;
mod whole;

pub(crate) use deep::FoundFile;
pub use direct::{ADDRESSES, Address};
pub use download::Download;
pub use entry::{Entry, EntryKind};
pub(crate) use intent::seen_of;
pub use listing::{Listing, place};
pub use partial::{DiscardError, Resuming};
pub use upload::Upload;

use crate::activity::Who;
use crate::budget::Budget;
use crate::meters::FileMeters;
use crate::pace::{Pace, Paces};
use crate::quota::{Allowance, Quotas};
use crate::sessions::{Live, Session};
use crate::settler::{Done, Settler, SettlingStores};
use domain::access::Principal;
use domain::connection::Direction;
use domain::digest::derived_id;
use domain::event::{Event, FileSubject, Topic};
use domain::file_error::{FileError, FileErrorKind};
use domain::id::OperationId;
use domain::path::{Located, Location, VPath};
use domain::queue_message::QueueMessage;
use domain::quota::{Counted, Holder, Quota};
use domain::upload::COPY_PART_BYTES;
use std::sync::Arc;
use std::time::Duration;
use store::clock;
use store::intents::IntentError;
use store::objects::{ObjectError, Objects};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// How a file is opened for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct WriteMode {
    /// Make the file if there is none.
    pub create: bool,
    /// Fail if there is one.
    pub exclusive: bool,
    /// Forget what is in it. Without it, fewer bytes than it has are refused at the end (see [`Upload::finish`]).
    pub truncate: bool,
    /// Every write goes to the end.
    pub append: bool,
}

impl WriteMode {
    /// A whole file, in the place of what is there.
    pub const WHOLE: Self = Self { create: true, exclusive: false, truncate: true, append: false };
}

/// What is stored under a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Bytes.
    pub used_bytes: u64,
    /// Files.
    pub used_files: u64,
    /// The limit.
    pub quota: Quota,
}

impl Space {
    /// Bytes and files that may still come.
    fn left(&self) -> (u64, u64) {
        let left = |limit: u64, used: u64| if limit == 0 { u64::MAX } else { limit.saturating_sub(used) };
        (left(self.quota.bytes, self.used_bytes), left(self.quota.files, self.used_files))
    }
}

/// The files of the process: stores, memory budget, settler. Cheap to clone.
#[derive(Clone)]
pub struct Vfs(Arc<Shared>);

struct Shared {
    objects: Objects,
    stores: SettlingStores,
    settler: Settler,
    budget: Budget,
    quotas: Quotas,
    paces: Paces,
    resuming: Resuming,
    /// The largest part that S3 is asked to copy.
    copy_bytes: u64,
    /// The most objects of a folder that can be renamed.
    folder_objects: usize,
    meters: Arc<FileMeters>,
    /// Every file that is open for reading, for taking back what nobody reads.
    reads: download::Registry,
    /// What goes on after its session: aborted uploads, and operations that nobody waits for any more.
    cleanups: TaskTracker,
}

impl Vfs {
    /// The files of a process.
    pub fn new(
        objects: Objects,
        stores: SettlingStores,
        settler: Settler,
        budget: Budget,
        quotas: Quotas,
        resuming: Resuming,
    ) -> Self {
        Self(Arc::new(Shared {
            objects,
            stores,
            settler,
            budget,
            quotas,
            paces: Paces::default(),
            resuming,
            copy_bytes: COPY_PART_BYTES,
            folder_objects: rename::MAX_OBJECTS,
            meters: Arc::default(),
            reads: download::Registry::default(),
            cleanups: TaskTracker::new(),
        }))
    }

    /// With smaller parts for copies that S3 makes, for tests without files of gigabytes. Before the first session.
    #[must_use]
    pub fn with_copies_of(mut self, bytes: u64) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.0) {
            shared.copy_bytes = bytes;
        }
        self
    }

    /// With a smaller limit for folders that are renamed, for the same reason. Before the first session.
    #[must_use]
    pub fn with_folders_of(mut self, objects: usize) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.0) {
            shared.folder_objects = objects;
        }
        self
    }

    /// The files as one session sees them.
    pub fn session(&self, session: &Session) -> FileSession {
        let live = session.live();
        let Principal { organization, credential, bandwidth, .. } = &*live.principal;
        let limited = limits(&live.principal).into_iter();
        let allowances = limited.map(|(holder, quota)| self.0.quotas.of(organization, holder, quota)).collect();
        FileSession {
            shared: Arc::clone(&self.0),
            principal: Arc::clone(&live.principal),
            live: Arc::clone(live),
            allowances,
            pace: self.0.paces.of(credential, *bandwidth),
            uploads: Arc::new(Semaphore::new(upload::MAX_UPLOADS)),
            beyond: Arc::default(),
        }
    }

    /// Where the addresses of direct up- and downloads are: scheme, host and port.
    pub async fn storage_origin(&self) -> Result<String, FileError> {
        self.0.objects.origin().await.map_err(object_failure)
    }

    /// What was sent and received.
    pub fn meters(&self) -> Arc<FileMeters> {
        Arc::clone(&self.0.meters)
    }

    /// Waits until nothing is left to clean up, count or announce; `false` at the deadline. For an orderly end, when no
    /// session is open any more.
    pub async fn settled(&self, deadline: Duration) -> bool {
        self.0.cleanups.close();
        let cleaned = tokio::time::timeout(deadline, self.0.cleanups.wait()).await.is_ok();
        self.0.cleanups.reopen();
        cleaned && self.0.settler.settled(deadline).await
    }
}

/// The files as one session sees them. Cheap to clone; every call may run beside every other.
#[derive(Clone)]
pub struct FileSession {
    shared: Arc<Shared>,
    principal: Arc<Principal>,
    live: Arc<Live>,
    /// What may still be stored, by each limit that there is.
    allowances: Arc<[Allowance]>,
    /// How fast its bytes may move, if there is a limit.
    pace: Option<Arc<Pace>>,
    uploads: Arc<Semaphore>,
    beyond: Arc<partial::Beyond>,
}

impl FileSession {
    /// Waits as long as bytes that were moved have to take.
    async fn pace(&self, direction: Direction, bytes: u64) {
        if let Some(pace) = &self.pace {
            pace.pass(direction, bytes).await;
        }
    }

    /// Where the session starts.
    pub fn login_folder(&self) -> VPath {
        self.principal.chroot.login_folder()
    }

    /// What a session sees at the top: `/`, or what stands in it where that is no folder of the tree.
    pub fn top(&self) -> Vec<VPath> {
        let root = VPath::root();
        match self.principal.chroot.locate(&root) {
            Ok(Located::Above(names)) => names.iter().filter_map(|name| root.child(name).ok()).collect(),
            _ => vec![root],
        }
    }

    /// Who acts, for the log.
    fn who(&self) -> Who<'_> {
        Who { origin: &self.live.origin, user: &self.principal.user_name }
    }

    /// Runs an operation that changes something to its end, also when its caller stops waiting: a client that hangs up, or a
    /// door's deadline, must not leave it half done.
    async fn to_the_end<T: Send + 'static>(
        &self,
        operation: impl Future<Output = Result<T, FileError>> + Send + 'static,
    ) -> Result<T, FileError> {
        let interrupted =
            |error| FileError::new(FileErrorKind::Internal, "the operation was interrupted").with_source(error);
        self.shared.cleanups.spawn(operation).await.map_err(interrupted)?
    }

    /// The limits of what may be stored at this place.
    fn allowances(&self, counted: &Counted) -> impl Iterator<Item = &Allowance> {
        let holders = counted.holders(&self.principal.credential);
        self.allowances.iter().filter(move |allowance| holders.contains(allowance.holder()))
    }

    /// What is stored where `path` is, as it is counted, and how much may be: by the limit that leaves least.
    pub async fn space(&self, path: &VPath) -> Result<Space, FileError> {
        let counted = match self.principal.chroot.locate(path) {
            Ok(Located::Inside(location)) => location.counted().clone(),
            _ => Counted::default(),
        };
        let mut asked: Vec<_> = self.allowances(&counted).map(|one| (one.holder().clone(), one.quota())).collect();
        if asked.is_empty() {
            // without any limit: what is stored here, and not all of the organization's
            let whose = counted.holders(&self.principal.credential).into_iter().nth(1);
            asked.extend(whose.map(|holder| (holder, Quota::default())));
        }
        let mut spaces = Vec::with_capacity(asked.len());
        for (holder, quota) in asked {
            let usage = self.shared.stores.settling.usage(&self.principal.organization, &holder).await;
            let usage = usage.map_err(|error| {
                FileError::new(FileErrorKind::Unavailable, "what is stored cannot be told now; try again")
                    .with_source(error)
            })?;
            let positive = |counted: i64| u64::try_from(counted).unwrap_or(0);
            spaces.push(Space { used_bytes: positive(usage.bytes), used_files: positive(usage.files), quota });
        }
        Ok(spaces.into_iter().min_by_key(Space::left).unwrap_or_default())
    }

    /// What happened to a file of this session, as it will be announced.
    fn event(&self, id: &OperationId, topic: Topic, file: FileSubject) -> Event {
        Event { id: id.to_string(), file: Some(file), ..self.live.event(topic) }
    }

    /// Announces what Towpath itself has done for a credential, once for each `occasion` however often this is called, and by mail
    /// if that is asked for; durable when it is answered.
    pub(crate) async fn announce_system(
        &self,
        topic: Topic,
        occasion: &str,
        (reason, mail): (String, bool),
    ) -> Result<(), FileError> {
        let id = derived_id(&[topic.as_str(), occasion]);
        let event = Event { id, reason: Some(reason), ..self.live.event(topic) };
        let mut messages = vec![(QueueMessage::event(event.clone()), 0)];
        messages.extend(mail.then(|| (QueueMessage::notice(event), 0)));
        self.shared.stores.queue.send(&messages).await.map_err(|error| {
            FileError::new(FileErrorKind::Unavailable, "it cannot be announced now").with_source(error)
        })
    }

    /// Announces that somebody was refused, if that is so.
    fn allowed<T>(&self, path: &VPath, outcome: Result<T, FileError>) -> Result<T, FileError> {
        if let Err(error) = &outcome
            && error.kind() == FileErrorKind::PermissionDenied
            && self.live.may_announce_refusal()
        {
            self.announce_failure(Topic::AccessDenied, path, error);
        }
        outcome
    }

    /// Announces what did not happen, as far as that can be done without waiting.
    fn announce_failure(&self, topic: Topic, path: &VPath, error: &FileError) {
        let Ok(Located::Inside(location)) = self.principal.chroot.locate(path) else { return };
        let event = self.event(&new_operation(), topic, file_subject(&location, None));
        self.shared
            .settler
            .offer(Done::announcing(Event { reason: Some(error.to_string()), ..event }, &self.principal));
    }
}

/// Every limit of what a login may store.
fn limits(principal: &Principal) -> Vec<(Holder, Quota)> {
    let own = [
        (Holder::Credential(principal.credential.clone()), principal.quota),
        (Holder::Organization, principal.organization_quota),
    ];
    let folders = principal.chroot.folder_quotas().into_iter().map(|(name, quota)| (Holder::Folder(name), quota));
    own.into_iter().chain(folders).filter(|(_, quota)| !quota.is_unlimited()).collect()
}

fn new_operation() -> OperationId {
    OperationId::from_random(clock::random())
}

fn file_subject(location: &Location, size: Option<u64>) -> FileSubject {
    FileSubject { path: location.tree_path().clone(), folder: false, size }
}

fn folder_subject(location: &Location) -> FileSubject {
    FileSubject { path: location.tree_path().clone(), folder: true, size: None }
}

/// S3's failures as answers. What a failed condition means depends on the operation; it is resolved before it comes here.
fn object_failure(error: ObjectError) -> FileError {
    match error {
        ObjectError::NotFound => FileError::no_such_file(),
        ObjectError::PreconditionFailed | ObjectError::Conflict => {
            FileError::new(FileErrorKind::Changed, "somebody else changed the file meanwhile")
        }
        ObjectError::NoSuchUpload => {
            FileError::new(FileErrorKind::Changed, "the upload was ended from outside; send the file again")
        }
        ObjectError::Unavailable(_) | ObjectError::Incomplete(_) => {
            FileError::new(FileErrorKind::Unavailable, "the storage does not answer; try again").with_source(error)
        }
        ObjectError::RangeBehindEnd | ObjectError::Refused { .. } => {
            FileError::new(FileErrorKind::Internal, "the storage refused the request").with_source(error)
        }
    }
}

fn intent_failure(error: IntentError) -> FileError {
    FileError::new(FileErrorKind::Unavailable, "the operation could not be recorded; try again").with_source(error)
}
