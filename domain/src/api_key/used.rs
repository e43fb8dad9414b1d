//! A key in the place of its owner.

use super::{ApiKeyId, Scopes};
use crate::access::Principal;
use serde::{Deserialize, Serialize};

/// A key that acts as a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUse {
    /// Which.
    pub id: ApiKeyId,
    /// What it leaves of the credential's rights.
    pub permissions: Scopes,
}

impl KeyUse {
    /// Who acts on files: the credential, with what the key leaves of its rights.
    #[must_use]
    pub fn limits(&self, principal: Principal) -> Principal {
        Principal {
            permissions: principal.permissions.limited_to(self.permissions.file_verbs()),
            api_key: Some(self.id.clone()),
            ..principal
        }
    }
}
