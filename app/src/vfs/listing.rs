//! STAT and listings.

mod pages;

use super::times::{self, FolderTimes};
use super::{Entry, EntryKind, FileSession, object_failure};
use domain::access::{self, List, Shown, Stat};
use domain::file_error::{FileError, FileErrorKind};
use domain::partial::PartialUpload;
use domain::path::{Name, VPath};
use pages::{Folder, PageError, Pages};
use std::collections::{BTreeSet, HashMap};
use store::clock;
use store::objects::{ListFrom, Listed, ListedKind};

impl FileSession {
    /// One file or folder.
    pub async fn stat(&self, path: &VPath) -> Result<Entry, FileError> {
        self.live.touch();
        let name = path.name().unwrap_or_default().to_owned();
        let proof = match access::show(&self.principal, Stat, path)? {
            Shown::Above(_) => return Ok(folder(name)),
            Shown::Inside(_) if self.principal.chroot.is_mounted(path) => return Ok(folder(name)),
            Shown::Inside(_) if !self.principal.chroot.mounted_in(path).is_empty() => return Ok(folder(name)),
            Shown::Inside(proof) => proof,
        };
        let key = proof.location().file_key();
        // an upload of this session that is under way
        if let Some(upload) = key.as_ref().and_then(|key| self.beyond.progress(key)) {
            let modified = upload.modified().unwrap_or_else(clock::now);
            return Ok(Entry { name, kind: EntryKind::File, bytes: upload.bytes(), modified });
        }
        let objects = &self.shared.objects;
        let (file, inside, _, kept) =
            tokio::join!(objects.head(&proof), objects.peek(&proof), self.partials(), self.kept_time(key.as_ref()));
        let file = file.map_err(object_failure)?;
        if let Some(partial) = self.partial_at(key.as_ref(), file.as_ref().map(|info| info.modified)).await {
            return Ok(interrupted(name, &partial));
        }
        if let Some(info) = file {
            let modified = times::shown(kept.as_ref(), &info);
            return Ok(Entry { name, kind: EntryKind::File, bytes: info.bytes, modified });
        }
        let inside = inside.map_err(object_failure)?;
        if inside.marker.is_none() && inside.entries.is_empty() {
            return Err(FileError::no_such_file());
        }
        Ok(folder(name))
    }

    /// The entries of a folder, as a stream of pages. The first is fetched here, so that what is no folder fails now.
    pub async fn list(&self, path: &VPath) -> Result<Listing, FileError> {
        self.list_after(path, None).await
    }

    /// The same behind a [`place`] in the folder.
    pub async fn list_after(&self, path: &VPath, after: Option<&str>) -> Result<Listing, FileError> {
        self.live.touch();
        let proof = match access::show(&self.principal, List, path)? {
            Shown::Above(names) => {
                let names = if after.is_some() { Vec::new() } else { names };
                return Ok(Listing {
                    ready: None,
                    mounted: names.into_iter().map(Name::into_text).collect(),
                    told: false,
                    more: None,
                    interrupted: HashMap::new(),
                    times: None,
                });
            }
            Shown::Inside(proof) => proof,
        };
        let mounted: BTreeSet<String> =
            self.principal.chroot.mounted_in(path).into_iter().map(Name::into_text).collect();
        let prefix = proof.location().folder_key();
        let times = FolderTimes::begin(self.clone(), prefix.clone());
        let from = after.map_or(ListFrom::Start, |after| ListFrom::After(after.to_owned()));
        let (first, partials, times) = tokio::join!(self.shared.objects.list(&proof, from), self.partials(), times);
        let first = first.map_err(object_failure)?;
        let directly_inside = |partial: &PartialUpload| {
            let name = partial.key.strip_prefix(prefix.as_str()).filter(|name| !name.contains('/'))?;
            let passed = after.is_some_and(|after| name <= after);
            (!mounted.contains(name) && !passed).then(|| (name.to_owned(), partial.clone()))
        };
        let interrupted = partials.values().filter_map(directly_inside).collect();
        let nothing = after.is_none() && first.entries.is_empty() && first.marker.is_none() && first.next.is_none();
        if nothing && mounted.is_empty() && !self.principal.chroot.is_mounted(path) {
            let file = self.shared.objects.head(&proof).await.map_err(object_failure)?;
            return Err(match file {
                Some(_) => FileError::new(FileErrorKind::NotAFolder, "this is a file, not a folder"),
                None => FileError::no_such_file(),
            });
        }
        let more = Pages::after(Folder { session: self.clone(), proof }, &first);
        let times = Some(times);
        let told = after.is_some();
        Ok(Listing { ready: Some(first.entries), mounted, told, more: Some(more), interrupted, times })
    }
}

/// The place in a folder behind these entries of a listing, for [`FileSession::list_after`].
pub fn place(entries: &[Entry]) -> Option<String> {
    let place = |entry: &Entry| match entry.kind {
        EntryKind::File => entry.name.clone(),
        // behind all that is in it: S3 goes by whole keys
        EntryKind::Folder => format!("{}/{}", entry.name, char::MAX),
    };
    entries.iter().map(place).max()
}

/// A listing under way. It holds a page of 1,000 entries that is delivered, the one that comes next, and a page of 500 times
/// beside them; of a large folder up to seven more pages, whose memory is reserved.
pub struct Listing {
    ready: Option<Vec<Listed>>,
    /// Folders that are mounted here, which hide what else has their names; above the home that is all there is.
    mounted: BTreeSet<String>,
    /// Whether these are told.
    told: bool,
    more: Option<Pages>,
    /// Interrupted uploads in this folder, by name, that no page has shown yet.
    interrupted: HashMap<String, PartialUpload>,
    /// What clients have set.
    times: Option<FolderTimes>,
}

impl Listing {
    /// The next entries, at most 1,000, never empty; `None` at the end.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Entry>>, FileError> {
        if !self.told && !self.mounted.is_empty() {
            self.told = true;
            return Ok(Some(self.mounted.iter().cloned().map(folder).collect()));
        }
        loop {
            let next = match self.ready.take() {
                Some(page) => Some(page),
                None => self.fetched().await?,
            };
            let Some(page) = next else {
                if let Some(times) = self.times.take() {
                    times.end();
                }
                let now = clock::now();
                let left = self.interrupted.drain().filter(|(_, partial)| partial.stands(None, now));
                let left: Vec<Entry> = left.map(|(name, partial)| interrupted(name, &partial)).collect();
                return Ok((!left.is_empty()).then_some(left));
            };
            let page = self.shown(page).await;
            // a page may hold nothing but the folder's own marker, or names that no client could use
            if !page.is_empty() {
                return Ok(Some(page));
            }
        }
    }

    async fn fetched(&mut self) -> Result<Option<Vec<Listed>>, FileError> {
        let Some(more) = &mut self.more else { return Ok(None) };
        more.next().await.map_err(|error| match error {
            PageError::Storage(error) => object_failure(error),
            PageError::Interrupted(error) => {
                FileError::new(FileErrorKind::Internal, "the listing was interrupted").with_source(error)
            }
        })
    }

    /// A page as the session sees it: interrupted uploads stand for the older files of their names, and times are those that
    /// clients have set.
    async fn shown(&mut self, page: Vec<Listed>) -> Vec<Entry> {
        let now = clock::now();
        let mut entries = Vec::with_capacity(page.len());
        for listed in page {
            let name = listed.path.name().unwrap_or_default().to_owned();
            if self.mounted.contains(&name) {
                continue;
            }
            let ListedKind::File { bytes, modified: written, etag } = listed.kind else {
                entries.push(folder(name));
                continue;
            };
            let modified = match &mut self.times {
                Some(times) => times.of(&name, etag.as_str(), written).await,
                None => written,
            };
            entries.push(match self.interrupted.remove(&name).filter(|partial| partial.stands(Some(written), now)) {
                Some(partial) => interrupted(name, &partial),
                None => Entry { name, kind: EntryKind::File, bytes, modified },
            });
        }
        entries
    }
}

fn interrupted(name: String, partial: &PartialUpload) -> Entry {
    Entry { name, kind: EntryKind::File, bytes: partial.bytes, modified: partial.kept_at }
}

fn folder(name: String) -> Entry {
    Entry { name, kind: EntryKind::Folder, bytes: 0, modified: clock::now() }
}
