//! Managing an organization: credentials, SSH keys, webhooks, API keys, settings. Both REST dialects and the
//! development program call these use cases; they hold the rules, the dialects only the spelling.

mod admins;
mod api_keys;
mod caller;
mod connections;
mod credentials;
mod defender;
mod deliveries;
mod error;
mod events;
mod folders;
mod jobs;
mod key_rights;
mod key_rotation;
mod organization;
mod organizations;
mod own_account;
mod own_second_factor;
mod retention;
mod second_factor;
mod shares;
mod ssh_keys;
mod user_account;
mod user_shares;
mod users;
mod webhooks;

pub use admins::{AdminChange, NewAdmin, Slice};
pub use api_keys::{ApiKeyChange, CreatedApiKey, KeyRole, NewApiKey, ShownApiKey};
pub use caller::{Caller, UserCaller, Who};
pub use credentials::{CredentialChange, ShownCredential};
pub use defender::DefendedHost;
pub use error::{FieldProblem, ManagementError};
pub use events::Exported;
pub use folders::{FolderDescription, MAX_FOLDERS, ShownFolder};
pub use jobs::UsageMode;
pub use key_rotation::MAX_GRACE_SECONDS;
pub use organization::{OrganizationChange, PolicyChange, SharePolicyChange};
pub use organizations::{CreatedOrganization, NewOrganization};
pub use own_account::{OwnProfile, ProfileChange};
pub use own_second_factor::SelfService;
pub use retention::run_due_policies;
pub use second_factor::{NewSecondFactor, RecoveryState};
pub use shares::{NamedPath, ShareChange, ShownShare};
pub use user_account::UserProfile;
pub use users::{MAX_FOLDERS_WITH_RULES, ShownUser, UserChange};
pub use webhooks::{AUTHORIZATION_FIELD, SECRET_FIELD, ShownWebhook, WebhookChange, webhook_place};

use crate::announced;
use crate::hashing::Hashing;
use crate::jobs::JobQueue;
use domain::admin::second_factor::MOST_WRONG_CODES;
use domain::credential::StoredPassword;
use domain::id::{CredentialId, OrganizationId};
use domain::invalid::Invalid;
use domain::organization::{Organization, PasswordReadable};
use domain::time::Timestamp;
use domain::token::AccountId;
use domain::webhook::address::AddressPolicy;
use store::aws::Aws;
use store::defender::Scores;
use store::events::Events;
use store::jobs::Jobs;
use store::mail::Mail;
use store::messages::{JobMessages, Messages};
use store::nodes::Nodes;
use store::objects::Objects;
use store::records::{Records, Versioned};
use store::scans::Scans;
use store::seal::{Place, Sealer};
use store::settling::Settling;
use zeroize::Zeroizing;

/// How often a change is tried again when somebody else was faster.
const ATTEMPTS: usize = 4;

/// The field name under which a credential's password is sealed.
const PASSWORD_FIELD: &str = "password";

/// The management of all organizations. Cheap to clone.
#[derive(Clone)]
pub struct Management {
    pub(crate) records: Records,
    pub(crate) messages: Messages,
    mail: Mail,
    nodes: Nodes,
    scores: Scores,
    events: Events,
    objects: Objects,
    queue: JobQueue,
    scans: Scans,
    settling: Settling,
    hashing: Hashing,
    address_policy: AddressPolicy,
}

impl Management {
    /// On these records, and the queues and other records beside them; webhook targets must meet this policy.
    pub fn new(records: Records, aws: &Aws, address_policy: AddressPolicy) -> Self {
        Self {
            records,
            messages: Messages::new(aws),
            mail: Mail::new(aws),
            nodes: Nodes::new(aws),
            scores: Scores::new(aws),
            events: Events::new(aws),
            objects: Objects::new(aws),
            queue: JobQueue::new(Jobs::new(aws), JobMessages::new(aws)),
            scans: Scans::new(aws),
            settling: Settling::new(aws),
            hashing: Hashing::new(),
            address_policy,
        }
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

    /// Hashes a password on one of the bounded threads.
    async fn hash_password(&self, password: &Zeroizing<String>) -> Result<String, ManagementError> {
        let (plain, salt) = (password.clone(), store::clock::random());
        let hash = self.hashing.run(move || domain::password::hash(&plain, &salt)).await;
        hash.map_err(|busy| ManagementError::Unavailable(busy.to_string()))?.map_err(ManagementError::internal)
    }

    /// Whether this is the current password of an account, which it shows to set another. Guesses are counted as those of
    /// one-time codes are, so that a token found somewhere is not a way to the password.
    async fn check_current(
        &self,
        account: &AccountId,
        hash: &str,
        password: &Zeroizing<String>,
    ) -> Result<(), ManagementError> {
        let now = store::clock::now();
        if self.records.wrong_codes(account, now).await? >= MOST_WRONG_CODES {
            return Err(ManagementError::Refused("too many wrong passwords; try again in an hour"));
        }
        let (hash, plain) = (hash.to_owned(), password.clone());
        let checked = self.hashing.run(move || domain::password::verify(&plain, &hash)).await;
        if checked.map_err(|busy| ManagementError::Unavailable(busy.to_string()))? {
            return Ok(());
        }
        self.records.count_wrong_code(account, now).await?;
        Err(ManagementError::field("current_password", &Invalid::new("is not the current password")))
    }

    /// Hashes and seals a new password.
    async fn store_password(
        &self,
        organization: &Organization,
        credential: &CredentialId,
        password: &Zeroizing<String>,
        now: Timestamp,
    ) -> Result<StoredPassword, ManagementError> {
        let hash = self.hash_password(password).await?;
        let readable = match organization.password_readable {
            PasswordReadable::Never => None,
            PasswordReadable::Day | PasswordReadable::Always => {
                Some(seal_password(self.records.sealer(), &organization.id, credential, password)?)
            }
        };
        Ok(StoredPassword { hash, set_at: now, readable })
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
