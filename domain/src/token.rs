//! Access tokens: what one says, and whether it still counts. Signing and reading them is `app::signing`; the item that revokes
//! them is `store::records::accounts`.
//!
//! A token names its account and the *revision* of the account that its login was decided on. An account that changes in what
//! matters (password, permissions, state, …) raises the revision from which tokens count, in the transaction of the change; so
//! a token is void from that moment, and one of a login that has overtaken the change never counts.

use crate::admin::Permissions;
use crate::id::{CredentialId, OrganizationId, is_uuid};
use crate::inbound::Source;
use crate::rate::RateStatus;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// How long a token counts: SFTPGo's default.
pub const LIFE_SECONDS: i64 = 20 * 60;

/// Logged-out tokens that are known one by one for an account. Each is forgotten when its time is over; beyond this, those that
/// end first are forgotten early, and with them every token that ends no later.
pub const MOST_REVOKED: usize = 400;

/// For whom a token was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The management.
    Admin,
    /// What a credential may do with its own account and files.
    User,
}

impl Audience {
    /// Its part of the `aud` claim.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::User => "user",
        }
    }
}

/// An account that tokens are made for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AccountId {
    /// An admin, by a UUID that no later admin of the same name has.
    Admin(String),
    /// A credential.
    Credential(CredentialId),
}

impl From<AccountId> for String {
    fn from(id: AccountId) -> Self {
        match id {
            AccountId::Admin(id) => format!("admin:{id}"),
            AccountId::Credential(id) => format!("user:{id}"),
        }
    }
}

impl TryFrom<String> for AccountId {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.split_once(':') {
            Some(("admin", id)) if is_uuid(id) => Ok(Self::Admin(id.to_owned())),
            Some(("user", id)) => CredentialId::parse(id).map(Self::Credential).map_err(|_| "not an account"),
            _ => Err("not an account"),
        }
    }
}

/// What a token says (RFC 7519, section 4). Nothing in it is secret; nothing in it is a right: those are read at each use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The API's address and the audience, as `https://api.example.com#admin`.
    pub aud: String,
    /// The account.
    pub sub: AccountId,
    /// Its organization.
    pub org: OrganizationId,
    /// Its name, for logs and profiles.
    pub name: String,
    /// The account's revision at the login.
    pub rev: u64,
    /// This token.
    pub jti: String,
    /// When it was made, in seconds.
    pub iat: i64,
    /// When it ends, in seconds.
    pub exp: i64,
}

impl Claims {
    /// Whether its time is over.
    pub const fn is_over(&self, now: Timestamp) -> bool {
        self.exp <= now.seconds()
    }

    /// How a logged-out token is kept: with its end in front, so that the set can be cleaned without knowing the token.
    pub fn mark(&self) -> String {
        format!("{:012}.{}", self.exp.max(0), self.jti)
    }
}

/// The end that a mark tells.
pub fn mark_end(mark: &str) -> i64 {
    mark.split_once('.').and_then(|(end, _)| end.parse().ok()).unwrap_or(0)
}

/// Which marks can go, and the end up to which all tokens are void because of that.
pub fn clean_up(marks: &BTreeSet<String>, now: Timestamp) -> (Vec<String>, Option<i64>) {
    let over = |mark: &&String| mark_end(mark) <= now.seconds();
    let mut going: Vec<String> = marks.iter().filter(over).cloned().collect();
    let left: Vec<&String> = marks.iter().filter(|mark| !over(mark)).collect();
    // sorted by their ends, as those have one width
    let early = left.len().saturating_sub(MOST_REVOKED);
    let void_until = early.checked_sub(1).and_then(|last| left.get(last)).map(|mark| mark_end(mark));
    going.extend(left.into_iter().take(early).cloned());
    (going, void_until)
}

/// What a request needs to know of a token's account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountState {
    /// Tokens of logins that were decided on an earlier revision are void.
    pub valid_from: u64,
    /// Tokens that end no later are void.
    pub void_until: i64,
    /// Logged-out tokens, as [`Claims::mark`].
    pub revoked: BTreeSet<String>,
    /// What an admin may do.
    pub permissions: Permissions,
    /// From where; empty: from anywhere.
    pub allow_list: Vec<Source>,
    /// Requests a minute.
    pub limit: u32,
    /// Requests counted in this minute.
    pub used: u32,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Not signed by us, for something else, or damaged.
    Invalid,
    /// Its time is over.
    Expired,
    /// No such account any more.
    Gone,
    /// Logged out, or its account has changed.
    Revoked,
    /// Not from this address.
    Address,
    /// Too many requests in this minute.
    Limited(RateStatus),
}

/// Whether a token that we signed counts, apart from the counting of requests.
pub fn judge(state: &AccountState, claims: &Claims, address: IpAddr, now: Timestamp) -> Result<(), Denied> {
    if claims.is_over(now) {
        return Err(Denied::Expired);
    }
    if claims.rev < state.valid_from || claims.exp <= state.void_until || state.revoked.contains(&claims.mark()) {
        return Err(Denied::Revoked);
    }
    if !comes_from(&state.allow_list, address) {
        return Err(Denied::Address);
    }
    Ok(())
}

/// Whether a list of allowed addresses holds one. An empty list is none.
pub fn comes_from(allow_list: &[Source], address: IpAddr) -> bool {
    allow_list.is_empty() || allow_list.iter().any(|source| source.contains(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        Claims {
            aud: "https://api.example.com#admin".into(),
            sub: AccountId::Admin(crate::id::uuid_text([1; 16])),
            org: OrganizationId::from_random([1; 16]),
            name: "ana".into(),
            rev: 5,
            jti: "one".into(),
            iat: 1000,
            exp: 1000 + LIFE_SECONDS,
        }
    }

    #[test]
    fn every_reason() {
        let (mut claims, mut state) = (claims(), AccountState { limit: 10, ..AccountState::default() });
        let address = "192.0.2.1".parse().unwrap();
        let now = Timestamp::from_millis(1_000_000);
        let check = |state: &AccountState, claims: &Claims| judge(state, claims, address, now);
        assert_eq!(check(&state, &claims), Ok(()));
        state.valid_from = 5;
        assert_eq!(check(&state, &claims), Ok(()));
        state.valid_from = 6;
        assert_eq!(check(&state, &claims), Err(Denied::Revoked));
        state.valid_from = 0;
        state.void_until = claims.exp;
        assert_eq!(check(&state, &claims), Err(Denied::Revoked));
        state.void_until = claims.exp - 1;
        state.revoked.insert(Claims { jti: "two".into(), ..claims.clone() }.mark());
        assert_eq!(check(&state, &claims), Ok(()));
        state.revoked.insert(claims.mark());
        assert_eq!(check(&state, &claims), Err(Denied::Revoked));
        state.revoked.clear();
        state.allow_list = vec![Source::parse("198.51.100.0/24").unwrap()];
        assert_eq!(check(&state, &claims), Err(Denied::Address));
        state.allow_list.push(Source::parse("192.0.2.1").unwrap());
        assert_eq!(check(&state, &claims), Ok(()));
        claims.exp = 1000;
        assert_eq!(check(&state, &claims), Err(Denied::Expired));
    }

    #[test]
    fn marks_go_when_their_time_is_over_and_never_grow_without_bound() {
        let now = Timestamp::from_millis(2_000_000);
        let mark = |exp, n: usize| Claims { exp, jti: format!("{n:05}"), ..claims() }.mark();
        let mut marks: BTreeSet<String> = (0..MOST_REVOKED).map(|n| mark(3000, n)).collect();
        marks.insert(mark(2000, 1));
        assert_eq!(clean_up(&marks, now), (vec![mark(2000, 1)], None));
        marks.insert(mark(2500, 2));
        let (going, void) = clean_up(&marks, now);
        assert_eq!((going, void), (vec![mark(2000, 1), mark(2500, 2)], Some(2500)));
    }

    #[test]
    fn accounts_read_back() {
        for id in
            [AccountId::Admin(crate::id::uuid_text([7; 16])), AccountId::Credential(CredentialId::from_random([2; 15]))]
        {
            assert_eq!(AccountId::try_from(String::from(id.clone())), Ok(id));
        }
        for bad in ["", "admin:", "admin:x", "user:x", "tow_abc", "admin:#"] {
            assert!(AccountId::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
