//! From a credential's view to the organization's tree, and from there to object keys.

use super::{InvalidPath, Name, VPath};
use crate::folder::FolderName;
use crate::id::OrganizationId;
use crate::job::JobId;
use crate::quota::{Counted, Quota};
use std::collections::BTreeMap;
use std::fmt;

/// What a credential sees, built once for a login or a request.
///
/// With `ChrootDirectory` `/` the client's `/` *is* the home directory. With `/ventas` the client's `/` is a read-only
/// folder that holds only `ventas`, and `/ventas` is the home directory. Virtual folders are further parts of the tree that
/// appear somewhere in that view, also inside the home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chroot {
    organization: OrganizationId,
    /// The home and the virtual folders, the deepest first.
    views: Vec<View>,
    /// Single files, which share links show.
    files: Vec<View>,
}

/// A folder of the organization's tree, and where it appears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// In the client's view.
    pub at: VPath,
    /// In the organization's tree.
    pub tree: VPath,
    /// For whom what lies in it counts.
    pub counted: Counted,
    /// How much may lie in it, if it is a virtual folder's quota that counts.
    pub quota: Quota,
}

/// Where a path of the client leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Located {
    /// Into the organization's tree.
    Inside(Location),
    /// To a folder above mount points: it exists, cannot be changed, and holds only these names.
    Above(Vec<Name>),
    /// To nothing. Answer exactly as for a name that does not exist.
    Nowhere,
}

/// A place in one organization's tree that the chroot allows.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Location {
    organization: OrganizationId,
    tree: VPath,
    /// A home or a virtual folder itself, which no file of that name stands for.
    root: bool,
    counted: Counted,
}

/// The key of an object in the bucket.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(String);

impl Chroot {
    /// The view of a credential: `home` in the organization's tree appears at `mount`.
    pub fn new(organization: OrganizationId, mount: VPath, home: VPath) -> Self {
        let home = View { at: mount, tree: home, counted: Counted::Credential, quota: Quota::default() };
        Self { organization, views: vec![home], files: Vec::new() }
    }

    /// The same with virtual folders. One in the place of the home or of another is left out.
    #[must_use]
    pub fn with_folders(mut self, folders: impl IntoIterator<Item = View>) -> Self {
        for folder in folders {
            if !self.is_mounted(&folder.at) {
                self.views.push(folder);
            }
        }
        self.views.sort_by_key(|view| std::cmp::Reverse(view.at.segments().count()));
        self
    }

    /// Folders and single files of a tree, wherever they appear; one of each name.
    pub fn of_views(organization: OrganizationId, folders: Vec<View>, files: Vec<View>) -> Self {
        Self { organization, views: Vec::new(), files }.with_folders(folders)
    }

    /// What is seen from one of its folders: that folder becomes `/`. `None` for a folder that nothing leads to.
    pub fn within(&self, folder: &VPath) -> Option<Self> {
        // the deepest comes first
        let holds = self.views.iter().find_map(|view| Some((view, folder.below(&view.at)?)));
        let mut views = Vec::new();
        if let Some((view, below)) = holds {
            views.push(View { at: VPath::root(), tree: view.tree.join(&below).ok()?, ..view.clone() });
        }
        let inside = self.views.iter().filter_map(|view| {
            let at = view.at.below(folder).filter(|at| !at.is_root())?;
            Some(View { at, ..view.clone() })
        });
        views.extend(inside);
        if views.is_empty() {
            return None;
        }
        Some(Self::of_views(self.organization.clone(), views, Vec::new()))
    }

    /// Where a path of the organization's tree appears, if it does.
    pub fn seen_at(&self, tree: &VPath) -> Option<VPath> {
        self.views.iter().find_map(|view| {
            let seen = view.at.join(&tree.below(&view.tree)?).ok()?;
            match self.locate(&seen).ok()? {
                Located::Inside(location) if location.tree == *tree => Some(seen),
                _ => None,
            }
        })
    }

    /// Its folders, each where it appears.
    pub fn into_views(self) -> Vec<View> {
        self.views
    }

    /// The folder in which a session starts: `/` in both forms.
    pub fn login_folder(&self) -> VPath {
        VPath::root()
    }

    /// The organization whose tree this shows a part of.
    pub fn organization(&self) -> &OrganizationId {
        &self.organization
    }

    /// The quotas of virtual folders that have one here. One that appears twice has the smaller of both.
    pub fn folder_quotas(&self) -> BTreeMap<FolderName, Quota> {
        let mut quotas = BTreeMap::<FolderName, Quota>::new();
        for view in &self.views {
            if let Counted::Folder(name) = &view.counted
                && !view.quota.is_unlimited()
            {
                let quota = quotas.entry(name.clone()).or_default();
                *quota = quota.stricter(view.quota);
            }
        }
        quotas
    }

    /// Whether `path` is the home directory or a virtual folder itself: it exists even when nothing is in it, and cannot be taken
    /// away.
    pub fn is_mounted(&self, path: &VPath) -> bool {
        self.views.iter().any(|view| view.at == *path)
    }

    /// The names in a folder that lead to the home or to virtual folders. They hide what else has these names.
    pub fn mounted_in(&self, folder: &VPath) -> Vec<Name> {
        let below = self.views.iter().chain(&self.files).filter_map(|view| view.at.below(folder));
        let mut names: Vec<Name> = below.filter_map(|rest| Name::parse(rest.segments().next()?).ok()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Where `path` leads. The error is for a path that is fine in the view but too long for a key.
    pub fn locate(&self, path: &VPath) -> Result<Located, InvalidPath> {
        for file in &self.files {
            match path.below(&file.at) {
                None => {}
                Some(rest) if rest.is_root() => {
                    let (organization, tree) = (self.organization.clone(), file.tree.clone());
                    let counted = file.counted.clone();
                    return Ok(Located::Inside(Location { organization, tree, root: false, counted }));
                }
                // there is nothing in a file
                Some(_) => return Ok(Located::Nowhere),
            }
        }
        for view in &self.views {
            if let Some(rest) = path.below(&view.at) {
                let tree = match view.tree.join(&rest) {
                    Ok(tree) => tree,
                    // nothing can lie here, but it leads to a folder all the same
                    Err(too_long) => {
                        let names = self.mounted_in(path);
                        return if names.is_empty() { Err(too_long) } else { Ok(Located::Above(names)) };
                    }
                };
                let root = rest.is_root();
                let (organization, counted) = (self.organization.clone(), view.counted.clone());
                return Ok(Located::Inside(Location { organization, tree, root, counted }));
            }
        }
        let names = self.mounted_in(path);
        Ok(if names.is_empty() { Located::Nowhere } else { Located::Above(names) })
    }
}

impl Location {
    /// The key of the file at this place. The root has none, and neither have homes and virtual folders: these are always folders,
    /// and a file of the same name would lie outside of them.
    pub fn file_key(&self) -> Option<ObjectKey> {
        if self.tree.is_root() || self.root {
            return None;
        }
        Some(ObjectKey(format!("{}/files/{}", self.organization, self.tree.relative())))
    }

    /// What the keys of everything in this folder start with; also the key of the folder's marker.
    pub fn folder_key(&self) -> ObjectKey {
        if self.tree.is_root() {
            return ObjectKey(format!("{}/files/", self.organization));
        }
        ObjectKey(format!("{}/files/{}/", self.organization, self.tree.relative()))
    }

    /// Something inside this folder, by its path seen from here.
    pub fn inside(&self, below: &VPath) -> Result<Self, InvalidPath> {
        let root = self.root && below.is_root();
        let (organization, counted) = (self.organization.clone(), self.counted.clone());
        Ok(Self { organization, tree: self.tree.join(below)?, root, counted })
    }

    /// For whom a file here counts.
    pub fn counted(&self) -> &Counted {
        &self.counted
    }

    /// The path from the organization's root, as events name it.
    pub fn tree_path(&self) -> &VPath {
        &self.tree
    }

    /// Whose tree this is.
    pub fn organization(&self) -> &OrganizationId {
        &self.organization
    }
}

impl ObjectKey {
    /// The text that S3 gets.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A key that was written into a record by us, read back from it. `None` if it is not of that organization's files.
    pub fn from_record(organization: &OrganizationId, text: String) -> Option<Self> {
        text.strip_prefix(organization.as_str())?.strip_prefix("/files/")?;
        Some(Self(text))
    }

    /// The key of the root of an organization's files, which everything there begins with.
    pub fn root_of(organization: &OrganizationId) -> Self {
        Self(format!("{organization}/files/"))
    }

    /// The table of events that a job makes. It lies beside the organization's files, where no chroot leads, and is no record's key.
    pub fn event_export(organization: &OrganizationId, job: &JobId) -> Self {
        Self(format!("{organization}/exports/events-{job}.csv"))
    }

    /// What such a job has not written yet, between two slices of its work.
    #[must_use]
    pub fn rest_of_export(&self) -> Self {
        Self(format!("{}.rest", self.0))
    }

    /// A key of some organization's files, found in the bucket; for housekeeping, which works for all of them.
    pub fn from_bucket(text: String) -> Option<(OrganizationId, Self)> {
        let organization = OrganizationId::parse(text.split('/').next()?).ok()?;
        let key = Self::from_record(&organization, text)?;
        Some((organization, key))
    }

    /// The key of something in this folder; of the folder itself if `below` is empty. `None` if this is no folder's key, or
    /// the new one would be too long.
    pub fn inside(&self, below: &str) -> Option<Self> {
        let key = format!("{}{below}", self.0);
        (self.0.ends_with('/') && key.len() <= super::MAX_KEY_BYTES).then_some(Self(key))
    }

    /// A key that a listing of this folder answered: what comes after the folder's own key. `None` if it is elsewhere.
    pub fn below<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(&self.0)
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.organization, self.tree)
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ORGANIZATION: &str = "0b8f0f0e-6c0a-4a52-9d5a-3f3a1f6e7c11";

    fn path(text: &str) -> VPath {
        VPath::parse(text).unwrap()
    }

    fn chroot(mount: &str, home: &str) -> Chroot {
        Chroot::new(OrganizationId::parse(ORGANIZATION).unwrap(), path(mount), path(home))
    }

    fn key(chroot: &Chroot, text: &str) -> String {
        match chroot.locate(&path(text)).unwrap() {
            Located::Inside(location) => location.file_key().map_or("(root)".into(), |key| key.as_str().to_owned()),
            Located::Above(names) => {
                format!("above {}", names.iter().map(Name::as_str).collect::<Vec<_>>().join(" "))
            }
            Located::Nowhere => "nowhere".into(),
        }
    }

    #[test]
    fn chroot_at_the_root_shows_the_home_as_the_root() {
        let chroot = chroot("/", "/home/ana");
        assert_eq!(key(&chroot, "/x/y"), format!("{ORGANIZATION}/files/home/ana/x/y"));
        assert_eq!(key(&chroot, "/../../other"), format!("{ORGANIZATION}/files/home/ana/other"));
    }

    #[test]
    fn a_deeper_chroot_shows_a_read_only_root() {
        let chroot = chroot("/ventas/eu", "/clients/42");
        assert_eq!(key(&chroot, "/"), "above ventas");
        assert_eq!(key(&chroot, "/ventas"), "above eu");
        assert_eq!(key(&chroot, "/ventas/eu/a"), format!("{ORGANIZATION}/files/clients/42/a"));
        assert_eq!(key(&chroot, "/ventas/eu"), "(root)", "a file beside the home is not in it");
        assert_eq!(key(&chroot, "/ventas/us"), "nowhere");
        assert_eq!(key(&chroot, "/clients/42"), "nowhere");
        assert_eq!(key(&chroot, "/ventasx"), "nowhere");
    }

    #[test]
    fn the_organizations_root_has_no_file_key() {
        let chroot = chroot("/", "/");
        assert_eq!(key(&chroot, "/"), "(root)");
    }

    #[test]
    fn a_path_that_is_too_long_below_the_home_still_leads_to_a_virtual_folder() {
        let long = format!("/{}", ["x".repeat(200), "y".repeat(200), "z".repeat(200)].join("/"));
        let home = format!("/{}", ["h".repeat(200), "h".repeat(200)].join("/"));
        let (counted, quota) = (Counted::Credential, Quota::default());
        let folder = View { at: path(&format!("{long}/in")), tree: path("/shared"), counted, quota };
        let here = chroot("/", &home).with_folders([folder]);
        assert_eq!(key(&here, &long), "above in");
        assert_eq!(key(&here, &format!("{long}/in/a")), format!("{ORGANIZATION}/files/shared/a"));
        assert!(here.locate(&path(&format!("{long}/other"))).is_err());
    }

    #[test]
    fn virtual_folders_appear_in_the_home_and_beside_it() {
        let view = |at: &str, tree: &str| View {
            at: path(at),
            tree: path(tree),
            counted: Counted::Credential,
            quota: Quota::default(),
        };
        let folders = || [view("/in/box", "/shared/in"), view("/in", "/other"), view("/a/b", "/shared/b")];
        let here = chroot("/", "/home/ana").with_folders(folders());
        for (at, key_below) in [
            ("/x", "home/ana/x"),
            ("/in/x", "other/x"),
            ("/in/box/x/y", "shared/in/x/y"),
            ("/in/boxes", "other/boxes"),
            ("/a", "home/ana/a"),
            ("/a/x", "home/ana/a/x"),
            ("/a/b/x", "shared/b/x"),
        ] {
            assert_eq!(key(&here, at), format!("{ORGANIZATION}/files/{key_below}"), "{at}");
        }
        let names = |chroot: &Chroot, at: &str| {
            chroot.mounted_in(&path(at)).iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!((&*names(&here, "/"), &*names(&here, "/in"), &*names(&here, "/a")), ("a in", "box", "b"));
        assert_eq!((&*names(&here, "/a/b"), &*names(&here, "/x")), ("", ""));
        assert!(here.is_mounted(&path("/in")) && here.is_mounted(&path("/")) && !here.is_mounted(&path("/a")));
        assert_eq!(key(&here, "/in/box"), "(root)");

        let beside = chroot("/ventas/eu", "/clients/42").with_folders(folders());
        assert_eq!(key(&beside, "/"), "above a in ventas");
        assert_eq!(key(&beside, "/a"), "above b");
        assert_eq!(key(&beside, "/a/c"), "nowhere");
        assert_eq!(key(&beside, "/in/x"), format!("{ORGANIZATION}/files/other/x"));
        // nothing takes the home's place, or that of another
        let taken = chroot("/", "/home/ana").with_folders([view("/", "/"), view("/v", "/1"), view("/v", "/2")]);
        assert_eq!(key(&taken, "/x"), format!("{ORGANIZATION}/files/home/ana/x"));
        assert_eq!(key(&taken, "/v/x"), format!("{ORGANIZATION}/files/1/x"));
    }

    #[test]
    fn a_key_of_somebody_else_is_not_taken_from_a_record() {
        let organization = OrganizationId::parse(ORGANIZATION).unwrap();
        assert!(ObjectKey::from_record(&organization, format!("{ORGANIZATION}/files/a")).is_some());
        assert!(ObjectKey::from_record(&organization, format!("{ORGANIZATION}/dumps/a")).is_none());
        assert!(ObjectKey::from_record(&organization, "00000000-6c0a-4a52-9d5a-3f3a1f6e7c11/files/a".into()).is_none());
    }

    proptest! {
        #[test]
        fn every_key_lies_under_the_home(
            mount in "(/[ab]{1,2}){0,3}", home in "(/[hx]{1,2}){0,3}", text in "(/|[ab]|\\.\\.|\\.|ä| |%){0,30}",
            at in "(/[ab]{1,2}){1,3}", tree in "(/[vx]{1,2}){0,3}"
        ) {
            let (counted, quota) = (Counted::Credential, Quota::default());
            let folder = View { at: path(&at), tree: path(&tree), counted, quota };
            let chroot = chroot(&mount, &home).with_folders([folder]);
            if let Ok(Located::Inside(location)) = chroot.locate(&path(&text)) {
                let key = location.folder_key();
                let file = location.file_key();
                let under = |folder: &str| {
                    let under = format!("{ORGANIZATION}/files{}", path(folder)).trim_end_matches('/').to_owned() + "/";
                    key.as_str().starts_with(&under) && file.iter().all(|key| key.as_str().starts_with(&under))
                };
                prop_assert!(under(&home) || under(&tree), "{key:?} and {file:?} are under neither {home} nor {tree}");
                prop_assert!(!key.as_str().contains("/../") && !key.as_str().contains("//"));
                prop_assert!(key.as_str().len() <= super::super::MAX_KEY_BYTES);
            }
        }
    }
}
