//! Whose second factor it is: an admin and a credential set one up in the same way, each on its own record.

use super::user_account::not_kept;
use super::{Caller, Management, ManagementError, UserCaller};
use domain::admin::Admin;
use domain::admin::second_factor::SecondFactor;
use domain::credential::Credential;
use domain::credential::restrictions::OwnAccount;
use domain::id::OrganizationId;
use domain::token::AccountId;

/// A record that may have a second factor.
pub trait Protected {
    /// Whose it is.
    fn organization(&self) -> &OrganizationId;
    /// Its account for tokens.
    fn account(&self) -> AccountId;
    /// What protects it.
    fn second_factor(&mut self) -> &mut Option<SecondFactor>;
    /// Whether it may have one.
    fn may_set_it_up(&self) -> Result<(), ManagementError>;
    /// Whether it must have one.
    fn must_keep_it(&self) -> bool;
}

/// Somebody in person, with an account of its own.
pub trait SelfService: Send + Sync {
    /// Its record.
    type Record: Protected + Send + Sync;

    /// Reads the record.
    fn itself(&self, management: &Management) -> impl Future<Output = Result<Self::Record, ManagementError>> + Send;

    /// Changes the record.
    fn change_itself(
        &self,
        management: &Management,
        apply: impl Fn(&mut Self::Record) -> Result<(), ManagementError> + Send + Sync,
    ) -> impl Future<Output = Result<(), ManagementError>> + Send;

    /// What an authenticator calls it.
    fn label(&self, management: &Management) -> impl Future<Output = Result<String, ManagementError>> + Send;

    /// Whether it is somebody in person at all.
    fn in_person(&self) -> Result<(), ManagementError>;
}

impl Protected for Admin {
    fn organization(&self) -> &OrganizationId {
        &self.organization
    }

    fn account(&self) -> AccountId {
        Self::account(self)
    }

    fn second_factor(&mut self) -> &mut Option<SecondFactor> {
        &mut self.second_factor
    }

    fn may_set_it_up(&self) -> Result<(), ManagementError> {
        Ok(())
    }

    fn must_keep_it(&self) -> bool {
        self.needs_second_factor
    }
}

impl Protected for Credential {
    fn organization(&self) -> &OrganizationId {
        &self.organization
    }

    fn account(&self) -> AccountId {
        Self::account(self)
    }

    fn second_factor(&mut self) -> &mut Option<SecondFactor> {
        &mut self.second_factor
    }

    fn may_set_it_up(&self) -> Result<(), ManagementError> {
        not_kept(self, OwnAccount::MfaDisabled)
    }

    fn must_keep_it(&self) -> bool {
        false
    }
}

impl SelfService for Caller {
    type Record = Admin;

    async fn itself(&self, management: &Management) -> Result<Admin, ManagementError> {
        Ok(management.own_admin(self).await?.value)
    }

    async fn change_itself(
        &self,
        management: &Management,
        apply: impl Fn(&mut Admin) -> Result<(), ManagementError> + Send + Sync,
    ) -> Result<(), ManagementError> {
        management.change_own_admin(self, apply).await.map(|_| ())
    }

    async fn label(&self, _: &Management) -> Result<String, ManagementError> {
        Ok(self.require_person()?.to_owned())
    }

    fn in_person(&self) -> Result<(), ManagementError> {
        self.require_person().map(|_| ())
    }
}

impl SelfService for UserCaller {
    type Record = Credential;

    async fn itself(&self, management: &Management) -> Result<Credential, ManagementError> {
        self.require_person()?;
        Ok(management.own_credential(self).await?.1.value)
    }

    async fn change_itself(
        &self,
        management: &Management,
        apply: impl Fn(&mut Credential) -> Result<(), ManagementError> + Send + Sync,
    ) -> Result<(), ManagementError> {
        management.change_own_credential(self, None, apply).await
    }

    async fn label(&self, management: &Management) -> Result<String, ManagementError> {
        Ok(self.itself(management).await?.user_name.to_string())
    }

    fn in_person(&self) -> Result<(), ManagementError> {
        self.require_person()
    }
}
