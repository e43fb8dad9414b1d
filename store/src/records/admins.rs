//! Admins: the record, its name in the organization's list, and its account for tokens, in one transaction each.

use super::accounts::AccountItem;
use super::{RecordError, Records, Versioned};
use crate::table::{self, ListOf};
use aws_sdk_dynamodb::types::TransactWriteItem;
use domain::admin::{Admin, AdminName};
use domain::credential::Credential;
use domain::id::OrganizationId;
use serde::{Deserialize, Serialize};

/// Names that are read at a time.
const PAGE: u16 = 500;

/// An admin in the list of its organization: the name is in the key.
#[derive(Deserialize)]
struct Listed {
    sk: String,
}

#[derive(Serialize, Deserialize)]
struct Empty {}

/// What was read before a change that takes the rights of a full admin away, and must be the same at the change: of two who
/// each would leave the other as the last, one comes second.
#[derive(Clone, Copy, Debug)]
pub struct FullAdmins(Option<u64>);

impl Records {
    /// An admin by its name. One consistent read.
    pub async fn admin(&self, name: &str) -> Result<Option<Versioned<Admin>>, RecordError> {
        self.get(table::admin(name)).await
    }

    /// The names of an organization's admins, sorted.
    pub async fn admin_names(&self, organization: &OrganizationId) -> Result<Vec<AdminName>, RecordError> {
        let mut names = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.list::<Listed>(organization, ListOf::Admins, after.as_deref(), PAGE).await?;
            for listed in page.records {
                let name = listed.value.sk.strip_prefix(ListOf::Admins.prefix()).unwrap_or_default();
                names.push(AdminName::parse(name).map_err(RecordError::internal)?);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(names),
            }
        }
    }

    /// To be read before the admins are looked at, when one is to lose the rights of a full admin.
    pub async fn full_admins(&self, organization: &OrganizationId) -> Result<FullAdmins, RecordError> {
        let found = self.get::<Empty>(table::full_admins(organization)).await?;
        Ok(FullAdmins(found.map(|found| found.rev)))
    }

    /// Adds an admin. [`RecordError::Conflict`]: the name is taken.
    pub async fn create_admin(&self, admin: &Admin, limit: u32) -> Result<u64, RecordError> {
        self.transact(self.create_admin_writes(admin, limit)?).await?;
        Ok(1)
    }

    pub(super) fn create_admin_writes(&self, admin: &Admin, limit: u32) -> Result<Vec<TransactWriteItem>, RecordError> {
        Ok(vec![
            self.put_in(&table::admin(admin.name.as_str()), None, admin)?,
            self.put_in(&table::admin_of(&admin.organization, &admin.name), None, &Empty {})?,
            self.account_in(&admin.account(), &admin_item(admin, limit))?,
        ])
    }

    /// Changes an admin; `old` is what was read, `fewer` what was read before, if it is no full admin any more. Ends tokens where
    /// the change demands it. Answers the new revision.
    pub async fn save_admin(
        &self,
        old: &Versioned<Admin>,
        new: &Admin,
        fewer: Option<FullAdmins>,
    ) -> Result<u64, RecordError> {
        let rev = old.rev.saturating_add(1);
        let mut writes = vec![self.put_in(&table::admin(new.name.as_str()), Some(old.rev), new)?];
        if old.value.ends_tokens(new) {
            writes.push(self.change_rights_in(&new.account(), rev, &new.rights(), &new.allow_list)?);
        }
        writes.extend(self.fewer_in(&new.organization, fewer)?);
        self.transact(writes).await?;
        Ok(rev)
    }

    /// Deletes an admin, with its tokens.
    pub async fn delete_admin(&self, old: &Versioned<Admin>, fewer: Option<FullAdmins>) -> Result<(), RecordError> {
        let mut writes = self.delete_admin_writes(old)?;
        writes.extend(self.fewer_in(&old.value.organization, fewer)?);
        self.transact(writes).await
    }

    pub(super) fn delete_admin_writes(&self, old: &Versioned<Admin>) -> Result<Vec<TransactWriteItem>, RecordError> {
        let admin = &old.value;
        Ok(vec![
            self.delete_in(table::admin(admin.name.as_str()), Some(old.rev))?,
            self.delete_in(table::admin_of(&admin.organization, &admin.name), None)?,
            self.delete_in(table::account_auth(&admin.account()), None)?,
        ])
    }

    fn fewer_in(
        &self,
        organization: &OrganizationId,
        fewer: Option<FullAdmins>,
    ) -> Result<Option<TransactWriteItem>, RecordError> {
        let Some(FullAdmins(read)) = fewer else { return Ok(None) };
        self.put_in(&table::full_admins(organization), read, &Empty {}).map(Some)
    }

    /// Makes the account of an admin that was recorded before there were tokens. [`RecordError::Conflict`]: it has one, or has
    /// changed.
    pub async fn make_admin_account(&self, admin: &Versioned<Admin>, limit: u32) -> Result<(), RecordError> {
        let whose = (table::admin(admin.value.name.as_str()), admin.rev);
        self.make_account(&admin.value.account(), &admin_item(&admin.value, limit), whose).await
    }

    /// Makes the account of a credential that has had no token yet. [`RecordError::Conflict`]: it has one, or has changed.
    pub async fn make_credential_account(
        &self,
        credential: &Versioned<Credential>,
        limit: u32,
    ) -> Result<(), RecordError> {
        let key = table::credential(&credential.value.organization, &credential.value.id);
        let item = AccountItem::without_rights(limit);
        self.make_account(&credential.value.account(), &item, (key, credential.rev)).await
    }
}

fn admin_item(admin: &Admin, limit: u32) -> AccountItem {
    let (permissions, allow_list) = (admin.rights(), admin.allow_list.clone());
    AccountItem { permissions, allow_list, ..AccountItem::without_rights(limit) }
}
