//! Accounts that know everybody, and files that are nothing: what is written is dropped, what is read comes from memory.
//!
//! A name that ends in `.<n>M` is a file of n MiB; every other name can be written and is not there.

use app::accounts::{Attempt, Login, LoginError};
use app::sessions::Session;
use app::vfs::{Entry, EntryKind, Space, WriteMode};
use bytes::Bytes;
use domain::access::{Permissions, Principal, Verbs};
use domain::connection::Grounds;
use domain::event::Origin;
use domain::file_error::{FileError, FileErrorKind};
use domain::id::{CredentialId, OrganizationId};
use domain::path::{Chroot, VPath};
use domain::time::Timestamp;
use std::ops::Range;

/// What downloads are read from: larger than the processor's caches, so that reading it costs what reading fresh data
/// costs.
const POOL_BYTES: usize = 64 * 1024 * 1024;
/// Reads are answered in pieces of this size, about what arrives from S3 at once.
const PIECE_BYTES: usize = 128 * 1024;

#[derive(Clone)]
pub struct Accounts;

impl Accounts {
    pub async fn log_in(&self, attempt: Attempt) -> Result<Login, LoginError> {
        let organization = OrganizationId::from_random([1; 16]);
        let principal = Principal {
            organization: organization.clone(),
            credential: CredentialId::from_random([2; 15]),
            user_name: attempt.user,
            chroot: Chroot::new(organization, VPath::root(), VPath::root()),
            permissions: Permissions::everywhere(Verbs::ALL),
            api_key: None,
            link: None,
            system: false,
            quota: domain::quota::Quota::default(),
            organization_quota: domain::quota::Quota::default(),
            bandwidth: domain::bandwidth::Bandwidth::default(),
        };
        let grounds = Grounds { credential_rev: 1, ends_at: None };
        Ok(Login { principal, grounds, place: None })
    }
    pub async fn knows_key(&self, _user: &str, _key: &[u8], _origin: &Origin) -> Result<bool, LoginError> {
        Ok(true)
    }
}

#[derive(Clone)]
pub struct Vfs {
    pool: Bytes,
}

impl Vfs {
    pub fn new() -> Self {
        let byte = |at: usize| u8::try_from(at % 251).unwrap_or_default();
        Self { pool: (0..POOL_BYTES).map(byte).collect() }
    }
    pub fn session(&self, _session: &Session) -> FileSession {
        FileSession(self.clone())
    }
}

#[derive(Clone)]
pub struct FileSession(Vfs);

impl FileSession {
    pub fn login_folder(&self) -> VPath {
        VPath::root()
    }
    pub async fn stat(&self, path: &VPath) -> Result<Entry, FileError> {
        entry(path).ok_or_else(FileError::no_such_file)
    }
    pub async fn list(&self, _path: &VPath) -> Result<Listing, FileError> {
        Ok(Listing)
    }
    pub async fn make_folder(&self, _path: &VPath) -> Result<(), FileError> {
        Ok(())
    }
    pub async fn delete_folder(&self, _path: &VPath) -> Result<(), FileError> {
        Ok(())
    }
    pub async fn delete_file(&self, _path: &VPath) -> Result<(), FileError> {
        Ok(())
    }
    pub async fn rename(&self, _from: &VPath, _to: &VPath, _replace: bool) -> Result<(), FileError> {
        Ok(())
    }
    pub async fn space(&self, _path: &VPath) -> Result<Space, FileError> {
        Ok(Space { used_bytes: 0, used_files: 0, quota: domain::quota::Quota::default() })
    }
    pub async fn set_modified(&self, _path: &VPath, _modified: Timestamp) -> Result<(), FileError> {
        Ok(())
    }
    pub async fn open_read(&self, path: &VPath) -> Result<Download, FileError> {
        let entry = self.stat(path).await?;
        if entry.kind == EntryKind::Folder {
            return Err(FileError::new(FileErrorKind::IsAFolder, "a folder"));
        }
        Ok(Download { path: path.clone(), entry, pool: self.0.pool.clone() })
    }
    pub async fn open_write(&self, _path: &VPath, _mode: WriteMode) -> Result<Upload, FileError> {
        Ok(Upload(0))
    }
}

fn entry(path: &VPath) -> Option<Entry> {
    let name = path.name().unwrap_or_default().to_owned();
    let mebibytes = name.rsplit_once('.').and_then(|(_, end)| end.strip_suffix('M')?.parse::<u64>().ok());
    let kind = if path.is_root() { EntryKind::Folder } else { EntryKind::File };
    let bytes = if path.is_root() { 0 } else { mebibytes? << 20 };
    Some(Entry { name, kind, bytes, modified: Timestamp::from_millis(1_739_120_350_000) })
}

pub struct Listing;

impl Listing {
    pub async fn next_page(&mut self) -> Result<Option<Vec<Entry>>, FileError> {
        Ok(None)
    }
}

#[derive(Clone)]
pub struct Download {
    path: VPath,
    entry: Entry,
    pool: Bytes,
}

impl Download {
    pub fn entry(&self) -> &Entry {
        &self.entry
    }
    pub fn md5(&self) -> Option<[u8; 16]> {
        None
    }
    pub fn path(&self) -> &VPath {
        &self.path
    }
    pub async fn read(&self, offset: u64, len: usize) -> Result<Vec<Bytes>, FileError> {
        let left = usize::try_from(self.entry.bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut at = usize::try_from(offset % POOL_BYTES as u64).unwrap_or_default();
        let mut left = len.min(left);
        let mut pieces = Vec::new();
        while left > 0 {
            let piece = left.min(PIECE_BYTES).min(POOL_BYTES - at);
            pieces.push(self.pool.slice(at..at + piece));
            (at, left) = ((at + piece) % POOL_BYTES, left - piece);
        }
        Ok(pieces)
    }
    pub async fn close(self) {}
}

pub struct Upload(u64);

impl Upload {
    pub async fn write(&mut self, offset: u64, data: Bytes) -> Result<(), FileError> {
        self.0 = self.0.max(offset + data.len() as u64);
        Ok(())
    }
    pub async fn copy_from(&mut self, from: &Download, range: Range<u64>, at: u64) -> Result<(), FileError> {
        self.0 = self.0.max(at + (range.end - range.start).min(from.entry.bytes));
        Ok(())
    }
    pub fn bytes(&self) -> u64 {
        self.0
    }
    pub fn gap(&self) -> Option<u64> {
        None
    }
    pub async fn set_bytes(&mut self, _bytes: u64) -> Result<(), FileError> {
        Ok(())
    }
    pub fn set_modified(&mut self, _modified: Timestamp) -> Result<(), FileError> {
        Ok(())
    }
    pub async fn finish(self) -> Result<(), FileError> {
        Ok(())
    }
    pub async fn abort(self) {}
    pub async fn interrupt(self) {}
}
