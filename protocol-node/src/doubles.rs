//! Files and accounts in memory, with faults by name, for the tests of the engine:
//!
//! * a file whose name holds `slow` opens, reads and finishes only when [`Vfs::release`] was called;
//! * one whose name holds `late` can be written, and finishes only then;
//! * one whose name holds `gap` lacks its beginning;
//! * a file whose name holds `broken` fails to be written and read;
//! * one whose name holds `huge` has [`HUGE_BYTES`], all of them 0;
//! * of one whose name holds `known` the MD5 is [`KNOWN_MD5`], without a read.
//!
//! How uploads ended is noted in [`Vfs::ended`], and which downloads were closed, which announces them, in [`Vfs::closed`].

use app::accounts::{Attempt, Login, LoginError, Proof};
use app::sessions::{Session, Sessions};
use app::vfs::{Entry, EntryKind, Space, WriteMode};
use bytes::Bytes;
use domain::access::{Permissions, Principal, Verbs};
use domain::connection::Grounds;
use domain::event::Origin;
use domain::file_error::{FileError, FileErrorKind};
use domain::id::{CredentialId, NodeId, OrganizationId};
use domain::path::{Chroot, VPath};
use domain::time::Timestamp;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

pub(crate) const PASSWORD: &str = "correct horse";
/// More than any sum is made of.
pub(crate) const HUGE_BYTES: u64 = 1 << 40;
pub(crate) const KNOWN_MD5: [u8; 16] = [7; 16];
/// Entries of one page of a listing.
const PAGE: usize = 100;

/// The sessions of a node that nobody asks.
pub(crate) fn sessions() -> Sessions {
    Sessions::new(NodeId::from_random([1; 16]))
}

type Tree = Arc<Mutex<BTreeMap<VPath, Option<Bytes>>>>;

#[derive(Clone, Default)]
pub struct Accounts {
    /// The one public key that is known.
    pub key: Vec<u8>,
    /// Whether a key needs the password as well.
    pub both: bool,
}

impl Accounts {
    pub async fn log_in(&self, attempt: Attempt) -> Result<Login, LoginError> {
        let good = match attempt.proof {
            Proof::Password(password) => !self.both && password.as_str() == PASSWORD,
            Proof::PublicKey(key) if self.both && key == self.key => return Err(LoginError::PasswordToo),
            Proof::PublicKey(key) => key == self.key,
            Proof::KeyAndPassword { key, password } => key == self.key && password.as_str() == PASSWORD,
        };
        if !good || attempt.user != "ann" {
            return Err(LoginError::Refused);
        }
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
    pub async fn knows_key(&self, _user: &str, key: &[u8], _origin: &Origin) -> Result<bool, LoginError> {
        Ok(key == self.key)
    }
}

#[derive(Clone, Default)]
pub struct Vfs {
    pub tree: Tree,
    times: Arc<Mutex<BTreeMap<VPath, Timestamp>>>,
    /// `finish`, `abort` or `interrupt`, and the path.
    pub ended: Arc<Mutex<Vec<(&'static str, String)>>>,
    pub closed: Arc<Mutex<Vec<String>>>,
    released: CancellationToken,
}

impl Vfs {
    pub fn session(&self, _session: &Session) -> FileSession {
        self.files()
    }
    pub fn files(&self) -> FileSession {
        FileSession(self.clone())
    }
    pub fn put(&self, path: &str, bytes: impl Into<Bytes>) {
        self.tree.lock().unwrap().insert(VPath::parse(path).unwrap(), Some(bytes.into()));
    }
    pub fn get(&self, path: &str) -> Option<Bytes> {
        self.tree.lock().unwrap().get(&VPath::parse(path).unwrap())?.clone()
    }
    pub fn release(&self) {
        self.released.cancel();
    }
    fn note(&self, end: &'static str, path: &VPath) {
        self.ended.lock().unwrap().push((end, path.to_string()));
    }
    async fn pass(&self, path: &VPath) -> Result<(), FileError> {
        if path.relative().contains("broken") {
            return Err(FileError::new(FileErrorKind::Unavailable, "storage is away"));
        }
        if path.relative().contains("slow") {
            self.released.cancelled().await;
        }
        Ok(())
    }
    fn entry(&self, path: &VPath) -> Option<Entry> {
        let tree = self.tree.lock().unwrap();
        let found = match tree.get(path) {
            Some(found) => found.clone(),
            None if path.is_root() => None,
            None => return None,
        };
        Some(Entry {
            name: path.name().unwrap_or_default().to_owned(),
            kind: if found.is_some() { EntryKind::File } else { EntryKind::Folder },
            bytes: found.map_or(0, |bytes| if is(path, "huge") { HUGE_BYTES } else { bytes.len() as u64 }),
            modified: self
                .times
                .lock()
                .unwrap()
                .get(path)
                .copied()
                .unwrap_or(Timestamp::from_millis(1_739_120_350_000)),
        })
    }
}

fn is(path: &VPath, what: &str) -> bool {
    path.relative().contains(what)
}

#[derive(Clone)]
pub struct FileSession(Vfs);

impl FileSession {
    pub fn login_folder(&self) -> VPath {
        VPath::root()
    }
    pub async fn stat(&self, path: &VPath) -> Result<Entry, FileError> {
        self.0.pass(path).await?;
        self.0.entry(path).ok_or_else(FileError::no_such_file)
    }
    pub async fn list(&self, path: &VPath) -> Result<Listing, FileError> {
        match self.0.entry(path) {
            None => return Err(FileError::no_such_file()),
            Some(entry) if entry.kind == EntryKind::File => {
                return Err(FileError::new(FileErrorKind::NotAFolder, "a file"));
            }
            Some(_) => {}
        }
        let paths: Vec<VPath> = self.0.tree.lock().unwrap().keys().cloned().collect();
        let inside = paths.iter().filter(|other| other.parent().as_ref() == Some(path));
        let mut entries: Vec<Entry> = inside.filter_map(|path| self.0.entry(path)).collect();
        entries.reverse();
        Ok(Listing(entries))
    }
    pub async fn make_folder(&self, path: &VPath) -> Result<(), FileError> {
        if self.0.entry(path).is_some() {
            return Err(FileError::new(FileErrorKind::AlreadyExists, "it exists"));
        }
        self.0.tree.lock().unwrap().insert(path.clone(), None);
        Ok(())
    }
    pub async fn delete_folder(&self, path: &VPath) -> Result<(), FileError> {
        self.delete_file(path).await
    }
    pub async fn delete_file(&self, path: &VPath) -> Result<(), FileError> {
        self.0.pass(path).await?;
        let gone = self.0.tree.lock().unwrap().remove(path);
        gone.map(drop).ok_or_else(FileError::no_such_file)
    }
    pub async fn rename(&self, from: &VPath, to: &VPath, replace: bool) -> Result<(), FileError> {
        self.0.pass(from).await?;
        let mut tree = self.0.tree.lock().unwrap();
        if tree.contains_key(to) && !replace {
            return Err(FileError::new(FileErrorKind::AlreadyExists, "it exists"));
        }
        let moved = tree.remove(from).ok_or_else(FileError::no_such_file)?;
        tree.insert(to.clone(), moved);
        Ok(())
    }
    pub async fn space(&self, _path: &VPath) -> Result<Space, FileError> {
        Ok(Space { used_bytes: 10_000, used_files: 3, quota: domain::quota::Quota::default() })
    }
    pub async fn set_modified(&self, path: &VPath, modified: Timestamp) -> Result<(), FileError> {
        self.0.pass(path).await?;
        self.0.entry(path).ok_or_else(FileError::no_such_file)?;
        self.0.times.lock().unwrap().insert(path.clone(), modified);
        Ok(())
    }
    pub async fn open_read(&self, path: &VPath) -> Result<Download, FileError> {
        let entry = self.0.entry(path).ok_or_else(FileError::no_such_file)?;
        let bytes = self.0.tree.lock().unwrap().get(path).cloned().flatten();
        let bytes = bytes.ok_or_else(|| FileError::new(FileErrorKind::IsAFolder, "a folder"))?;
        Ok(Download { path: path.clone(), entry: Arc::new(entry), bytes, vfs: self.0.clone() })
    }
    pub async fn open_write(&self, path: &VPath, mode: WriteMode) -> Result<Upload, FileError> {
        match self.0.entry(path) {
            Some(_) if mode.exclusive => return Err(FileError::new(FileErrorKind::AlreadyExists, "it exists")),
            None if !mode.create => return Err(FileError::no_such_file()),
            Some(_) | None => {}
        }
        let before = self.0.tree.lock().unwrap().get(path).cloned().flatten().filter(|_| !mode.truncate);
        let bytes = before.map(|bytes| bytes.to_vec()).unwrap_or_default();
        Ok(Upload { path: path.clone(), bytes, append: mode.append, modified: None, vfs: self.0.clone() })
    }
}

/// What is left, last first.
pub struct Listing(Vec<Entry>);

impl Listing {
    pub async fn next_page(&mut self) -> Result<Option<Vec<Entry>>, FileError> {
        let left = self.0.len().saturating_sub(PAGE);
        let mut page = self.0.split_off(left);
        page.reverse();
        Ok((!page.is_empty()).then_some(page))
    }
}

#[derive(Clone)]
pub struct Download {
    path: VPath,
    entry: Arc<Entry>,
    bytes: Bytes,
    vfs: Vfs,
}

impl Download {
    pub fn entry(&self) -> &Entry {
        &self.entry
    }
    pub fn md5(&self) -> Option<[u8; 16]> {
        is(&self.path, "known").then_some(KNOWN_MD5)
    }
    pub fn path(&self) -> &VPath {
        &self.path
    }
    pub async fn read(&self, offset: u64, len: usize) -> Result<Vec<Bytes>, FileError> {
        self.vfs.pass(&VPath::parse(&self.entry.name).unwrap()).await?;
        if is(&self.path, "huge") {
            return Ok(vec![Bytes::from(vec![0; len])]);
        }
        let start = usize::try_from(offset).unwrap().min(self.bytes.len());
        // segments of a window arrive in any order: here the first bytes come last
        if self.entry.name.starts_with("uneven") {
            for _ in 0..self.bytes.len().saturating_sub(start) / 1000 {
                tokio::task::yield_now().await;
            }
        }
        let end = start.saturating_add(len).min(self.bytes.len());
        let middle = start + (end - start) / 3;
        Ok(vec![self.bytes.slice(start..middle), self.bytes.slice(middle..end)])
    }
    pub async fn close(self) {
        self.vfs.closed.lock().unwrap().push(self.path.to_string());
    }
}

pub struct Upload {
    path: VPath,
    bytes: Vec<u8>,
    modified: Option<Timestamp>,
    append: bool,
    vfs: Vfs,
}

impl Upload {
    pub async fn write(&mut self, offset: u64, data: Bytes) -> Result<(), FileError> {
        self.vfs.pass(&self.path).await?;
        let offset = if self.append { self.bytes.len() } else { usize::try_from(offset).unwrap() };
        if self.bytes.len() < offset + data.len() {
            self.bytes.resize(offset + data.len(), 0);
        }
        self.bytes[offset..offset + data.len()].copy_from_slice(&data);
        Ok(())
    }
    pub async fn copy_from(&mut self, from: &Download, range: Range<u64>, at: u64) -> Result<(), FileError> {
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        self.write(at, from.bytes.slice(range)).await
    }
    pub fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }
    pub fn gap(&self) -> Option<u64> {
        self.path.relative().contains("gap").then_some(0)
    }
    pub async fn set_bytes(&mut self, bytes: u64) -> Result<(), FileError> {
        if bytes == self.bytes() { Ok(()) } else { Err(FileError::new(FileErrorKind::Unsupported, "not that size")) }
    }
    pub fn set_modified(&mut self, modified: Timestamp) -> Result<(), FileError> {
        self.modified = Some(modified);
        Ok(())
    }
    pub async fn finish(self) -> Result<(), FileError> {
        self.vfs.pass(&self.path).await?;
        if self.path.relative().contains("late") {
            self.vfs.released.cancelled().await;
        }
        self.vfs.note("finish", &self.path);
        self.vfs.times.lock().unwrap().extend(self.modified.map(|modified| (self.path.clone(), modified)));
        self.vfs.tree.lock().unwrap().insert(self.path.clone(), Some(self.bytes.into()));
        Ok(())
    }
    pub async fn abort(self) {
        self.vfs.note("abort", &self.path);
    }
    pub async fn interrupt(self) {
        self.vfs.note("interrupt", &self.path);
    }
}
