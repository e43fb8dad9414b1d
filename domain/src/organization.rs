//! The tenant and its settings.

use crate::id::{CredentialId, OrganizationId};
use crate::inbound::InboundRule;
use crate::password::PasswordPolicy;
use crate::quota::Quota;
use crate::rate::rule::RateRule;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Requests a minute for each key or account, unless the organization says otherwise.
pub const DEFAULT_REQUESTS: u32 = 1000;

/// How long a password that was set can be read back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PasswordReadable {
    /// For 24 hours, which is how SFTP To Go's clients learn a rotated one.
    #[default]
    #[serde(rename = "24h")]
    Day,
    /// For good, as SFTP To Go does it.
    #[serde(rename = "always")]
    Always,
    /// Only in the answer that creates it.
    #[serde(rename = "never")]
    Never,
}

/// What share links of the organization must have. Zero or false: no rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SharePolicy {
    /// Every link needs a password.
    pub password_required: bool,
    /// The longest life of a link, in days.
    pub max_days: u32,
}

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// For people.
    pub name: String,
    /// What passwords must look like.
    pub password_policy: PasswordPolicy,
    /// How long a password can be read back.
    pub password_readable: PasswordReadable,
    /// What share links must have.
    #[serde(default)]
    pub share_policy: SharePolicy,
    /// Where notices go.
    #[serde(default)]
    pub notification_email: Option<String>,
    /// Who may connect, beside what the credentials allow.
    pub inbound_rules: Vec<InboundRule>,
    /// Whether rotation, expiry and deactivation also end open sessions.
    #[serde(default)]
    pub close_sessions_on_change: bool,
    /// Requests a minute for each key or account.
    pub default_requests: u32,
    /// Limits for routes and addresses, beside that.
    #[serde(default)]
    pub rate_rules: Vec<RateRule>,
    /// Bytes; 0 is no limit.
    #[serde(default)]
    pub quota_size: u64,
    /// Files; 0 is no limit.
    #[serde(default)]
    pub quota_files: u64,
    /// The credential that sees all its files, and as which site-wide keys sign in.
    #[serde(default)]
    pub root_credential: Option<CredentialId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its settings last changed.
    pub updated_at: Timestamp,
}

impl Organization {
    /// How much all its files may take.
    pub const fn quota(&self) -> Quota {
        Quota { bytes: self.quota_size, files: self.quota_files }
    }

    /// A new one with the defaults.
    pub fn new(id: OrganizationId, name: String, inbound_rules: Vec<InboundRule>, now: Timestamp) -> Self {
        Self {
            id,
            name,
            password_policy: PasswordPolicy::default(),
            password_readable: PasswordReadable::default(),
            share_policy: SharePolicy::default(),
            notification_email: None,
            root_credential: None,
            inbound_rules,
            close_sessions_on_change: false,
            default_requests: DEFAULT_REQUESTS,
            rate_rules: Vec::new(),
            quota_size: 0,
            quota_files: 0,
            created_at: now,
            updated_at: now,
        }
    }
}
