//! Identifiers. Each is parsed once and then cannot be wrong; each is made from random bytes that the caller supplies.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a string is not an identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {expected}")]
pub struct InvalidId {
    what: &'static str,
    expected: &'static str,
}

macro_rules! uuids {
    ($($(#[$doc:meta])* $name:ident: $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// A new id from 16 random bytes.
            pub fn from_random(bytes: [u8; 16]) -> Self {
                Self(uuid_text(bytes))
            }

            /// Parses the text form.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                if is_uuid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidId { what: $what, expected: "a lower-case UUID" })
                }
            }

            /// The text form.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    )*};
}

uuids! {
    /// A tenant: a lower-case UUID, as SFTP To Go's `OrganizationId`. Also the first segment of its files' object keys,
    /// which is why it may hold nothing but hex digits and hyphens.
    OrganizationId: "an organization id";
    /// One upload, from OPEN to CLOSE: a UUID that is written into the object's metadata, so that after a crash or a lost
    /// answer the object itself says whose it is.
    OperationId: "an operation id";
    /// One run of a protocol node, from its start to its end: a UUID. A node that starts again is another one.
    NodeId: "a node id";
}

/// One login: 30 hex digits, as SFTP To Go's credential `Id`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CredentialId(String);

impl CredentialId {
    /// A new id from 15 random bytes.
    pub fn from_random(bytes: [u8; 15]) -> Self {
        Self(hex::encode(bytes))
    }

    /// Parses the text form.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        if text.len() == 30 && text.bytes().all(is_lower_hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId { what: "a credential id", expected: "30 hex digits" })
        }
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A share link in events and in the management: 20 hex digits. Not what its address holds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ShareId(String);

impl ShareId {
    /// A new id from 10 random bytes.
    pub fn from_random(bytes: [u8; 10]) -> Self {
        Self(hex::encode(bytes))
    }

    /// Parses the text form.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        if text.len() == 20 && text.bytes().all(is_lower_hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId { what: "a share link's id", expected: "20 hex digits" })
        }
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! text_form {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    )*};
}
text_form!(OrganizationId, CredentialId, OperationId, NodeId, ShareId);

/// 16 random bytes as the text of a version 4 UUID (RFC 9562, section 5.4).
pub fn uuid_text(mut bytes: [u8; 16]) -> String {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex::encode(bytes);
    let (a, rest) = hex.split_at(8);
    let (b, rest) = rest.split_at(4);
    let (c, rest) = rest.split_at(4);
    let (d, e) = rest.split_at(4);
    format!("{a}-{b}-{c}-{d}-{e}")
}

/// Whether `text` is a UUID in lower case.
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => is_lower_hex(byte),
        })
}

fn is_lower_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_ids_parse() {
        let organization = OrganizationId::from_random([0xff; 16]);
        assert_eq!(organization.as_str(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(OrganizationId::parse(organization.as_str()), Ok(organization));
        assert_eq!(CredentialId::parse(CredentialId::from_random([1; 15]).as_str()).unwrap().as_str().len(), 30);
    }

    #[test]
    fn what_could_leave_a_prefix_is_refused() {
        for bad in ["", "..", "a/b", "FFFFFFFF-FFFF-4FFF-BFFF-FFFFFFFFFFFF", "ffffffff-ffff-4fff-bfff-fffffffffff/"] {
            assert!(OrganizationId::parse(bad).is_err(), "{bad}");
        }
    }
}
