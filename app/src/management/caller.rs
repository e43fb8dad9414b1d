//! Who calls, after authentication. Only `functions::http::auth` makes these, from a key or token that was checked; the use
//! cases demand one, so that no route does anything without it.

use super::ManagementError;
use domain::admin::Permissions;
use domain::api_key::{ApiKeyId, KeyUse, Scopes};
use domain::event::{Actor, ActorKind, Origin, Protocol};
use domain::id::{CredentialId, OrganizationId, uuid_text};
use domain::right::{Missing, Right, Rights};
use std::net::IpAddr;

/// A caller of the management and its rights.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Its organization; nothing of another is visible.
    pub organization: OrganizationId,
    /// Who it is.
    pub who: Who,
    /// What it may do.
    rights: Rights,
}

/// What a caller signed in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// An API key.
    ApiKey {
        /// Which.
        id: ApiKeyId,
        /// The admin that it acts as, if it is an admin's.
        acts_as: Option<String>,
    },
    /// An admin in person.
    Admin {
        /// Its name.
        name: String,
        /// Whether it has every permission.
        full: bool,
    },
}

impl Caller {
    /// An admin who has signed in.
    pub fn admin(organization: OrganizationId, name: String, permissions: Permissions) -> Self {
        let who = Who::Admin { name, full: permissions.are_full() };
        Self { organization, who, rights: Rights::of_admin(permissions) }
    }

    /// A site-wide key.
    pub fn site_key(organization: OrganizationId, id: ApiKeyId, scopes: Scopes) -> Self {
        Self { organization, who: Who::ApiKey { id, acts_as: None }, rights: Rights::of_site_key(scopes) }
    }

    /// A key that acts as an admin who may do this now.
    pub fn admins_key(
        organization: OrganizationId,
        id: ApiKeyId,
        scopes: Scopes,
        (admin, permissions): (String, Permissions),
    ) -> Self {
        let who = Who::ApiKey { id, acts_as: Some(admin) };
        Self { organization, who, rights: Rights::of_admins_key(scopes, permissions) }
    }

    /// A key that may do nothing here.
    pub fn powerless_key(organization: OrganizationId, id: ApiKeyId) -> Self {
        Self { organization, who: Who::ApiKey { id, acts_as: None }, rights: Rights::none() }
    }

    /// Whether the caller may do what `right` guards.
    pub fn require(&self, right: Right) -> Result<(), ManagementError> {
        Ok(self.rights.demand(right)?)
    }

    /// Whether the caller may make or change an admin with these permissions: nobody gives what it does not have.
    pub(super) fn require_to_cover(&self, permissions: &Permissions) -> Result<(), ManagementError> {
        Ok(self.rights.cover(permissions)?)
    }

    /// An API key cannot manage API keys or switch their use on: only an admin with every permission may.
    pub(super) fn require_full_admin(&self) -> Result<(), ManagementError> {
        match &self.who {
            Who::Admin { full: true, .. } => Ok(()),
            Who::Admin { full: false, .. } | Who::ApiKey { .. } => Err(ManagementError::Forbidden {
                required: "an admin with *".to_owned(),
                granted: self.rights.to_string(),
            }),
        }
    }

    /// The name of an admin in person: what belongs to its account is not for API keys, its own included.
    pub(super) fn require_person(&self) -> Result<&str, ManagementError> {
        match &self.who {
            Who::Admin { name, .. } => Ok(name),
            Who::ApiKey { .. } => Err(ManagementError::Forbidden {
                required: "an admin who has signed in".to_owned(),
                granted: self.rights.to_string(),
            }),
        }
    }

    /// As which admin it acts.
    pub(super) fn acts_as(&self) -> Option<&str> {
        match &self.who {
            Who::Admin { name, .. } => Some(name),
            Who::ApiKey { acts_as, .. } => acts_as.as_deref(),
        }
    }

    /// The answer where only credentials call: a key is known and may not, a token of an admin is none here.
    pub fn is_no_credential(&self) -> ManagementError {
        match &self.who {
            Who::Admin { .. } => ManagementError::Unauthorized,
            Who::ApiKey { .. } => {
                ManagementError::Forbidden { required: "a credential".to_owned(), granted: self.rights.to_string() }
            }
        }
    }

    /// As events name it.
    pub fn actor(&self) -> Actor {
        let id = match &self.who {
            Who::ApiKey { id, .. } => id.to_string(),
            Who::Admin { name, .. } => name.clone(),
        };
        Actor { kind: ActorKind::Admin, id }
    }
}

impl From<Missing> for ManagementError {
    fn from(missing: Missing) -> Self {
        let Missing { required, granted } = missing;
        Self::Forbidden { required, granted }
    }
}

/// A credential that calls for itself, from an address. What it may do is in its record.
#[derive(Clone, Debug)]
pub struct UserCaller {
    organization: OrganizationId,
    credential: CredentialId,
    address: IpAddr,
    /// The key that it shows in place of a token.
    key: Option<KeyUse>,
}

impl UserCaller {
    /// A credential that has signed in.
    pub fn new(organization: OrganizationId, credential: CredentialId, address: IpAddr) -> Self {
        Self { organization, credential, address, key: None }
    }

    /// The same by a key, which the credential must allow.
    #[must_use]
    pub fn by_key(self, key: KeyUse) -> Self {
        Self { key: Some(key), ..self }
    }

    /// The key that it shows in place of a token.
    pub fn key(&self) -> Option<&KeyUse> {
        self.key.as_ref()
    }

    /// What belongs to the account itself is not for API keys.
    pub fn require_person(&self) -> Result<(), ManagementError> {
        match &self.key {
            None => Ok(()),
            Some(key) => Err(ManagementError::Forbidden {
                required: "a credential that has signed in".to_owned(),
                granted: key.permissions.to_string(),
            }),
        }
    }

    /// Its organization.
    pub fn organization(&self) -> &OrganizationId {
        &self.organization
    }

    /// Which.
    pub fn credential(&self) -> &CredentialId {
        &self.credential
    }

    /// Where it is.
    pub fn origin(&self) -> Origin {
        let session_id = uuid_text(store::clock::random());
        Origin { protocol: Protocol::Api, client_ip: self.address, session_id }
    }
}
