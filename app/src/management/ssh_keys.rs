//! SSH keys of credentials.

use super::announced;
use super::credentials::ended;
use super::{Caller, Management, ManagementError};
use domain::event::{ChangedHow, ChangedKind};
use domain::id::CredentialId;
use domain::right::Right;
use domain::ssh_key::{MAX_KEYS, ParsedKey, SshKey};
use store::records::RecordError;

impl Management {
    /// The keys of a credential, at most 50.
    pub async fn ssh_keys(&self, caller: &Caller, credential: &CredentialId) -> Result<Vec<SshKey>, ManagementError> {
        caller.require(Right::SeeCredentials)?;
        let credential = self.load_credential(caller, credential).await?.value;
        Ok(self.records.ssh_keys(&credential.id).await?)
    }

    /// Adds a key.
    pub async fn add_ssh_key(
        &self,
        caller: &Caller,
        credential: &CredentialId,
        parsed: ParsedKey,
    ) -> Result<SshKey, ManagementError> {
        caller.require(Right::ChangeCredentials)?;
        let credential = self.load_credential(caller, credential).await?.value;
        let key = SshKey::new(credential.id.clone(), parsed, store::clock::now());
        let made = announced::changed(ChangedKind::PublicKey, ChangedHow::Created, &key.id, &credential.user_name);
        let announced = self.announcing(vec![announced::by(caller, made)]);
        let written = announced.records.add_ssh_key(&credential, &key).await;
        match announced.told(written).await {
            Ok(()) => Ok(key),
            Err(RecordError::Conflict) => {
                let credential = self.load_credential(caller, &credential.id).await?.value;
                Err(ManagementError::Conflict(if credential.ssh_keys >= MAX_KEYS {
                    "the credential has 50 keys already"
                } else {
                    "the credential has this key already"
                }))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a key and answers what it was.
    pub async fn remove_ssh_key(
        &self,
        caller: &Caller,
        credential: &CredentialId,
        key_id: &str,
    ) -> Result<SshKey, ManagementError> {
        caller.require(Right::ChangeCredentials)?;
        let (organization, credential) =
            futures_util::future::try_join(self.own_organization(caller), self.load_credential(caller, credential))
                .await?;
        let rev = credential.rev.saturating_add(1);
        let credential = credential.value;
        let close = organization.value.close_sessions_on_change.then(|| ended(&credential.id, rev));
        let missing = ManagementError::NotFound("SSH key");
        let key = self.records.ssh_key(&credential.id, key_id).await?.ok_or_else(|| missing.clone())?;
        let deleted = announced::changed(ChangedKind::PublicKey, ChangedHow::Deleted, &key.id, &credential.user_name);
        let announced = self.announcing(vec![announced::by(caller, deleted)]);
        let written = announced.records.remove_ssh_key(&credential, &key, close.as_ref()).await;
        match announced.told(written).await {
            Ok(()) => Ok(key),
            // somebody else has removed it
            Err(RecordError::Conflict) => Err(missing),
            Err(error) => Err(error.into()),
        }
    }
}
