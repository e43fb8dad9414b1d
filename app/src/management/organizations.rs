//! The organizations of the deployment, for its operator: an admin of the reserved organization with that name, who has signed in.

use super::announced;
use super::{ATTEMPTS, Caller, Management, ManagementError};
use domain::access::{Level, Permissions as FilePermissions};
use domain::admin::{Admin, AdminName, Permission, Permissions};
use domain::credential::{Credential, UserName};
use domain::event::{ChangedHow, ChangedKind};
use domain::id::{CredentialId, OrganizationId, uuid_text};
use domain::inbound::allow_all;
use domain::organization::Organization;
use domain::password::PasswordPolicy;
use domain::path::VPath;
use domain::right::Right;
use store::clock;
use store::records::RecordError;
use zeroize::Zeroizing;

/// Admins that go with their organization at most: what one transaction holds.
const MOST_ADMINS: usize = 10;

/// An organization to be made. No Debug output: it may hold a password.
#[derive(Default)]
pub struct NewOrganization {
    /// `Name`.
    pub name: String,
    /// `AdminUserName`: its first admin.
    pub admin: Option<AdminName>,
    /// `AdminPassword`.
    pub admin_password: Option<Zeroizing<String>>,
    /// `UserName`: its root credential.
    pub user: Option<UserName>,
}

/// A new organization, for the one answer that shows its admin's password. No Debug output.
pub struct CreatedOrganization {
    /// The record.
    pub organization: Organization,
    /// Its first admin.
    pub admin: AdminName,
    /// The password, if it was not given.
    pub admin_password: Option<Zeroizing<String>>,
    /// Its root credential.
    pub user: UserName,
}

impl Management {
    /// All organizations after an id, at most so many, and where the next page starts.
    pub async fn organizations(
        &self,
        caller: &Caller,
        after: Option<&str>,
        limit: u16,
    ) -> Result<(Vec<Organization>, Option<String>), ManagementError> {
        self.require_operator(caller).await?;
        caller.require(Right::SeeOrganization)?;
        let ids = self.records.organization_ids().await?;
        let mut later = ids.into_iter().filter(|id| after.is_none_or(|after| id.as_str() > after));
        let page: Vec<OrganizationId> = later.by_ref().take(usize::from(limit)).collect();
        let next = later.next().and_then(|_| page.last().map(ToString::to_string));
        let mut found = Vec::new();
        for id in &page {
            // one of the first start may be gone
            found.extend(self.records.organization(id).await?.map(|found| found.value));
        }
        Ok((found, next))
    }

    /// Makes an organization that everybody may reach, with an admin who may do everything in it, and a root credential.
    pub async fn create_organization(
        &self,
        caller: &Caller,
        new: NewOrganization,
    ) -> Result<CreatedOrganization, ManagementError> {
        self.require_operator(caller).await?;
        caller.require_full_admin()?;
        let now = clock::now();
        let id = OrganizationId::from_random(clock::random());
        let rules = allow_all([uuid_text(clock::random()), uuid_text(clock::random())]);
        let mut organization = Organization::new(id.clone(), new.name, rules, now);
        let policy = PasswordPolicy::default();
        if let Some(password) = &new.admin_password {
            policy.check(password).map_err(|problem| ManagementError::field("AdminPassword", &problem))?;
        }
        let given = new.admin_password.is_some();
        let password = new.admin_password.unwrap_or_else(|| domain::password::generate(&policy, &clock::random()));
        let name = match new.admin {
            Some(name) => name,
            None => AdminName::parse(&format!("admin-{}", UserName::from_random(&clock::random())))
                .map_err(ManagementError::internal)?,
        };
        let hash = self.hash_password(&password).await?;
        let admin = Admin::new(name, id.clone(), hash, Permissions::of([Permission::Everything]), now);

        let user = new.user.unwrap_or_else(|| UserName::from_random(&clock::random()));
        UserName::parse_new(user.as_str()).map_err(|problem| ManagementError::field("UserName", &problem))?;
        let mut root = Credential::new(CredentialId::from_random(clock::random()), id.clone(), user, now);
        let of_root = domain::password::generate(&policy, &clock::random());
        root.password = Some(self.store_password(&organization, &root.id, &of_root, now).await?);
        root.alias = Some("Root".to_owned());
        root.home = VPath::root();
        root.is_default = true;
        FilePermissions::from_level(Level::Full).into_iter().for_each(|full| root.permissions = full);
        organization.root_credential = Some(root.id.clone());

        let made = announced::changed(ChangedKind::Organization, ChangedHow::Created, &id, &organization.name);
        let announced = self.announcing(vec![announced::by(caller, made)]);
        let written = announced.records.create_organization(&organization, &admin, &root).await;
        match announced.told(written).await {
            Ok(()) => Ok(CreatedOrganization {
                organization,
                admin: admin.name,
                admin_password: (!given).then_some(password),
                user: root.user_name,
            }),
            Err(RecordError::Conflict) => Err(ManagementError::Conflict("AdminUserName or UserName is taken")),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes an organization in which nothing is left but its admins and its root credential, and answers what it was. What may
    /// lie in its part of the bucket without being counted stays there.
    pub async fn delete_organization(
        &self,
        caller: &Caller,
        id: &OrganizationId,
    ) -> Result<Organization, ManagementError> {
        self.require_operator(caller).await?;
        caller.require_full_admin()?;
        if *id == caller.organization {
            return Err(ManagementError::Conflict("the operator's organization cannot be deleted"));
        }
        for _ in 0..ATTEMPTS {
            let old = self.records.organization(id).await?.ok_or(ManagementError::NotFound("organization"))?;
            let left = |what: &'static str| Err(ManagementError::Conflict(what));
            let credentials = self.records.credentials(id, None, 2).await?.records;
            if credentials.iter().any(|credential| !credential.value.is_default) {
                return left("the organization still has credentials");
            }
            if !self.records.api_keys(id, None, 1).await?.records.is_empty() {
                return left("the organization still has API keys");
            }
            if !self.records.webhooks(id).await?.is_empty() {
                return left("the organization still has webhooks");
            }
            if !self.records.folders(id, None, 1).await?.records.is_empty() {
                return left("the organization still has virtual folders");
            }
            if !self.records.shares(id, None, 1).await?.records.is_empty() {
                return left("the organization still has share links");
            }
            if self.records.counts_files(id).await? {
                return left("the organization still has files");
            }
            let names = self.records.admin_names(id).await?;
            if names.len() > MOST_ADMINS {
                return left("the organization still has more than 10 admins");
            }
            let mut admins = Vec::new();
            for name in names {
                admins.extend(self.records.admin(name.as_str()).await?.filter(|found| found.value.organization == *id));
            }
            let deleted = announced::changed(ChangedKind::Organization, ChangedHow::Deleted, id, &old.value.name);
            let announced = self.announcing(vec![announced::by(caller, deleted)]);
            let written = announced.records.delete_organization(&old, &admins, credentials.first()).await;
            match announced.told(written).await {
                Ok(()) => return Ok(old.value),
                Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }

    async fn require_operator(&self, caller: &Caller) -> Result<(), ManagementError> {
        let first = self.records.bootstrap_record().await?;
        if first.is_some_and(|first| first.operator == caller.organization) {
            return Ok(());
        }
        // for everybody else there are no other organizations
        Err(ManagementError::NotFound("organization"))
    }
}
