//! Files and folders as one ZIP, written while it is sent.
//!
//! It is not compressed: what moves between partners often is already, and a node's time is better spent on moving. The sizes stand
//! behind each file's bytes (APPNOTE 4.3.9), with ZIP64 where they need it, because nothing can be written again that has been sent.
//!
//! Bounds: one file is read at a time, through the node's budget. A folder costs a page of its listing as long as it is being walked,
//! down to [`MAX_DEPTH`]; each entry some bytes until the end, where ZIP lists them all, up to [`MAX_ENTRIES`]. What may not be read,
//! or is gone when its turn comes, is named in a last file, [`LEFT_OUT`]; what breaks in the middle breaks the answer.

use crate::send::one;
use app::vfs::{Entry, EntryKind, FileSession, Listing};
use axum::body::Body;
use bytes::Bytes;
use domain::file_error::{FileError, FileErrorKind};
use domain::path::{Name, VPath};
use std::io::Write;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipWriter};

/// How many paths one archive may be asked for.
pub const MAX_PATHS: usize = 1_000;

/// How many files and folders one archive may have.
pub const MAX_ENTRIES: usize = 100_000;

/// How deep folders may lie in each other.
pub const MAX_DEPTH: usize = 64;

/// What names the files that are not in the archive, and why.
pub const LEFT_OUT: &str = "NOT INCLUDED.txt";

/// How many lines that has at most.
const MAX_LEFT_OUT: usize = 1_000;

/// How much is read at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// Pieces that wait for the client.
const PIECES: usize = 2;

/// From this size on an entry needs ZIP64.
const LARGE: u64 = u32::MAX as u64;

/// What is asked for, looked at: each path with what it is.
pub struct Archive {
    session: FileSession,
    roots: Vec<(VPath, Entry)>,
    /// What names in the archive are relative to.
    above: VPath,
}

impl Archive {
    /// Looks at the paths, so that what is not there is an answer and no broken archive.
    pub async fn of(session: &FileSession, paths: Vec<VPath>) -> Result<Self, FileError> {
        if paths.is_empty() || paths.len() > MAX_PATHS {
            let text = format!("1 to {MAX_PATHS} paths can be downloaded together");
            return Err(FileError::new(FileErrorKind::BadRequest, text));
        }
        let mut roots: Vec<(VPath, Entry)> = Vec::with_capacity(paths.len());
        for path in paths {
            if roots.iter().any(|(known, _)| *known == path) {
                continue;
            }
            let entry = session.stat(&path).await?;
            roots.push((path, entry));
        }
        let above = common_folder(roots.iter().map(|(path, _)| path));
        Ok(Self { session: session.clone(), roots, above })
    }

    /// A name for it: of the one thing in it, or of the folder that all are in.
    pub fn name(&self) -> String {
        let named = match self.roots.as_slice() {
            [(path, _)] => path.name(),
            _ => self.above.name(),
        };
        format!("{}.zip", named.unwrap_or("files"))
    }

    /// The bytes. `keep` lives as long as they come; they break off when `end` is cancelled.
    pub fn body<K: Send + 'static>(self, keep: K, end: CancellationToken) -> Body {
        let (pieces, receiver) = mpsc::channel(PIECES);
        tokio::spawn(async move {
            let _keep = keep;
            let mut writing = Writing::new(pieces.clone());
            let written = end.run_until_cancelled(writing.all(&self)).await;
            let broken = match written {
                Some(Ok(())) => return,
                Some(Err(Broken::ClientGone)) => return,
                Some(Err(Broken::File(error))) => {
                    crate::answer::log(&error);
                    std::io::Error::other(error)
                }
                Some(Err(Broken::Zip(error))) => {
                    tracing::error!(%error, "an archive cannot be written");
                    std::io::Error::other(error)
                }
                None => std::io::Error::other("the session was ended"),
            };
            // an archive that just ended here would look whole to some
            let _ = pieces.send(Err(broken)).await;
        });
        Body::from_stream(futures_util::stream::unfold(receiver, async |mut receiver| {
            let piece: Result<Bytes, std::io::Error> = receiver.recv().await?;
            Some((piece, receiver))
        }))
    }
}

/// Why an archive ends early.
enum Broken {
    ClientGone,
    File(FileError),
    Zip(zip::result::ZipError),
}

impl From<FileError> for Broken {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<zip::result::ZipError> for Broken {
    fn from(error: zip::result::ZipError) -> Self {
        Self::Zip(error)
    }
}

/// An archive being written.
struct Writing {
    zip: ZipWriter<StreamWriter<Sink>>,
    written: Sink,
    pieces: mpsc::Sender<Result<Bytes, std::io::Error>>,
    entries: usize,
    left_out: Vec<String>,
}

/// A folder being walked.
struct Walked {
    path: VPath,
    listing: Listing,
    page: std::vec::IntoIter<Entry>,
}

impl Writing {
    fn new(pieces: mpsc::Sender<Result<Bytes, std::io::Error>>) -> Self {
        let written = Sink::default();
        let zip = ZipWriter::new_stream(written.clone());
        Self { zip, written, pieces, entries: 0, left_out: Vec::new() }
    }

    async fn all(&mut self, archive: &Archive) -> Result<(), Broken> {
        for (path, entry) in &archive.roots {
            match entry.kind {
                EntryKind::File => self.file(archive, path, entry).await?,
                EntryKind::Folder => self.folder(archive, path.clone()).await?,
            }
        }
        if !self.left_out.is_empty() {
            let lines = std::mem::take(&mut self.left_out).join("\r\n") + "\r\n";
            self.zip.start_file(LEFT_OUT, options(None, 0))?;
            self.zip.write_all(lines.as_bytes()).map_err(zip::result::ZipError::from)?;
        }
        let end = std::mem::replace(&mut self.zip, ZipWriter::new_stream(Sink::default()));
        end.finish()?;
        self.send().await
    }

    /// A folder with all that is in it, without recursion.
    async fn folder(&mut self, archive: &Archive, path: VPath) -> Result<(), Broken> {
        let mut open: Vec<Walked> = Vec::new();
        let mut enter = Some(path);
        loop {
            if let Some(path) = enter.take() {
                if open.len() >= MAX_DEPTH {
                    self.leave_out(&path, &"the folder lies too deep");
                } else {
                    match archive.session.list(&path).await {
                        Ok(listing) => {
                            self.start_folder(archive, &path)?;
                            open.push(Walked { path, listing, page: Vec::new().into_iter() });
                        }
                        Err(error) if passable(&error) => self.leave_out(&path, &error),
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            let Some(walked) = open.last_mut() else { return Ok(()) };
            let Some(entry) = walked.page.next() else {
                match walked.listing.next_page().await? {
                    Some(page) => walked.page = page.into_iter(),
                    None => drop(open.pop()),
                }
                continue;
            };
            let Ok(path) = Name::parse(&entry.name).and_then(|name| walked.path.child(&name)) else {
                let text = format!("{}/{}: its name cannot be used", walked.path, entry.name);
                self.note(text);
                continue;
            };
            match entry.kind {
                EntryKind::File => self.file(archive, &path, &entry).await?,
                EntryKind::Folder => enter = Some(path),
            }
        }
    }

    fn start_folder(&mut self, archive: &Archive, path: &VPath) -> Result<(), Broken> {
        let name = archive.name_of(path);
        if !name.is_empty() {
            self.count()?;
            self.zip.add_directory(name, options(None, 0))?;
        }
        Ok(())
    }

    async fn file(&mut self, archive: &Archive, path: &VPath, entry: &Entry) -> Result<(), Broken> {
        let download = match archive.session.open_read(path).await {
            Ok(download) => download,
            Err(error) if passable(&error) => {
                self.leave_out(path, &error);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        self.count()?;
        let bytes = download.entry().bytes;
        self.zip.start_file(archive.name_of(path), options(Some(entry), bytes))?;
        let mut at = 0;
        while at < bytes {
            let piece = one(download.read(at, PIECE_BYTES).await?);
            if piece.is_empty() {
                return Err(FileError::new(FileErrorKind::Changed, "a file ended early").into());
            }
            at += piece.len() as u64;
            self.zip.write_all(&piece).map_err(zip::result::ZipError::from)?;
            self.send().await?;
        }
        download.close().await;
        Ok(())
    }

    fn count(&mut self) -> Result<(), Broken> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            let text = format!("an archive holds at most {MAX_ENTRIES} files and folders: download fewer at a time");
            return Err(FileError::new(FileErrorKind::TooLarge, text).into());
        }
        Ok(())
    }

    fn leave_out(&mut self, path: &VPath, why: &dyn std::fmt::Display) {
        self.note(format!("{path}: {why}"));
    }

    fn note(&mut self, line: String) {
        match self.left_out.len() {
            most if most < MAX_LEFT_OUT => self.left_out.push(line),
            MAX_LEFT_OUT => self.left_out.push("and more".to_owned()),
            _ => {}
        }
    }

    /// What has been written goes to the client, as fast as that takes it.
    async fn send(&mut self) -> Result<(), Broken> {
        let piece = self.written.take();
        if piece.is_empty() {
            return Ok(());
        }
        self.pieces.send(Ok(piece)).await.map_err(|_| Broken::ClientGone)
    }
}

impl Archive {
    /// A path's name in the archive.
    fn name_of(&self, path: &VPath) -> String {
        path.below(&self.above).map(|below| below.relative().to_owned()).unwrap_or_default()
    }
}

/// What an archive can be whole without: what its reader may not see, and what is gone.
fn passable(error: &FileError) -> bool {
    matches!(
        error.kind(),
        FileErrorKind::PermissionDenied | FileErrorKind::NoSuchFile | FileErrorKind::Changed | FileErrorKind::IsAFolder
    )
}

fn options(entry: Option<&Entry>, bytes: u64) -> SimpleFileOptions {
    let seconds = entry.map(|entry| entry.modified.seconds());
    let modified = seconds
        .and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|at| zip::DateTime::try_from(time::PrimitiveDateTime::new(at.date(), at.time())).ok());
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(bytes >= LARGE)
        .last_modified_time(modified.unwrap_or_default())
}

/// The folder that all these are in.
fn common_folder<'a>(paths: impl Iterator<Item = &'a VPath>) -> VPath {
    let folder = |path: &VPath| path.parent().unwrap_or_else(VPath::root);
    let common = paths.map(folder).reduce(|mut common, next| {
        while next.below(&common).is_none() {
            common = folder(&common);
        }
        common
    });
    common.unwrap_or_else(VPath::root)
}

/// What the library writes into, emptied after each piece.
#[derive(Clone, Default)]
struct Sink(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl Sink {
    fn take(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)).into()
    }
}

impl Write for Sink {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_below_what_all_have_in_common() {
        let common = |paths: &[&str]| {
            let paths: Vec<VPath> = paths.iter().map(|path| VPath::parse(path).unwrap()).collect();
            common_folder(paths.iter()).to_string()
        };
        assert_eq!(common(&["/a/b/c"]), "/a/b");
        assert_eq!(common(&["/a/b/c", "/a/b/d"]), "/a/b");
        assert_eq!(common(&["/a/b/c", "/a/bc"]), "/a");
        assert_eq!(common(&["/a/b", "/c"]), "/");
        assert_eq!(common(&["/", "/c"]), "/");
    }
}
