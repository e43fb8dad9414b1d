//! The files of one session, whatever the door.

use bytes::Bytes;
use domain::access::Principal;
use domain::event::Origin;
use domain::file_error::FileError;
use domain::path::VPath;
use domain::time::Timestamp;

/// A file or folder, as STAT and listings show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The last segment of its path; empty for `/`.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// A file's size.
    pub bytes: u64,
    /// When it was last written; the time of the listing for folders, which have none.
    pub modified: Timestamp,
}

/// File or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A folder.
    Folder,
}

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

/// The files of the process: stores, memory budget, settler. Cheap to clone.
#[derive(Clone)]
pub struct Vfs;

impl Vfs {
    /// The files as one session sees them.
    pub fn session(&self, _principal: Principal, _origin: Origin) -> FileSession {
        FileSession
    }
}

/// The files as one session sees them. Cheap to clone; every call may run beside every other.
#[derive(Clone)]
pub struct FileSession;

fn missing() -> FileError {
    FileError::new(domain::file_error::FileErrorKind::Unavailable, "not connected")
}

impl FileSession {
    /// Where the session starts.
    pub fn login_folder(&self) -> VPath {
        VPath::root()
    }
    /// One file or folder.
    pub async fn stat(&self, _path: &VPath) -> Result<Entry, FileError> {
        Err(missing())
    }
    /// The entries of a folder, as a stream of pages.
    pub async fn list(&self, _path: &VPath) -> Result<Listing, FileError> {
        Err(missing())
    }
    /// Makes a folder in one that exists.
    pub async fn make_folder(&self, _path: &VPath) -> Result<(), FileError> {
        Err(missing())
    }
    /// Deletes an empty folder.
    pub async fn delete_folder(&self, _path: &VPath) -> Result<(), FileError> {
        Err(missing())
    }
    /// Deletes a file.
    pub async fn delete_file(&self, _path: &VPath) -> Result<(), FileError> {
        Err(missing())
    }
    /// Renames a file or folder. `replace`: a file may take the place of another file.
    pub async fn rename(&self, _from: &VPath, _to: &VPath, _replace: bool) -> Result<(), FileError> {
        Err(missing())
    }
    /// Opens a file for reading.
    pub async fn open_read(&self, _path: &VPath) -> Result<Download, FileError> {
        Err(missing())
    }
    /// Opens a file for writing. Nothing is visible before [`Upload::finish`].
    pub async fn open_write(&self, _path: &VPath, _mode: WriteMode) -> Result<Upload, FileError> {
        Err(missing())
    }
}

/// A listing under way.
pub struct Listing;

impl Listing {
    /// The next entries, at most 1,000, never empty; `None` at the end.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Entry>>, FileError> {
        Err(missing())
    }
}

/// A file open for reading. Cheap to clone; reads may overlap and are answered from one read-ahead window.
#[derive(Clone)]
pub struct Download;

impl Download {
    /// The file as it was at OPEN; all reads answer this version, or fail with `Changed`.
    pub fn entry(&self) -> &Entry {
        static ENTRY: std::sync::LazyLock<Entry> = std::sync::LazyLock::new(|| Entry {
            name: String::new(),
            kind: EntryKind::File,
            bytes: 0,
            modified: Timestamp::from_millis(0),
        });
        &ENTRY
    }
    /// `len` bytes at `offset` in one or more chunks; fewer only where the file ends, none behind its end.
    pub async fn read(&self, _offset: u64, _len: usize) -> Result<Vec<Bytes>, FileError> {
        Err(missing())
    }
    /// Ends the download and announces it. Dropping the last clone without it frees everything and announces nothing.
    pub async fn close(self) {}
}

/// A file open for writing. Dropping it means [`Upload::abort`].
pub struct Upload;

impl Upload {
    /// Takes `data` for `offset`. Returns when it is buffered within the budgets; a failure of the storage shows up at
    /// a later write or at [`Upload::finish`].
    pub async fn write(&mut self, _offset: u64, _data: Bytes) -> Result<(), FileError> {
        Err(missing())
    }
    /// The bytes taken so far (highest end of a write).
    pub fn bytes(&self) -> u64 {
        0
    }
    /// The client says how long the file is to be (FSETSTAT size).
    pub async fn set_bytes(&mut self, _bytes: u64) -> Result<(), FileError> {
        Err(missing())
    }
    /// Makes the file visible, whole. `Ok` means: durable, and counting and announcing it cannot be lost.
    pub async fn finish(self) -> Result<(), FileError> {
        Err(missing())
    }
    /// Throws everything away.
    pub async fn abort(self) {}
}
