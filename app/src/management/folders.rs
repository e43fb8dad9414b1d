//! Virtual folders.

use super::announced;
use super::{ATTEMPTS, Caller, Management, ManagementError};
use domain::credential::Credential;
use domain::credential::extra::MAX_KEPT;
use domain::event::{ChangedHow, ChangedKind};
use domain::folder::{FolderName, Mounted, VirtualFolder};
use domain::intent::UsageChange;
use domain::invalid::Invalid;
use domain::path::VPath;
use domain::quota::Holder;
use domain::right::Right;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use store::records::{RecordError, Versioned};
use store::scans::Set;
use store::settling::{SettleError, Usage};

/// The most folders of an organization, and so of an answer.
pub const MAX_FOLDERS: usize = 1000;

/// Items of one read.
const PAGE: u16 = 500;

/// A folder as a client describes it.
pub struct FolderDescription {
    /// `mapped_path`; `/folders/<name>` if it is not given.
    pub tree: Option<VPath>,
    /// `description`
    pub description: String,
    /// What else was sent.
    pub extra: Map<String, Value>,
}

/// A folder, and the user names of the credentials that see it.
pub struct ShownFolder {
    /// The record.
    pub folder: VirtualFolder,
    /// Who sees it.
    pub users: Vec<String>,
    /// What lies in it, as it is counted.
    pub usage: Usage,
}

const NO_SUCH: ManagementError = ManagementError::NotFound("folder");

fn unavailable(error: SettleError) -> ManagementError {
    ManagementError::Unavailable(error.to_string())
}

impl Management {
    /// All folders, by name.
    pub async fn folders(&self, caller: &Caller) -> Result<Vec<ShownFolder>, ManagementError> {
        caller.require(Right::SeeFolders)?;
        let counted = async { self.settling.usage_of_folders(&caller.organization).await.map_err(unavailable) };
        let (folders, mut users, mut usage) =
            futures_util::future::try_join3(self.all_folders(caller), self.who_sees(caller), counted).await?;
        let shown = |folder: VirtualFolder| {
            let users = users.remove(&folder.name).unwrap_or_default();
            let usage = usage.remove(&folder.name).unwrap_or_default();
            ShownFolder { folder, users, usage }
        };
        Ok(folders.into_iter().map(shown).collect())
    }

    /// One folder.
    pub async fn folder(&self, caller: &Caller, name: &FolderName) -> Result<ShownFolder, ManagementError> {
        caller.require(Right::SeeFolders)?;
        let holder = Holder::Folder(name.clone());
        let counted = async { self.settling.usage(&caller.organization, &holder).await.map_err(unavailable) };
        let (folder, mut users, usage) =
            futures_util::future::try_join3(self.load_folder(caller, name), self.who_sees(caller), counted).await?;
        let users = users.remove(name).unwrap_or_default();
        Ok(ShownFolder { folder: folder.value, users, usage })
    }

    /// Creates a folder. Nothing changes in the bucket: its part of the tree may hold files already.
    pub async fn create_folder(
        &self,
        caller: &Caller,
        name: FolderName,
        description: FolderDescription,
    ) -> Result<ShownFolder, ManagementError> {
        caller.require(Right::ChangeFolders)?;
        if self.all_folders(caller).await?.len() >= MAX_FOLDERS {
            return Err(ManagementError::Conflict("the organization has 1000 folders already"));
        }
        check_kept(&description.extra)?;
        let now = store::clock::now();
        let folder = VirtualFolder {
            tree: tree(&name, description.tree)?,
            name,
            organization: caller.organization.clone(),
            description: description.description,
            extra: description.extra,
            created_at: now,
            updated_at: now,
        };
        let made = announced::changed(ChangedKind::Folder, ChangedHow::Created, &folder.name, &folder.name);
        let announced = self.announcing(vec![announced::by(caller, made)]);
        let written = announced.records.save_folder(&folder, None).await;
        match announced.told(written).await {
            Ok(_) => {
                // what was counted for an earlier folder of this name is not its own
                let holder = Holder::Folder(folder.name.clone());
                let counted = self.settling.usage(&caller.organization, &holder).await.map_err(unavailable)?;
                if (counted.bytes, counted.files) != (0, 0) {
                    self.scans.set(&caller.organization, &holder, Set::To(UsageChange::default()), now).await?;
                }
                Ok(ShownFolder { folder, users: Vec::new(), usage: Usage::default() })
            }
            Err(RecordError::Conflict) => Err(ManagementError::Conflict("a folder of this name exists")),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts another description in the place of a folder's. Sessions that are open keep what they see.
    pub async fn replace_folder(
        &self,
        caller: &Caller,
        name: &FolderName,
        description: FolderDescription,
    ) -> Result<(), ManagementError> {
        caller.require(Right::ChangeFolders)?;
        check_kept(&description.extra)?;
        let tree = tree(name, description.tree)?;
        for _ in 0..ATTEMPTS {
            let old = self.load_folder(caller, name).await?;
            let new = VirtualFolder {
                tree: tree.clone(),
                description: description.description.clone(),
                extra: description.extra.clone(),
                updated_at: store::clock::now(),
                ..old.value.clone()
            };
            let update = announced::updated(ChangedKind::Folder, (name, name), &old.value, &new);
            let announced = self.announcing(vec![announced::by(caller, update)]);
            let written = announced.records.save_folder(&new, Some(old.rev)).await;
            match announced.told(written).await {
                Ok(_) => return Ok(()),
                Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }

    /// Deletes a folder; what is in it stays in the tree. It disappears from the credentials that see it: at their next login,
    /// even where the rest of this fails.
    pub async fn delete_folder(&self, caller: &Caller, name: &FolderName) -> Result<(), ManagementError> {
        caller.require(Right::ChangeFolders)?;
        let folder = self.load_folder(caller, name).await?;
        let deleted = announced::changed(ChangedKind::Folder, ChangedHow::Deleted, name, name);
        let announced = self.announcing(vec![announced::by(caller, deleted)]);
        let written = announced.records.delete_folder(&folder).await;
        match announced.told(written).await {
            Ok(()) | Err(RecordError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
        for credential in self.all_credentials(caller).await? {
            if sees(&credential.value, name) {
                self.unmount(caller, credential, name).await?;
            }
        }
        Ok(())
    }

    async fn unmount(
        &self,
        caller: &Caller,
        mut credential: Versioned<Credential>,
        name: &FolderName,
    ) -> Result<(), ManagementError> {
        for _ in 0..ATTEMPTS {
            let mut new = credential.value.clone();
            new.folders.retain(|mounted| mounted.name != *name);
            let update =
                announced::updated(ChangedKind::Credential, (&new.id, &new.user_name), &credential.value, &new);
            let announced = self.announcing(vec![announced::by(caller, update)]);
            let written = announced.records.save_credential(&credential, &new, None).await;
            match announced.told(written).await {
                Ok(_) => return Ok(()),
                Err(RecordError::Conflict) => match self.load_credential(caller, &new.id).await {
                    Ok(now) if sees(&now.value, name) => credential = now,
                    Ok(_) | Err(ManagementError::NotFound(_)) => return Ok(()),
                    Err(error) => return Err(error),
                },
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }

    /// Whether the folders that a credential is to see exist. Those that it sees already may be gone.
    pub(super) async fn check_folders(
        &self,
        caller: &Caller,
        wanted: Option<&[Mounted]>,
        before: &[Mounted],
    ) -> Result<(), ManagementError> {
        let new = |mounted: &&Mounted| !before.iter().any(|old| old.name == mounted.name);
        let names = wanted.unwrap_or_default().iter().filter(new).map(|mounted| &mounted.name);
        let names: std::collections::BTreeSet<&FolderName> = names.collect();
        if names.is_empty() {
            return Ok(());
        }
        let found = self.records.folders_named(&caller.organization, names.iter().copied()).await?;
        match names.into_iter().find(|name| !found.iter().any(|folder| folder.name == **name)) {
            None => Ok(()),
            Some(missing) => {
                let problem = Invalid::new(format!("there is no folder {missing}"));
                Err(ManagementError::field("VirtualFolders", &problem))
            }
        }
    }

    pub(super) async fn load_folder(
        &self,
        caller: &Caller,
        name: &FolderName,
    ) -> Result<Versioned<VirtualFolder>, ManagementError> {
        self.records.folder(&caller.organization, name).await?.ok_or(NO_SUCH)
    }

    pub(super) async fn all_folders(&self, caller: &Caller) -> Result<Vec<VirtualFolder>, ManagementError> {
        let (mut all, mut after): (Vec<VirtualFolder>, Option<String>) = (Vec::new(), None);
        // a few more, because the check of the maximum and a creation are not one step
        while all.len() < MAX_FOLDERS * 2 {
            let page = self.records.folders(&caller.organization, after.as_deref(), PAGE).await?;
            all.extend(page.records.into_iter().map(|found| found.value));
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        Ok(all)
    }

    async fn all_credentials(&self, caller: &Caller) -> Result<Vec<Versioned<Credential>>, ManagementError> {
        let (mut all, mut after): (Vec<_>, Option<String>) = (Vec::new(), None);
        loop {
            let page = self.records.credentials(&caller.organization, after.as_deref(), PAGE).await?;
            all.extend(page.records.into_iter().filter(|found| !found.value.folders.is_empty()));
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(all),
            }
        }
    }

    async fn who_sees(&self, caller: &Caller) -> Result<BTreeMap<FolderName, Vec<String>>, ManagementError> {
        let mut users: BTreeMap<FolderName, Vec<String>> = BTreeMap::new();
        for credential in self.all_credentials(caller).await? {
            let mut names: Vec<FolderName> =
                credential.value.folders.iter().map(|mounted| mounted.name.clone()).collect();
            names.sort();
            names.dedup();
            for name in names {
                users.entry(name).or_default().push(credential.value.user_name.to_string());
            }
        }
        Ok(users)
    }
}

fn sees(credential: &Credential, name: &FolderName) -> bool {
    credential.folders.iter().any(|mounted| mounted.name == *name)
}

/// What means nothing here is kept, but not without a bound.
fn check_kept(extra: &Map<String, Value>) -> Result<(), ManagementError> {
    let bytes = serde_json::to_string(extra).map_err(ManagementError::internal)?.len();
    if bytes <= MAX_KEPT {
        return Ok(());
    }
    Err(ManagementError::field("", &Invalid::new("has more than 16 KiB of fields that are not known")))
}

fn tree(name: &FolderName, given: Option<VPath>) -> Result<VPath, ManagementError> {
    let default = || VPath::parse(&format!("/folders/{name}"));
    let path = given.map_or_else(default, Ok);
    path.map_err(|problem| ManagementError::field("mapped_path", &Invalid::new(problem.to_string())))
}
