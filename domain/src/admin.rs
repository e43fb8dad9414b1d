//! Admins: people and programs that manage one organization.

mod permission;
pub mod second_factor;

pub use permission::{Permission, Permissions};

use crate::credential::State;
use crate::digest::derived_id;
use crate::id::{CredentialId, OrganizationId};
use crate::identity::Refusal;
use crate::inbound::Source;
use crate::invalid::Invalid;
use crate::time::Timestamp;
use crate::token::{AccountId, comes_from};
use second_factor::{SecondFactor, same_secret};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// The longest list of allowed addresses: it lies in the small item that each request reads.
pub const MAX_ALLOWED: usize = 100;

/// An admin's name: 1 to 100 of `A-Z a-z 0-9 _ - . ~ @ +`, unique in the deployment. (SFTPGo's own rule, and what an e-mail
/// address needs.)
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AdminName(String);

impl AdminName {
    /// Parses a name.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.~@+".contains(&byte);
        let only_periods = text.bytes().all(|byte| byte == b'.');
        if (1..=100).contains(&text.len()) && text.bytes().all(allowed) && !only_periods {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("must be 1 to 100 letters, digits or _ - . ~ @ +, not only periods"))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AdminName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AdminName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for AdminName {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<AdminName> for String {
    fn from(name: AdminName) -> Self {
        name.0
    }
}

/// What an admin and others may write about it, without an effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// `email`.
    pub email: String,
    /// `description`.
    pub description: String,
    /// `additional_info`.
    pub additional_info: String,
    /// Fields of SFTPGo's object that mean nothing here, as a JSON object's text; empty: none. They are kept so that who reads
    /// an object, changes it and sends it back loses nothing.
    pub kept: String,
    /// The same of its `filters`.
    pub kept_filters: String,
}

/// An admin's record. No Debug output: it holds a hash.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admin {
    /// Unique in the deployment.
    pub name: AdminName,
    /// What it manages.
    pub organization: OrganizationId,
    /// What its password is checked against: a PHC string.
    pub password_hash: String,
    /// What it may do.
    pub permissions: Permissions,
    /// Whether it may sign in.
    pub active: bool,
    /// From where it may come; empty: from anywhere.
    #[serde(default)]
    pub allow_list: Vec<Source>,
    /// Whether API keys may act as it.
    #[serde(default)]
    pub allow_api_key_auth: bool,
    /// Its second factor, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<SecondFactor>,
    /// Whether it may do nothing before it has set a second factor up.
    #[serde(default)]
    pub needs_second_factor: bool,
    /// Whether it may do nothing before it has changed its password.
    #[serde(default)]
    pub needs_new_password: bool,
    /// Without effect.
    #[serde(default)]
    pub profile: Profile,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Admin {
    /// A new one.
    pub fn new(
        name: AdminName,
        organization: OrganizationId,
        password_hash: String,
        permissions: Permissions,
        now: Timestamp,
    ) -> Self {
        Self {
            name,
            organization,
            password_hash,
            permissions,
            active: true,
            allow_list: Vec::new(),
            allow_api_key_auth: false,
            second_factor: None,
            needs_second_factor: false,
            needs_new_password: false,
            profile: Profile::default(),
            created_at: now,
            updated_at: now,
        }
    }

    /// Whether it may do everything in its organization, now.
    pub fn is_full(&self) -> bool {
        self.active && self.permissions.are_full()
    }

    /// What it may do now: nothing but its own account while something is asked of it first.
    pub fn rights(&self) -> Permissions {
        let waiting = self.needs_new_password || (self.needs_second_factor && self.second_factor.is_none());
        if waiting { Permissions::default() } else { self.permissions.clone() }
    }

    /// Its account for tokens. An admin that is made later under the same name has another one.
    pub fn account(&self) -> AccountId {
        AccountId::Admin(self.derived("account"))
    }

    /// As whom the defender scores wrong passwords for it.
    pub fn defended_as(&self) -> CredentialId {
        let hex: String = self.derived("defender").chars().filter(char::is_ascii_hexdigit).take(30).collect();
        CredentialId::parse(&hex).unwrap_or_else(|_| CredentialId::from_random([0; 15]))
    }

    /// SFTPGo's `id`: a number that this admin keeps.
    pub fn number(&self) -> u32 {
        let hex: String = self.derived("number").chars().take(7).collect();
        u32::from_str_radix(&hex, 16).unwrap_or(0).max(1)
    }

    fn derived(&self, what: &str) -> String {
        derived_id(&["admin", what, self.name.as_str(), &self.created_at.millis().to_string()])
    }

    /// Whether it may sign in at all, from there.
    pub fn may_sign_in(&self, address: IpAddr) -> Result<(), Refusal> {
        if !self.active {
            Err(Refusal::Inactive)
        } else if !comes_from(&self.allow_list, address) {
            Err(Refusal::Address)
        } else {
            Ok(())
        }
    }

    /// Whether tokens of logins before this change are void after it: everything but what is said about it, whether API keys
    /// may act as it, and its recovery codes.
    pub fn ends_tokens(&self, new: &Self) -> bool {
        let same = Self {
            second_factor: new.second_factor.clone(),
            profile: new.profile.clone(),
            allow_api_key_auth: new.allow_api_key_auth,
            updated_at: new.updated_at,
            ..self.clone()
        };
        same != *new || !same_secret(self.second_factor.as_ref(), new.second_factor.as_ref())
    }

    /// `status` of SFTPGo's object.
    pub fn state(&self) -> State {
        if self.active { State::Active } else { State::Inactive }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealed::Sealed;
    use second_factor::RecoveryCode;

    type Change<'a> = &'a dyn Fn(&mut Admin);

    fn admin() -> Admin {
        let name = AdminName::parse("ana@example.com").unwrap();
        let permissions = Permissions::of([Permission::Everything]);
        Admin::new(name, OrganizationId::from_random([1; 16]), "h".into(), permissions, Timestamp::from_millis(7))
    }

    #[test]
    fn names() {
        for good in ["a", "ana@example.com", "first.last+x", "A_b-c~d"] {
            assert!(AdminName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a b", "a/b", "a#b", "ä", &"x".repeat(101)] {
            assert!(AdminName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_record_of_the_first_version_reads_back() {
        let old = r#"{"name":"admin","organization":"00000000-0000-4000-8000-000000000000","password_hash":"h",
            "permissions":["*"],"active":true,"created_at":1,"updated_at":2}"#;
        let admin: Admin = serde_json::from_str(old).unwrap();
        assert!(admin.is_full() && admin.allow_list.is_empty() && admin.second_factor.is_none());
    }

    #[test]
    fn another_admin_of_the_same_name_is_another_account() {
        let one = admin();
        let two = Admin { created_at: Timestamp::from_millis(8), ..admin() };
        assert_eq!(one.account(), Admin { active: false, ..admin() }.account());
        assert_ne!(one.account(), two.account());
        assert_ne!(one.defended_as(), two.defended_as());
        assert!(one.number() > 0);
    }

    #[test]
    fn who_is_asked_for_something_first_may_do_nothing_else() {
        let mut admin = admin();
        assert!(admin.rights().are_full());
        admin.needs_new_password = true;
        assert!(admin.rights().are_none());
        admin.needs_new_password = false;
        admin.needs_second_factor = true;
        assert!(admin.rights().are_none());
    }

    #[test]
    fn what_ends_tokens() {
        let old = admin();
        let factor = |secret: &str| SecondFactor { secret: Sealed::from_text(secret.to_owned()), recovery: Vec::new() };
        let changes: [(Change<'_>, bool); 8] = [
            (&|admin| admin.second_factor = Some(factor("s")), true),
            (&|admin| admin.password_hash = "x".into(), true),
            (&|admin| admin.permissions = Permissions::default(), true),
            (&|admin| admin.active = false, true),
            (&|admin| admin.allow_list = vec![Source::parse("192.0.2.1").unwrap()], true),
            (&|admin| admin.profile.email = "a@example.com".into(), false),
            (&|admin| admin.allow_api_key_auth = true, false),
            (&|admin| admin.updated_at = Timestamp::from_millis(9), false),
        ];
        for (at, (change, ends)) in changes.into_iter().enumerate() {
            let mut new = admin();
            change(&mut new);
            assert_eq!(old.ends_tokens(&new), ends, "{at}");
        }
        let with = |factor: SecondFactor| Admin { second_factor: Some(factor), ..admin() };
        let used = RecoveryCode { hash: "h".into(), used: true };
        let recovered = SecondFactor { recovery: vec![used], ..factor("s") };
        assert!(!with(factor("s")).ends_tokens(&with(recovered)));
        assert!(with(factor("s")).ends_tokens(&with(factor("t"))) && with(factor("s")).ends_tokens(&admin()));
    }

    #[test]
    fn a_list_of_addresses_is_asked() {
        let mut admin = admin();
        let from = "192.0.2.1".parse().unwrap();
        assert_eq!(admin.may_sign_in(from), Ok(()));
        admin.allow_list = vec![Source::parse("198.51.100.0/24").unwrap()];
        assert_eq!(admin.may_sign_in(from), Err(Refusal::Address));
        admin.active = false;
        assert_eq!(admin.may_sign_in(from), Err(Refusal::Inactive));
    }
}
