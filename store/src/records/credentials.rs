//! Credentials and their user names.

use super::{Page, RecordError, Records, Versioned};
use crate::table::{self, ListOf};
use aws_sdk_dynamodb::types::TransactWriteItem;
use domain::connection::Close;
use domain::credential::{Credential, UserName};
use domain::id::{CredentialId, OrganizationId};
use domain::organization::Organization;
use domain::ssh_key::SshKey;
use serde::{Deserialize, Serialize};

/// Who has a user name.
#[derive(Serialize, Deserialize)]
pub(super) struct NameRecord {
    pub(super) organization: OrganizationId,
    pub(super) credential: CredentialId,
}

/// What a login is decided on.
pub struct LoginRecords {
    /// The organization.
    pub organization: Versioned<Organization>,
    /// The credential.
    pub credential: Versioned<Credential>,
}

impl Records {
    /// What a login with this name is decided on. Three consistent reads, two round trips deep.
    pub async fn login_records(&self, name: &UserName) -> Result<Option<LoginRecords>, RecordError> {
        let Some(owner) = self.get::<NameRecord>(table::user_name(name.as_str())).await? else {
            return Ok(None);
        };
        let NameRecord { organization, credential } = owner.value;
        let (organization, credential) = futures_util::future::try_join(
            self.organization(&organization),
            self.credential(&organization, &credential),
        )
        .await?;
        // the reads are not one snapshot: a credential that was renamed in between no longer has this name
        let credential = credential.filter(|credential| credential.value.user_name == *name);
        Ok(organization.zip(credential).map(|(organization, credential)| LoginRecords { organization, credential }))
    }

    /// A credential. One consistent read.
    pub async fn credential(
        &self,
        organization: &OrganizationId,
        id: &CredentialId,
    ) -> Result<Option<Versioned<Credential>>, RecordError> {
        self.get(table::credential(organization, id)).await
    }

    /// The credentials of an organization after an id.
    pub async fn credentials(
        &self,
        organization: &OrganizationId,
        after: Option<&str>,
        limit: u16,
    ) -> Result<Page<Credential>, RecordError> {
        self.list(organization, ListOf::Credentials, after, limit).await
    }

    /// The credential of an organization that has a user name. Two consistent reads, one after the other.
    pub async fn credential_named(
        &self,
        organization: &OrganizationId,
        name: &UserName,
    ) -> Result<Option<Versioned<Credential>>, RecordError> {
        let owner = self.get::<NameRecord>(table::user_name(name.as_str())).await?;
        let Some(owner) = owner.filter(|owner| owner.value.organization == *organization) else {
            return Ok(None);
        };
        let found = self.credential(organization, &owner.value.credential).await?;
        Ok(found.filter(|found| found.value.user_name == *name))
    }

    /// Adds a credential, its SSH keys, and takes its user name. [`RecordError::Conflict`]: the name is taken.
    pub async fn create_credential(&self, credential: &Credential, keys: &[SshKey]) -> Result<u64, RecordError> {
        let mut writes = self.create_credential_writes(credential)?;
        writes.extend(self.keys_in(credential, keys, &[])?);
        self.transact(writes).await?;
        Ok(1)
    }

    fn keys_in(
        &self,
        credential: &Credential,
        added: &[SshKey],
        removed: &[SshKey],
    ) -> Result<Vec<TransactWriteItem>, RecordError> {
        let at = |key: &SshKey| table::ssh_key(&credential.id, &key.id);
        let added = added.iter().map(|key| self.put_in(&at(key), None, key));
        added.chain(removed.iter().map(|key| self.delete_in(at(key), Some(1)))).collect()
    }

    pub(super) fn create_credential_writes(
        &self,
        credential: &Credential,
    ) -> Result<Vec<TransactWriteItem>, RecordError> {
        let key = table::credential(&credential.organization, &credential.id);
        Ok(vec![self.put_in(&key, None, credential)?, self.take_name(credential)?])
    }

    fn take_name(&self, credential: &Credential) -> Result<TransactWriteItem, RecordError> {
        let owner = NameRecord { organization: credential.organization.clone(), credential: credential.id.clone() };
        self.put_in(&table::user_name(credential.user_name.as_str()), None, &owner)
    }

    /// Changes a credential and its SSH keys in one transaction, and what else [`Records::save_credential`] does. Who adds or
    /// removes a key elsewhere changes the credential's revision, so neither is lost.
    pub async fn save_credential_and_keys(
        &self,
        old: &Versioned<Credential>,
        new: &Credential,
        (added, removed): (&[SshKey], &[SshKey]),
        close: Option<&Close>,
    ) -> Result<u64, RecordError> {
        let mut writes = self.save_credential_writes(old, new, close)?;
        writes.extend(self.keys_in(new, added, removed)?);
        self.transact(writes).await?;
        Ok(old.rev.saturating_add(1))
    }

    /// Changes a credential; `old` is what was read. A new user name is taken and the old one given back in the same
    /// transaction, and so are the sessions and tokens that it ends. Answers the new revision.
    pub async fn save_credential(
        &self,
        old: &Versioned<Credential>,
        new: &Credential,
        close: Option<&Close>,
    ) -> Result<u64, RecordError> {
        let key = table::credential(&new.organization, &new.id);
        if old.value.user_name == new.user_name && close.is_none() && !old.value.ends_tokens(new) {
            return self.put(&key, Some(old.rev), new).await;
        }
        self.transact(self.save_credential_writes(old, new, close)?).await?;
        Ok(old.rev.saturating_add(1))
    }

    fn save_credential_writes(
        &self,
        old: &Versioned<Credential>,
        new: &Credential,
        close: Option<&Close>,
    ) -> Result<Vec<TransactWriteItem>, RecordError> {
        let key = table::credential(&new.organization, &new.id);
        let mut writes = vec![self.put_in(&key, Some(old.rev), new)?];
        if old.value.user_name != new.user_name {
            writes.push(self.take_name(new)?);
            writes.push(self.delete_in(table::user_name(old.value.user_name.as_str()), None)?);
        }
        if old.value.ends_tokens(new) {
            writes.push(self.end_tokens_in(&new.account(), old.rev.saturating_add(1))?);
        }
        writes.extend(self.close_in(close)?);
        Ok(writes)
    }

    /// Deletes a credential, its user name and its SSH keys. A key that is added meanwhile changes the credential's
    /// revision, so none is left behind.
    pub async fn delete_credential(
        &self,
        old: &Versioned<Credential>,
        close: Option<&Close>,
    ) -> Result<(), RecordError> {
        let mut writes = self.delete_credential_writes(old).await?;
        writes.extend(self.close_in(close)?);
        self.transact(writes).await
    }

    pub(super) async fn delete_credential_writes(
        &self,
        old: &Versioned<Credential>,
    ) -> Result<Vec<TransactWriteItem>, RecordError> {
        let credential = &old.value;
        let mut writes = vec![
            self.delete_in(table::credential(&credential.organization, &credential.id), Some(old.rev))?,
            self.delete_in(table::user_name(credential.user_name.as_str()), None)?,
            self.delete_in(table::account_auth(&credential.account()), None)?,
        ];
        for key in self.ssh_keys(&credential.id).await? {
            writes.push(self.delete_in(table::ssh_key(&credential.id, &key.id), None)?);
        }
        Ok(writes)
    }
}
