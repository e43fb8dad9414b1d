//! Who calls the management, after authentication.

use super::ManagementError;
use domain::api_key::{ApiKeyId, Scope, Scopes};
use domain::event::{Actor, ActorKind};
use domain::id::OrganizationId;

/// A caller and its rights.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Its organization; nothing of another is visible.
    pub organization: OrganizationId,
    /// Who it is.
    pub who: Who,
    /// What it may do.
    pub scopes: Scopes,
}

/// What a caller signed in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// An API key that acts as an admin.
    ApiKey(ApiKeyId),
    /// An admin in person.
    Admin {
        /// Its name.
        name: String,
        /// Whether it has every permission.
        full: bool,
    },
}

impl Caller {
    /// Whether the caller may do what `scope` guards.
    pub fn require(&self, scope: Scope) -> Result<(), ManagementError> {
        if self.scopes.allows(scope) { Ok(()) } else { Err(ManagementError::forbidden(scope, &self.scopes)) }
    }

    /// An API key cannot manage API keys or switch their use on: only an admin with every permission may.
    pub(super) fn require_full_admin(&self) -> Result<(), ManagementError> {
        match &self.who {
            Who::Admin { full: true, .. } => Ok(()),
            Who::Admin { full: false, .. } | Who::ApiKey(_) => Err(ManagementError::Forbidden {
                required: "an admin with *".to_owned(),
                granted: self.scopes.to_string(),
            }),
        }
    }

    /// As events name it.
    pub fn actor(&self) -> Actor {
        let id = match &self.who {
            Who::ApiKey(id) => id.to_string(),
            Who::Admin { name, .. } => name.clone(),
        };
        Actor { kind: ActorKind::Admin, id }
    }
}
