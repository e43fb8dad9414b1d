//! Where object bytes live: in memory as lists of blocks, or in a folder as files named by a random id.
//!
//! Rule: a blob never changes once it is finished. Whoever reads one holds a [`Blob`]; a blob that is removed meanwhile
//! stays readable until the last holder lets go, so a reader of a replaced object reads the old bytes whole.

use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// A blob somebody may read from.
#[derive(Clone)]
pub(super) enum Blob {
    Memory(Arc<Vec<Bytes>>),
    File(Arc<FileBlob>),
}

/// A finished blob file. Deleted when the last holder drops it, if it was removed meanwhile.
pub(super) struct FileBlob {
    id: i64,
    folder: Arc<Folder>,
    dead: AtomicBool,
}

pub(super) struct Folder {
    dir: PathBuf,
    live: Mutex<HashMap<i64, Weak<FileBlob>>>,
}

pub(super) enum Blobs {
    Memory(Mutex<HashMap<i64, Arc<Vec<Bytes>>>>),
    Folder(Arc<Folder>),
}

/// Poisoning cannot leave these maps half changed: every critical section is one map call.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Random, so that no counter has to survive a crash; positive, because SQLite stores signed numbers.
pub(super) fn new_id() -> i64 {
    rand::random::<i64>() & i64::MAX
}

impl Folder {
    pub(super) fn path(&self, id: i64) -> PathBuf {
        // 256 subfolders keep each directory short with 100,000 objects
        self.dir.join(format!("{:02x}", id & 0xff)).join(format!("{id:016x}"))
    }

    pub(super) fn temporary(&self, id: i64) -> PathBuf {
        self.dir.join("incoming").join(format!("{id:016x}"))
    }
}

impl Blobs {
    pub(super) fn memory() -> Self {
        Self::Memory(Mutex::default())
    }

    pub(super) fn folder(dir: &Path) -> io::Result<Self> {
        for shard in 0..=0xffu8 {
            std::fs::create_dir_all(dir.join(format!("{shard:02x}")))?;
        }
        std::fs::create_dir_all(dir.join("incoming"))?;
        Ok(Self::Folder(Arc::new(Folder { dir: dir.to_owned(), live: Mutex::default() })))
    }

    /// Deletes files that no row knows: uploads cut off by a crash, and blobs whose deletion a crash prevented.
    pub(super) fn sweep(&self, known: &HashSet<i64>) -> io::Result<u64> {
        let Self::Folder(folder) = self else { return Ok(0) };
        let mut swept = 0;
        for shard in std::fs::read_dir(&folder.dir)? {
            let shard = shard?;
            if !shard.file_type()?.is_dir() {
                continue;
            }
            let incoming = shard.file_name() == "incoming";
            for entry in std::fs::read_dir(shard.path())? {
                let entry = entry?;
                let id = entry.file_name().to_str().and_then(|name| i64::from_str_radix(name, 16).ok());
                if incoming || id.is_none_or(|id| !known.contains(&id)) {
                    std::fs::remove_file(entry.path())?;
                    swept += 1;
                }
            }
        }
        Ok(swept)
    }

    /// A handle that keeps the blob readable. Call it under the index lock: otherwise the row may be gone already.
    pub(super) fn pin(&self, id: i64) -> Option<Blob> {
        match self {
            Self::Memory(map) => lock(map).get(&id).cloned().map(Blob::Memory),
            Self::Folder(folder) => {
                let mut live = lock(&folder.live);
                if let Some(known) = live.get(&id).and_then(Weak::upgrade) {
                    return Some(Blob::File(known));
                }
                let blob = Arc::new(FileBlob { id, folder: folder.clone(), dead: AtomicBool::new(false) });
                live.insert(id, Arc::downgrade(&blob));
                Some(Blob::File(blob))
            }
        }
    }

    pub(super) fn remove(&self, id: i64) {
        match self {
            Self::Memory(map) => {
                let gone = lock(map).remove(&id);
                drop(gone);
            }
            Self::Folder(folder) => {
                // the handle must not be dropped under the lock: its Drop takes the same lock
                let held = lock(&folder.live).get(&id).and_then(Weak::upgrade);
                match held {
                    Some(blob) => blob.dead.store(true, Ordering::Release),
                    None => delete(&folder.path(id)),
                }
            }
        }
    }
}

fn delete(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        // the sweep at the next start takes it
        tracing::warn!(path = %path.display(), %error, "could not delete a blob");
    }
}

impl Drop for FileBlob {
    fn drop(&mut self) {
        {
            let mut live = lock(&self.folder.live);
            if live.get(&self.id).is_some_and(|known| known.strong_count() == 0) {
                live.remove(&self.id);
            }
        }
        if self.dead.load(Ordering::Acquire) {
            delete(&self.folder.path(self.id));
        }
    }
}

impl FileBlob {
    /// Reads exactly `len` bytes at `offset`. Blocking.
    pub(super) fn read(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let file = File::open(self.folder.path(self.id))?;
        let mut block = vec![0u8; len];
        file.read_exact_at(&mut block, offset)?;
        Ok(Bytes::from(block))
    }
}

/// A finished blob that no row refers to yet. Dropping it deletes it; [`NewBlob::keep`] hands it over to the index.
pub(super) struct NewBlob {
    id: i64,
    blobs: Option<Arc<Blobs>>,
}

impl NewBlob {
    pub(super) fn new(id: i64, blobs: Arc<Blobs>) -> Self {
        Self { id, blobs: Some(blobs) }
    }

    pub(super) fn id(&self) -> i64 {
        self.id
    }

    pub(super) fn keep(mut self) {
        self.blobs = None;
    }
}

impl Drop for NewBlob {
    fn drop(&mut self) {
        if let Some(blobs) = &self.blobs {
            blobs.remove(self.id);
        }
    }
}
