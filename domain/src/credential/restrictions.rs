//! What SFTPGo's `filters` forbid a credential, beside what inbound rules do not allow.
//!
//! An inbound rule allows, and the organization's and the credential's are one list, so none of them can take anything away.
//! These do: whatever the rules allow, a denied address, door or way to log in stays denied, and where addresses are named,
//! only they may come.

use crate::event::Protocol;
use crate::inbound::Source;
use crate::invalid::Invalid;
use crate::token::comes_from;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The longest list of addresses.
pub const MAX_ADDRESSES: usize = 100;

/// A door in SFTPGo's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Door {
    /// SFTP.
    Ssh,
    /// FTPS.
    Ftp,
    /// WebDAV, which is not offered: kept.
    Dav,
    /// The API and the pages.
    Http,
}

impl Door {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Ssh, Self::Ftp, Self::Dav, Self::Http];

    fn is(self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Sftp => self == Self::Ssh,
            Protocol::Ftps => self == Self::Ftp,
            Protocol::WebPortal | Protocol::Api => self == Self::Http,
        }
    }
}

/// A way to log in, in SFTPGo's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoginMethod {
    /// A key alone, at SFTP.
    #[serde(rename = "publickey")]
    PublicKey,
    /// A password alone, at every door.
    #[serde(rename = "password")]
    Password,
    /// A password alone, at SFTP.
    #[serde(rename = "password-over-SSH")]
    PasswordOverSsh,
    /// Not offered: kept.
    #[serde(rename = "keyboard-interactive")]
    KeyboardInteractive,
    /// A key and then a password, at SFTP.
    #[serde(rename = "publickey+password")]
    PublicKeyAndPassword,
    /// Not offered: kept.
    #[serde(rename = "publickey+keyboard-interactive")]
    PublicKeyAndKeyboardInteractive,
    /// A certificate alone, at FTPS.
    #[serde(rename = "TLSCertificate")]
    Certificate,
    /// A certificate and then a password, at FTPS.
    #[serde(rename = "TLSCertificate+password")]
    CertificateAndPassword,
}

impl LoginMethod {
    /// What a credential that takes a key **and** a password denies by that.
    pub const SINGLE: [Self; 3] = [Self::PublicKey, Self::Password, Self::Certificate];
}

/// What the holder of a credential may not change of its own account, in SFTPGo's words (`web_client`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OwnAccount {
    /// Its SSH keys.
    PublickeyChangeDisabled,
    /// Its password.
    PasswordChangeDisabled,
    /// Whether API keys may act as it.
    ApiKeyAuthChangeDisabled,
    /// What is said about it.
    InfoChangeDisabled,
    /// Its second factor.
    MfaDisabled,
    /// There is no such reset here: kept.
    PasswordResetDisabled,
    /// Share links.
    SharesDisabled,
    /// Share links without a password.
    SharesWithoutPasswordDisabled,
}

impl OwnAccount {
    /// SFTPGo's text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PublickeyChangeDisabled => "publickey-change-disabled",
            Self::PasswordChangeDisabled => "password-change-disabled",
            Self::ApiKeyAuthChangeDisabled => "api-key-auth-change-disabled",
            Self::InfoChangeDisabled => "info-change-disabled",
            Self::MfaDisabled => "mfa-disabled",
            Self::PasswordResetDisabled => "password-reset-disabled",
            Self::SharesDisabled => "shares-disabled",
            Self::SharesWithoutPasswordDisabled => "shares-without-password-disabled",
        }
    }
}

/// Everything that is forbidden. The default forbids nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Restrictions {
    /// `allowed_ip`: where not empty, nobody else may come.
    pub only_from: Vec<Source>,
    /// `denied_ip`: goes before `allowed_ip`.
    pub never_from: Vec<Source>,
    /// `denied_protocols`.
    pub doors: Vec<Door>,
    /// `denied_login_methods`, without those that [`super::Credential::key_and_password`] stands for.
    pub methods: Vec<LoginMethod>,
    /// `web_client`.
    pub own_account: Vec<OwnAccount>,
}

impl Restrictions {
    /// Whether nothing is forbidden.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether they can be kept: a credential that may use no door at all is a mistake, as SFTPGo has it.
    pub fn check(&self) -> Result<(), Invalid> {
        if Door::ALL.iter().all(|door| self.doors.contains(door)) {
            return Err(Invalid::new("may not deny every protocol"));
        }
        Ok(())
    }

    /// Whether a client may come from there.
    pub fn admit(&self, address: IpAddr) -> bool {
        let denied = self.never_from.iter().any(|source| source.contains(address));
        !denied && comes_from(&self.only_from, address)
    }

    /// Whether this door is shut.
    pub fn shut(&self, protocol: Protocol) -> bool {
        self.doors.iter().any(|door| door.is(protocol))
    }

    /// Whether a key alone, or a certificate, logs nobody in there.
    pub fn deny_key(&self, protocol: Protocol) -> bool {
        self.deny(match protocol {
            Protocol::Ftps => LoginMethod::Certificate,
            Protocol::Sftp | Protocol::WebPortal | Protocol::Api => LoginMethod::PublicKey,
        })
    }

    /// Whether a password alone logs nobody in there.
    pub fn deny_password(&self, protocol: Protocol) -> bool {
        let over_ssh = protocol == Protocol::Sftp && self.deny(LoginMethod::PasswordOverSsh);
        over_ssh || self.deny(LoginMethod::Password)
    }

    /// Whether not even both log anybody in there.
    pub fn deny_both(&self, protocol: Protocol) -> bool {
        self.deny(match protocol {
            Protocol::Ftps => LoginMethod::CertificateAndPassword,
            Protocol::Sftp | Protocol::WebPortal | Protocol::Api => LoginMethod::PublicKeyAndPassword,
        })
    }

    /// Whether the holder may not change this.
    pub fn keep(&self, what: OwnAccount) -> bool {
        self.own_account.contains(&what)
    }

    fn deny(&self, method: LoginMethod) -> bool {
        self.methods.contains(&method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(texts: &[&str]) -> Vec<Source> {
        texts.iter().map(|text| Source::parse(text).unwrap()).collect()
    }

    #[test]
    fn denied_addresses_go_before_allowed_ones() {
        let mut restrictions = Restrictions::default();
        let admit = |restrictions: &Restrictions, address: &str| restrictions.admit(address.parse().unwrap());
        assert!(admit(&restrictions, "192.0.2.1") && restrictions.is_none());
        restrictions.only_from = sources(&["192.0.2.0/24"]);
        restrictions.never_from = sources(&["192.0.2.7"]);
        assert!(admit(&restrictions, "192.0.2.1"));
        assert!(!admit(&restrictions, "192.0.2.7") && !admit(&restrictions, "198.51.100.1"));
    }

    #[test]
    fn doors_and_methods() {
        let doors = vec![Door::Ssh, Door::Dav];
        let methods = vec![LoginMethod::PasswordOverSsh, LoginMethod::CertificateAndPassword];
        let some = Restrictions { doors, methods, ..Restrictions::default() };
        assert!(some.shut(Protocol::Sftp) && !some.shut(Protocol::Ftps) && !some.shut(Protocol::Api));
        assert!(some.deny_password(Protocol::Sftp) && !some.deny_password(Protocol::Ftps));
        assert!(some.deny_both(Protocol::Ftps) && !some.deny_both(Protocol::Sftp));
        assert!(!some.deny_key(Protocol::Sftp) && some.check().is_ok());
        let all = Restrictions { doors: Door::ALL.to_vec(), ..Restrictions::default() };
        assert!(all.check().is_err());
    }

    #[test]
    fn the_words_are_those_of_sftpgo() {
        let text = |value: serde_json::Value| value.to_string();
        assert_eq!(text(serde_json::to_value(Door::ALL).unwrap()), r#"["SSH","FTP","DAV","HTTP"]"#);
        assert_eq!(
            text(serde_json::to_value(LoginMethod::SINGLE).unwrap()),
            r#"["publickey","password","TLSCertificate"]"#
        );
        for own in [
            OwnAccount::PublickeyChangeDisabled,
            OwnAccount::ApiKeyAuthChangeDisabled,
            OwnAccount::MfaDisabled,
            OwnAccount::SharesWithoutPasswordDisabled,
        ] {
            assert_eq!(serde_json::to_value(own).unwrap(), own.as_str());
        }
    }
}
