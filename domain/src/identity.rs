//! Who is it? Decided on loaded records; loading them and hashing in turn is `app::accounts`.

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
    /// Not one of its keys.
    #[error("unknown key")]
    UnknownKey,
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
        credential.state = State::Inactive;
        assert_eq!(check(&organization, &credential), Err(Refusal::Inactive));
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
