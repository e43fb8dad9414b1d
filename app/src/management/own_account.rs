//! What an admin may do with its own account, whatever its permissions: see and change its profile, and its password. Never by
//! API key.

use super::announced;
use super::{ATTEMPTS, Caller, Management, ManagementError};
use domain::admin::Admin;
use domain::event::ChangedKind;
use domain::invalid::Invalid;
use store::records::{RecordError, Versioned};
use zeroize::Zeroizing;

/// What an admin sees of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnProfile {
    /// `email`.
    pub email: String,
    /// `description`.
    pub description: String,
    /// `allow_api_key_auth`.
    pub allow_api_key_auth: bool,
}

/// What it may change of it; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct ProfileChange {
    /// `email`.
    pub email: Option<String>,
    /// `description`.
    pub description: Option<String>,
    /// `allow_api_key_auth`.
    pub allow_api_key_auth: Option<bool>,
}

impl Management {
    /// The caller's own record.
    pub(super) async fn own_admin(&self, caller: &Caller) -> Result<Versioned<Admin>, ManagementError> {
        let name = caller.require_person()?;
        self.load_admin(caller, name).await.map_err(|error| match error {
            ManagementError::NotFound(_) => ManagementError::Unauthorized,
            other => other,
        })
    }

    /// Changes the caller's own record.
    pub(super) async fn change_own_admin(
        &self,
        caller: &Caller,
        change: impl Fn(&mut Admin) -> Result<(), ManagementError> + Send + Sync,
    ) -> Result<Admin, ManagementError> {
        for _ in 0..ATTEMPTS {
            let old = self.own_admin(caller).await?;
            let mut new = old.value.clone();
            change(&mut new)?;
            if new == old.value {
                return Ok(new);
            }
            new.updated_at = store::clock::now();
            let update = announced::updated(ChangedKind::Admin, (&new.name, &new.name), &old.value, &new);
            let announced = self.announcing(vec![announced::by(caller, update)]);
            let written = announced.records.save_admin(&old, &new, None).await;
            match announced.told(written).await {
                Ok(_) => return Ok(new),
                Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }

    /// What the caller sees of itself.
    pub async fn own_profile(&self, caller: &Caller) -> Result<OwnProfile, ManagementError> {
        let admin = self.own_admin(caller).await?.value;
        let (email, description) = (admin.profile.email, admin.profile.description);
        Ok(OwnProfile { email, description, allow_api_key_auth: admin.allow_api_key_auth })
    }

    /// Changes that.
    pub async fn change_own_profile(&self, caller: &Caller, change: ProfileChange) -> Result<(), ManagementError> {
        let apply = |admin: &mut Admin| {
            change.email.clone().into_iter().for_each(|email| admin.profile.email = email);
            change.description.clone().into_iter().for_each(|text| admin.profile.description = text);
            change.allow_api_key_auth.into_iter().for_each(|allow| admin.allow_api_key_auth = allow);
            Ok(())
        };
        self.change_own_admin(caller, apply).await.map(|_| ())
    }

    /// Gives the caller another password. Every token of it ends with that, this one included.
    pub async fn change_own_password(
        &self,
        caller: &Caller,
        current: &Zeroizing<String>,
        new: &Zeroizing<String>,
    ) -> Result<(), ManagementError> {
        let organization = self.own_organization(caller).await?.value;
        let admin = self.own_admin(caller).await?.value;
        self.check_current(&admin.account(), &admin.password_hash, current).await?;
        check_new(&organization.password_policy, current, new)?;
        let hash = self.hash_password(new).await?;
        let apply = |changed: &mut Admin| {
            // what was shown was the password of this hash, and of no other
            if changed.password_hash != admin.password_hash {
                return Err(ManagementError::Unauthorized);
            }
            changed.password_hash.clone_from(&hash);
            changed.needs_new_password = false;
            Ok(())
        };
        self.change_own_admin(caller, apply).await.map(|_| ())
    }
}

/// Whether a password may follow another.
pub(super) fn check_new(
    policy: &domain::password::PasswordPolicy,
    current: &Zeroizing<String>,
    new: &Zeroizing<String>,
) -> Result<(), ManagementError> {
    if current == new {
        return Err(ManagementError::field("new_password", &Invalid::new("must differ from the current one")));
    }
    policy.check(new).map_err(|problem| ManagementError::field("new_password", &problem))
}
