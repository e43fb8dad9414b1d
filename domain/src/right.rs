//! What a caller of the management may do. Each use case demands one [`Right`]; what that takes stands here, for API keys
//! (a scope) and for admins (a permission), so that no route spells it itself.

use crate::admin::{Permission, Permissions};
use crate::api_key::{Scope, Scopes};

/// One right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// The organization's settings.
    SeeOrganization,
    /// Changes them.
    ChangeOrganization,
    /// Credentials, with readable passwords and SSH keys.
    SeeCredentials,
    /// New credentials.
    AddCredentials,
    /// Changes of credentials, their passwords and SSH keys.
    ChangeCredentials,
    /// Deletes credentials.
    DeleteCredentials,
    /// Webhooks.
    SeeWebhooks,
    /// New, changed and deleted webhooks.
    ChangeWebhooks,
    /// API keys, without their secrets.
    SeeApiKeys,
    /// New, changed and deleted API keys of others, never by an API key.
    ChangeApiKeys,
    /// Virtual folders.
    SeeFolders,
    /// New, changed and deleted virtual folders.
    ChangeFolders,
    /// Sessions.
    SeeConnections,
    /// Ends sessions.
    CloseConnections,
    /// Banned addresses.
    SeeDefender,
    /// Unbans addresses.
    ForgiveHosts,
    /// Admins.
    SeeAdmins,
    /// New, changed and deleted admins.
    ChangeAdmins,
    /// Switches second factors of other admins off.
    DisableSecondFactors,
    /// The state of the services.
    SeeStatus,
    /// Share links, with their addresses and passwords.
    SeeShareLinks,
    /// New, changed and deleted share links.
    ChangeShareLinks,
    /// What takes long, and how far it is.
    SeeJobs,
    /// Recounts of what is stored.
    SeeQuotaScans,
    /// Begins such.
    StartQuotaScans,
    /// For how long files stay, and what checks of that are going on.
    SeeRetention,
    /// Changes for how long files stay, and deletes what has been kept for long enough.
    ChangeRetention,
}

impl Right {
    /// What an API key needs.
    pub const fn scope(self) -> Scope {
        match self {
            Self::SeeConnections | Self::SeeQuotaScans => Scope::ReadAnalyze,
            Self::SeeRetention => Scope::ReadOrganize,
            Self::ChangeRetention => Scope::WriteOrganize,
            Self::StartQuotaScans => Scope::WriteAnalyze,
            Self::SeeOrganization
            | Self::SeeCredentials
            | Self::SeeWebhooks
            | Self::SeeApiKeys
            | Self::SeeFolders
            | Self::SeeDefender
            | Self::SeeAdmins
            | Self::SeeStatus
            | Self::SeeJobs
            | Self::SeeShareLinks => Scope::ReadAdmin,
            Self::ChangeOrganization
            | Self::AddCredentials
            | Self::ChangeCredentials
            | Self::DeleteCredentials
            | Self::ChangeWebhooks
            | Self::ChangeApiKeys
            | Self::ChangeFolders
            | Self::CloseConnections
            | Self::ForgiveHosts
            | Self::ChangeAdmins
            | Self::DisableSecondFactors
            | Self::ChangeShareLinks => Scope::WriteAdmin,
        }
    }

    /// What an admin needs.
    pub const fn permission(self) -> Permission {
        match self {
            Self::SeeOrganization | Self::SeeStatus | Self::SeeJobs => Permission::ViewStatus,
            Self::SeeQuotaScans | Self::StartQuotaScans => Permission::QuotaScans,
            Self::SeeRetention | Self::ChangeRetention => Permission::RetentionChecks,
            Self::ChangeOrganization
            | Self::SeeWebhooks
            | Self::ChangeWebhooks
            | Self::SeeShareLinks
            | Self::ChangeShareLinks => Permission::ManageSystem,
            Self::SeeCredentials => Permission::ViewUsers,
            Self::AddCredentials => Permission::AddUsers,
            Self::ChangeCredentials => Permission::EditUsers,
            Self::DeleteCredentials => Permission::DeleteUsers,
            Self::SeeApiKeys | Self::ChangeApiKeys => Permission::ManageApiKeys,
            Self::SeeFolders | Self::ChangeFolders => Permission::ManageFolders,
            Self::SeeConnections => Permission::ViewConnections,
            Self::CloseConnections => Permission::CloseConnections,
            Self::SeeDefender => Permission::ViewDefender,
            Self::ForgiveHosts => Permission::ManageDefender,
            Self::SeeAdmins | Self::ChangeAdmins => Permission::ManageAdmins,
            Self::DisableSecondFactors => Permission::DisableSecondFactors,
        }
    }
}

/// What a caller has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// What its key leaves of it; everything, for who has signed in.
    scopes: Scopes,
    /// What it may do as an admin; none for a site-wide key, which is nobody.
    permissions: Option<Permissions>,
    /// Whether it has signed in, and is no key.
    in_person: bool,
}

/// What is missing, and what is there: the `required` and `granted` of a 403.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What it takes.
    pub required: String,
    /// What the caller has.
    pub granted: String,
}

impl Rights {
    /// Of an admin who has signed in.
    pub const fn of_admin(permissions: Permissions) -> Self {
        Self { scopes: Scopes::everything(), permissions: Some(permissions), in_person: true }
    }

    /// Of a site-wide key.
    pub const fn of_site_key(scopes: Scopes) -> Self {
        Self { scopes, permissions: None, in_person: false }
    }

    /// Of an admin's key: what both may do.
    pub const fn of_admins_key(scopes: Scopes, permissions: Permissions) -> Self {
        Self { scopes, permissions: Some(permissions), in_person: false }
    }

    /// Of who may do nothing.
    pub fn none() -> Self {
        Self { scopes: Scopes::only([]), permissions: None, in_person: false }
    }

    /// Whether they hold `right`.
    pub fn demand(&self, right: Right) -> Result<(), Missing> {
        if !self.scopes.allows(right.scope()) {
            let required = right.scope().as_str().to_owned();
            return Err(Missing { required, granted: self.scopes.to_string() });
        }
        match &self.permissions {
            Some(permissions) if !permissions.allow(right.permission()) => {
                let required = right.permission().as_str().to_owned();
                Err(Missing { required, granted: permissions.to_string() })
            }
            _ => Ok(()),
        }
    }

    /// Nobody gives what it does not have: whether an admin with these permissions may be made or changed.
    pub fn cover(&self, others: &Permissions) -> Result<(), Missing> {
        let by_owner = self.permissions.as_ref().is_none_or(|permissions| permissions.cover(others));
        let by_key = self.in_person || others.iter().all(|permission| permission.is_within(&self.scopes));
        if by_owner && by_key {
            Ok(())
        } else {
            Err(Missing { required: others.to_string(), granted: self.to_string() })
        }
    }
}

/// Sorted and separated by spaces: permissions for admins, scopes for keys.
impl std::fmt::Display for Rights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.permissions {
            Some(permissions) if self.in_person || self.scopes.are_unlimited() => permissions.fmt(f),
            _ => self.scopes.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_needs_the_scope_and_an_admin_the_permission() {
        let admin = Rights::of_admin(Permissions::of([Permission::ViewUsers]));
        assert_eq!(admin.demand(Right::SeeCredentials), Ok(()));
        let missing = admin.demand(Right::AddCredentials).unwrap_err();
        assert_eq!((missing.required.as_str(), missing.granted.as_str()), ("add_users", "view_users"));
        let key = Rights::of_site_key(Scopes::only([Scope::ReadAdmin]));
        assert_eq!(key.demand(Right::SeeCredentials), Ok(()));
        assert_eq!(key.demand(Right::AddCredentials).unwrap_err().required, "write:admin");
        // an admin's key has what both have
        let both = |scopes, permission| Rights::of_admins_key(Scopes::only(scopes), Permissions::of([permission]));
        assert_eq!(both([Scope::ReadAdmin], Permission::ViewUsers).demand(Right::SeeCredentials), Ok(()));
        assert!(both([Scope::WriteAdmin], Permission::ViewUsers).demand(Right::SeeCredentials).is_err());
        assert!(both([Scope::ReadAdmin], Permission::AddUsers).demand(Right::SeeCredentials).is_err());
        assert!(Rights::none().demand(Right::SeeStatus).is_err());
    }

    #[test]
    fn nobody_gives_what_it_does_not_have() {
        let wanted = |permissions: &[Permission]| Permissions::of(permissions.iter().copied());
        let full = Rights::of_admin(wanted(&[Permission::Everything]));
        assert!(full.cover(&wanted(&[Permission::Everything])).is_ok());
        let some = Rights::of_admin(wanted(&[Permission::ManageAdmins, Permission::ViewUsers]));
        assert!(some.cover(&wanted(&[Permission::ViewUsers])).is_ok());
        assert!(some.cover(&wanted(&[Permission::AddUsers])).is_err());
        assert!(some.cover(&wanted(&[Permission::Everything])).is_err());
        // a site-wide key is the whole organization's, but does not make who could make keys
        let key = Rights::of_site_key(Scopes::everything());
        assert!(key.cover(&wanted(&[Permission::ManageAdmins, Permission::ViewEvents])).is_ok());
        assert!(key.cover(&wanted(&[Permission::Everything])).is_err());
        assert!(key.cover(&wanted(&[Permission::ManageApiKeys])).is_err());
        let admins_key = Rights::of_admins_key(Scopes::everything(), wanted(&[Permission::Everything]));
        assert!(admins_key.cover(&wanted(&[Permission::AddUsers])).is_ok());
        assert!(admins_key.cover(&wanted(&[Permission::Everything])).is_err());
        assert!(Rights::of_site_key(Scopes::only([Scope::ReadAdmin])).cover(&wanted(&[Permission::AddUsers])).is_err());
    }
}
