//! Share links: an address that lets anyone read or write one file or folder of its owner, and never more than the owner may now.
//!
//! A link has an `Id`, which events and logs name, and a secret, which its address holds: who knows the one learns nothing of the other.
//! The table finds a link by the hash of its secret and keeps the secret sealed, for its owner to read the address again.

mod visit;
mod visitor;

pub use visit::{MAX_VISIT_MILLIS, RANGES_MILLIS, Visit, program_key};
pub use visitor::{Asks, Visitor};

use crate::access::{Level, Permissions, Principal, Verb, Verbs};
use crate::credential::restrictions::OwnAccount;
use crate::credential::{Credential, State};
use crate::digest::keyed_hash;
use crate::event::{Actor, Protocol};
use crate::id::{CredentialId, OrganizationId, ShareId};
use crate::inbound::Source;
use crate::invalid::Invalid;
use crate::organization::SharePolicy;
use crate::path::{Chroot, Located, Name, VPath, View};
use crate::quota::{Counted, Quota};
use crate::sealed::Sealed;
use crate::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use zeroize::Zeroizing;

/// Files and folders in one link.
pub const MAX_PATHS: usize = 50;

/// Addresses and ranges that a link may be opened from.
pub const MAX_SOURCES: usize = 50;

/// Characters of notes.
pub const MAX_NOTES: usize = 2_000;

/// The largest limit of visits.
pub const MAX_LIMIT: u64 = 1_000_000_000;

/// Random bytes of a secret.
pub const SECRET_BYTES: usize = 18;

const DAY_MILLIS: i64 = 24 * 3600 * 1000;

/// What a link allows its visitors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// See and download.
    #[default]
    ReadOnly,
    /// See, download, add, replace and delete.
    ReadWrite,
    /// Add, and see nothing.
    WriteOnly,
    /// See, download, add and replace.
    ReadWriteNoDelete,
}

impl Access {
    /// What it permits.
    pub fn verbs(self) -> Verbs {
        let level = match self {
            // whoever brings files there does not see those of others
            Self::WriteOnly => return Verbs::of(&[Verb::Upload, Verb::CreateFolders]),
            Self::ReadOnly => Level::ReadOnly,
            Self::ReadWrite => Level::ReadWrite,
            Self::ReadWriteNoDelete => Level::ReadWriteNoDelete,
        };
        Permissions::from_level(level).map_or(Verbs::NONE, |permissions| permissions.at(&VPath::root()))
    }

    /// Whether something can be put there.
    pub const fn writes(self) -> bool {
        !matches!(self, Self::ReadOnly)
    }
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A file.
    File,
    /// A folder.
    Folder,
}

/// One file or folder of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedPath {
    /// As its owner sees it; of a link of the organization the same as `tree`.
    pub view: VPath,
    /// In the organization's tree. When the owner's path leads elsewhere by now, the link leads nowhere.
    pub tree: VPath,
    /// What it is, where the API was told: SFTPGo's does not ask, and the page looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
}

impl SharedPath {
    /// As dialect A names it: a folder ends in a slash.
    pub fn shown(&self) -> String {
        match self.target {
            Some(Target::Folder) if !self.tree.is_root() => format!("{}/", self.tree),
            _ => self.tree.to_string(),
        }
    }
}

/// A link's password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkPassword {
    /// Argon2id.
    pub hash: String,
    /// For who manages the link.
    pub readable: Sealed,
}

/// Who made a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedBy {
    /// As events name it.
    pub actor: Actor,
    /// For people.
    pub name: String,
}

/// A link. No Debug output: it holds secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Its name in events, logs and the management.
    pub id: ShareId,
    /// Whose.
    pub organization: OrganizationId,
    /// Whose files; of a link of the organization its root credential, for which its uploads count.
    pub owner: CredentialId,
    /// Whether it is the organization's, made by an admin: its rights are not those of its owner.
    #[serde(default)]
    pub of_organization: bool,
    /// Who made it.
    pub created_by: CreatedBy,
    /// SFTPGo's `name`.
    #[serde(default)]
    pub name: String,
    /// Notes, which visitors do not see.
    #[serde(default)]
    pub notes: Option<String>,
    /// What visitors may do.
    pub access: Access,
    /// What is shared; never empty.
    pub paths: Vec<SharedPath>,
    /// What visitors must know.
    #[serde(default)]
    pub password: Option<LinkPassword>,
    /// No visit after it.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// How many visits; 0 is no limit.
    #[serde(default)]
    pub limit: u64,
    /// From where it may be opened; empty: from anywhere.
    #[serde(default)]
    pub allow_from: Vec<Source>,
    /// Whether it can be opened at all.
    pub state: State,
    /// The secret in its address.
    pub secret: Sealed,
    /// The hash of that, which it is found by.
    pub secret_hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Share {
    /// Whether it can be opened by its own settings, at this time and from there.
    pub fn is_open(&self, now: Timestamp, address: IpAddr) -> bool {
        let from_there = self.allow_from.is_empty() || self.allow_from.iter().any(|source| source.contains(address));
        self.state == State::Active && !self.is_expired(now) && from_there
    }

    /// Whether its time is over.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Whether so many visits were the last.
    pub fn is_used_up(&self, used: u64) -> bool {
        self.limit > 0 && used >= self.limit
    }

    /// Whether it is one file, as far as that is known.
    pub fn file_name(&self) -> Option<&str> {
        match self.paths.as_slice() {
            [SharedPath { tree, target: Some(Target::File), .. }] => tree.name(),
            _ => None,
        }
    }

    /// What must hold of access and paths together.
    pub fn check(&self) -> Result<(), (&'static str, Invalid)> {
        if self.paths.is_empty() || self.paths.len() > MAX_PATHS {
            return Err(("Path", Invalid::new(format!("must be 1 to {MAX_PATHS} paths"))));
        }
        let file = self.paths.iter().any(|path| path.target == Some(Target::File));
        if self.access.writes() && file {
            return Err(("Permission", Invalid::new("must be read-only for a file; a folder's path ends in a slash")));
        }
        if self.access.writes() && self.paths.len() > 1 {
            return Err(("Permission", Invalid::new("must be read-only for several paths")));
        }
        Ok(())
    }

    /// Whether the organization's policy allows it.
    pub fn check_policy(&self, policy: &SharePolicy, now: Timestamp) -> Result<(), (&'static str, Invalid)> {
        if policy.password_required && self.password.is_none() {
            return Err(("Password", Invalid::new("is needed by the organization's share policy")));
        }
        if policy.max_days > 0 {
            let latest = now.plus_millis(i64::from(policy.max_days).saturating_mul(DAY_MILLIS));
            if self.expires_at.is_none_or(|at| at > latest) {
                let text =
                    format!("must be at most {} days ahead, by the organization's share policy", policy.max_days);
                return Err(("ExpiresAt", Invalid::new(text)));
            }
        }
        Ok(())
    }

    /// As whom the defender counts wrong passwords of this link: nobody's login is banned by them.
    pub fn guard(&self) -> CredentialId {
        let hash = keyed_hash(b"towpath share guard", &[self.id.as_str().as_bytes()]);
        CredentialId::from_random(hash.first_chunk::<15>().copied().unwrap_or_default())
    }

    /// Whether its owner may share at all, now. A link of the organization does not depend on its root credential.
    pub fn is_allowed_by(&self, owner: &Credential, now: Timestamp) -> bool {
        if self.of_organization {
            return true;
        }
        let restrictions = &owner.restrictions;
        owner.state == State::Active
            && !owner.is_expired(now)
            && !owner.permissions.permit_nothing()
            && !restrictions.shut(Protocol::WebPortal)
            && !restrictions.keep(OwnAccount::SharesDisabled)
            && (self.password.is_some() || !restrictions.keep(OwnAccount::SharesWithoutPasswordDisabled))
    }

    /// Who acts when somebody visits: `owner` is the principal of its owner now. `None` where the owner may not share this now, or
    /// its path leads elsewhere.
    pub fn principal(&self, owner: Principal, link: LinkUse) -> Option<Principal> {
        let owner = if self.of_organization {
            let chroot = Chroot::new(self.organization.clone(), VPath::root(), VPath::root());
            Principal { chroot, permissions: Permissions::everywhere(Verbs::ALL), ..owner }
        } else {
            owner
        };
        if !self.paths.iter().all(|path| may_share(&owner, &path.view, &path.tree)) {
            return None;
        }
        let verbs = self.access.verbs();
        let (chroot, permissions) = match self.paths.as_slice() {
            [one] if one.target == Some(Target::Folder) => {
                (owner.chroot.within(&one.view)?, owner.permissions.within(&one.view))
            }
            paths => several(&owner, paths)?,
        };
        let permissions = permissions.limited_to(verbs);
        Some(Principal {
            user_name: format!("@share-{}", self.id),
            chroot,
            permissions,
            link: Some(Box::new(link)),
            ..owner
        })
    }

    /// The same link with what its paths are found to be.
    #[must_use]
    pub fn looked_at(&self, targets: &[Target]) -> Self {
        let mut known = self.clone();
        for (path, target) in known.paths.iter_mut().zip(targets) {
            path.target = Some(*target);
        }
        known
    }

    /// The names of several paths, each unlike the others, as visitors see them.
    pub fn names(&self) -> Vec<String> {
        names(&self.paths)
    }
}

/// Whether this principal may share what is there, and that is in the tree where it was.
fn may_share(owner: &Principal, view: &VPath, tree: &VPath) -> bool {
    let there = match owner.chroot.locate(view) {
        Ok(Located::Inside(location)) => location.tree_path() == tree,
        _ => false,
    };
    there && owner.permissions.at(view).allows(Verb::Share)
}

fn names(paths: &[SharedPath]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for path in paths {
        let name = path.tree.name().unwrap_or("files");
        let mut free = name.to_owned();
        let mut number = 2;
        while names.contains(&free) {
            free = match name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) {
                Some((stem, ending)) => format!("{stem} ({number}).{ending}"),
                None => format!("{name} ({number})"),
            };
            number += 1;
        }
        names.push(free);
    }
    names
}

/// Files, and more than one folder, side by side in a folder that cannot be changed.
fn several(owner: &Principal, paths: &[SharedPath]) -> Option<(Chroot, Permissions)> {
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    // of files the folder that holds them is asked: here that is the root
    let mut root = Verbs::ALL;
    let mut rules = std::collections::BTreeMap::new();
    for (path, name) in paths.iter().zip(names(paths)) {
        let name = Name::parse(&name).ok()?;
        let at = VPath::root().child(&name).ok()?;
        if path.target == Some(Target::Folder) {
            for view in owner.chroot.within(&path.view)?.into_views() {
                folders.push(View { at: at.join(&view.at).ok()?, ..view });
            }
            for (folder, verbs) in owner.permissions.within(&path.view).rules() {
                rules.insert(at.join(folder).ok()?, *verbs);
            }
        } else {
            root = root.intersection(owner.permissions.at(&path.view.parent().unwrap_or(VPath::root())));
            // it is only read: nothing of it is counted
            files.push(View { at, tree: path.tree.clone(), counted: Counted::Credential, quota: Quota::default() });
        }
    }
    rules.insert(VPath::root(), root);
    Some((Chroot::of_views(owner.organization.clone(), folders, files), Permissions::by_folder(rules)))
}

/// A link in the place of its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkUse {
    /// Which.
    pub id: ShareId,
    /// The visit: what one has begun, another does not go on with.
    pub visit: String,
    /// What the visitor says it comes with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

/// The secret of a link. No Debug output.
#[derive(Clone)]
pub struct ShareSecret(Zeroizing<String>);

impl ShareSecret {
    /// A new one.
    pub fn from_random(bytes: &[u8; SECRET_BYTES]) -> Self {
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// What an address holds, if it can be a secret.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == SECRET_BYTES).then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What it is found by. It is as random as a key, so a plain hash hides it.
    pub fn hash(&self) -> String {
        hex::encode(keyed_hash(b"towpath share link", &[self.0.as_bytes()]))
    }
}

#[cfg(test)]
mod tests;
