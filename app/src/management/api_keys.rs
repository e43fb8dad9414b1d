//! API keys. Reading them takes a right, or being their owner; who may make, change or delete one is in [`super::key_rights`].
//! Never another API key.

use super::announced;
use super::{ATTEMPTS, Caller, Management, ManagementError};
use domain::api_key::{ApiKey, ApiKeyId, KeyKind, KeyOwner, KeyText, Scopes};
use domain::connection::Close;
use domain::credential::{State, UserName};
use domain::event::{ChangedHow, ChangedKind};
use domain::inbound::Source;
use domain::invalid::Invalid;
use domain::right::Right;
use domain::time::Timestamp;
use store::records::{RecordError, Versioned};

/// A key to be made.
pub struct NewApiKey {
    /// `Name`.
    pub name: String,
    /// `description`.
    pub description: String,
    /// Whose it is.
    pub role: KeyRole,
    /// `Permissions`.
    pub permissions: Scopes,
    /// `AllowedIps`.
    pub allowed_ips: Vec<Source>,
    /// `Expiration`.
    pub expires_at: Option<Timestamp>,
}

/// Whose a new key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRole {
    /// The whole organization's.
    Site,
    /// An admin's or a credential's.
    Of(KeyOwner),
    /// A credential's, by its name.
    OfUser(UserName),
    /// Whoever is named with it: an admin (1) or a credential (2).
    Dynamic(u8),
}

/// What a client wants of a key.
#[derive(Default)]
pub struct ApiKeyChange {
    /// `Name`.
    pub name: Option<String>,
    /// `description`.
    pub description: Option<String>,
    /// `Permissions`.
    pub permissions: Option<Scopes>,
    /// `AllowedIps`.
    pub allowed_ips: Option<Vec<Source>>,
    /// `State`.
    pub state: Option<State>,
    /// `ExpiresAt` or `Expiration`.
    pub expires_at: Option<Option<Timestamp>>,
}

/// A key and when it was last used.
pub struct ShownApiKey {
    /// The record.
    pub record: Versioned<ApiKey>,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

/// A new key with its text, which is shown this once.
pub struct CreatedApiKey {
    /// The key.
    pub shown: ShownApiKey,
    /// Its text.
    pub text: KeyText,
}

impl Management {
    /// The keys after an id, and where the next page starts.
    pub async fn api_keys(
        &self,
        caller: &Caller,
        after: Option<&str>,
        limit: u16,
    ) -> Result<(Vec<ShownApiKey>, Option<String>), ManagementError> {
        caller.require(Right::SeeApiKeys)?;
        let page = self.records.api_keys(&caller.organization, after, limit).await?;
        let ids: Vec<ApiKeyId> = page.records.iter().map(|record| record.value.id.clone()).collect();
        let last_used = self.records.api_keys_last_used(&ids).await?;
        let show = |record: Versioned<ApiKey>| {
            let last_used_at = last_used.get(&record.value.id).copied();
            ShownApiKey { record, last_used_at }
        };
        Ok((page.records.into_iter().map(show).collect(), page.next))
    }

    /// One key.
    pub async fn api_key(&self, caller: &Caller, id: &ApiKeyId) -> Result<ShownApiKey, ManagementError> {
        let record = self.load_api_key(caller, id).await?;
        if let Err(missing) = caller.require(Right::SeeApiKeys) {
            caller.require_person().ok().filter(|name| is_of(&record.value, name)).ok_or(missing)?;
        }
        let last_used_at = self.records.api_keys_last_used(std::slice::from_ref(id)).await?.remove(id);
        Ok(ShownApiKey { record, last_used_at })
    }

    /// Makes a key.
    pub async fn create_api_key(&self, caller: &Caller, new: NewApiKey) -> Result<CreatedApiKey, ManagementError> {
        let (kind, scope, owner) = self.role(caller, new.role).await?;
        self.require_to_manage(caller, (kind, scope, owner.as_ref())).await?;
        let organization = self.own_organization(caller).await?.value;
        if let Some(owner) = &owner {
            self.check_owner(caller, owner).await?;
        }
        let now = store::clock::now();
        if new.expires_at.is_some_and(|at| at <= now) {
            return Err(ManagementError::field("Expiration", &Invalid::new("must be in the future")));
        }
        let text = KeyText::generate(&store::clock::random());
        let key = ApiKey {
            id: text.id().clone(),
            organization: organization.id,
            name: new.name,
            prefix: text.prefix(),
            description: new.description,
            kind,
            scope,
            owner,
            permissions: new.permissions,
            allowed_ips: new.allowed_ips,
            state: State::Active,
            expires_at: new.expires_at,
            created_at: now,
            updated_at: now,
        };
        let made = announced::changed(ChangedKind::ApiKey, ChangedHow::Created, &key.id, &key.name);
        let announced = self.announcing(vec![announced::by(caller, made)]);
        let written = announced.records.create_api_key(&key, text.hash(), organization.default_requests).await;
        let rev = announced.told(written).await?;
        let shown = ShownApiKey { record: Versioned { value: key, rev }, last_used_at: None };
        Ok(CreatedApiKey { shown, text })
    }

    /// Changes a key.
    pub async fn change_api_key(
        &self,
        caller: &Caller,
        id: &ApiKeyId,
        change: ApiKeyChange,
        accept: impl Fn(&ShownApiKey) -> bool,
    ) -> Result<ShownApiKey, ManagementError> {
        for _ in 0..ATTEMPTS {
            let old = self.managed_key(caller, id).await?;
            if !accept(&old) {
                return Err(ManagementError::PreconditionFailed);
            }
            let mut new = old.record.value.clone();
            change.name.clone().into_iter().for_each(|name| new.name = name);
            change.description.clone().into_iter().for_each(|description| new.description = description);
            change.permissions.clone().into_iter().for_each(|permissions| new.permissions = permissions);
            change.allowed_ips.clone().into_iter().for_each(|ips| new.allowed_ips = ips);
            change.state.into_iter().for_each(|state| new.state = state);
            change.expires_at.into_iter().for_each(|at| new.expires_at = at);
            if new == old.record.value {
                return Ok(old);
            }
            new.updated_at = store::clock::now();
            // a session has what the key left it at the login
            let renamed = ApiKey {
                name: old.record.value.name.clone(),
                description: old.record.value.description.clone(),
                updated_at: old.record.value.updated_at,
                ..new.clone()
            };
            let close = (renamed != old.record.value).then(|| ended(id, new.updated_at));
            let update = announced::updated(ChangedKind::ApiKey, (id, &new.name), &old.record.value, &new);
            let announced = self.announcing(vec![announced::by(caller, update)]);
            let written = announced.records.save_api_key(&new, old.record.rev, close.as_ref()).await;
            match announced.told(written).await {
                Ok(rev) => {
                    return Ok(ShownApiKey { record: Versioned { value: new, rev }, ..old });
                }
                Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }

    /// Revokes a key for good and answers what it was.
    pub async fn delete_api_key(
        &self,
        caller: &Caller,
        id: &ApiKeyId,
        accept: impl Fn(&ShownApiKey) -> bool,
    ) -> Result<ShownApiKey, ManagementError> {
        for _ in 0..ATTEMPTS {
            let old = self.managed_key(caller, id).await?;
            if !accept(&old) {
                return Err(ManagementError::PreconditionFailed);
            }
            let deleted = announced::changed(ChangedKind::ApiKey, ChangedHow::Deleted, id, &old.record.value.name);
            let announced = self.announcing(vec![announced::by(caller, deleted)]);
            let written = announced.records.delete_api_key(&old.record, &ended(id, store::clock::now())).await;
            match announced.told(written).await {
                Ok(()) => return Ok(old),
                Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }

    pub(super) async fn load_api_key(
        &self,
        caller: &Caller,
        id: &ApiKeyId,
    ) -> Result<Versioned<ApiKey>, ManagementError> {
        let record = self.records.api_key(&caller.organization, id).await?;
        record.ok_or(ManagementError::NotFound("API key"))
    }

    async fn role(&self, caller: &Caller, role: KeyRole) -> Result<(KeyKind, u8, Option<KeyOwner>), ManagementError> {
        Ok(match role {
            KeyRole::Site => (KeyKind::Site, 1, None),
            KeyRole::Dynamic(scope) => (KeyKind::Dynamic, scope, None),
            KeyRole::Of(owner @ KeyOwner::Admin(_)) => (KeyKind::User, 1, Some(owner)),
            KeyRole::Of(owner @ KeyOwner::Credential(_)) => (KeyKind::User, 2, Some(owner)),
            KeyRole::OfUser(name) => {
                let unknown = ManagementError::field("user", &Invalid::new("must be an account of this organization"));
                let found = self.records.credential_named(&caller.organization, &name).await?.ok_or(unknown)?;
                (KeyKind::User, 2, Some(KeyOwner::Credential(found.value.id)))
            }
        })
    }

    /// The owner must be of this organization, and must allow keys.
    async fn check_owner(&self, caller: &Caller, owner: &KeyOwner) -> Result<(), ManagementError> {
        let unknown = || ManagementError::field("OwnerId", &Invalid::new("must be an account of this organization"));
        match owner {
            KeyOwner::Admin(name) => {
                let admin = self.records.admin(name).await?.ok_or_else(unknown)?.value;
                if admin.organization != caller.organization {
                    return Err(unknown());
                }
                if admin.allow_api_key_auth {
                    Ok(())
                } else {
                    let problem = Invalid::new("does not allow API keys (allow_api_key_auth)");
                    Err(ManagementError::field("OwnerId", &problem))
                }
            }
            KeyOwner::Credential(id) => {
                let credential = self.records.credential(&caller.organization, id).await?.ok_or_else(unknown)?;
                if credential.value.allow_api_key_auth {
                    Ok(())
                } else {
                    let problem = Invalid::new("does not allow API keys (AllowApiKeyAuth)");
                    Err(ManagementError::field("OwnerId", &problem))
                }
            }
        }
    }
}

fn is_of(key: &ApiKey, admin: &str) -> bool {
    key.owner.as_ref().is_some_and(|owner| *owner == KeyOwner::Admin(admin.to_owned()))
}

/// All sessions that logged in with a key by now.
pub(super) fn ended(id: &ApiKeyId, at: Timestamp) -> Close {
    Close::ApiKey { key: id.clone(), at }
}
