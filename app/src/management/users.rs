//! Credentials as SFTPGo's dialect speaks of them: by name, with their SSH keys inside, by folder permitted, and with what they
//! are forbidden. The records and the rules are those of [`super::credentials`].

use super::admins::READS_AT_ONCE;
use super::announced;
use super::credentials::{NAME_TAKEN, apply, ended, ended_by, events};
use super::{ATTEMPTS, Caller, CredentialChange, Management, ManagementError, Slice};
use domain::access::Permissions;
use domain::credential::restrictions::{Door, LoginMethod, MAX_ADDRESSES, OwnAccount};
use domain::credential::{Credential, UserName};
use domain::event::{ChangedHow, ChangedKind};
use domain::folder::VirtualFolder;
use domain::id::CredentialId;
use domain::inbound::Source;
use domain::invalid::Invalid;
use domain::quota::Amount;
use domain::right::Right;
use domain::ssh_key::{MAX_KEYS, ParsedKey, SshKey};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use store::records::{RecordError, Versioned};

/// The most folders with permissions of their own: each may have a path of a kilobyte, and a record 400 of them.
pub const MAX_FOLDERS_WITH_RULES: usize = 100;

/// Keys that come and go in one change: DynamoDB writes at most 100 items at once, and some are for the rest of it.
const MOST_KEYS_AT_ONCE: usize = 80;

/// What a client wants of a credential; `None` leaves a field as it is, or at its default in a new one. No Debug output: it may
/// hold a password.
#[derive(Default)]
pub struct UserChange {
    /// What both dialects speak of. Names do not change here.
    pub common: CredentialChange,
    /// `permissions`.
    pub permissions: Option<Permissions>,
    /// `public_keys`: all of them.
    pub keys: Option<Vec<ParsedKey>>,
    /// `filters.allowed_ip`.
    pub only_from: Option<Vec<Source>>,
    /// `filters.denied_ip`.
    pub never_from: Option<Vec<Source>>,
    /// `filters.denied_protocols`.
    pub doors: Option<Vec<Door>>,
    /// `filters.denied_login_methods`.
    pub methods: Option<Vec<LoginMethod>>,
    /// `filters.web_client`.
    pub own_account: Option<Vec<OwnAccount>>,
    /// `email`.
    pub email: Option<String>,
    /// `additional_info`.
    pub additional_info: Option<String>,
    /// Fields that mean nothing here. Those that are not named stay.
    pub kept: Map<String, Value>,
    /// The same of `filters`.
    pub kept_filters: Map<String, Value>,
}

/// A credential with what SFTPGo's object says of it.
pub struct ShownUser {
    /// The record.
    pub credential: Credential,
    /// Its SSH keys.
    pub keys: Vec<SshKey>,
    /// What its files take.
    pub usage: Amount,
    /// The virtual folders that it names, those that exist.
    pub folders: Vec<VirtualFolder>,
}

impl Management {
    /// The credentials, by name.
    pub async fn users(&self, caller: &Caller, page: Slice) -> Result<Vec<ShownUser>, ManagementError> {
        caller.require(Right::SeeCredentials)?;
        let organization = &caller.organization;
        let names = self.records.user_names(organization).await?;
        let mut ids: Vec<CredentialId> = names.into_values().collect();
        if page.descending {
            ids.reverse();
        }
        let ids: Vec<CredentialId> = ids.into_iter().skip(page.offset).take(page.limit).collect();
        let (mut found, mut usage) = futures_util::future::try_join(
            self.records.credentials_by_id(organization, &ids),
            self.records.usage_of(organization, &ids),
        )
        .await?;
        // what was deleted since the names were read is left out
        let found: Vec<Credential> = ids.iter().filter_map(|id| found.remove(id)).map(|found| found.value).collect();
        let any_folders = found.iter().any(|credential| !credential.folders.is_empty());
        let folders = if any_folders { self.all_folders(caller).await? } else { Vec::new() };
        let read = found.into_iter().map(|credential| async move {
            let keys =
                if credential.ssh_keys == 0 { Vec::new() } else { self.records.ssh_keys(&credential.id).await? };
            Ok::<_, ManagementError>((credential, keys))
        });
        let found: Vec<_> = stream::iter(read).buffered(READS_AT_ONCE).try_collect().await?;
        let show = |(credential, keys): (Credential, Vec<SshKey>)| {
            let usage = usage.remove(&credential.id).unwrap_or_default();
            let named = |folder: &&VirtualFolder| credential.folders.iter().any(|mounted| mounted.name == folder.name);
            let folders = folders.iter().filter(named).cloned().collect();
            ShownUser { credential, keys, usage, folders }
        };
        Ok(found.into_iter().map(show).collect())
    }

    /// One credential.
    pub async fn user(&self, caller: &Caller, name: &UserName) -> Result<ShownUser, ManagementError> {
        caller.require(Right::SeeCredentials)?;
        let credential = self.load_user(caller, name).await?.value;
        self.show_user(credential).await
    }

    /// Creates a credential. Without a password it has none, and logs in with its keys.
    pub async fn create_user(
        &self,
        caller: &Caller,
        name: UserName,
        change: UserChange,
    ) -> Result<ShownUser, ManagementError> {
        caller.require(Right::AddCredentials)?;
        let organization = self.own_organization(caller).await?.value;
        let now = store::clock::now();
        let id = CredentialId::from_random(store::clock::random());
        self.check_folders(caller, change.common.folders.as_deref(), &[]).await?;
        let mut credential = Credential::new(id.clone(), organization.id.clone(), name, now);
        apply(caller, &organization, &mut credential, &change.common, true)?;
        apply_own(&mut credential, &change)?;
        let (keys, _) = key_changes(&mut credential, change.keys.as_deref(), &[])?;
        if let Some(password) = &change.common.password {
            credential.password = Some(self.store_password(&organization, &id, password, now).await?);
        }
        let made = announced::changed(ChangedKind::Credential, ChangedHow::Created, &id, &credential.user_name);
        let announced = self.announcing(vec![announced::by(caller, made)]);
        let written = announced.records.create_credential(&credential, &keys).await;
        match announced.told(written).await {
            Ok(_) => self.show_user(credential).await,
            Err(RecordError::Conflict) => Err(NAME_TAKEN),
            Err(error) => Err(error.into()),
        }
    }

    /// Changes a credential and its keys at once. `disconnect` ends the sessions that began before.
    pub async fn change_user(
        &self,
        caller: &Caller,
        name: &UserName,
        change: UserChange,
        disconnect: bool,
    ) -> Result<(), ManagementError> {
        caller.require(Right::ChangeCredentials)?;
        let organization = self.own_organization(caller).await?.value;
        for _ in 0..ATTEMPTS {
            let old = self.show(&organization, self.load_user(caller, name).await?);
            let record = &old.record;
            let id = &record.value.id;
            let there = if change.keys.is_some() { self.records.ssh_keys(id).await? } else { Vec::new() };
            self.check_folders(caller, change.common.folders.as_deref(), &record.value.folders).await?;
            let mut new = record.value.clone();
            apply(caller, &organization, &mut new, &change.common, false)?;
            apply_own(&mut new, &change)?;
            let (added, removed) = key_changes(&mut new, change.keys.as_deref(), &there)?;
            let now = store::clock::now();
            // one that is set again is no other one
            let password = change.common.password.as_ref().filter(|password| old.password.as_ref() != Some(*password));
            if let Some(password) = password {
                new.password = Some(self.store_password(&organization, id, password, now).await?);
            }
            let other_keys = !added.is_empty() || !removed.is_empty();
            if new == record.value && !other_keys && !disconnect {
                return Ok(());
            }
            new.updated_at = now;
            let rev = record.rev.saturating_add(1);
            let keys_are_gone = !removed.is_empty() && organization.close_sessions_on_change;
            let close =
                if disconnect || keys_are_gone { Some(ended(id, rev)) } else { ended_by(&organization, record, &new) };
            let mut told = events(caller, &record.value, &new);
            if other_keys {
                let mut update =
                    announced::changed(ChangedKind::Credential, ChangedHow::Updated, id, &record.value.user_name);
                update.fields = vec!["public_keys".to_owned()];
                told.push(announced::by(caller, update));
            }
            let announced = self.announcing(told);
            let keys = (added.as_slice(), removed.as_slice());
            let written = announced.records.save_credential_and_keys(record, &new, keys, close.as_ref()).await;
            match announced.told(written).await {
                Ok(_) => return Ok(()),
                Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }

    /// Deletes a credential and ends its sessions.
    pub async fn delete_user(&self, caller: &Caller, name: &UserName) -> Result<(), ManagementError> {
        caller.require(Right::DeleteCredentials)?;
        let id = self.load_user(caller, name).await?.value.id;
        self.remove_credential(caller, &id, |_| true, true).await.map(|_| ())
    }

    /// A credential of the caller's organization; another one's does not exist.
    pub(super) async fn load_user(
        &self,
        caller: &Caller,
        name: &UserName,
    ) -> Result<Versioned<Credential>, ManagementError> {
        let found = self.records.credential_named(&caller.organization, name).await?;
        found.ok_or(ManagementError::NotFound("user"))
    }

    /// The user name of a credential of the caller's organization, if there is one: whose API key it is.
    pub async fn name_of(&self, caller: &Caller, id: &CredentialId) -> Result<Option<String>, ManagementError> {
        let found = self.records.credential(&caller.organization, id).await?;
        Ok(found.map(|found| found.value.user_name.to_string()))
    }

    async fn show_user(&self, credential: Credential) -> Result<ShownUser, ManagementError> {
        let organization = &credential.organization;
        let ids = [credential.id.clone()];
        let named = credential.folders.iter().map(|mounted| &mounted.name);
        let (keys, mut usage, folders): (Vec<SshKey>, HashMap<_, _>, Vec<VirtualFolder>) =
            futures_util::future::try_join3(
                self.records.ssh_keys(&credential.id),
                self.records.usage_of(organization, &ids),
                self.records.folders_named(organization, named),
            )
            .await?;
        let usage = usage.remove(&credential.id).unwrap_or_default();
        Ok(ShownUser { keys, usage, folders, credential })
    }
}

/// Applies what only this dialect speaks of, but the keys, which are records of their own.
fn apply_own(credential: &mut Credential, change: &UserChange) -> Result<(), ManagementError> {
    if let Some(permissions) = &change.permissions {
        credential.permissions = permissions.clone();
    }
    if let Some(methods) = &change.methods {
        credential.deny_methods(methods);
    }
    let restrictions = &mut credential.restrictions;
    for (name, wanted, list) in [
        ("filters.allowed_ip", &change.only_from, &mut restrictions.only_from),
        ("filters.denied_ip", &change.never_from, &mut restrictions.never_from),
    ] {
        let Some(wanted) = wanted else { continue };
        if wanted.len() > MAX_ADDRESSES {
            return Err(ManagementError::field(name, &Invalid::new("must have at most 100 entries")));
        }
        list.clone_from(wanted);
    }
    change.doors.iter().for_each(|doors| restrictions.doors.clone_from(doors));
    change.own_account.iter().for_each(|kept| restrictions.own_account.clone_from(kept));
    restrictions.check().map_err(|problem| ManagementError::field("filters.denied_protocols", &problem))?;
    let extra = &mut credential.extra;
    change.email.iter().for_each(|email| extra.email.clone_from(email));
    change.additional_info.iter().for_each(|info| extra.additional_info.clone_from(info));
    extra.kept = merged(&extra.kept, &change.kept);
    extra.kept_filters = merged(&extra.kept_filters, &change.kept_filters);
    extra.check().map_err(|problem| ManagementError::field("", &problem))
}

/// Kept fields with others, which go before.
fn merged(text: &str, more: &Map<String, Value>) -> String {
    if more.is_empty() {
        return text.to_owned();
    }
    let mut fields: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    fields.extend(more.clone());
    Value::Object(fields).to_string()
}

/// Which keys are to come and to go, and how many there are then.
pub(super) fn key_changes(
    credential: &mut Credential,
    keys: Option<&[ParsedKey]>,
    there: &[SshKey],
) -> Result<(Vec<SshKey>, Vec<SshKey>), ManagementError> {
    let Some(keys) = keys else { return Ok((Vec::new(), Vec::new())) };
    let too_many = |problem: &'static str| ManagementError::field("public_keys", &Invalid::new(problem));
    let now = store::clock::now();
    let new = |key: &ParsedKey| SshKey::new(credential.id.clone(), key.clone(), now);
    let wanted: BTreeMap<String, SshKey> = keys.iter().map(new).map(|key| (key.id.clone(), key)).collect();
    let count = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
    if count > MAX_KEYS {
        return Err(too_many("must hold at most 50 keys"));
    }
    let removed: Vec<SshKey> = there.iter().filter(|key| !wanted.contains_key(&key.id)).cloned().collect();
    let known = |key: &SshKey| there.iter().any(|known| known.id == key.id);
    let added: Vec<SshKey> = wanted.into_values().filter(|key| !known(key)).collect();
    if added.len() + removed.len() > MOST_KEYS_AT_ONCE {
        return Err(too_many("differs in more than 80 keys from those that are there: change them in two steps"));
    }
    credential.ssh_keys = count;
    Ok((added, removed))
}
