//! Virtual folders.

use super::{Page, RecordError, Records, Versioned};
use crate::table::{self, ListOf};
use domain::folder::{FolderName, VirtualFolder};
use domain::id::OrganizationId;
use futures_util::future::try_join_all;

impl Records {
    /// A folder. One consistent read.
    pub async fn folder(
        &self,
        organization: &OrganizationId,
        name: &FolderName,
    ) -> Result<Option<Versioned<VirtualFolder>>, RecordError> {
        self.get(table::folder(organization, name)).await
    }

    /// Those of some folders that exist: a consistent read for each, at the same time.
    pub async fn folders_named(
        &self,
        organization: &OrganizationId,
        names: impl IntoIterator<Item = &FolderName>,
    ) -> Result<Vec<VirtualFolder>, RecordError> {
        let found = try_join_all(names.into_iter().map(|name| self.folder(organization, name))).await?;
        Ok(found.into_iter().flatten().map(|found| found.value).collect())
    }

    /// The folders of an organization after a name.
    pub async fn folders(
        &self,
        organization: &OrganizationId,
        after: Option<&str>,
        limit: u16,
    ) -> Result<Page<VirtualFolder>, RecordError> {
        self.list(organization, ListOf::Folders, after, limit).await
    }

    /// Writes a folder: a new one if `read` is `None`. Answers the new revision. [`RecordError::Conflict`]: the name is taken, or
    /// somebody else was faster.
    pub async fn save_folder(&self, folder: &VirtualFolder, read: Option<u64>) -> Result<u64, RecordError> {
        self.put(&table::folder(&folder.organization, &folder.name), read, folder).await
    }

    /// Deletes a folder over the revision that was read.
    pub async fn delete_folder(&self, old: &Versioned<VirtualFolder>) -> Result<(), RecordError> {
        let key = table::folder(&old.value.organization, &old.value.name);
        self.transact(vec![self.delete_in(key, Some(old.rev))?]).await
    }
}
