//! Share links that a credential makes of its own files. It must hold the right to share where they lie, when a link is made and
//! whenever somebody opens it. The root credential also sees the links of the organization.

use super::announced;
use super::shares::{ShareOwner, name_of};
use super::user_account::not_kept;
use super::{ATTEMPTS, Management, ManagementError, ShareChange, ShownShare, UserCaller};
use crate::accounts::complete;
use domain::access::{Principal, Verb};
use domain::credential::Credential;
use domain::credential::restrictions::OwnAccount;
use domain::event::{Actor, ActorKind, ChangedHow, ChangedKind, Event, Topic};
use domain::organization::Organization;
use domain::share::{CreatedBy, Share};
use store::clock;
use store::records::{RecordError, Versioned};

/// A credential that may share, with what it sees now.
struct Sharing {
    organization: Organization,
    credential: Credential,
    principal: Principal,
}

impl Sharing {
    fn actor(&self) -> Actor {
        Actor { kind: ActorKind::User, id: self.credential.user_name.to_string() }
    }

    fn sees(&self, share: &Share) -> bool {
        share.owner == self.credential.id
    }

    /// Whether it may share what this link shares.
    fn may_share(&self, share: &Share) -> Result<(), ManagementError> {
        let allowed = |path: &domain::share::SharedPath| self.principal.permissions.at(&path.view).allows(Verb::Share);
        if share.of_organization || share.paths.iter().all(allowed) {
            return Ok(());
        }
        let first = share.paths.iter().find(|path| !allowed(path)).map(|path| &path.view);
        let granted = first.map(|path| self.principal.permissions.at(path).names().join(" ")).unwrap_or_default();
        Err(ManagementError::Forbidden { required: "*".to_owned(), granted })
    }

    fn may_go_without_password(&self, share: &Share) -> Result<(), ManagementError> {
        if share.password.is_some() {
            return Ok(());
        }
        not_kept(&self.credential, OwnAccount::SharesWithoutPasswordDisabled)
    }

    fn event(&self, caller: &UserCaller, changed: domain::event::Changed) -> Event {
        let whose = self.organization.id.clone();
        announced::event(Topic::AdminChanged, whose, self.actor(), Some(caller.origin()), changed)
    }
}

impl Management {
    /// The caller's links in the order of their addresses, with its user name.
    pub async fn user_shares(&self, caller: &UserCaller) -> Result<(Vec<ShownShare>, String), ManagementError> {
        let sharing = self.sharing(caller).await?;
        let records = self.all_shares(&sharing.organization.id, |share| sharing.sees(share)).await?;
        let mut shown = self.show_shares(records).await?;
        shown.sort_by(|a, b| a.secret.cmp(&b.secret));
        Ok((shown, sharing.credential.user_name.to_string()))
    }

    /// One of the caller's links, with its user name.
    pub async fn user_share(&self, caller: &UserCaller, id: &str) -> Result<(ShownShare, String), ManagementError> {
        let sharing = self.sharing(caller).await?;
        let shown = self.own_share(&sharing, id).await?;
        Ok((shown, sharing.credential.user_name.to_string()))
    }

    /// Makes a link.
    pub async fn create_user_share(
        &self,
        caller: &UserCaller,
        change: ShareChange,
    ) -> Result<ShownShare, ManagementError> {
        let sharing = self.sharing(caller).await?;
        let owner = ShareOwner { principal: sharing.principal.clone(), of_organization: false };
        let created_by = CreatedBy { actor: sharing.actor(), name: sharing.credential.user_name.to_string() };
        let new = self.new_share(&sharing.organization, &owner, created_by, &change).await?;
        sharing.may_share(&new)?;
        sharing.may_go_without_password(&new)?;
        let made = announced::changed(ChangedKind::ShareLink, ChangedHow::Created, &new.id, name_of(&new));
        let announced = self.announcing(vec![sharing.event(caller, made)]);
        let written = announced.records.create_share(&new).await;
        let rev = announced.told(written).await?;
        self.show_share(Versioned { value: new, rev }, None)
    }

    /// Changes one.
    pub async fn change_user_share(
        &self,
        caller: &UserCaller,
        id: &str,
        change: ShareChange,
    ) -> Result<(), ManagementError> {
        let sharing = self.sharing(caller).await?;
        for _ in 0..ATTEMPTS {
            let old = self.own_share(&sharing, id).await?;
            let share = &old.record.value;
            let of_organization = share.of_organization;
            let owner = ShareOwner { principal: sharing.principal.clone(), of_organization };
            let mut new = share.clone();
            self.apply_share(&mut new, &sharing.organization, &owner, &change, old.password.as_ref()).await?;
            sharing.may_share(&new)?;
            if of_organization && new.paths != share.paths {
                return Err(ManagementError::Refused(
                    "the paths of a link of the organization are its admins' to change",
                ));
            }
            sharing.may_go_without_password(&new)?;
            if new == *share {
                return Ok(());
            }
            new.updated_at = clock::now();
            let update = announced::updated(ChangedKind::ShareLink, (&new.id, name_of(&new)), share, &new);
            let announced = self.announcing(vec![sharing.event(caller, update)]);
            let written = announced.records.save_share(&new, old.record.rev).await;
            match announced.told(written).await {
                Ok(_) => return Ok(()),
                Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }

    /// Deletes one.
    pub async fn delete_user_share(&self, caller: &UserCaller, id: &str) -> Result<(), ManagementError> {
        let sharing = self.sharing(caller).await?;
        for _ in 0..ATTEMPTS {
            let old = self.own_share(&sharing, id).await?;
            let share = &old.record.value;
            let deleted = announced::changed(ChangedKind::ShareLink, ChangedHow::Deleted, &share.id, name_of(share));
            let announced = self.announcing(vec![sharing.event(caller, deleted)]);
            let written = announced.records.delete_share(&old.record).await;
            match announced.told(written).await {
                Ok(()) => return Ok(()),
                Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }

    async fn own_share(&self, sharing: &Sharing, id: &str) -> Result<ShownShare, ManagementError> {
        let found = self.find_share(&sharing.organization.id, id).await?;
        found.filter(|shown| sharing.sees(&shown.record.value)).ok_or(ManagementError::NotFound("share"))
    }

    /// The caller, if it may share anything: with what a key leaves of its rights, if it came by one.
    async fn sharing(&self, caller: &UserCaller) -> Result<Sharing, ManagementError> {
        let (organization, credential) = self.own_credential(caller).await?;
        let credential = credential.value;
        not_kept(&credential, OwnAccount::SharesDisabled)?;
        let principal = complete(&self.records, credential.principal(), &organization, &credential).await?;
        let principal = match caller.key() {
            Some(key) => key.limits(principal),
            None => principal,
        };
        let verbs =
            principal.permissions.rules().values().fold(domain::access::Verbs::NONE, |all, one| all.union(*one));
        if !verbs.allows(Verb::Share) {
            return Err(ManagementError::Forbidden { required: "*".to_owned(), granted: verbs.names().join(" ") });
        }
        Ok(Sharing { organization, credential, principal })
    }
}
