//! Admins of the caller's organization. Nobody gives another what it does not have itself, nor changes one who has more; an
//! organization always keeps somebody who may do everything.

use super::announced;
use super::{ATTEMPTS, Caller, Management, ManagementError};
use domain::admin::{Admin, AdminName, MAX_ALLOWED, Permission, Permissions};
use domain::credential::extra::MAX_KEPT;
use domain::event::{ChangedHow, ChangedKind};
use domain::inbound::Source;
use domain::invalid::Invalid;
use domain::organization::Organization;
use domain::right::Right;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use store::records::{FullAdmins, RecordError, Versioned};
use zeroize::Zeroizing;

/// Records that are read at once for a list.
pub(super) const READS_AT_ONCE: usize = 8;

/// Which part of a list, as SFTPGo's clients ask for it.
#[derive(Clone, Copy, Debug)]
pub struct Slice {
    /// Entries to skip.
    pub offset: usize,
    /// Entries to show.
    pub limit: usize,
    /// From the last name on.
    pub descending: bool,
}

/// An admin to be made. No Debug output: it holds a password.
pub struct NewAdmin {
    /// Its name.
    pub name: AdminName,
    /// Everything else; password and permissions are needed.
    pub change: AdminChange,
}

/// What a client wants of an admin; `None` leaves a field as it is. No Debug output: it may hold a password.
#[derive(Default)]
pub struct AdminChange {
    /// `password`.
    pub password: Option<Zeroizing<String>>,
    /// `permissions`.
    pub permissions: Option<Permissions>,
    /// `status`.
    pub active: Option<bool>,
    /// `filters.allow_list`.
    pub allow_list: Option<Vec<Source>>,
    /// `filters.allow_api_key_auth`.
    pub allow_api_key_auth: Option<bool>,
    /// `filters.require_two_factor`.
    pub needs_second_factor: Option<bool>,
    /// `filters.require_password_change`.
    pub needs_new_password: Option<bool>,
    /// `email`.
    pub email: Option<String>,
    /// `description`.
    pub description: Option<String>,
    /// `additional_info`.
    pub additional_info: Option<String>,
    /// Fields that mean nothing here, as a JSON object's text.
    pub kept: Option<String>,
    /// The same of `filters`.
    pub kept_filters: Option<String>,
}

impl Management {
    /// The admins, by name.
    pub async fn admins(&self, caller: &Caller, page: Slice) -> Result<Vec<Admin>, ManagementError> {
        caller.require(Right::SeeAdmins)?;
        let mut names = self.records.admin_names(&caller.organization).await?;
        if page.descending {
            names.reverse();
        }
        let chosen = names.into_iter().skip(page.offset).take(page.limit);
        let read = chosen.map(|name| async move { self.records.admin(name.as_str()).await });
        let found: Vec<_> = stream::iter(read).buffered(READS_AT_ONCE).try_collect().await?;
        // one may have been deleted since its name was read, and made again elsewhere
        let own = |admin: &Admin| admin.organization == caller.organization;
        Ok(found.into_iter().flatten().map(|found| found.value).filter(own).collect())
    }

    /// One admin.
    pub async fn admin(&self, caller: &Caller, name: &AdminName) -> Result<Admin, ManagementError> {
        caller.require(Right::SeeAdmins)?;
        Ok(self.load_admin(caller, name.as_str()).await?.value)
    }

    /// Makes an admin.
    pub async fn create_admin(&self, caller: &Caller, new: NewAdmin) -> Result<Admin, ManagementError> {
        caller.require(Right::ChangeAdmins)?;
        let organization = self.own_organization(caller).await?.value;
        let NewAdmin { name, change } = new;
        let missing = |field: &str| ManagementError::field(field, &Invalid::new("is needed"));
        let password = change.password.clone().ok_or_else(|| missing("password"))?;
        let permissions = change.permissions.clone().ok_or_else(|| missing("permissions"))?;
        caller.require_to_cover(&permissions)?;
        let now = store::clock::now();
        let mut admin = Admin::new(name, organization.id.clone(), String::new(), permissions, now);
        apply(caller, &organization, &mut admin, &change)?;
        admin.password_hash = self.hash_password(&password).await?;
        let made = announced::changed(ChangedKind::Admin, ChangedHow::Created, &admin.name, &admin.name);
        let announced = self.announcing(vec![announced::by(caller, made)]);
        let written = announced.records.create_admin(&admin, organization.default_requests).await;
        match announced.told(written).await {
            Ok(_) => Ok(admin),
            Err(RecordError::Conflict) => Err(ManagementError::Conflict("the name is taken")),
            Err(error) => Err(error.into()),
        }
    }

    /// Changes an admin.
    pub async fn change_admin(
        &self,
        caller: &Caller,
        name: &AdminName,
        change: AdminChange,
    ) -> Result<Admin, ManagementError> {
        caller.require(Right::ChangeAdmins)?;
        let organization = self.own_organization(caller).await?.value;
        let itself = caller.acts_as() == Some(name.as_str());
        if itself {
            caller.require_person()?;
        }
        for _ in 0..ATTEMPTS {
            let old = self.load_admin(caller, name.as_str()).await?;
            caller.require_to_cover(&old.value.permissions)?;
            let mut new = old.value.clone();
            apply(caller, &organization, &mut new, &change)?;
            caller.require_to_cover(&new.permissions)?;
            if itself && !new.active {
                return Err(ManagementError::Refused("an admin cannot switch itself off"));
            }
            let managed = |admin: &Admin| admin.permissions.allow(Permission::ManageAdmins);
            if itself && managed(&old.value) && !managed(&new) {
                return Err(ManagementError::Refused("an admin cannot take the management of admins from itself"));
            }
            if let Some(password) = &change.password {
                new.password_hash = self.hash_password(password).await?;
            }
            if new == old.value {
                return Ok(new);
            }
            new.updated_at = store::clock::now();
            let fewer = self.keep_a_full_admin(&old.value, new.is_full()).await?;
            let update = announced::updated(ChangedKind::Admin, (name, name), &old.value, &new);
            let announced = self.announcing(vec![announced::by(caller, update)]);
            let written = announced.records.save_admin(&old, &new, fewer).await;
            match announced.told(written).await {
                Ok(_) => return Ok(new),
                Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }

    /// Deletes an admin. Its tokens and API keys are void from then on.
    pub async fn delete_admin(&self, caller: &Caller, name: &AdminName) -> Result<(), ManagementError> {
        caller.require(Right::ChangeAdmins)?;
        for _ in 0..ATTEMPTS {
            let old = self.load_admin(caller, name.as_str()).await?;
            caller.require_to_cover(&old.value.permissions)?;
            if caller.acts_as() == Some(name.as_str()) {
                return Err(ManagementError::Refused("an admin cannot delete itself"));
            }
            let fewer = self.keep_a_full_admin(&old.value, false).await?;
            let deleted = announced::changed(ChangedKind::Admin, ChangedHow::Deleted, name, name);
            let announced = self.announcing(vec![announced::by(caller, deleted)]);
            let written = announced.records.delete_admin(&old, fewer).await;
            match announced.told(written).await {
                Ok(()) => return Ok(()),
                Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }

    /// An admin of the caller's organization; another one's does not exist.
    pub(super) async fn load_admin(&self, caller: &Caller, name: &str) -> Result<Versioned<Admin>, ManagementError> {
        let found = self.records.admin(name).await?;
        let own = found.filter(|found| found.value.organization == caller.organization);
        own.ok_or(ManagementError::NotFound("admin"))
    }

    /// If `admin` is a full admin and will not stay one: whether there is another, and what must not change until it is written.
    async fn keep_a_full_admin(&self, admin: &Admin, stays: bool) -> Result<Option<FullAdmins>, ManagementError> {
        if !admin.is_full() || stays {
            return Ok(None);
        }
        let fewer = self.records.full_admins(&admin.organization).await?;
        for name in self.records.admin_names(&admin.organization).await? {
            if name == admin.name {
                continue;
            }
            let other = self.records.admin(name.as_str()).await?;
            if other.is_some_and(|other| other.value.is_full() && other.value.organization == admin.organization) {
                return Ok(Some(fewer));
            }
        }
        Err(ManagementError::Conflict("the last admin with every permission must stay"))
    }
}

/// Applies everything but the password, which takes a hash.
fn apply(
    caller: &Caller,
    organization: &Organization,
    admin: &mut Admin,
    change: &AdminChange,
) -> Result<(), ManagementError> {
    let field = |name: &str, problem: &'static str| ManagementError::field(name, &Invalid::new(problem));
    if let Some(password) = &change.password {
        let checked = organization.password_policy.check(password);
        checked.map_err(|problem| ManagementError::field("password", &problem))?;
    }
    if let Some(permissions) = &change.permissions {
        if permissions.are_none() {
            return Err(field("permissions", "must name at least one"));
        }
        admin.permissions = permissions.clone();
    }
    if let Some(list) = &change.allow_list {
        if list.len() > MAX_ALLOWED {
            return Err(field("filters.allow_list", "must have at most 100 entries"));
        }
        admin.allow_list = list.clone();
    }
    if let Some(allow) = change.allow_api_key_auth {
        if allow && !admin.allow_api_key_auth {
            caller.require_person()?;
        }
        admin.allow_api_key_auth = allow;
    }
    change.active.into_iter().for_each(|active| admin.active = active);
    change.needs_second_factor.into_iter().for_each(|needs| admin.needs_second_factor = needs);
    change.needs_new_password.into_iter().for_each(|needs| admin.needs_new_password = needs);
    let profile = &mut admin.profile;
    change.email.clone().into_iter().for_each(|email| profile.email = email);
    change.description.clone().into_iter().for_each(|description| profile.description = description);
    change.additional_info.clone().into_iter().for_each(|info| profile.additional_info = info);
    change.kept.clone().into_iter().for_each(|kept| profile.kept = kept);
    change.kept_filters.clone().into_iter().for_each(|kept| profile.kept_filters = kept);
    if profile.kept.len() + profile.kept_filters.len() > MAX_KEPT {
        return Err(field("", "has more than 16 KiB of fields that are not known"));
    }
    Ok(())
}
