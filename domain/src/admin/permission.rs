//! What an admin may do: SFTPGo's permission identifiers, those of 2.2 to 2.6 together, so that an admin from any of them keeps
//! its own. (SFTPGo's OpenAPI document, schema `AdminPermissions`.) Some guard nothing here yet.

use crate::api_key::{Scope, Scopes};
use crate::invalid::Invalid;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $scope:ident;)*) => {
        /// One permission.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Permission {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl Permission {
            /// Every permission, in the order of SFTPGo's documents.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The identifier.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// The scope that an API key needs for the same.
            const fn scope(self) -> Scope {
                match self { $(Self::$name => Scope::$scope),* }
            }
        }
    };
}

permissions! {
    /// All of them.
    Everything = "*", WriteAdmin;
    /// New credentials.
    AddUsers = "add_users", WriteAdmin;
    /// Changes of credentials, their passwords and SSH keys.
    EditUsers = "edit_users", WriteAdmin;
    /// Deletes credentials.
    DeleteUsers = "del_users", WriteAdmin;
    /// Sees credentials.
    ViewUsers = "view_users", ReadAdmin;
    /// Sees sessions.
    ViewConnections = "view_conns", ReadAnalyze;
    /// Ends sessions.
    CloseConnections = "close_conns", WriteAdmin;
    /// Sees the state of the services and the organization's settings.
    ViewStatus = "view_status", ReadAdmin;
    /// Folders.
    ManageFolders = "manage_folders", WriteAdmin;
    /// Groups.
    ManageGroups = "manage_groups", WriteAdmin;
    /// Other admins.
    ManageAdmins = "manage_admins", WriteAdmin;
    /// API keys.
    ManageApiKeys = "manage_apikeys", WriteAdmin;
    /// Counts what files take.
    QuotaScans = "quota_scans", WriteAnalyze;
    /// The organization's settings, webhooks, backups.
    ManageSystem = "manage_system", WriteAdmin;
    /// Unbans addresses.
    ManageDefender = "manage_defender", WriteAdmin;
    /// Sees banned addresses.
    ViewDefender = "view_defender", ReadAdmin;
    /// Retention.
    RetentionChecks = "retention_checks", WriteOrganize;
    /// Metadata.
    MetadataChecks = "metadata_checks", WriteOrganize;
    /// Searches events.
    ViewEvents = "view_events", ReadSearch;
    /// Event rules.
    ManageEventRules = "manage_event_rules", WriteAdmin;
    /// Roles.
    ManageRoles = "manage_roles", WriteAdmin;
    /// Lists of addresses.
    ManageIpLists = "manage_ip_lists", WriteAdmin;
    /// Switches second factors of others off.
    DisableSecondFactors = "disable_mfa", WriteAdmin;
}

impl Permission {
    /// Parses an identifier.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.iter().copied().find(|permission| permission.as_str() == text);
        found.ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.iter().map(|permission| permission.as_str()).collect();
            Invalid::new(format!("must be one of {}", all.join(" ")))
        })
    }

    /// Whether an API key may give it away: not what would make more of the key than it is.
    pub(crate) fn is_within(self, scopes: &Scopes) -> bool {
        !matches!(self, Self::Everything | Self::ManageApiKeys) && scopes.allows(self.scope())
    }
}

/// What an admin may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Permissions(BTreeSet<Permission>);

impl Permissions {
    /// Only these.
    pub fn of(permissions: impl IntoIterator<Item = Permission>) -> Self {
        Self(permissions.into_iter().collect())
    }

    /// Whether they hold one, by itself or by `*`.
    pub fn allow(&self, permission: Permission) -> bool {
        self.are_full() || self.0.contains(&permission)
    }

    /// Whether they hold all.
    pub fn are_full(&self) -> bool {
        self.0.contains(&Permission::Everything)
    }

    /// Whether there are none.
    pub fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Each that is named.
    pub fn iter(&self) -> impl Iterator<Item = Permission> {
        self.0.iter().copied()
    }

    /// Whether each of `others` is among them.
    pub fn cover(&self, others: &Self) -> bool {
        others.iter().all(|permission| self.allow(permission))
    }
}

/// Sorted and separated by spaces, as a 403 shows what is granted.
impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut texts: Vec<&str> = self.iter().map(Permission::as_str).collect();
        texts.sort_unstable();
        f.write_str(&texts.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_those_of_sftpgo() {
        for permission in Permission::ALL {
            assert_eq!(Permission::parse(permission.as_str()), Ok(*permission));
            assert_eq!(serde_json::to_string(permission).unwrap(), format!("{:?}", permission.as_str()));
        }
        assert!(Permission::parse("everything").is_err());
    }

    #[test]
    fn everything_covers_all_and_nothing_else_covers_it() {
        let full = Permissions::of([Permission::Everything]);
        let some = Permissions::of([Permission::AddUsers, Permission::ViewUsers]);
        assert!(full.cover(&some) && full.cover(&full) && some.cover(&some) && some.cover(&Permissions::default()));
        assert!(!some.cover(&full) && !some.cover(&Permissions::of([Permission::EditUsers])));
        let all_named = Permissions::of(Permission::ALL.iter().copied().filter(|one| *one != Permission::Everything));
        assert!(!all_named.cover(&full) && !all_named.are_full());
        assert_eq!(some.to_string(), "add_users view_users");
    }
}
