//! Operations on paths (draft-ietf-secsh-filexfer-02, sections 6.3 and 6.5 to 6.11).

use super::attributes::{Shown, Wanted};
use super::handles::{Open, Shared};
use super::order::Touch;
use super::reader::Folder;
use super::reply::{Body, Names};
use super::request::{HashAsk, PathAsk};
use super::{OPERATION_DEADLINE, writer};
use super::{flags, hash};
use app::vfs::Space;
use bytes::Bytes;
use domain::file_error::{FileError, FileErrorKind};
use domain::path::{InvalidPath, VPath};
use std::sync::Arc;
use tokio::time::timeout;

/// An operation, its paths resolved.
#[derive(Debug)]
pub(crate) struct Operation {
    /// One path, or the two of a rename.
    paths: Vec<VPath>,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Open(flags::Open),
    OpenFolder,
    Stat,
    SetStat(Wanted),
    Remove,
    MakeFolder,
    RemoveFolder,
    Rename { replace: bool },
    Space,
    Hash(HashAsk),
}

/// What a request on a path comes to.
pub(crate) enum Resolved {
    /// Something to do.
    Operation(Operation),
    /// An answer that needs nobody.
    Answer(Body),
}

/// Resolves what a client asks, as seen from the login folder.
pub(crate) fn resolve(login: &VPath, ask: &PathAsk<'_>) -> Result<Resolved, FileError> {
    let one = |path: &[u8], what| -> Result<Resolved, FileError> {
        Ok(Resolved::Operation(Operation { paths: vec![login.resolve_bytes(path)?], what }))
    };
    match *ask {
        PathAsk::Open { path, flags } => one(path, What::Open(flags::parse(flags)?)),
        PathAsk::OpenFolder(path) => one(path, What::OpenFolder),
        PathAsk::Stat(path) => one(path, What::Stat),
        PathAsk::SetStat(path, wanted) => one(path, What::SetStat(wanted)),
        PathAsk::Remove(path) => one(path, What::Remove),
        PathAsk::Space(path) => one(path, What::Space),
        PathAsk::Hash(path, ask) => one(path, What::Hash(ask)),
        PathAsk::MakeFolder(path) => one(path, What::MakeFolder),
        PathAsk::RemoveFolder(path) => one(path, What::RemoveFolder),
        PathAsk::Rename { from, to, replace } => Ok(Resolved::Operation(Operation {
            paths: vec![login.resolve_bytes(from)?, login.resolve_bytes(to)?],
            what: What::Rename { replace },
        })),
        PathAsk::RealPath(path) => named(&login.resolve_bytes(path)?),
        PathAsk::ExpandPath(path) => named(&expand(login, path)?),
        PathAsk::HomeFolder => named(login),
    }
}

fn named(path: &VPath) -> Result<Resolved, FileError> {
    Ok(Resolved::Answer(Body::Names(Names::path(&path.to_string()))))
}

/// `~` and `~/…` are the login folder; `~user` is nobody else's, so it stays a name.
fn expand(login: &VPath, path: &[u8]) -> Result<VPath, InvalidPath> {
    match path.strip_prefix(b"~") {
        Some(rest) if rest.is_empty() || rest.starts_with(b"/") => {
            login.resolve_bytes(rest.strip_prefix(b"/").unwrap_or(rest))
        }
        _ => login.resolve_bytes(path),
    }
}

impl Operation {
    /// FSETSTAT of a file that is open for reading.
    pub(crate) fn set(path: VPath, wanted: Wanted) -> Self {
        Self { paths: vec![path], what: What::SetStat(wanted) }
    }

    /// A hash of a file that is open for reading.
    pub(crate) fn hash(path: VPath, ask: HashAsk) -> Self {
        Self { paths: vec![path], what: What::Hash(ask) }
    }

    /// What it does with its paths, for the order of operations.
    pub(crate) fn touch(&self) -> Touch {
        match self.what {
            What::SetStat(wanted) if wanted.modified.is_some() => Touch::Changes,
            What::Open(flags::Open::Read) | What::Stat | What::SetStat(_) | What::Space | What::Hash(_) => Touch::Sees,
            What::OpenFolder => Touch::Lists,
            What::Open(flags::Open::Write(_))
            | What::Remove
            | What::MakeFolder
            | What::RemoveFolder
            | What::Rename { .. } => Touch::Changes,
        }
    }

    /// Its paths.
    pub(crate) fn paths(&self) -> &[VPath] {
        &self.paths
    }

    /// Does it.
    pub(crate) async fn run(self, shared: Arc<Shared>) -> Body {
        match timeout(OPERATION_DEADLINE, self.attempt(&shared)).await {
            Ok(Ok(body)) => body,
            Ok(Err(error)) => error.into(),
            Err(_) => FileError::too_slow(OPERATION_DEADLINE).into(),
        }
    }

    async fn attempt(self, shared: &Arc<Shared>) -> Result<Body, FileError> {
        let files = &shared.files;
        let mut paths = self.paths.into_iter();
        let path = paths.next().unwrap_or(VPath::root());
        match self.what {
            What::Open(how) => open(shared, path, how).await.map(Body::Handle),
            What::OpenFolder => {
                let (slot, place) = (shared.slot()?, shared.folder_slot()?);
                let folder = Folder::new(files.list(&path).await?, place);
                let open = Open::Folder(Arc::new(tokio::sync::Mutex::new(folder)));
                Ok(Body::Handle(shared.open(open, Some(slot))))
            }
            What::Stat => Ok(Body::Attributes(Shown::from(&files.stat(&path).await?))),
            What::SetStat(wanted) => {
                if wanted.size.is_some() || wanted.modified.is_none() {
                    let entry = files.stat(&path).await?;
                    if wanted.size.is_some_and(|size| size != entry.bytes) {
                        return Err(FileError::new(
                            FileErrorKind::Unsupported,
                            "the size of a stored file cannot be changed; write it again",
                        ));
                    }
                }
                match wanted.modified {
                    Some(modified) => done(files.set_modified(&path, modified).await),
                    None => Ok(Body::Ok),
                }
            }
            What::Space => {
                files.stat(&path).await?;
                let space = files.space(&path).await?;
                Ok(Body::Extended(disk(space)))
            }
            What::Hash(ask) => hash::answer(files, &path, ask).await,
            What::Remove => done(files.delete_file(&path).await),
            What::MakeFolder => done(files.make_folder(&path).await),
            What::RemoveFolder => done(files.delete_folder(&path).await),
            What::Rename { replace } => {
                let to = paths.next().unwrap_or(VPath::root());
                done(files.rename(&path, &to, replace).await)
            }
        }
    }
}

/// What `df` shows without a quota: more than anybody sends.
const DISK_BYTES: u64 = 1 << 50;
const DISK_FILES: u64 = 1 << 40;
const BLOCK_BYTES: u64 = 4096;

/// The answer to `statvfs@openssh.com`: the quota is the disk, and what is stored under it is used.
fn disk(space: Space) -> Bytes {
    const NO_SET_UID: u64 = 2;
    const LONGEST_NAME: u64 = 255;
    let or = |quota: u64, unlimited: u64| if quota == 0 { unlimited } else { quota };
    let (bytes, files) = (or(space.quota.bytes, DISK_BYTES), or(space.quota.files, DISK_FILES));
    let free = bytes.saturating_sub(space.used_bytes) / BLOCK_BYTES;
    let free_files = files.saturating_sub(space.used_files);
    let blocks = [BLOCK_BYTES, BLOCK_BYTES, bytes / BLOCK_BYTES, free, free];
    let rest = [files, free_files, free_files, 0, NO_SET_UID, LONGEST_NAME];
    blocks.into_iter().chain(rest).flat_map(u64::to_be_bytes).collect()
}

async fn open(shared: &Arc<Shared>, path: VPath, how: flags::Open) -> Result<u64, FileError> {
    let slot = shared.slot()?;
    match how {
        flags::Open::Read => {
            let download = shared.files.open_read(&path).await?;
            Ok(shared.open(Open::Download(download), Some(slot)))
        }
        flags::Open::Write(mode) => {
            let upload = shared.files.open_write(&path, mode).await?;
            let work = writer::start(upload, slot, shared);
            Ok(shared.open(Open::Upload { work, path }, None))
        }
    }
}

fn done(outcome: Result<(), FileError>) -> Result<Body, FileError> {
    outcome.map(|()| Body::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tilde_is_the_login_folder() {
        let login = VPath::parse("/home/ann").unwrap();
        for (text, expected) in [
            ("~", "/home/ann"),
            ("~/a", "/home/ann/a"),
            ("~bob/a", "/home/ann/~bob/a"),
            ("/a/../b", "/b"),
            ("", "/home/ann"),
        ] {
            assert_eq!(expand(&login, text.as_bytes()).unwrap().to_string(), expected, "{text}");
        }
    }
}
