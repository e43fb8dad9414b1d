//! Files for a credential that has shown elsewhere who it is: to the API by a token, to a node by a ticket.
//!
//! Nothing is believed of then: its records are read now, and it must be allowed to connect from where it is. It takes no place
//! among the credential's sessions, because a request is none.

use super::{Login, complete};
use crate::sessions::Sessions;
use crate::shares::Shares;
use crate::vfs::Vfs;
use domain::access::{Level, Permissions};
use domain::api_key::KeyUse;
use domain::connection::Grounds;
use domain::event::Origin;
use domain::id::{CredentialId, OrganizationId};
use domain::identity::may_connect;
use futures_util::FutureExt as _;
use store::clock;
use store::records::{RecordError, Records};

/// The records of credentials that are known. Cheap to clone.
#[derive(Clone)]
pub struct Known {
    records: Records,
}

/// Why there are no files for it.
#[derive(Debug, thiserror::Error)]
pub enum KnownError {
    /// It may not connect, or is gone; the log says which.
    #[error("permission denied")]
    Refused,
    /// A dependency did not answer.
    #[error(transparent)]
    Unavailable(#[from] RecordError),
}

impl Known {
    /// Against these records.
    pub fn new(records: Records) -> Self {
        Self { records }
    }

    /// What share links let somebody do with these files.
    pub fn shares(&self, vfs: Vfs, sessions: Sessions) -> Shares {
        Shares::new(self.records.clone(), vfs, sessions)
    }

    /// What a session of this credential may do now, and with a key in the place of its password what that leaves. Two consistent reads side by side, and its virtual folders.
    pub async fn log_in(
        &self,
        organization: &OrganizationId,
        (credential, key): (&CredentialId, Option<&KeyUse>),
        origin: &Origin,
    ) -> Result<Login, KnownError> {
        let records = futures_util::future::try_join(
            self.records.organization(organization),
            self.records.credential(organization, credential),
        );
        let (Some(organization), Some(credential)) = records.await? else {
            return Err(KnownError::Refused);
        };
        if let Err(refusal) = may_connect(&organization.value, &credential.value, origin, clock::now()) {
            let user = credential.value.user_name.as_str();
            tracing::info!(user, "session-id" = origin.session_id, %refusal, "no files for a known credential");
            return Err(KnownError::Refused);
        }
        let principal = match key {
            None => credential.value.principal(),
            Some(key) if credential.value.takes_keys() => key.limits(credential.value.principal()),
            Some(key) => {
                let user = credential.value.user_name.as_str();
                tracing::info!(user, key = %key.id, "API key refused: its owner does not allow it now");
                return Err(KnownError::Refused);
            }
        };
        let principal = complete(&self.records, principal, &organization.value, &credential.value).boxed().await?;
        let ends_at = credential.value.expires_at.filter(|_| organization.value.close_sessions_on_change);
        Ok(Login { principal, grounds: Grounds { credential_rev: credential.rev, ends_at }, place: None })
    }
    /// What Towpath itself may do in a credential's place, which need not be able to connect: what it may, or everything there.
    pub(crate) async fn in_place_of(
        &self,
        organization: &OrganizationId,
        credential: &CredentialId,
        unlimited: bool,
    ) -> Result<Login, KnownError> {
        let records = futures_util::future::try_join(
            self.records.organization(organization),
            self.records.credential(organization, credential),
        );
        let (Some(organization), Some(credential)) = records.await? else {
            return Err(KnownError::Refused);
        };
        let principal = credential.value.principal();
        let mut principal = complete(&self.records, principal, &organization.value, &credential.value).boxed().await?;
        principal.system = true;
        if let (true, Some(everything)) = (unlimited, Permissions::from_level(Level::Full)) {
            principal.permissions = everything;
        }
        Ok(Login { principal, grounds: Grounds { credential_rev: credential.rev, ends_at: None }, place: None })
    }
}
