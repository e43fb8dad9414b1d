//! API keys as passwords: the user name is `@api-` and the key's id or name, the password is the key. The key itself says
//! which it is, so the name only has to fit it.

use super::{Failure, Found, Inner, may_connect, of};
use domain::api_key::{ApiKeyId, AuthState, KeyOwner, KeyText, Presented};
use domain::event::Origin;
use domain::id::CredentialId;
use domain::identity::{self, KeyRefusal, Refusal};
use store::records::LoginRecords;
use zeroize::Zeroizing;

impl From<KeyRefusal> for Failure {
    fn from(refusal: KeyRefusal) -> Self {
        Self::Refused(Refusal::ApiKey(refusal))
    }
}

impl Inner {
    /// Checks the key and counts its use in one write, then what holds for its owner.
    pub(super) async fn try_api_key(
        &self,
        name: &str,
        password: &Zeroizing<String>,
        origin: &Origin,
        ssh_key: Option<&[u8]>,
    ) -> Result<Found, Failure> {
        let key = KeyText::parse(password).map_err(|_| KeyRefusal::Unknown)?;
        let (hash, now) = (key.hash(), store::clock::now());
        let shown = Presented { hash: &hash, address: origin.client_ip, now };
        let passed = self.records.check_api_key(key.id(), &shown).await?.map_err(KeyRefusal::from)?;
        self.records.forget_counters(key.id(), &passed.old_counters).await;
        let state = passed.state;
        if !self.fits(name, &state).await? {
            return Err(KeyRefusal::OtherName.into());
        }
        let records = self.owner(&state).await?;
        let credential = &records.credential.value;
        may_connect(&records, origin)?;
        let principal = identity::act_as_owner(&state, credential).map_err(|refusal| of(refusal.into(), credential))?;
        self.check_key_beside(credential, origin, ssh_key).await?;
        tracing::info!(user = %credential.user_name, api_key = %state.id, "session-id" = origin.session_id, "an API key is used to log in");
        Ok(Found { records, principal, key_expires_at: state.expires_at })
    }

    /// The SSH key of an owner who needs one beside the password, which will be the API key. Only its id says whose key it is.
    pub(super) async fn try_key_before_api_key(
        &self,
        name: &str,
        ssh_key: &[u8],
        origin: &Origin,
    ) -> Result<Found, Failure> {
        let id = ApiKeyId::parse(name).map_err(|_| Refusal::UnknownKey)?;
        let state = self.records.auth_state(&id).await?.ok_or(Refusal::UnknownKey)?;
        let records = self.owner(&state).await?;
        let credential = &records.credential.value;
        may_connect(&records, origin)?;
        if !credential.needs_key(origin.protocol) {
            return Err(of(Refusal::UnknownKey, credential));
        }
        self.check_key(credential, ssh_key).await?;
        let principal = identity::act_as_owner(&state, credential).map_err(|refusal| of(refusal.into(), credential))?;
        Ok(Found { records, principal, key_expires_at: state.expires_at })
    }

    async fn fits(&self, name: &str, key: &AuthState) -> Result<bool, Failure> {
        if name == key.id.as_str() {
            return Ok(true);
        }
        let record = self.records.api_key(&key.organization, &key.id).await?;
        Ok(record.is_some_and(|record| record.value.name == name))
    }

    /// The credential that the key acts as.
    async fn owner(&self, key: &AuthState) -> Result<LoginRecords, Failure> {
        let organization = self.records.organization(&key.organization).await?.ok_or(KeyRefusal::Unknown)?;
        let id: CredentialId = match &key.owner {
            Some(KeyOwner::Credential(id)) => id.clone(),
            Some(KeyOwner::Admin(_)) => return Err(KeyRefusal::Owner.into()),
            None => organization.value.root_credential.clone().ok_or(KeyRefusal::Owner)?,
        };
        let credential = self.records.credential(&key.organization, &id).await?.ok_or(KeyRefusal::Owner)?;
        Ok(LoginRecords { organization, credential })
    }
}
