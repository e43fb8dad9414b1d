//! API keys: their text, what they may do, and how a shown one is judged.
//!
//! `tow_<id>.<secret>`, with `.<username>` behind it for dynamic keys: 16 base62 characters of id; 32 of secret and 6
//! of CRC-32 over `tow_<id>.<32>`, so that a scanner or client can tell a mistyped key without asking us.

mod record;
mod request;
mod scope;
mod used;

pub use record::{ApiKey, AuthState, Denied, KeyKind, KeyOwner, Presented, expires_at, judge};
pub use request::{KeyRequest, MAX_REQUESTS, slot};
pub use scope::{Scope, Scopes};
pub use used::KeyUse;

use crate::admin::AdminName;
use crate::invalid::Invalid;
use crate::password::pick;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

const PREFIX: &str = "tow_";
const ID_CHARS: usize = 16;
const SECRET_CHARS: usize = 32;
const CHECK_CHARS: usize = 6;
const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Random bytes that [`KeyText::generate`] needs.
pub const GENERATE_BYTES: usize = 4 * (ID_CHARS + SECRET_CHARS);

/// A key's public part: `tow_` and 16 base62 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApiKeyId(String);

impl ApiKeyId {
    /// Parses the text form.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text.strip_prefix(PREFIX) {
            Some(rest) if rest.len() == ID_CHARS && is_base62(rest) => Ok(Self(text.to_owned())),
            _ => Err(Invalid::new("must be `tow_` and 16 letters or digits")),
        }
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ApiKeyId {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<ApiKeyId> for String {
    fn from(id: ApiKeyId) -> Self {
        id.0
    }
}

/// SHA-256 of a key's text. Enough, as the secret has 190 random bits. No Debug output.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyHash(String);

impl KeyHash {
    /// The hash that the table holds, in hex.
    pub fn as_hex(&self) -> &str {
        &self.0
    }

    /// Compares in constant time.
    pub fn is(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

/// A well-formed key as a client shows it, or as it was just made. No Debug output.
#[derive(Clone)]
pub struct KeyText {
    id: ApiKeyId,
    /// `tow_<id>.<secret and check>`.
    text: Zeroizing<String>,
    act_as: Option<String>,
}

/// Not a key: the answer is the same for every reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not an API key")]
pub struct NotAKey;

impl KeyText {
    /// A new key.
    pub fn generate(random: &[u8; GENERATE_BYTES]) -> Self {
        let characters: Zeroizing<String> = Zeroizing::new(pick(random, std::iter::repeat(BASE62)).collect());
        let (id, secret) = characters.split_at(ID_CHARS);
        let id = ApiKeyId(format!("{PREFIX}{id}"));
        let body = Zeroizing::new(format!("{id}.{secret}"));
        let text = Zeroizing::new(format!("{}{}", body.as_str(), check_characters(&body)));
        Self { id, text, act_as: None }
    }

    /// Parses a key, checking its form and its check characters.
    pub fn parse(text: &str) -> Result<Self, NotAKey> {
        let mut parts = text.splitn(3, '.');
        let (Some(id), Some(secret), user) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NotAKey);
        };
        let id = ApiKeyId::parse(id).map_err(|_| NotAKey)?;
        if secret.len() != SECRET_CHARS + CHECK_CHARS || !is_base62(secret) {
            return Err(NotAKey);
        }
        let (body, check) = secret.split_at(SECRET_CHARS);
        if check_characters(&format!("{id}.{body}")) != check {
            return Err(NotAKey);
        }
        // names of admins may have what those of credentials have, and more
        let act_as = user.map(AdminName::parse).transpose().map_err(|_| NotAKey)?;
        let act_as = act_as.map(|name| name.as_str().to_owned());
        Ok(Self { text: Zeroizing::new(format!("{id}.{secret}")), id, act_as })
    }

    /// The public part.
    pub fn id(&self) -> &ApiKeyId {
        &self.id
    }

    /// The account that a dynamic key acts as.
    pub fn act_as(&self) -> Option<&str> {
        self.act_as.as_deref()
    }

    /// The key, for the one answer that shows it.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What lies in the table.
    pub fn hash(&self) -> KeyHash {
        KeyHash(hex::encode(Sha256::digest(self.text.as_bytes())))
    }

    /// `Prefix` of the API's object: enough to recognise a key, useless to guess it.
    pub fn prefix(&self) -> String {
        self.text.chars().take(PREFIX.len() + ID_CHARS + 1 + 4).collect()
    }
}

fn is_base62(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// CRC-32/IEEE in base62, left-padded with `0` to 6 characters (62^6 > 2^32).
fn check_characters(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut reversed = String::with_capacity(CHECK_CHARS);
    for _ in 0..CHECK_CHARS {
        let digit = usize::try_from(rest % 62).ok().and_then(|digit| BASE62.get(digit)).copied();
        reversed.push(char::from(digit.unwrap_or(b'0')));
        rest /= 62;
    }
    reversed.chars().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn check_characters_are_left_padded() {
        assert_eq!(check_characters(""), "000000");
        // CRC-32/IEEE of "123456789" is 0xCBF43926 (its catalogued check value) = 3421780262 = 3jZPRA in base62
        assert_eq!(check_characters("123456789").len(), 6);
        let value = check_characters("123456789").bytes().fold(0_u64, |value, byte| {
            value * 62 + u64::try_from(BASE62.iter().position(|b| *b == byte).unwrap()).unwrap()
        });
        assert_eq!(value, 0xCBF4_3926);
    }

    #[test]
    fn a_user_name_may_hold_dots_and_stands_behind_the_second() {
        let key = KeyText::generate(&[9; GENERATE_BYTES]);
        let parsed = KeyText::parse(&format!("{}.ana.maria", key.reveal())).unwrap();
        assert_eq!(parsed.act_as(), Some("ana.maria"));
        assert!(parsed.hash() == key.hash());
        assert!(KeyText::parse(&format!("{}.", key.reveal())).is_err());
        assert!(KeyText::parse(&format!("{}.a/x", key.reveal())).is_err());
        assert!(KeyText::parse(&format!("{}.ana@example.com", key.reveal())).is_ok());
    }

    proptest! {
        #[test]
        fn a_made_key_parses_and_a_mistyped_one_does_not(
            random in proptest::collection::vec(any::<u8>(), GENERATE_BYTES), at in 0usize..59, to in "[0-9A-Za-z._]",
        ) {
            let key = KeyText::generate(random.as_slice().try_into().unwrap());
            let text = key.reveal().to_owned();
            prop_assert_eq!(text.len(), 4 + 16 + 1 + 38);
            let parsed = KeyText::parse(&text);
            prop_assert!(parsed.is_ok_and(|parsed| parsed.id() == key.id() && parsed.hash().is(&key.hash())));
            prop_assert!(!key.prefix().contains(&text[25..]));
            let mut typo = text.clone();
            typo.replace_range(at..=at, &to);
            prop_assert_eq!(KeyText::parse(&typo).is_ok(), typo == text);
        }

        #[test]
        fn no_text_makes_the_parser_fail_hard(text in "\\PC{0,80}|tow_[0-9A-Za-z]{16}\\.\\PC{0,60}") {
            let _ = KeyText::parse(&text);
        }
    }
}
