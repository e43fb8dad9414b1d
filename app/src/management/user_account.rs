//! What a credential may do with its own account, after it has signed in.

use super::announced;
use super::credentials::{ended, ended_by, password_updated};
use super::own_account::check_new;
use super::users::key_changes;
use super::{ATTEMPTS, Management, ManagementError, ProfileChange, UserCaller};
use domain::credential::Credential;
use domain::credential::restrictions::OwnAccount;
use domain::event::{Actor, ActorKind, ChangedHow, ChangedKind, Event, Topic};
use domain::identity::may_connect;
use domain::invalid::Invalid;
use domain::organization::Organization;
use domain::ssh_key::{MAX_KEYS, ParsedKey, SshKey};
use std::collections::BTreeMap;
use store::records::{RecordError, Versioned};
use zeroize::Zeroizing;

/// What a credential sees of itself.
pub struct UserProfile {
    /// The record.
    pub credential: Credential,
    /// Its SSH keys.
    pub keys: Vec<SshKey>,
}

impl Management {
    /// The caller's records, if it still may connect, from where it is. Two consistent reads, side by side.
    pub(super) async fn own_credential(
        &self,
        caller: &UserCaller,
    ) -> Result<(Organization, Versioned<Credential>), ManagementError> {
        let (organization, credential) = futures_util::future::try_join(
            self.records.organization(caller.organization()),
            self.records.credential(caller.organization(), caller.credential()),
        )
        .await?;
        let (Some(organization), Some(credential)) = (organization, credential) else {
            return Err(ManagementError::Unauthorized);
        };
        let allowed = may_connect(&organization.value, &credential.value, &caller.origin(), store::clock::now());
        if let Err(refusal) = allowed {
            tracing::info!(user = %credential.value.user_name, %refusal, "a token is refused");
            return Err(ManagementError::Unauthorized);
        }
        if let Some(key) = caller.key()
            && !credential.value.takes_keys()
        {
            tracing::info!(user = %credential.value.user_name, key = %key.id, "API key refused: its owner does not allow it now");
            return Err(ManagementError::Unauthorized);
        }
        Ok((organization.value, credential))
    }

    /// Changes the caller's own record, and its SSH keys if they are given.
    pub(super) async fn change_own_credential(
        &self,
        caller: &UserCaller,
        keys: Option<&[ParsedKey]>,
        apply: impl Fn(&mut Credential) -> Result<(), ManagementError> + Send + Sync,
    ) -> Result<(), ManagementError> {
        caller.require_person()?;
        for _ in 0..ATTEMPTS {
            let (organization, old) = self.own_credential(caller).await?;
            let mut new = old.value.clone();
            apply(&mut new)?;
            let there = if keys.is_some() { self.records.ssh_keys(&new.id).await? } else { Vec::new() };
            let (added, removed) = key_changes(&mut new, keys, &there)?;
            let other_keys = !added.is_empty() || !removed.is_empty();
            if other_keys {
                not_kept(&new, OwnAccount::PublickeyChangeDisabled)?;
            }
            if new == old.value && !other_keys {
                return Ok(());
            }
            new.updated_at = store::clock::now();
            let rev = old.rev.saturating_add(1);
            let gone = !removed.is_empty() && organization.close_sessions_on_change;
            let close = if gone { Some(ended(&new.id, rev)) } else { ended_by(&organization, &old, &new) };
            let names = (&new.id, &new.user_name);
            let mut update = announced::updated(ChangedKind::Credential, names, &old.value, &new);
            if other_keys {
                update.fields.push("public_keys".to_owned());
            }
            let actor = Actor { kind: ActorKind::User, id: new.user_name.to_string() };
            let (whose, origin) = (new.organization.clone(), Some(caller.origin()));
            let announced = self.announcing(vec![announced::event(Topic::AdminChanged, whose, actor, origin, update)]);
            let keys = (added.as_slice(), removed.as_slice());
            let written = announced.records.save_credential_and_keys(&old, &new, keys, close.as_ref()).await;
            match announced.told(written).await {
                Ok(_) => return Ok(()),
                Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }

    /// Changes what the caller says about itself, whether API keys may act as it, and its SSH keys.
    pub async fn change_user_profile(
        &self,
        caller: &UserCaller,
        change: ProfileChange,
        keys: Option<Vec<ParsedKey>>,
    ) -> Result<(), ManagementError> {
        let apply = |credential: &mut Credential| {
            let before = credential.clone();
            change.email.iter().for_each(|email| credential.extra.email.clone_from(email));
            if let Some(text) = &change.description {
                credential.alias = Some(text.clone()).filter(|text| !text.is_empty());
            }
            if credential.extra != before.extra || credential.alias != before.alias {
                not_kept(credential, OwnAccount::InfoChangeDisabled)?;
            }
            change.allow_api_key_auth.into_iter().for_each(|allow| credential.allow_api_key_auth = allow);
            // to withdraw it is always possible
            if credential.allow_api_key_auth && !before.allow_api_key_auth {
                not_kept(credential, OwnAccount::ApiKeyAuthChangeDisabled)?;
            }
            Ok(())
        };
        self.change_own_credential(caller, keys.as_deref(), apply).await
    }

    /// What the caller sees of itself.
    pub async fn user_profile(&self, caller: &UserCaller) -> Result<UserProfile, ManagementError> {
        let (_, credential) = self.own_credential(caller).await?;
        let keys = self.records.ssh_keys(&credential.value.id).await?;
        Ok(UserProfile { credential: credential.value, keys })
    }

    /// Gives the caller another password. Every token of it ends with that, this one included.
    pub async fn change_user_password(
        &self,
        caller: &UserCaller,
        current: &Zeroizing<String>,
        new: &Zeroizing<String>,
    ) -> Result<(), ManagementError> {
        caller.require_person()?;
        for _ in 0..ATTEMPTS {
            let (organization, old) = self.own_credential(caller).await?;
            not_kept(&old.value, OwnAccount::PasswordChangeDisabled)?;
            let Some(stored) = &old.value.password else {
                let problem = Invalid::new("is not the current password");
                return Err(ManagementError::field("current_password", &problem));
            };
            self.check_current(&old.value.account(), &stored.hash, current).await?;
            check_new(&organization.password_policy, current, new)?;
            let now = store::clock::now();
            let mut changed = old.value.clone();
            changed.password = Some(self.store_password(&organization, &old.value.id, new, now).await?);
            changed.updated_at = now;
            let close = ended_by(&organization, &old, &changed);
            let actor = Actor { kind: ActorKind::User, id: changed.user_name.to_string() };
            let announced = self.announcing(vec![password_updated(&changed, actor, Some(caller.origin()))]);
            let written = announced.records.save_credential(&old, &changed, close.as_ref()).await;
            match announced.told(written).await {
                Ok(_) => return Ok(()),
                Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }

    /// Gives the caller these SSH keys and no others. Each is taken away or added by itself: what fails half-way can be sent again.
    pub async fn replace_user_keys(&self, caller: &UserCaller, keys: Vec<ParsedKey>) -> Result<(), ManagementError> {
        caller.require_person()?;
        let too_many = || ManagementError::field("", &Invalid::new("must hold at most 50 keys"));
        let most = usize::try_from(MAX_KEYS).unwrap_or(usize::MAX);
        if keys.len() > most {
            return Err(too_many());
        }
        let (organization, credential) = self.own_credential(caller).await?;
        not_kept(&credential.value, OwnAccount::PublickeyChangeDisabled)?;
        let id = &credential.value.id;
        let now = store::clock::now();
        let wanted: BTreeMap<String, SshKey> =
            keys.into_iter().map(|key| SshKey::new(id.clone(), key, now)).map(|key| (key.id.clone(), key)).collect();
        let there = self.records.ssh_keys(id).await?;
        let rev = credential.rev.saturating_add(1);
        let close = organization.close_sessions_on_change.then(|| ended(id, rev));
        for key in there.iter().filter(|key| !wanted.contains_key(&key.id)) {
            let announced = self.announcing(vec![key_event(caller, &credential.value, key, ChangedHow::Deleted)]);
            let written = announced.records.remove_ssh_key(&credential.value, key, close.as_ref()).await;
            match announced.told(written).await {
                // somebody else has removed it
                Ok(()) | Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for key in wanted.values().filter(|key| !there.iter().any(|known| known.id == key.id)) {
            let announced = self.announcing(vec![key_event(caller, &credential.value, key, ChangedHow::Created)]);
            let written = announced.records.add_ssh_key(&credential.value, key).await;
            match announced.told(written).await {
                Ok(()) => {}
                // somebody else adds keys: the same one, or too many
                Err(RecordError::Conflict) if self.records.ssh_key(id, &key.id).await?.is_some() => {}
                Err(RecordError::Conflict) => return Err(too_many()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Whether the holder may change this of its own account.
pub(super) fn not_kept(credential: &Credential, what: OwnAccount) -> Result<(), ManagementError> {
    if !credential.restrictions.keep(what) {
        return Ok(());
    }
    let granted = what.as_str().to_owned();
    Err(ManagementError::Forbidden { required: format!("an account without {granted}"), granted })
}

/// The event of a key that a credential has added or taken away itself.
fn key_event(caller: &UserCaller, credential: &Credential, key: &SshKey, how: ChangedHow) -> Event {
    let actor = Actor { kind: ActorKind::User, id: credential.user_name.to_string() };
    let changed = announced::changed(ChangedKind::PublicKey, how, &key.id, &credential.user_name);
    announced::event(Topic::AdminChanged, credential.organization.clone(), actor, Some(caller.origin()), changed)
}
