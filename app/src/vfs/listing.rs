//! STAT and listings.

mod pages;

use super::{Entry, EntryKind, FileSession, object_failure};
use domain::access::{self, List, Shown, Stat};
use domain::file_error::{FileError, FileErrorKind};
use domain::partial::PartialUpload;
use domain::path::VPath;
use pages::{Folder, PageError, Pages};
use std::collections::HashMap;
use store::clock;
use store::objects::{ListFrom, Listed, ListedKind};

impl FileSession {
    /// One file or folder.
    pub async fn stat(&self, path: &VPath) -> Result<Entry, FileError> {
        let name = path.name().unwrap_or_default().to_owned();
        let proof = match access::show(&self.principal, Stat, path)? {
            Shown::Above(_) => return Ok(folder(name)),
            Shown::Inside(_) if self.principal.chroot.is_home(path) => return Ok(folder(name)),
            Shown::Inside(proof) => proof,
        };
        let key = proof.location().file_key();
        // an upload of this session that is under way
        if let Some(bytes) = key.as_ref().and_then(|key| self.beyond.progress(key)) {
            return Ok(Entry { name, kind: EntryKind::File, bytes, modified: clock::now() });
        }
        let objects = &self.shared.objects;
        let (file, inside, _) = tokio::join!(objects.head(&proof), objects.peek(&proof), self.partials());
        let file = file.map_err(object_failure)?;
        if let Some(partial) = self.partial_at(key.as_ref(), file.as_ref().map(|info| info.modified)).await {
            return Ok(interrupted(name, &partial));
        }
        if let Some(info) = file {
            return Ok(Entry { name, kind: EntryKind::File, bytes: info.bytes, modified: info.modified });
        }
        let inside = inside.map_err(object_failure)?;
        if inside.marker.is_none() && inside.entries.is_empty() {
            return Err(FileError::no_such_file());
        }
        Ok(folder(name))
    }

    /// The entries of a folder, as a stream of pages. The first is fetched here, so that what is no folder fails now.
    pub async fn list(&self, path: &VPath) -> Result<Listing, FileError> {
        let proof = match access::show(&self.principal, List, path)? {
            Shown::Above(name) => {
                let only = vec![folder(name.as_str().to_owned())];
                return Ok(Listing { ready: Some(only), more: None, interrupted: HashMap::new() });
            }
            Shown::Inside(proof) => proof,
        };
        let (first, partials) = tokio::join!(self.shared.objects.list(&proof, ListFrom::Start), self.partials());
        let first = first.map_err(object_failure)?;
        let prefix = proof.location().folder_key();
        let directly_inside = |partial: &PartialUpload| {
            let name = partial.key.strip_prefix(prefix.as_str()).filter(|name| !name.contains('/'))?;
            Some((name.to_owned(), partial.clone()))
        };
        let interrupted = partials.values().filter_map(directly_inside).collect();
        let nothing = first.entries.is_empty() && first.marker.is_none() && first.next.is_none();
        if nothing && !self.principal.chroot.is_home(path) {
            let file = self.shared.objects.head(&proof).await.map_err(object_failure)?;
            return Err(match file {
                Some(_) => FileError::new(FileErrorKind::NotAFolder, "this is a file, not a folder"),
                None => FileError::no_such_file(),
            });
        }
        let more = Pages::after(Folder { session: self.clone(), proof }, &first);
        Ok(Listing { ready: Some(entries(first.entries)), more: Some(more), interrupted })
    }
}

/// A listing under way. It holds a page of 1,000 entries that is delivered and the one that comes next; of a large folder up
/// to seven more, whose memory is reserved.
pub struct Listing {
    ready: Option<Vec<Entry>>,
    more: Option<Pages>,
    /// Interrupted uploads in this folder, by name, that no page has shown yet.
    interrupted: HashMap<String, PartialUpload>,
}

impl Listing {
    /// The next entries, at most 1,000, never empty; `None` at the end.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Entry>>, FileError> {
        loop {
            let page = match self.ready.take() {
                Some(page) => page,
                None => match self.fetched().await? {
                    Some(page) => page,
                    None => {
                        let now = clock::now();
                        let left = self.interrupted.drain().filter(|(_, partial)| partial.stands(None, now));
                        let left: Vec<Entry> = left.map(|(name, partial)| interrupted(name, &partial)).collect();
                        return Ok((!left.is_empty()).then_some(left));
                    }
                },
            };
            let page = self.with_interrupted(page);
            // a page may hold nothing but the folder's own marker, or names that no client could use
            if !page.is_empty() {
                return Ok(Some(page));
            }
        }
    }
}

impl Listing {
    async fn fetched(&mut self) -> Result<Option<Vec<Entry>>, FileError> {
        let Some(more) = &mut self.more else { return Ok(None) };
        match more.next().await {
            Ok(page) => Ok(page.map(entries)),
            Err(PageError::Storage(error)) => Err(object_failure(error)),
            Err(PageError::Interrupted(error)) => {
                Err(FileError::new(FileErrorKind::Internal, "the listing was interrupted").with_source(error))
            }
        }
    }

    /// Shows interrupted uploads in the place of the older files of their names.
    fn with_interrupted(&mut self, mut page: Vec<Entry>) -> Vec<Entry> {
        if self.interrupted.is_empty() {
            return page;
        }
        let now = clock::now();
        for entry in page.iter_mut().filter(|entry| entry.kind == EntryKind::File) {
            if let Some(partial) = self.interrupted.remove(&entry.name)
                && partial.stands(Some(entry.modified), now)
            {
                *entry = interrupted(std::mem::take(&mut entry.name), &partial);
            }
        }
        page
    }
}

fn interrupted(name: String, partial: &PartialUpload) -> Entry {
    Entry { name, kind: EntryKind::File, bytes: partial.bytes, modified: partial.kept_at }
}

fn entries(page: Vec<Listed>) -> Vec<Entry> {
    page.into_iter().map(entry).collect()
}

fn entry(listed: Listed) -> Entry {
    let name = listed.path.name().unwrap_or_default().to_owned();
    match listed.kind {
        ListedKind::File { bytes, modified, .. } => Entry { name, kind: EntryKind::File, bytes, modified },
        ListedKind::Folder { .. } => folder(name),
    }
}

fn folder(name: String) -> Entry {
    Entry { name, kind: EntryKind::Folder, bytes: 0, modified: clock::now() }
}
