//! Admins: people and programs that manage one organization.

use crate::id::OrganizationId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// An admin's record. No Debug output: it holds a hash.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admin {
    /// Unique in the deployment.
    pub name: String,
    /// What it manages.
    pub organization: OrganizationId,
    /// What its password is checked against: a PHC string.
    pub password_hash: String,
    /// SFTPGo's permission identifiers; `*` is all.
    pub permissions: Vec<String>,
    /// Whether it may sign in.
    pub active: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Admin {
    /// Whether it may do everything in its organization.
    pub fn is_full(&self) -> bool {
        self.permissions.iter().any(|permission| permission == "*")
    }
}
