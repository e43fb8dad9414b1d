//! What can be permitted: SFTPGo's permission names, and the levels of SFTP To Go that stand for sets of them.

use crate::path::VPath;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One thing that can be permitted in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Verb {
    /// `list`: names, sizes and times.
    List,
    /// `download`.
    Download,
    /// `upload`: a file under a free name.
    Upload,
    /// `overwrite`: replace a file.
    Overwrite,
    /// `create_dirs`.
    CreateFolders,
    /// `rename_files`.
    RenameFiles,
    /// `rename_dirs`.
    RenameFolders,
    /// `delete_files`.
    DeleteFiles,
    /// `delete_dirs`.
    DeleteFolders,
    /// `copy`.
    CopyFiles,
    /// `chtimes`: set modification times.
    ChangeTimes,
    /// `chmod`: accepted and ignored, kept so that a record read and written back loses nothing.
    ChangeMode,
    /// `chown`: as `chmod`.
    ChangeOwner,
    /// `create_symlinks`: as `chmod`.
    CreateSymlinks,
    /// Creating share links: only `*` includes it.
    Share,
}

/// A set of verbs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Verbs(u16);

/// A permission name that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a permission")]
pub struct UnknownVerb(String);

const fn bits(verbs: &[Verb]) -> u16 {
    let mut set = 0;
    let mut rest = verbs;
    while let [first, others @ ..] = rest {
        set |= 1 << *first as u8;
        rest = others;
    }
    set
}

use Verb::{
    ChangeMode, ChangeOwner, ChangeTimes, CopyFiles, CreateFolders, CreateSymlinks, DeleteFiles, DeleteFolders,
    Download, List, Overwrite, RenameFiles, RenameFolders, Share, Upload,
};

/// SFTPGo's names, those for two verbs at once first, so that they are preferred when a set is written out.
const NAMES: &[(&str, u16)] = &[
    ("*", u16::MAX >> 1),
    ("rename", bits(&[RenameFiles, RenameFolders])),
    ("delete", bits(&[DeleteFiles, DeleteFolders])),
    ("list", bits(&[List])),
    ("download", bits(&[Download])),
    ("upload", bits(&[Upload])),
    ("overwrite", bits(&[Overwrite])),
    ("create_dirs", bits(&[CreateFolders])),
    ("rename_files", bits(&[RenameFiles])),
    ("rename_dirs", bits(&[RenameFolders])),
    ("delete_files", bits(&[DeleteFiles])),
    ("delete_dirs", bits(&[DeleteFolders])),
    ("copy", bits(&[CopyFiles])),
    ("chtimes", bits(&[ChangeTimes])),
    ("chmod", bits(&[ChangeMode])),
    ("chown", bits(&[ChangeOwner])),
    ("create_symlinks", bits(&[CreateSymlinks])),
];

impl Verbs {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// `*`.
    pub const ALL: Self = Self(u16::MAX >> 1);

    /// These verbs.
    pub const fn of(verbs: &[Verb]) -> Self {
        Self(bits(verbs))
    }

    /// Parses SFTPGo's names.
    pub fn parse<S: AsRef<str>>(names: &[S]) -> Result<Self, UnknownVerb> {
        names.iter().try_fold(Self::NONE, |set, name| {
            let name = name.as_ref();
            let found = NAMES.iter().find(|(known, _)| *known == name);
            found.map(|(_, bits)| Self(set.0 | bits)).ok_or_else(|| UnknownVerb(name.to_owned()))
        })
    }

    /// Every name that [`Self::parse`] takes.
    pub fn all_names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// The fewest of SFTPGo's names that stand for this set.
    pub fn names(self) -> Vec<&'static str> {
        let mut left = self.0;
        let mut names = Vec::new();
        for (name, bits) in NAMES {
            if left & bits == *bits {
                names.push(*name);
                left &= !bits;
            }
        }
        names
    }

    /// Whether it holds `verb`.
    pub const fn allows(self, verb: Verb) -> bool {
        self.0 & (1 << verb as u8) != 0
    }

    /// What both hold: an API key's scopes and its owner's rights.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What either holds.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it holds nothing.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl std::fmt::Debug for Verbs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl TryFrom<Vec<String>> for Verbs {
    type Error = UnknownVerb;
    fn try_from(names: Vec<String>) -> Result<Self, UnknownVerb> {
        Self::parse(&names)
    }
}

impl From<Verbs> for Vec<String> {
    fn from(verbs: Verbs) -> Self {
        verbs.names().into_iter().map(str::to_owned).collect()
    }
}

/// SFTP To Go's `Permission`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// No login.
    None,
    /// See and download.
    ReadOnly,
    /// See and add, without replacing anything.
    WriteOnly,
    /// Everything but deleting.
    ReadWriteNoDelete,
    /// Everything but share links.
    ReadWrite,
    /// Everything.
    Full,
    /// Anything that no other level says.
    Custom,
}

const READ_ONLY: Verbs = Verbs::of(&[List, Download]);
const WRITE_ONLY: Verbs = Verbs::of(&[List, Upload, CreateFolders]);
const READ_WRITE_NO_DELETE: Verbs =
    Verbs::of(&[List, Download, Upload, Overwrite, CreateFolders, RenameFiles, RenameFolders]);
const READ_WRITE: Verbs = Verbs::of(&[
    List,
    Download,
    Upload,
    Overwrite,
    CreateFolders,
    RenameFiles,
    RenameFolders,
    DeleteFiles,
    DeleteFolders,
    CopyFiles,
    ChangeTimes,
]);
// `Share` is named here so that a reader of this file finds which level has it: only `*`.
const _: () = assert!(!READ_WRITE.allows(Share) && Verbs::ALL.allows(Share));

/// What a credential may do, by folder of its own view. The deepest rule above a path counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Permissions(BTreeMap<VPath, Verbs>);

impl Permissions {
    /// The same everywhere.
    pub fn everywhere(verbs: Verbs) -> Self {
        Self(BTreeMap::from([(VPath::root(), verbs)]))
    }

    /// By folder. A path above all of them permits nothing.
    pub fn by_folder(rules: BTreeMap<VPath, Verbs>) -> Self {
        Self(rules)
    }

    /// What a level stands for; `None` for `custom`, which says nothing by itself.
    pub fn from_level(level: Level) -> Option<Self> {
        let verbs = match level {
            Level::None => Verbs::NONE,
            Level::ReadOnly => READ_ONLY,
            Level::WriteOnly => WRITE_ONLY,
            Level::ReadWriteNoDelete => READ_WRITE_NO_DELETE,
            Level::ReadWrite => READ_WRITE,
            Level::Full => Verbs::ALL,
            Level::Custom => return None,
        };
        Some(Self::everywhere(verbs))
    }

    /// The level that says the same, or `custom`.
    pub fn level(&self) -> Level {
        let levels =
            [Level::None, Level::ReadOnly, Level::WriteOnly, Level::ReadWriteNoDelete, Level::ReadWrite, Level::Full];
        levels.into_iter().find(|level| Self::from_level(*level).as_ref() == Some(self)).unwrap_or(Level::Custom)
    }

    /// The verbs in this folder.
    pub fn at(&self, folder: &VPath) -> Verbs {
        let mut at = Some(folder.clone());
        while let Some(path) = at {
            if let Some(verbs) = self.0.get(&path) {
                return *verbs;
            }
            at = path.parent();
        }
        Verbs::NONE
    }

    /// Whether a folder inside `folder` (or it itself, unless it is the root) has rules of its own.
    pub fn has_rules_below(&self, folder: &VPath) -> bool {
        self.0.keys().any(|rule| !rule.is_root() && rule.below(folder).is_some())
    }

    /// The same rules, of each only what `verbs` holds as well: what an API key leaves of its owner's rights.
    #[must_use]
    pub fn limited_to(&self, verbs: Verbs) -> Self {
        Self(self.0.iter().map(|(folder, own)| (folder.clone(), own.intersection(verbs))).collect())
    }

    /// The rules as seen from one folder, which becomes `/`.
    #[must_use]
    pub fn within(&self, folder: &VPath) -> Self {
        let inside = self.0.iter().filter_map(|(rule, verbs)| Some((rule.below(folder)?, *verbs)));
        let mut rules: BTreeMap<VPath, Verbs> = inside.collect();
        rules.insert(VPath::root(), self.at(folder));
        Self(rules)
    }

    /// Whether nothing is permitted anywhere, which means no login.
    pub fn permit_nothing(&self) -> bool {
        self.0.values().all(|verbs| verbs.is_empty())
    }

    /// The rules, for answers and records.
    pub fn rules(&self) -> &BTreeMap<VPath, Verbs> {
        &self.0
    }
}
