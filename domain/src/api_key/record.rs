//! A key's records, and the verdict over a shown key.
//!
//! Two records: [`ApiKey`] is what people see; [`AuthState`] is the small one that each request checks and counts on in
//! one conditional write (`store::records::auth`).

use super::{ApiKeyId, KeyHash, Scopes};
use crate::credential::State;
use crate::id::{CredentialId, OrganizationId};
use crate::inbound::Source;
use crate::invalid::Invalid;
use crate::rate::RateStatus;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Who stands behind a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// The whole organization.
    Site,
    /// An admin or a credential.
    User,
    /// The account that the caller names behind the key.
    Dynamic,
}

/// The owner of a user key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "id", rename_all = "lowercase")]
pub enum KeyOwner {
    /// An admin, by name.
    Admin(String),
    /// A credential.
    Credential(CredentialId),
}

/// A key as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its public part.
    pub id: ApiKeyId,
    /// Whose it is.
    pub organization: OrganizationId,
    /// For people.
    pub name: String,
    /// For people as well.
    #[serde(default)]
    pub description: String,
    /// The first characters.
    pub prefix: String,
    /// Who stands behind it.
    pub kind: KeyKind,
    /// Acts as admins (1) or credentials (2).
    pub scope: u8,
    /// The owner of a user key.
    #[serde(default)]
    pub owner: Option<KeyOwner>,
    /// What it may do.
    pub permissions: Scopes,
    /// From where; empty: from anywhere.
    #[serde(default)]
    pub allowed_ips: Vec<Source>,
    /// Whether it works.
    pub state: State,
    /// After this it is refused.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What a request needs to know about its key.
#[derive(Clone)]
pub struct AuthState {
    /// The key.
    pub id: ApiKeyId,
    /// Whose it is.
    pub organization: OrganizationId,
    /// Who stands behind it.
    pub kind: KeyKind,
    /// Acts as admins (1) or credentials (2).
    pub scope: u8,
    /// The owner of a user key.
    pub owner: Option<KeyOwner>,
    /// What it may do.
    pub permissions: Scopes,
    /// From where.
    pub allowed_ips: Vec<Source>,
    /// The hash of its text.
    pub hash: KeyHash,
    /// Whether it works.
    pub state: State,
    /// After this it is refused.
    pub expires_at: Option<Timestamp>,
    /// Requests a minute.
    pub limit: u32,
    /// Requests counted in this minute.
    pub used: u32,
    /// Requests since it was made.
    pub requests: u64,
    /// When it was made, if that was noted.
    pub created_at: Option<Timestamp>,
}

/// For how long before its end a key's answers say when that is.
const EXPIRES_SOON_MILLIS: i64 = 7 * DAY_MILLIS;

impl AuthState {
    /// When it ends, if that is soon.
    pub fn expires_soon(&self, now: Timestamp) -> Option<Timestamp> {
        self.expires_at.filter(|at| *at < now.plus_millis(EXPIRES_SOON_MILLIS))
    }
}

/// What a request shows.
pub struct Presented<'a> {
    /// The hash of the shown key.
    pub hash: &'a KeyHash,
    /// The client's address.
    pub address: IpAddr,
    /// Now.
    pub now: Timestamp,
}

/// Why a key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Another secret; also: no such key.
    Unknown,
    /// It was switched off.
    Inactive,
    /// Its time is over.
    Expired,
    /// Not from this address.
    Address,
    /// Too many requests in this minute.
    Limited(RateStatus),
}

/// Whether a shown key may pass, apart from the counting. The secret comes first: who does not know it learns nothing.
pub fn judge(state: &AuthState, shown: &Presented<'_>) -> Result<(), Denied> {
    if !state.hash.is(shown.hash) {
        return Err(Denied::Unknown);
    }
    if state.state != State::Active {
        return Err(Denied::Inactive);
    }
    if state.expires_at.is_some_and(|at| at <= shown.now) {
        return Err(Denied::Expired);
    }
    if !state.allowed_ips.is_empty() && !state.allowed_ips.iter().any(|source| source.contains(shown.address)) {
        return Err(Denied::Address);
    }
    Ok(())
}

const DAY_MILLIS: i64 = 24 * 3600 * 1000;

/// `Expiration`: `30d`, `90d`, `1y`, `never`, or a time as a number.
pub fn expires_at(text: &str, now: Timestamp) -> Result<Option<Timestamp>, Invalid> {
    let days = match text {
        "never" => return Ok(None),
        "30d" => 30,
        "90d" => 90,
        "1y" => 365,
        _ => return Err(Invalid::new("must be 30d, 90d, 1y, never or a time")),
    };
    Ok(Some(now.plus_millis(days * DAY_MILLIS)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api_key::{GENERATE_BYTES, KeyText};

    fn state(key: &KeyText) -> AuthState {
        AuthState {
            id: key.id().clone(),
            organization: OrganizationId::from_random([1; 16]),
            kind: KeyKind::Site,
            scope: 1,
            owner: None,
            permissions: Scopes::everything(),
            allowed_ips: Vec::new(),
            hash: key.hash(),
            state: State::Active,
            expires_at: None,
            limit: 10,
            used: 0,
            requests: 0,
            created_at: None,
        }
    }

    #[test]
    fn the_secret_is_judged_first() {
        let key = KeyText::generate(&[3; GENERATE_BYTES]);
        let other = KeyText::generate(&[4; GENERATE_BYTES]).hash();
        let hash = key.hash();
        let shown = |hash| Presented { hash, address: "192.0.2.1".parse().unwrap(), now: Timestamp::from_millis(1000) };
        let mut state = state(&key);
        assert_eq!(judge(&state, &shown(&hash)), Ok(()));
        state.expires_at = Some(Timestamp::from_millis(1000 + EXPIRES_SOON_MILLIS));
        assert_eq!(state.expires_soon(Timestamp::from_millis(1000)), None);
        assert_eq!(state.expires_soon(Timestamp::from_millis(1001)), state.expires_at);
        state.expires_at = Some(Timestamp::from_millis(1000));
        assert_eq!(judge(&state, &shown(&hash)), Err(Denied::Expired));
        state.state = State::Inactive;
        assert_eq!(judge(&state, &shown(&hash)), Err(Denied::Inactive));
        assert_eq!(judge(&state, &shown(&other)), Err(Denied::Unknown));
        state = self::state(&key);
        state.allowed_ips = vec![Source::parse("198.51.100.0/24").unwrap()];
        assert_eq!(judge(&state, &shown(&hash)), Err(Denied::Address));
    }

    #[test]
    fn expirations() {
        let now = Timestamp::from_millis(0);
        assert_eq!(expires_at("never", now), Ok(None));
        assert_eq!(expires_at("30d", now), Ok(Some(Timestamp::from_millis(30 * DAY_MILLIS))));
        assert!(expires_at("31d", now).is_err());
    }
}
