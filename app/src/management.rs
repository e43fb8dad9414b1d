//! Managing an organization: credentials, SSH keys, webhooks, API keys, settings. Both REST dialects and the
//! development program call these use cases; they hold the rules, the dialects only the spelling.

mod api_keys;
mod caller;
mod connections;
mod credentials;
mod defender;
mod error;
mod folders;
mod organization;
mod ssh_keys;
mod webhooks;

pub use api_keys::{ApiKeyChange, CreatedApiKey, NewApiKey, ShownApiKey};
pub use caller::{Caller, Who};
pub use credentials::{CredentialChange, ShownCredential};
pub use defender::DefendedHost;
pub use error::{FieldProblem, ManagementError};
pub use folders::{FolderDescription, MAX_FOLDERS, ShownFolder};
pub use organization::{OrganizationChange, PolicyChange, SharePolicyChange};
pub use webhooks::{AUTHORIZATION_FIELD, SECRET_FIELD, ShownWebhook, WebhookChange, webhook_place};

use crate::hashing::Hashing;
use domain::credential::StoredPassword;
use domain::id::{CredentialId, OrganizationId};
use domain::organization::{Organization, PasswordReadable};
use domain::time::Timestamp;
use domain::webhook::address::AddressPolicy;
use store::defender::Scores;
use store::messages::Messages;
use store::nodes::Nodes;
use store::records::{Records, Versioned};
use store::seal::{Place, Sealer};
use zeroize::Zeroizing;

/// How often a change is tried again when somebody else was faster.
const ATTEMPTS: usize = 4;

/// The field name under which a credential's password is sealed.
const PASSWORD_FIELD: &str = "password";

/// The management of all organizations. Cheap to clone.
#[derive(Clone)]
pub struct Management {
    records: Records,
    messages: Messages,
    nodes: Nodes,
    scores: Scores,
    hashing: Hashing,
    address_policy: AddressPolicy,
}

impl Management {
    /// On these records; pings go to this queue; sessions are on these nodes; webhook targets must meet this policy.
    pub fn new(
        records: Records,
        messages: Messages,
        nodes: Nodes,
        scores: Scores,
        address_policy: AddressPolicy,
    ) -> Self {
        Self { records, messages, nodes, scores, hashing: Hashing::new(), address_policy }
    }

    /// The records, for the check of API keys.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// The settings of the caller's organization.
    async fn own_organization(&self, caller: &Caller) -> Result<Versioned<Organization>, ManagementError> {
        let found = self.records.organization(&caller.organization).await?;
        found.ok_or(ManagementError::NotFound("organization"))
    }

    /// Hashes and seals a new password.
    async fn store_password(
        &self,
        organization: &Organization,
        credential: &CredentialId,
        password: &Zeroizing<String>,
        now: Timestamp,
    ) -> Result<StoredPassword, ManagementError> {
        let (plain, salt) = (password.clone(), store::clock::random());
        let hash = self.hashing.run(move || domain::password::hash(&plain, &salt)).await;
        let hash = hash.map_err(|busy| ManagementError::Unavailable(busy.to_string()))?;
        let readable = match organization.password_readable {
            PasswordReadable::Never => None,
            PasswordReadable::Day | PasswordReadable::Always => {
                Some(seal_password(self.records.sealer(), &organization.id, credential, password)?)
            }
        };
        Ok(StoredPassword { hash: hash.map_err(ManagementError::internal)?, set_at: now, readable })
    }
}

/// Seals a credential's password for its place.
pub(crate) fn seal_password(
    sealer: &Sealer,
    organization: &OrganizationId,
    credential: &CredentialId,
    password: &str,
) -> Result<domain::sealed::Sealed, ManagementError> {
    sealer.seal(password_place(organization, credential), password).map_err(ManagementError::internal)
}

fn password_place<'a>(organization: &'a OrganizationId, credential: &'a CredentialId) -> Place<'a> {
    Place { organization: organization.as_str(), record: credential.as_str(), field: PASSWORD_FIELD }
}
