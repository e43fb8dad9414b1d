//! Who is it? Decided on loaded records; loading them and hashing in turn is `app::accounts`.

use crate::access::Principal;
use crate::api_key::{AuthState, Denied, KeyKind, KeyOwner};
use crate::credential::{Credential, State};
use crate::event::Origin;
use crate::inbound;
use crate::organization::Organization;
use crate::password;
use crate::ssh_key::SshKey;
use crate::time::Timestamp;

/// Why a login is refused. For the log and the audit event; a client sees one answer for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such user.
    #[error("unknown user")]
    UnknownUser,
    /// Switched off.
    #[error("inactive")]
    Inactive,
    /// Its time is over.
    #[error("expired")]
    Expired,
    /// Its permission is `none`.
    #[error("no permission anywhere")]
    NoPermission,
    /// No inbound rule matches.
    #[error("address not allowed")]
    Address,
    /// It has no password.
    #[error("no password set")]
    NoPassword,
    /// Another password.
    #[error("wrong password")]
    WrongPassword,
    /// A second factor is needed, and there was none, a wrong or a used one.
    #[error("wrong one-time code")]
    WrongCode,
    /// Not one of its keys.
    #[error("unknown key")]
    UnknownKey,
    /// It needs a key and a password, and this was a password alone.
    #[error("a key is needed as well")]
    KeyNeeded,
    /// Too many wrong passwords have come from there.
    #[error("passwords from this address are banned")]
    Banned,
    /// This door is not for it.
    #[error("protocol denied")]
    Protocol,
    /// Not in this way.
    #[error("login method denied")]
    Method,
    /// It has as many sessions as it may have.
    #[error("too many sessions")]
    TooManySessions,
    /// An API key, shown as a password, does not do.
    #[error("API key: {0}")]
    ApiKey(#[from] KeyRefusal),
}

/// Why an API key is no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefusal {
    /// Not a key, not one of ours, or with another secret.
    #[error("unknown")]
    Unknown,
    /// Switched off.
    #[error("inactive")]
    Inactive,
    /// Its time is over.
    #[error("expired")]
    Expired,
    /// Not from this address.
    #[error("address not allowed")]
    Address,
    /// Too many uses in this minute.
    #[error("over its limit of requests")]
    Limited,
    /// The user name says another key.
    #[error("the user name names another key")]
    OtherName,
    /// An admin's key, or one that acts as somebody else at each request: files have credentials.
    #[error("its owner is no credential")]
    Owner,
    /// The owner does not want that.
    #[error("its owner does not allow API keys")]
    NotAllowed,
    /// It may do nothing with the owner's files; a site-wide key must name its scopes for files.
    #[error("no scope for files")]
    NoFiles,
}

impl From<Denied> for KeyRefusal {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unknown => Self::Unknown,
            Denied::Inactive => Self::Inactive,
            Denied::Expired => Self::Expired,
            Denied::Address => Self::Address,
            Denied::Limited(_) => Self::Limited,
        }
    }
}

/// The name behind `@api-`: whoever signs in with it shows an API key as password. No credential's name begins so.
pub fn api_key_login(user: &str) -> Option<&str> {
    user.strip_prefix("@api-")
}

/// Who acts after a login with an API key: its owner, with what the key leaves of its rights.
pub fn act_as_owner(key: &AuthState, credential: &Credential) -> Result<Principal, KeyRefusal> {
    match (key.kind, &key.owner) {
        (KeyKind::User, Some(KeyOwner::Credential(owner))) if *owner == credential.id => {
            if !credential.allow_api_key_auth {
                return Err(KeyRefusal::NotAllowed);
            }
        }
        (KeyKind::Site, None) if credential.is_default => {
            // a key that may do everything in the API was made for that, and not to read every file
            if key.permissions.are_unlimited() {
                return Err(KeyRefusal::NoFiles);
            }
        }
        _ => return Err(KeyRefusal::Owner),
    }
    let permissions = credential.permissions.limited_to(key.permissions.file_verbs());
    if permissions.permit_nothing() {
        return Err(KeyRefusal::NoFiles);
    }
    Ok(Principal { permissions, api_key: Some(key.id.clone()), ..credential.principal() })
}

/// Whether this credential may log in at all, now and from there.
pub fn may_connect(
    organization: &Organization,
    credential: &Credential,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), Refusal> {
    if credential.state != State::Active {
        return Err(Refusal::Inactive);
    }
    if credential.is_expired(now) {
        return Err(Refusal::Expired);
    }
    if credential.permissions.permit_nothing() {
        return Err(Refusal::NoPermission);
    }
    if credential.restrictions.shut(origin.protocol) {
        return Err(Refusal::Protocol);
    }
    if !credential.restrictions.admit(origin.client_ip) {
        return Err(Refusal::Address);
    }
    let rules = organization.inbound_rules.iter().chain(&credential.inbound_rules);
    if inbound::allows(rules, origin.protocol, origin.client_ip) { Ok(()) } else { Err(Refusal::Address) }
}

/// Whether it is the password. Takes about 21 ms of CPU and 19 MiB.
pub fn check_password(credential: &Credential, password: &str) -> Result<(), Refusal> {
    let stored = credential.password.as_ref().ok_or(Refusal::NoPassword)?;
    if password::verify(password, &stored.hash) { Ok(()) } else { Err(Refusal::WrongPassword) }
}

/// Whether it is one of the credential's keys. `found` is the record under the shown key's id.
pub fn check_key(credential: &Credential, found: Option<&SshKey>, blob: &[u8]) -> Result<(), Refusal> {
    match found {
        Some(key) if key.credential == credential.id && key.is(blob) => Ok(()),
        _ => Err(Refusal::UnknownKey),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Level, Permissions};
    use crate::api_key::{GENERATE_BYTES, KeyText, Scope, Scopes};
    use crate::credential::restrictions::Door;
    use crate::credential::{StoredPassword, UserName};
    use crate::event::Protocol;
    use crate::id::{CredentialId, OrganizationId};
    use crate::inbound::{InboundRule, RuleProtocol, Source, allow_all};

    fn records() -> (Organization, Credential) {
        let id = OrganizationId::from_random([1; 16]);
        let now = Timestamp::from_millis(0);
        let organization = Organization::new(id.clone(), "o".into(), allow_all(["a".into(), "b".into()]), now);
        let name = UserName::parse("ana").unwrap();
        (organization, Credential::new(CredentialId::from_random([1; 15]), id, name, now))
    }

    fn origin() -> Origin {
        Origin { protocol: Protocol::Sftp, client_ip: "192.0.2.1".parse().unwrap(), session_id: "s".into() }
    }

    #[test]
    fn every_reason() {
        let (mut organization, mut credential) = records();
        let now = Timestamp::from_millis(1000);
        let check = |o: &Organization, c: &Credential| may_connect(o, c, &origin(), now);
        assert_eq!(check(&organization, &credential), Ok(()));
        credential.expires_at = Some(now);
        assert_eq!(check(&organization, &credential), Err(Refusal::Expired));
        credential.expires_at = Some(now.plus_millis(1));
        assert_eq!(check(&organization, &credential), Ok(()));
        credential.permissions = Permissions::from_level(Level::None).unwrap();
        assert_eq!(check(&organization, &credential), Err(Refusal::NoPermission));
        credential.permissions = Permissions::from_level(Level::WriteOnly).unwrap();
        organization.inbound_rules.clear();
        assert_eq!(check(&organization, &credential), Err(Refusal::Address));
        // the credential's own rule is enough
        credential.inbound_rules = vec![InboundRule {
            id: "r".into(),
            protocol: RuleProtocol::Sftp,
            source: Source::parse("192.0.2.0/24").unwrap(),
            enabled: true,
            description: String::new(),
        }];
        assert_eq!(check(&organization, &credential), Ok(()));
        // what is forbidden goes before what is allowed
        credential.restrictions.only_from = vec![Source::parse("198.51.100.0/24").unwrap()];
        assert_eq!(check(&organization, &credential), Err(Refusal::Address));
        credential.restrictions.doors = vec![Door::Ssh];
        assert_eq!(check(&organization, &credential), Err(Refusal::Protocol));
        credential.state = State::Inactive;
        assert_eq!(check(&organization, &credential), Err(Refusal::Inactive));
    }

    #[test]
    fn an_api_key_signs_in_as_its_owner_with_what_both_may_do() {
        let (organization, mut credential) = records();
        let text = KeyText::generate(&[5; GENERATE_BYTES]);
        let mut key = AuthState {
            id: text.id().clone(),
            organization: organization.id,
            kind: KeyKind::User,
            scope: 2,
            owner: Some(KeyOwner::Credential(credential.id.clone())),
            permissions: Scopes::only([Scope::ReadFiles, Scope::WriteFiles]),
            allowed_ips: Vec::new(),
            hash: text.hash(),
            state: State::Active,
            expires_at: None,
            limit: 1,
            used: 0,
            requests: 0,
            created_at: None,
        };
        let check = |key: &AuthState, credential: &Credential| act_as_owner(key, credential).map(|who| who.permissions);
        assert_eq!(check(&key, &credential), Err(KeyRefusal::NotAllowed));
        credential.allow_api_key_auth = true;
        // the owner may only read
        assert_eq!(check(&key, &credential), Ok(Permissions::from_level(Level::ReadOnly).unwrap()));
        key.permissions = Scopes::only([Scope::WriteFiles, Scope::ReadAdmin]);
        assert_eq!(check(&key, &credential), Err(KeyRefusal::NoFiles));
        key.permissions = Scopes::everything();
        assert_eq!(check(&key, &credential), Ok(credential.permissions.clone()));
        key.owner = Some(KeyOwner::Admin("ana".into()));
        assert_eq!(check(&key, &credential), Err(KeyRefusal::Owner));
        (key.kind, key.owner) = (KeyKind::Site, None);
        assert_eq!(check(&key, &credential), Err(KeyRefusal::Owner));
        credential.is_default = true;
        assert_eq!(check(&key, &credential), Err(KeyRefusal::NoFiles));
        key.permissions = Scopes::only([Scope::ReadFiles]);
        assert_eq!(act_as_owner(&key, &credential).map(|who| who.api_key), Ok(Some(key.id)));
    }

    #[test]
    fn a_credential_without_password_has_no_password_that_fits() {
        let (_, mut credential) = records();
        assert_eq!(check_password(&credential, ""), Err(Refusal::NoPassword));
        let hash = password::hash("long enough password", &[1; 16]).unwrap();
        credential.password = Some(StoredPassword { hash, set_at: Timestamp::from_millis(0), readable: None });
        assert_eq!(check_password(&credential, "long enough password"), Ok(()));
        assert_eq!(check_password(&credential, ""), Err(Refusal::WrongPassword));
    }
}
