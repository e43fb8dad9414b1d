//! One SFTP/FTPS login.

pub mod extra;
pub mod restrictions;

use crate::access::{Level, Permissions, Principal};
use crate::admin::second_factor::{SecondFactor, same_secret};
use crate::bandwidth::Bandwidth;
use crate::event::Protocol;
use crate::folder::Mounted;
use crate::id::{CredentialId, OrganizationId};
use crate::inbound::InboundRule;
use crate::invalid::Invalid;
use crate::organization::PasswordReadable;
use crate::password::pick;
use crate::path::{Chroot, VPath};
use crate::quota::Quota;
use crate::sealed::Sealed;
use crate::time::Timestamp;
use crate::token::AccountId;
use extra::Extra;
use restrictions::{LoginMethod, Restrictions};
use serde::{Deserialize, Serialize};
use std::fmt;

const DAY_MILLIS: i64 = 24 * 3600 * 1000;

/// A login's name: 1 to 100 of `A-Z a-z 0-9 _ - .`, unique in the deployment. (No `@`: that is how API keys sign in.)
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(String);

impl UserName {
    /// Parses a name as an existing credential may have it.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        // `.` and `..` mean something else in a path, and the default home is named after the user
        let only_periods = text.bytes().all(|byte| byte == b'.');
        if (1..=100).contains(&text.len()) && text.bytes().all(allowed) && !only_periods {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("must be 1 to 100 letters, digits, underscores, hyphens or periods, not only periods"))
        }
    }

    /// Parses a name as SFTP To Go's dialect may create it: at least 10 characters.
    pub fn parse_new(text: &str) -> Result<Self, Invalid> {
        match Self::parse(text) {
            Ok(name) if name.0.len() >= 10 => Ok(name),
            _ => Err(Invalid::new("must be 10 to 100 letters, digits, underscores, hyphens or periods")),
        }
    }

    /// A new name from random bytes: 20 lower-case letters and digits.
    pub fn from_random(random: &[u8; 80]) -> Self {
        let alphabet: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        Self(pick(random, std::iter::repeat(alphabet)).collect())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for UserName {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<UserName> for String {
    fn from(name: UserName) -> Self {
        name.0
    }
}

/// Whether a login works at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It does.
    Active,
    /// It does not.
    Inactive,
}

/// The password as it is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPassword {
    /// What a login is checked against: a PHC string.
    pub hash: String,
    /// When it was set.
    pub set_at: Timestamp,
    /// The password itself, for reading it back; absent where the organization does not want that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readable: Option<Sealed>,
}

/// A login. No Debug output: it holds secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Its id.
    pub id: CredentialId,
    /// Whose it is.
    pub organization: OrganizationId,
    /// For people; not used in logins.
    #[serde(default)]
    pub alias: Option<String>,
    /// Its name.
    pub user_name: UserName,
    /// Its password; none for a login by key only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<StoredPassword>,
    /// The folder of the organization's tree that it sees.
    pub home: VPath,
    /// Where it sees that folder.
    pub chroot: VPath,
    /// What it may do.
    pub permissions: Permissions,
    /// After this, no new logins.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// Whether it works.
    pub state: State,
    /// The organization's root credential, which cannot be deleted.
    #[serde(default)]
    pub is_default: bool,
    /// From where, beside what the organization allows.
    #[serde(default)]
    pub inbound_rules: Vec<InboundRule>,
    /// Whether API keys may act as it.
    #[serde(default)]
    pub allow_api_key_auth: bool,
    /// Whether a login takes one of its keys and then its password.
    #[serde(default)]
    pub key_and_password: bool,
    /// How much it may store.
    #[serde(default)]
    pub quota: Quota,
    /// How fast its files may move.
    #[serde(default)]
    pub bandwidth: Bandwidth,
    /// Sessions at the same time; 0 is no limit.
    #[serde(default)]
    pub max_sessions: u32,
    /// The virtual folders that it sees.
    #[serde(default)]
    pub folders: Vec<Mounted>,
    /// What it may not, whatever the inbound rules allow.
    #[serde(default, skip_serializing_if = "Restrictions::is_none")]
    pub restrictions: Restrictions,
    /// Its second factor in the API, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<SecondFactor>,
    /// Without effect.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    pub extra: Extra,
    /// How many SSH keys it has. A counter: no part of its ETag.
    #[serde(default)]
    pub ssh_keys: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Credential {
    /// A new login with the defaults and no password yet.
    pub fn new(id: CredentialId, organization: OrganizationId, user_name: UserName, now: Timestamp) -> Self {
        Self {
            id,
            organization,
            alias: None,
            home: default_home(&user_name),
            user_name,
            password: None,
            chroot: VPath::root(),
            permissions: Permissions::from_level(Level::ReadOnly)
                .unwrap_or_else(|| Permissions::everywhere(crate::access::Verbs::NONE)),
            expires_at: None,
            state: State::Active,
            is_default: false,
            inbound_rules: Vec::new(),
            allow_api_key_auth: false,
            key_and_password: false,
            max_sessions: 0,
            quota: Quota::default(),
            bandwidth: Bandwidth::default(),
            folders: Vec::new(),
            restrictions: Restrictions::default(),
            second_factor: None,
            extra: Extra::default(),
            ssh_keys: 0,
            created_at: now,
            updated_at: now,
        }
    }

    /// Whether its time is over.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// The password as an answer may show it now, still sealed.
    pub fn readable_password(&self, readable: PasswordReadable, now: Timestamp) -> Option<&Sealed> {
        let password = self.password.as_ref()?;
        let shown = match readable {
            PasswordReadable::Always => true,
            PasswordReadable::Day => now < password.set_at.plus_millis(DAY_MILLIS),
            PasswordReadable::Never => false,
        };
        if shown { password.readable.as_ref() } else { None }
    }

    /// Its account for tokens.
    pub fn account(&self) -> AccountId {
        AccountId::Credential(self.id.clone())
    }

    /// Whether tokens of logins before this change are void after it: unless only names for people, limits, counters and recovery
    /// codes change.
    pub fn ends_tokens(&self, new: &Self) -> bool {
        let same = Self {
            alias: new.alias.clone(),
            allow_api_key_auth: new.allow_api_key_auth,
            max_sessions: new.max_sessions,
            quota: new.quota,
            bandwidth: new.bandwidth,
            ssh_keys: new.ssh_keys,
            extra: new.extra.clone(),
            second_factor: new.second_factor.clone(),
            updated_at: new.updated_at,
            ..self.clone()
        };
        same != *new || !same_secret(self.second_factor.as_ref(), new.second_factor.as_ref())
    }

    /// Whether a key, or a certificate, is only half of a login there.
    pub fn needs_password(&self, protocol: Protocol) -> bool {
        self.key_and_password || self.restrictions.deny_key(protocol)
    }

    /// Whether a password is only half of a login there.
    pub fn needs_key(&self, protocol: Protocol) -> bool {
        self.key_and_password || self.restrictions.deny_password(protocol)
    }

    /// Whether an API key may act as it in the API, where there is no other half of a login.
    pub fn takes_keys(&self) -> bool {
        self.allow_api_key_auth && !self.needs_key(Protocol::Api)
    }

    /// `denied_login_methods`: to take a key and a password is to deny each alone.
    pub fn denied_methods(&self) -> Vec<LoginMethod> {
        let implied = LoginMethod::SINGLE.into_iter().filter(|_| self.key_and_password);
        implied.chain(self.restrictions.methods.iter().copied()).collect()
    }

    /// Takes `denied_login_methods`.
    pub fn deny_methods(&mut self, methods: &[LoginMethod]) {
        let has = |method: &LoginMethod| methods.contains(method);
        self.key_and_password = LoginMethod::SINGLE.iter().all(has) && !has(&LoginMethod::PublicKeyAndPassword);
        let mut rest = Vec::new();
        for method in methods {
            let implied = self.key_and_password && LoginMethod::SINGLE.contains(method);
            if !implied && !rest.contains(method) {
                rest.push(*method);
            }
        }
        self.restrictions.methods = rest;
    }

    /// SFTPGo's `id`: a number that this credential keeps.
    pub fn number(&self) -> u32 {
        u32::from_str_radix(self.id.as_str().get(..7).unwrap_or_default(), 16).unwrap_or(0).max(1)
    }

    /// Who acts after a login; without its virtual folders and its organization's quota, which are in records of their own.
    pub fn principal(&self) -> Principal {
        Principal {
            organization: self.organization.clone(),
            credential: self.id.clone(),
            user_name: self.user_name.to_string(),
            chroot: Chroot::new(self.organization.clone(), self.chroot.clone(), self.home.clone()),
            permissions: self.permissions.clone(),
            api_key: None,
            link: None,
            system: false,
            quota: self.quota,
            organization_quota: Quota::default(),
            bandwidth: self.bandwidth,
        }
    }
}

/// `/home/<UserName>`. A user name always fits a path, so the root stands for the impossible.
fn default_home(user_name: &UserName) -> VPath {
    VPath::parse(&format!("/home/{user_name}")).unwrap_or(VPath::root())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential() -> Credential {
        Credential::new(
            CredentialId::from_random([1; 15]),
            OrganizationId::from_random([2; 16]),
            UserName::parse_new("partner-one").unwrap(),
            Timestamp::from_millis(0),
        )
    }

    #[test]
    fn names() {
        for good in ["a", "user-name.1_x", &"x".repeat(100)] {
            assert!(UserName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "@api-x", "a b", "ä", "a/b", &"x".repeat(101)] {
            assert!(UserName::parse(bad).is_err(), "{bad}");
        }
        assert!(UserName::parse_new("nine-char").is_err());
        assert!(UserName::parse_new("ten-chars-").is_ok());
        assert!(UserName::parse_new(UserName::from_random(&[200; 80]).as_str()).is_ok());
    }

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let credential = credential();
        assert_eq!(credential.home.to_string(), "/home/partner-one");
        assert_eq!(credential.chroot, VPath::root());
        assert_eq!(credential.permissions.level(), Level::ReadOnly);
        assert!(credential.state == State::Active && !credential.is_default && !credential.allow_api_key_auth);
    }

    #[test]
    fn to_need_both_is_to_deny_each_alone() {
        let mut credential = credential();
        let mut all = LoginMethod::SINGLE.to_vec();
        all.push(LoginMethod::KeyboardInteractive);
        credential.deny_methods(&all);
        assert!(credential.key_and_password);
        assert_eq!(credential.restrictions.methods, [LoginMethod::KeyboardInteractive]);
        assert_eq!(credential.denied_methods(), all);
        // one of them alone is not that
        credential.deny_methods(&[LoginMethod::Password, LoginMethod::Password]);
        assert!(!credential.key_and_password && credential.denied_methods() == [LoginMethod::Password]);
        assert!(credential.needs_key(Protocol::Sftp) && credential.needs_key(Protocol::Api));
        assert!(!credential.needs_password(Protocol::Sftp));
        credential.deny_methods(&[LoginMethod::PublicKey]);
        assert!(credential.needs_password(Protocol::Sftp) && !credential.needs_password(Protocol::Ftps));
        assert!(!credential.needs_key(Protocol::Sftp));
    }

    #[test]
    fn a_password_can_be_read_for_a_day() {
        let mut credential = credential();
        credential.password = Some(StoredPassword {
            hash: String::new(),
            set_at: Timestamp::from_millis(1000),
            readable: Some(Sealed::from_text("s".into())),
        });
        let shown = |readable, at| credential.readable_password(readable, Timestamp::from_millis(at)).is_some();
        assert!(shown(PasswordReadable::Day, 1000 + DAY_MILLIS - 1));
        assert!(!shown(PasswordReadable::Day, 1000 + DAY_MILLIS));
        assert!(shown(PasswordReadable::Always, 1000 + DAY_MILLIS * 99));
        assert!(!shown(PasswordReadable::Never, 1000));
    }
}
