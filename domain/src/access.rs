//! Who may do what to which path.
//!
//! [`authorize`] is the only maker of [`Authorized`], and every call that touches an object demands one. So a protocol
//! cannot forget the check: code without it does not compile.

mod verbs;

pub use verbs::{Level, Permissions, UnknownVerb, Verb, Verbs};

use crate::api_key::ApiKeyId;
use crate::bandwidth::Bandwidth;
use crate::file_error::{FileError, FileErrorKind};
use crate::id::{CredentialId, OrganizationId};
use crate::path::{Chroot, InvalidPath, Located, Location, Name, VPath};
use crate::quota::Quota;
use crate::share::LinkUse;

/// Who acts, after a login or an authenticated request: everything that a file operation is decided on.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The tenant.
    pub organization: OrganizationId,
    /// The login.
    pub credential: CredentialId,
    /// Its user name, as events show it.
    pub user_name: String,
    /// What it sees.
    pub chroot: Chroot,
    /// What it may do there.
    pub permissions: Permissions,
    /// The API key that was its password.
    pub api_key: Option<ApiKeyId>,
    /// The share link that somebody visits; the credential is its owner then.
    pub link: Option<Box<LinkUse>>,
    /// Towpath itself acts, with what the credential has: retention.
    pub system: bool,
    /// How much it may store.
    pub quota: Quota,
    /// How much its organization may store.
    pub organization_quota: Quota,
    /// How fast its files may move.
    pub bandwidth: Bandwidth,
}

/// A kind of file operation. The verb is asked of the folder that holds the path (of the folder itself for listings),
/// as SFTPGo does.
pub trait Action {
    /// What the principal needs.
    fn verb(&self) -> Verb;
    /// Whether the folder itself is asked, and not the one that holds it.
    fn asks_the_folder_itself(&self) -> bool {
        false
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident => $verb:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name;
        impl Action for $name {
            fn verb(&self) -> Verb {
                Verb::$verb
            }
        }
    )*};
}

actions! {
    /// Reading a file's bytes.
    Download => Download;
    /// Writing a file under a name that is free.
    Create => Upload;
    /// Making a folder.
    MakeFolder => CreateFolders;
    /// Deleting a file.
    DeleteFile => DeleteFiles;
    /// Deleting an empty folder.
    DeleteFolder => DeleteFolders;
    /// Taking a file's name away.
    RenameFile => RenameFiles;
    /// Taking a folder's name away, with everything in it.
    RenameFolder => RenameFolders;
    /// Size and times of one file or folder.
    Stat => List;
}

/// An action that takes a name away: what deletes and the source of a rename demand.
pub trait Removes: Action {}
impl Removes for DeleteFile {}
impl Removes for DeleteFolder {}
impl Removes for RenameFile {}
impl Removes for RenameFolder {}

/// Writing a file, and what happens if there is one: decided once, at OPEN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upload {
    may_replace: bool,
}

impl Upload {
    /// Whether an existing file may be replaced.
    pub fn may_replace(self) -> bool {
        self.may_replace
    }
}

impl Action for Upload {
    fn verb(&self) -> Verb {
        Verb::Upload
    }
}

/// Seeing the names in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List;

impl Action for List {
    fn verb(&self) -> Verb {
        Verb::List
    }
    fn asks_the_folder_itself(&self) -> bool {
        true
    }
}

/// The proof that the principal may do `A` at this place. Only this module makes one.
#[derive(Clone, Debug)]
pub struct Authorized<A> {
    action: A,
    path: VPath,
    location: Location,
}

impl<A> Authorized<A> {
    /// What may be done.
    pub fn action(&self) -> &A {
        &self.action
    }

    /// The path as the client named it.
    pub fn path(&self) -> &VPath {
        &self.path
    }

    /// Where in the organization's tree.
    pub fn location(&self) -> &Location {
        &self.location
    }
}

/// What an allowed listing or STAT shows.
#[derive(Clone, Debug)]
pub enum Shown<A> {
    /// A place in the tree.
    Inside(Authorized<A>),
    /// A read-only folder above mount points, holding only these names.
    Above(Vec<Name>),
}

/// Whether `principal` may change or read what lies at `path`.
pub fn authorize<A: Action>(principal: &Principal, action: A, path: &VPath) -> Result<Authorized<A>, FileError> {
    match show(principal, action, path)? {
        Shown::Inside(proof) => Ok(proof),
        Shown::Above(_) => Err(FileError::new(FileErrorKind::PermissionDenied, "this folder cannot be changed")),
    }
}

/// Whether `principal` may see what lies at `path`, which may be a folder above its mount point.
pub fn show<A: Action>(principal: &Principal, action: A, path: &VPath) -> Result<Shown<A>, FileError> {
    let location = match principal.chroot.locate(path)? {
        Located::Inside(location) => location,
        Located::Above(names) => return Ok(Shown::Above(names)),
        Located::Nowhere => return Err(FileError::no_such_file()),
    };
    let parent = if action.asks_the_folder_itself() { None } else { path.parent() };
    let asked = parent.as_ref().unwrap_or(path);
    if principal.permissions.at(asked).allows(action.verb()) {
        Ok(Shown::Inside(Authorized { action, path: path.clone(), location }))
    } else {
        Err(FileError::permission_denied())
    }
}

/// Whether `principal` may write a file at `path`, and whether it may replace one.
pub fn authorize_upload(principal: &Principal, path: &VPath) -> Result<Authorized<Upload>, FileError> {
    let Authorized { path, location, .. } = authorize(principal, Create, path)?;
    let may_replace = principal.permissions.at(&path.parent().unwrap_or(VPath::root())).allows(Verb::Overwrite);
    Ok(Authorized { action: Upload { may_replace }, path, location })
}

/// Giving a file another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetTimes {
    only_own: bool,
}

impl SetTimes {
    /// Only of files that the session has uploaded itself.
    pub fn only_own(self) -> bool {
        self.only_own
    }
}

impl Action for SetTimes {
    fn verb(&self) -> Verb {
        Verb::ChangeTimes
    }
}

/// Whether `principal` may set the time of the file at `path`. Who may replace a file could send it again with any time,
/// so that right is enough; who may only upload can give a time to what it has just sent, as clients do after CLOSE.
pub fn authorize_times(principal: &Principal, path: &VPath) -> Result<Shown<SetTimes>, FileError> {
    let verbs = principal.permissions.at(&path.parent().unwrap_or(VPath::root()));
    let may_upload = verbs.allows(Verb::Upload);
    let any_file = verbs.allows(Verb::ChangeTimes) || (may_upload && verbs.allows(Verb::Overwrite));
    let only_own = !any_file;
    match principal.chroot.locate(path)? {
        Located::Above(names) => Ok(Shown::Above(names)),
        Located::Nowhere => Err(FileError::no_such_file()),
        Located::Inside(_) if only_own && !may_upload => Err(FileError::permission_denied()),
        Located::Inside(location) => {
            Ok(Shown::Inside(Authorized { action: SetTimes { only_own }, path: path.clone(), location }))
        }
    }
}

/// Whether `principal` may rename: the verb at both ends; a replaced target also needs `overwrite` there. A folder
/// that has its own rules somewhere inside is refused, because its files would move out from under them.
pub fn authorize_rename<A: Action + Copy>(
    principal: &Principal,
    action: A,
    from: &VPath,
    to: &VPath,
) -> Result<(Authorized<A>, Authorized<Upload>), FileError> {
    let source = authorize(principal, action, from)?;
    let Authorized { path, location, .. } = authorize(principal, action, to)?;
    if principal.permissions.has_rules_below(from) || principal.permissions.has_rules_below(to) {
        return Err(FileError::new(FileErrorKind::PermissionDenied, "a folder inside has permissions of its own"));
    }
    let may_replace = principal.permissions.at(&path.parent().unwrap_or(VPath::root())).allows(Verb::Overwrite);
    Ok((source, Authorized { action: Upload { may_replace }, path, location }))
}

impl<A: Clone> Authorized<A> {
    /// The same right for something inside the folder that was authorized; for folder operations, which are refused
    /// where a folder inside has permissions of its own.
    pub fn inside(&self, below: &VPath) -> Result<Self, FileError> {
        Ok(Self { action: self.action.clone(), path: self.path.join(below)?, location: self.location.inside(below)? })
    }
}

impl From<InvalidPath> for FileError {
    fn from(error: InvalidPath) -> Self {
        Self::new(FileErrorKind::InvalidPath, error.to_string())
    }
}

#[cfg(test)]
mod tests;
