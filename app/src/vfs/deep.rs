//! Everything in a folder, however deep: 1,000 objects a request, in the order of their keys, from any place on.
//!
//! A folder may show several parts of the bucket: its own, and those of virtual folders in it. Each is read by itself.

use super::{FileSession, object_failure};
use domain::access::{self, List, Shown, Verb};
use domain::file_error::FileError;
use domain::path::{Located, VPath};
use domain::time::Timestamp;
use std::collections::HashMap;
use store::objects::{ETag, Listed, ListedKind, ObjectInfo};

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundFile {
    /// As the session sees it.
    pub(crate) path: VPath,
    pub(crate) bytes: u64,
    /// When S3 got it.
    pub(crate) written: Timestamp,
    pub(crate) version: ETag,
}

impl FoundFile {
    /// Whether an object is still what was found.
    pub(super) fn is(&self, info: &ObjectInfo) -> bool {
        self.version == info.etag && self.written.seconds() == info.modified.seconds()
    }
}

/// Some of what is in a part.
#[derive(Debug, Default)]
pub(crate) struct DeepPage {
    pub(crate) files: Vec<FoundFile>,
    /// Folders that somebody has made, each before what is in it.
    pub(crate) folders: Vec<VPath>,
    /// Where the next page begins; `None` after the last.
    pub(crate) next: Option<String>,
}

impl FileSession {
    /// The parts of the bucket that a folder shows, by where they begin: the folder's own first.
    pub(crate) fn parts_of(&self, folder: &VPath) -> Result<Vec<VPath>, FileError> {
        let shown = self.principal.chroot.within(folder).ok_or_else(FileError::no_such_file)?;
        let mut parts = Vec::new();
        for view in shown.into_views() {
            parts.push(folder.join(&view.at)?);
        }
        parts.sort_by_key(|part| part.segments().count());
        Ok(parts)
    }

    /// What lies in a part behind a place, as far as the session may see it.
    pub(crate) async fn deep(&self, part: &VPath, after: Option<&str>) -> Result<DeepPage, FileError> {
        self.live.touch();
        let proof = match access::show(&self.principal, List, part)? {
            Shown::Above(_) => return Ok(DeepPage::default()),
            Shown::Inside(proof) => proof,
        };
        let prefix = proof.location().folder_key();
        let listed = self.shared.objects.list_deep_after(&proof, after).await.map_err(object_failure)?;
        let last = listed.last.as_deref().and_then(|last| prefix.below(last)).map(str::to_owned);
        let mut page = DeepPage { next: last.filter(|_| listed.next.is_some()), ..DeepPage::default() };
        let mut seen = HashMap::new();
        for Listed { path: below, kind } in listed.entries {
            let Ok(path) = part.join(&below) else { continue };
            let parent = path.parent().unwrap_or(VPath::root());
            let may_see = seen
                .entry(parent)
                .or_insert_with_key(|parent| self.principal.permissions.at(parent).allows(Verb::List));
            if !*may_see || !self.leads_to(&path, proof.location().inside(&below)?.tree_path()) {
                continue;
            }
            match kind {
                ListedKind::File { bytes, modified, etag } => {
                    page.files.push(FoundFile { path, bytes, written: modified, version: etag });
                }
                ListedKind::Folder { .. } => page.folders.push(path),
            }
        }
        Ok(page)
    }

    /// Whether that is what the session sees there: a virtual folder hides what has its name.
    fn leads_to(&self, path: &VPath, tree: &VPath) -> bool {
        matches!(self.principal.chroot.locate(path), Ok(Located::Inside(location)) if location.tree_path() == tree)
    }
}
