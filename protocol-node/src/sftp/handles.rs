//! What one channel has open, and what its tasks share.

use super::memory::Requests;
use super::order::PathOrder;
use super::reader::Folder;
use super::reply::{Class, Reply};
use super::request::Handle;
use super::writer::Work;
use super::{DATA_RECORD, MAX_DATA_REQUESTS, MAX_FOLDERS, MAX_HANDLES, MAX_OTHER_REQUESTS, OTHER_RECORD};
use crate::backend::{Download, FileSession};
use domain::file_error::{FileError, FileErrorKind};
use domain::path::VPath;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::TaskTracker;

/// Something open.
#[derive(Clone)]
pub(crate) enum Open {
    /// A file for reading.
    Download(Download),
    /// A folder being listed.
    Folder(Arc<tokio::sync::Mutex<Folder>>),
    /// A file for writing: its task takes the requests.
    Upload {
        /// Where its requests go.
        work: mpsc::Sender<Work>,
        /// Its path, for the order of what follows its CLOSE.
        path: VPath,
    },
}

/// The right to one of a channel's handles.
pub(crate) type Slot = OwnedSemaphorePermit;

#[derive(Default)]
struct Table {
    last: Handle,
    open: HashMap<Handle, (Open, Option<Slot>)>,
    /// Set when the client has sent its last request: an OPEN that completes later opens nothing.
    closed: bool,
}

/// What the tasks of one channel share.
pub(crate) struct Shared {
    /// The files.
    pub(crate) files: FileSession,
    /// Where answers go that are ready. Never full: see [`Shared::count`]. Boxed, because a queue keeps room for 32 of what is
    /// in it also while it is empty.
    pub(crate) replies: mpsc::Sender<Box<Reply>>,
    /// Tasks that the node waits for when it stops.
    pub(crate) tasks: TaskTracker,
    table: Mutex<Table>,
    slots: Arc<Semaphore>,
    folders: Arc<Semaphore>,
    order: Mutex<PathOrder>,
    data: AtomicUsize,
    other: AtomicUsize,
    /// The connection's.
    requests: Arc<Requests>,
}

impl Shared {
    /// For one channel. The receiver gets every answer that does not come from the worker itself.
    pub(crate) fn new(
        files: FileSession,
        tasks: TaskTracker,
        requests: Arc<Requests>,
    ) -> (Arc<Self>, mpsc::Receiver<Box<Reply>>) {
        let (replies, receiver) = mpsc::channel(MAX_DATA_REQUESTS + MAX_OTHER_REQUESTS);
        let shared = Arc::new(Self {
            files,
            replies,
            tasks,
            table: Mutex::default(),
            slots: Arc::new(Semaphore::new(MAX_HANDLES)),
            folders: Arc::new(Semaphore::new(MAX_FOLDERS)),
            order: Mutex::default(),
            data: AtomicUsize::new(0),
            other: AtomicUsize::new(0),
            requests,
        });
        (shared, receiver)
    }

    /// A slot for one more handle, or the refusal that names the limit.
    pub(crate) fn slot(&self) -> Result<Slot, FileError> {
        Arc::clone(&self.slots).try_acquire_owned().map_err(|_| {
            FileError::new(
                FileErrorKind::BadRequest,
                format!("at most {MAX_HANDLES} files and folders may be open at a time"),
            )
        })
    }

    /// A place for one more folder, to be kept with it.
    pub(crate) fn folder_slot(&self) -> Result<Slot, FileError> {
        Arc::clone(&self.folders).try_acquire_owned().map_err(|_| {
            FileError::new(FileErrorKind::BadRequest, format!("at most {MAX_FOLDERS} folders may be open at a time"))
        })
    }

    /// Opens a handle. An upload's slot is held by its task instead, until its CLOSE is done.
    pub(crate) fn open(&self, open: Open, slot: Option<Slot>) -> Handle {
        let mut table = self.table();
        table.last += 1;
        let handle = table.last;
        if !table.closed {
            table.open.insert(handle, (open, slot));
        }
        handle
    }

    /// What a handle stands for.
    pub(crate) fn get(&self, handle: Handle) -> Option<Open> {
        self.table().open.get(&handle).map(|(open, _)| open.clone())
    }

    /// Closes a handle.
    pub(crate) fn close(&self, handle: Handle) -> Option<(Open, Option<Slot>)> {
        self.table().open.remove(&handle)
    }

    /// Closes all handles. Uploads that were not closed by the client are aborted.
    pub(crate) fn close_all(&self) {
        let open = {
            let mut table = self.table();
            table.closed = true;
            std::mem::take(&mut table.open)
        };
        drop(open);
    }

    /// The operations on paths under way.
    pub(crate) fn order(&self) -> MutexGuard<'_, PathOrder> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request until [`Shared::answered`]. `false`: there are too many. As every answer belongs to a counted
    /// request, the queue of answers has room for all.
    pub(crate) fn count(&self, class: Class) -> bool {
        let (count, max, record) = match class {
            Class::Data => (&self.data, MAX_DATA_REQUESTS, DATA_RECORD),
            Class::Other => (&self.other, MAX_OTHER_REQUESTS, OTHER_RECORD),
        };
        // both count it, whatever they say, as both take it off at the end
        let has_room = self.requests.add(record);
        count.fetch_add(1, Ordering::Relaxed) < max && has_room
    }

    /// An answer goes out.
    pub(crate) fn answered(&self, class: Class) {
        let (count, record) = match class {
            Class::Data => (&self.data, DATA_RECORD),
            Class::Other => (&self.other, OTHER_RECORD),
        };
        count.fetch_sub(1, Ordering::Relaxed);
        self.requests.remove(record);
    }

    /// Whether a handle is open or being closed.
    pub(crate) fn has_open(&self) -> bool {
        self.slots.available_permits() < MAX_HANDLES
    }

    /// Requests without an answer.
    pub(crate) fn unanswered(&self) -> usize {
        self.data.load(Ordering::Relaxed) + self.other.load(Ordering::Relaxed)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // what a channel leaves unanswered when it ends
        let records = *self.data.get_mut() * DATA_RECORD + *self.other.get_mut() * OTHER_RECORD;
        self.requests.remove(records);
    }
}
