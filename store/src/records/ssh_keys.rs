//! SSH keys of credentials. Adding and removing one changes the credential's counter and revision in the same
//! transaction, so that cached logins and concurrent deletes notice.

use super::{RecordError, Records};
use crate::item::number;
use crate::table;
use domain::connection::Close;
use domain::credential::Credential;
use domain::id::CredentialId;
use domain::ssh_key::{MAX_KEYS, SshKey, key_id};
use std::collections::HashMap;

impl Records {
    /// The record of the key that a client shows, if the credential has it. One consistent read.
    pub async fn shown_ssh_key(&self, credential: &CredentialId, blob: &[u8]) -> Result<Option<SshKey>, RecordError> {
        let key = table::ssh_key(credential, &key_id(credential, blob));
        Ok(self.get(key).await?.map(|found| found.value))
    }

    /// A key by its id.
    pub async fn ssh_key(&self, credential: &CredentialId, id: &str) -> Result<Option<SshKey>, RecordError> {
        Ok(self.get(table::ssh_key(credential, id)).await?.map(|found| found.value))
    }

    /// All keys of a credential, at most 50.
    pub async fn ssh_keys(&self, credential: &CredentialId) -> Result<Vec<SshKey>, RecordError> {
        let partition = table::ssh_keys(credential);
        let limit = u16::try_from(MAX_KEYS).unwrap_or(u16::MAX);
        let page = self.query(partition, table::SSH_KEY_PREFIX, None, limit).await?;
        Ok(page.records.into_iter().map(|found| found.value).collect())
    }

    /// Adds a key. [`RecordError::Conflict`]: it has this key already, has [`MAX_KEYS`] keys, or is gone.
    pub async fn add_ssh_key(&self, credential: &Credential, key: &SshKey) -> Result<(), RecordError> {
        let count = self.update_in(
            table::credential(&credential.organization, &credential.id),
            "ssh_keys :change",
            " AND ssh_keys < :most",
            HashMap::from([(":change".to_owned(), number(1)), (":most".to_owned(), number(MAX_KEYS))]),
        )?;
        self.transact(vec![self.put_in(&table::ssh_key(&credential.id, &key.id), None, key)?, count]).await
    }

    /// Removes a key that exists, and ends sessions.
    pub async fn remove_ssh_key(
        &self,
        credential: &Credential,
        key: &SshKey,
        close: Option<&Close>,
    ) -> Result<(), RecordError> {
        let count = self.update_in(
            table::credential(&credential.organization, &credential.id),
            "ssh_keys :change",
            "",
            HashMap::from([(":change".to_owned(), number(-1))]),
        )?;
        // a key record never changes, so its revision is always 1; naming it makes a second removal a conflict
        let mut writes = vec![self.delete_in(table::ssh_key(&credential.id, &key.id), Some(1))?, count];
        writes.extend(self.close_in(close)?);
        self.transact(writes).await
    }
}
