//! Credentials.

use super::announced;
use super::{ATTEMPTS, Caller, Management, ManagementError, password_place};
use domain::access::{Level, Permissions};
use domain::connection::Close;
use domain::credential::{Credential, State, UserName};
use domain::event::{Actor, ChangedHow, ChangedKind, Event, Origin, Topic};
use domain::folder::Mounted;
use domain::id::CredentialId;
use domain::inbound::InboundRule;
use domain::invalid::Invalid;
use domain::organization::Organization;
use domain::path::VPath;
use domain::right::Right;
use domain::time::Timestamp;
use store::records::{Page, RecordError, Versioned};
use zeroize::Zeroizing;

/// What a client wants of a credential; `None` leaves a field as it is, or at its default in a new one. No Debug
/// output: it may hold a password.
#[derive(Default)]
pub struct CredentialChange {
    /// `Alias`.
    pub alias: Option<Option<String>>,
    /// `UserName`.
    pub user_name: Option<UserName>,
    /// `Password`.
    pub password: Option<Zeroizing<String>>,
    /// `HomeDirectory`.
    pub home: Option<VPath>,
    /// `ChrootDirectory`.
    pub chroot: Option<VPath>,
    /// `Permission`.
    pub level: Option<Level>,
    /// `Expiration`.
    pub expires_at: Option<Option<Timestamp>>,
    /// `State`.
    pub state: Option<State>,
    /// `Settings.Network.InboundRules`: the whole list.
    pub inbound_rules: Option<Vec<InboundRule>>,
    /// `AllowApiKeyAuth`.
    pub allow_api_key_auth: Option<bool>,
    /// `KeyAndPassword`.
    pub key_and_password: Option<bool>,
    /// `MaxSessions`.
    pub max_sessions: Option<u32>,
    /// `UploadBandwidth`.
    pub upload_kilobytes: Option<u32>,
    /// `DownloadBandwidth`.
    pub download_kilobytes: Option<u32>,
    /// `QuotaSize`.
    pub quota_bytes: Option<u64>,
    /// `QuotaFiles`.
    pub quota_files: Option<u64>,
    /// `VirtualFolders`: the whole list.
    pub folders: Option<Vec<Mounted>>,
}

/// A credential and its password, if that may be shown now. No Debug output.
pub struct ShownCredential {
    /// The record.
    pub record: Versioned<Credential>,
    /// The password.
    pub password: Option<Zeroizing<String>>,
}

impl Management {
    /// One credential.
    pub async fn credential(&self, caller: &Caller, id: &CredentialId) -> Result<ShownCredential, ManagementError> {
        caller.require(Right::SeeCredentials)?;
        let organization = self.own_organization(caller);
        let (organization, record) =
            futures_util::future::try_join(organization, self.load_credential(caller, id)).await?;
        Ok(self.show(&organization.value, record))
    }

    /// The credentials after an id, at most `limit` of them, and where the next page starts.
    pub async fn credentials(
        &self,
        caller: &Caller,
        after: Option<&str>,
        limit: u16,
    ) -> Result<(Vec<ShownCredential>, Option<String>), ManagementError> {
        caller.require(Right::SeeCredentials)?;
        let page = async { Ok(self.records.credentials(&caller.organization, after, limit).await?) };
        let (organization, page) = futures_util::future::try_join(self.own_organization(caller), page).await?;
        let Page { records, next } = page;
        Ok((records.into_iter().map(|record| self.show(&organization.value, record)).collect(), next))
    }

    /// Creates a credential.
    pub async fn create_credential(
        &self,
        caller: &Caller,
        change: CredentialChange,
    ) -> Result<ShownCredential, ManagementError> {
        caller.require(Right::AddCredentials)?;
        let organization = self.own_organization(caller).await?.value;
        let now = store::clock::now();
        let id = CredentialId::from_random(store::clock::random());
        let name = match &change.user_name {
            Some(name) => name.clone(),
            None => UserName::from_random(&store::clock::random()),
        };
        let password = match &change.password {
            Some(password) => password.clone(),
            None => domain::password::generate(&organization.password_policy, &store::clock::random()),
        };
        self.check_folders(caller, change.folders.as_deref(), &[]).await?;
        let mut credential = Credential::new(id, organization.id.clone(), name, now);
        apply(caller, &organization, &mut credential, &change, true)?;
        credential.password = Some(self.store_password(&organization, &credential.id, &password, now).await?);
        let made =
            announced::changed(ChangedKind::Credential, ChangedHow::Created, &credential.id, &credential.user_name);
        let announced = self.announcing(vec![announced::by(caller, made)]);
        let written = announced.records.create_credential(&credential, &[]).await;
        let rev = match announced.told(written).await {
            Ok(rev) => rev,
            Err(RecordError::Conflict) => return Err(NAME_TAKEN),
            Err(error) => return Err(error.into()),
        };
        Ok(ShownCredential { record: Versioned { value: credential, rev }, password: Some(password) })
    }

    /// Changes a credential. `accept` is the caller's precondition on what is there now.
    pub async fn change_credential(
        &self,
        caller: &Caller,
        id: &CredentialId,
        change: CredentialChange,
        accept: impl Fn(&ShownCredential) -> bool,
    ) -> Result<ShownCredential, ManagementError> {
        caller.require(Right::ChangeCredentials)?;
        let organization = self.own_organization(caller).await?.value;
        for _ in 0..ATTEMPTS {
            let old = self.show(&organization, self.load_credential(caller, id).await?);
            if !accept(&old) {
                return Err(ManagementError::PreconditionFailed);
            }
            let mut new = old.record.value.clone();
            self.check_folders(caller, change.folders.as_deref(), &new.folders).await?;
            let now = store::clock::now();
            apply(caller, &organization, &mut new, &change, false)?;
            // an object that was read and is sent back holds the password that it already has
            let password = change.password.as_ref().filter(|password| old.password.as_ref() != Some(*password));
            if let Some(password) = password {
                new.password = Some(self.store_password(&organization, id, password, now).await?);
            }
            if new == old.record.value {
                return Ok(old);
            }
            new.updated_at = now;
            let close = ended_by(&organization, &old.record, &new);
            let announced = self.announcing(events(caller, &old.record.value, &new));
            let written = announced.records.save_credential(&old.record, &new, close.as_ref()).await;
            match announced.told(written).await {
                Ok(rev) => return Ok(self.show(&organization, Versioned { value: new, rev })),
                Err(RecordError::Conflict) => {
                    let now_there = self.load_credential(caller, id).await?;
                    if now_there.rev == old.record.rev {
                        return Err(NAME_TAKEN);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }

    /// Gives a credential another password: this one, or a random one.
    pub async fn rotate_password(
        &self,
        caller: &Caller,
        id: &CredentialId,
        password: Option<Zeroizing<String>>,
    ) -> Result<(), ManagementError> {
        caller.require(Right::ChangeCredentials)?;
        let password = match password {
            Some(password) => password,
            None => {
                let policy = self.own_organization(caller).await?.value.password_policy;
                domain::password::generate(&policy, &store::clock::random())
            }
        };
        let change = CredentialChange { password: Some(password), ..CredentialChange::default() };
        self.change_credential(caller, id, change, |_| true).await.map(|_| ())
    }

    /// Deletes a credential and answers what it was.
    pub async fn delete_credential(
        &self,
        caller: &Caller,
        id: &CredentialId,
        accept: impl Fn(&ShownCredential) -> bool,
    ) -> Result<ShownCredential, ManagementError> {
        self.remove_credential(caller, id, accept, false).await
    }

    /// The same; `disconnect` ends its sessions, whatever the organization wants.
    pub(super) async fn remove_credential(
        &self,
        caller: &Caller,
        id: &CredentialId,
        accept: impl Fn(&ShownCredential) -> bool,
        disconnect: bool,
    ) -> Result<ShownCredential, ManagementError> {
        caller.require(Right::DeleteCredentials)?;
        let organization = self.own_organization(caller).await?.value;
        for _ in 0..ATTEMPTS {
            let old = self.show(&organization, self.load_credential(caller, id).await?);
            if !accept(&old) {
                return Err(ManagementError::PreconditionFailed);
            }
            if old.record.value.is_default {
                return Err(ManagementError::Conflict("the root credential cannot be deleted"));
            }
            let close = (disconnect || organization.close_sessions_on_change).then(|| ended(id, u64::MAX));
            let name = &old.record.value.user_name;
            let deleted = announced::changed(ChangedKind::Credential, ChangedHow::Deleted, id, name);
            let announced = self.announcing(vec![announced::by(caller, deleted)]);
            let written = announced.records.delete_credential(&old.record, close.as_ref()).await;
            match announced.told(written).await {
                Ok(()) => {
                    self.delete_shares_of(&old.record.value).await?;
                    return Ok(old);
                }
                Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }

    pub(super) async fn load_credential(
        &self,
        caller: &Caller,
        id: &CredentialId,
    ) -> Result<Versioned<Credential>, ManagementError> {
        let found = self.records.credential(&caller.organization, id).await?;
        found.ok_or(ManagementError::NotFound("credential"))
    }

    /// Opens the password where the organization wants it readable. One that does not open is not shown, and logged:
    /// the login still works.
    pub(super) fn show(&self, organization: &Organization, record: Versioned<Credential>) -> ShownCredential {
        let credential = &record.value;
        let sealed = credential.readable_password(organization.password_readable, store::clock::now());
        let password = sealed.and_then(|sealed| {
            let opened = self.records.sealer().open(password_place(&organization.id, &credential.id), sealed);
            opened.inspect_err(|error| tracing::error!(credential = %credential.id, %error, "no password shown")).ok()
        });
        ShownCredential { record, password }
    }
}

/// What a change of a credential announces: that its password is another one, and what else is different.
pub(super) fn events(caller: &Caller, old: &Credential, new: &Credential) -> Vec<Event> {
    let mut update = announced::updated(ChangedKind::Credential, (&new.id, &new.user_name), old, new);
    let mut events = Vec::new();
    if old.password != new.password {
        update.fields.retain(|name| name != "password");
        events.push(password_updated(new, caller.actor(), None));
    }
    if !update.fields.is_empty() {
        events.push(announced::by(caller, update));
    }
    events
}

/// The event of another password.
pub(super) fn password_updated(credential: &Credential, actor: Actor, origin: Option<Origin>) -> Event {
    let changed =
        announced::changed(ChangedKind::Credential, ChangedHow::Updated, &credential.id, &credential.user_name);
    announced::event(Topic::PasswordUpdated, credential.organization.clone(), actor, origin, changed)
}

pub(super) const NAME_TAKEN: ManagementError = ManagementError::Conflict("the user name is taken");

/// Which sessions a change ends: those that began before it, where the organization wants that; otherwise those of API keys that
/// may not act as this credential any more.
pub(super) fn ended_by(organization: &Organization, old: &Versioned<Credential>, new: &Credential) -> Option<Close> {
    let rev = old.rev.saturating_add(1);
    // what people call it is nothing that a session stands on
    let same = Credential {
        alias: old.value.alias.clone(),
        extra: old.value.extra.clone(),
        // which is asked for tokens, and not by the doors that sessions come through
        second_factor: old.value.second_factor.clone(),
        updated_at: old.value.updated_at,
        ..new.clone()
    } == old.value;
    if organization.close_sessions_on_change && !same {
        return Some(ended(&new.id, rev));
    }
    let withdrawn = old.value.allow_api_key_auth && !new.allow_api_key_auth;
    withdrawn.then(|| Close::KeysOf { credential: new.id.clone(), rev })
}

/// All sessions of a credential that began with an earlier revision.
pub(super) fn ended(id: &CredentialId, rev: u64) -> Close {
    Close::Credential { credential: id.clone(), rev }
}

/// Applies everything but the password, which takes a hash.
pub(super) fn apply(
    caller: &Caller,
    organization: &Organization,
    credential: &mut Credential,
    change: &CredentialChange,
    is_new: bool,
) -> Result<(), ManagementError> {
    let field = |name: &str, problem: &'static str| ManagementError::field(name, &Invalid::new(problem));
    if let Some(name) = &change.user_name {
        // a short name from elsewhere may stay, but not be chosen here
        if is_new || *name != credential.user_name {
            UserName::parse_new(name.as_str()).map_err(|problem| ManagementError::field("UserName", &problem))?;
        }
        credential.user_name = name.clone();
    }
    if let Some(password) = &change.password {
        let checked = organization.password_policy.check(password);
        checked.map_err(|problem| ManagementError::field("Password", &problem))?;
    }
    if let Some(level) = change.level {
        match Permissions::from_level(level) {
            Some(permissions) => credential.permissions = permissions,
            // reads back as it was; cannot be asked for, because it says nothing
            None if credential.permissions.level() == level => {}
            None => return Err(field("Permission", "custom permissions are set by path, not by name")),
        }
    }
    if let Some(allow) = change.allow_api_key_auth {
        if allow && !credential.allow_api_key_auth {
            caller.require_full_admin()?;
        }
        credential.allow_api_key_auth = allow;
    }
    if credential.is_default && change.state == Some(State::Inactive) {
        tracing::info!(credential = %credential.id, "the root credential is switched off");
    }
    change.alias.clone().into_iter().for_each(|alias| credential.alias = alias);
    change.home.clone().into_iter().for_each(|home| credential.home = home);
    change.chroot.clone().into_iter().for_each(|chroot| credential.chroot = chroot);
    change.expires_at.into_iter().for_each(|at| credential.expires_at = at);
    change.state.into_iter().for_each(|state| credential.state = state);
    change.inbound_rules.clone().into_iter().for_each(|rules| credential.inbound_rules = rules);
    change.key_and_password.into_iter().for_each(|both| credential.key_and_password = both);
    change.upload_kilobytes.into_iter().for_each(|limit| credential.bandwidth.upload_kilobytes = limit);
    change.download_kilobytes.into_iter().for_each(|limit| credential.bandwidth.download_kilobytes = limit);
    change.quota_bytes.into_iter().for_each(|bytes| credential.quota.bytes = bytes);
    change.quota_files.into_iter().for_each(|files| credential.quota.files = files);
    change.folders.clone().into_iter().for_each(|folders| credential.folders = folders);
    let folders = domain::folder::check(&credential.folders, &credential.chroot);
    folders.map_err(|problem| ManagementError::field("VirtualFolders", &problem))?;
    change.max_sessions.into_iter().for_each(|most| credential.max_sessions = most);
    Ok(())
}
