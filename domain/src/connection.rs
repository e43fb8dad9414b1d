//! A client's session as the administrators of its organization see it, and the order to end one.
//!
//! Whoever changes an account writes a [`Close`] beside the change; each node asks for them and ends what they name. An order
//! says which *state* of the account a session must have begun with to be ended: who logs in after the change stays.

use crate::access::Principal;
use crate::api_key::ApiKeyId;
use crate::event::{Origin, Protocol};
use crate::id::{CredentialId, OrganizationId};
use crate::path::VPath;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the client.
    Upload,
    /// To the client.
    Download,
}

/// A file that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Which way.
    pub direction: Direction,
    /// As the client sees it.
    pub path: VPath,
    /// When it was opened.
    pub since: Timestamp,
    /// Transferred so far.
    pub bytes: u64,
}

/// A session that has logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// As in events and logs.
    pub session_id: String,
    /// Whose.
    pub credential: CredentialId,
    /// Its name at the login.
    pub user_name: String,
    /// The API key that was its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKeyId>,
    /// The door.
    pub protocol: Protocol,
    /// From where.
    pub client_ip: IpAddr,
    /// What the client says it is; empty if it says nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub client: String,
    /// When it logged in.
    pub since: Timestamp,
    /// When it last asked for something.
    pub last_activity: Timestamp,
    /// Open files, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transfers: Vec<Transfer>,
}

/// What of an account a session began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grounds {
    /// The credential's revision.
    pub credential_rev: u64,
    /// When the session ends whatever happens: its key's expiry, or its credential's where the organization closes sessions.
    pub ends_at: Option<Timestamp>,
}

/// An order to end sessions, for whichever nodes have them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Close {
    /// This one.
    Session {
        /// Whose it must be.
        organization: OrganizationId,
        /// Which.
        session_id: String,
    },
    /// All of a credential that began before it was changed.
    Credential {
        /// Which.
        credential: CredentialId,
        /// The revision that the change made.
        rev: u64,
    },
    /// The same for those that logged in with an API key: the credential does not allow them any more.
    KeysOf {
        /// Whose.
        credential: CredentialId,
        /// The revision that the change made.
        rev: u64,
    },
    /// All that logged in with this key before it was changed.
    ApiKey {
        /// Which.
        key: ApiKeyId,
        /// When.
        at: Timestamp,
    },
}

/// Clocks of AWS agree within milliseconds. A session that logs in with a key right after the key was changed is ended once too
/// often, rather than one before it left open.
const CLOCKS_DIFFER_MILLIS: i64 = 2_000;

impl Close {
    /// Whether a session is to be ended.
    pub fn ends(&self, principal: &Principal, origin: &Origin, grounds: &Grounds, since: Timestamp) -> bool {
        match self {
            Self::Session { organization, session_id } => {
                principal.organization == *organization && origin.session_id == *session_id
            }
            Self::Credential { credential, rev } => {
                principal.credential == *credential && grounds.credential_rev < *rev
            }
            Self::KeysOf { credential, rev } => {
                principal.api_key.is_some() && principal.credential == *credential && grounds.credential_rev < *rev
            }
            Self::ApiKey { key, at } => {
                principal.api_key.as_ref() == Some(key) && since <= at.plus_millis(CLOCKS_DIFFER_MILLIS)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Permissions, Verbs};
    use crate::path::Chroot;

    #[test]
    fn an_order_ends_what_began_before_it_and_nothing_else() {
        let organization = OrganizationId::from_random([1; 16]);
        let key = ApiKeyId::parse("tow_0123456789abcdef").unwrap();
        let mut ana = Principal {
            organization: organization.clone(),
            credential: CredentialId::from_random([2; 15]),
            user_name: "ana".into(),
            chroot: Chroot::new(organization.clone(), VPath::root(), VPath::root()),
            permissions: Permissions::everywhere(Verbs::ALL),
            api_key: None,
            link: None,
            system: false,
            quota: crate::quota::Quota::default(),
            organization_quota: crate::quota::Quota::default(),
            bandwidth: crate::bandwidth::Bandwidth::default(),
        };
        let origin =
            Origin { protocol: Protocol::Sftp, client_ip: "192.0.2.1".parse().unwrap(), session_id: "s1".into() };
        let grounds = Grounds { credential_rev: 3, ends_at: None };
        let since = Timestamp::from_millis(1_000_000);
        let ends = |close: &Close, who: &Principal| close.ends(who, &origin, &grounds, since);

        let session = |organization: &OrganizationId, id: &str| Close::Session {
            organization: organization.clone(),
            session_id: id.into(),
        };
        assert!(ends(&session(&organization, "s1"), &ana));
        assert!(!ends(&session(&organization, "s2"), &ana));
        assert!(!ends(&session(&OrganizationId::from_random([9; 16]), "s1"), &ana));

        let changed = |rev| Close::Credential { credential: ana.credential.clone(), rev };
        assert!(ends(&changed(4), &ana));
        assert!(!ends(&changed(3), &ana));
        let other = Close::Credential { credential: CredentialId::from_random([3; 15]), rev: 4 };
        assert!(!ends(&other, &ana));

        let keys = Close::KeysOf { credential: ana.credential.clone(), rev: 4 };
        let revoked = |at| Close::ApiKey { key: key.clone(), at: Timestamp::from_millis(at) };
        assert!(!ends(&keys, &ana) && !ends(&revoked(2_000_000), &ana));
        ana.api_key = Some(key.clone());
        assert!(ends(&keys, &ana) && ends(&revoked(2_000_000), &ana));
        assert!(!ends(&revoked(900_000), &ana));
    }

    #[test]
    fn an_order_is_read_as_it_was_written() {
        let close = Close::Credential { credential: CredentialId::from_random([3; 15]), rev: 4 };
        let text = serde_json::to_string(&close).unwrap();
        assert!(text.starts_with(r#"{"what":"credential","#), "{text}");
        assert_eq!(serde_json::from_str::<Close>(&text).unwrap(), close);
    }
}
