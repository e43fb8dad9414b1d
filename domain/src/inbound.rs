//! Inbound rules: from which addresses a client may come, and through which door.
//!
//! The rules of the organization and of the credential are one list: an enabled rule in either that matches is enough.
//! No match, or no rules at all, is a refusal.

use crate::event::Protocol;
use crate::invalid::Invalid;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The longest list, so that a record stays far below DynamoDB's 400 KB.
pub const MAX_RULES: usize = 100;

/// The door a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RuleProtocol {
    /// Every door.
    #[serde(rename = "*")]
    Any,
    /// SFTP.
    #[serde(rename = "SFTP")]
    Sftp,
    /// FTP over TLS.
    #[serde(rename = "FTPS")]
    Ftps,
    /// The pages, the API and the HTTPS door.
    #[serde(rename = "HTTPS")]
    Https,
}

impl RuleProtocol {
    /// Parses the API's text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "*" => Ok(Self::Any),
            "SFTP" => Ok(Self::Sftp),
            "FTPS" => Ok(Self::Ftps),
            "HTTPS" => Ok(Self::Https),
            _ => Err(Invalid::new("must be one of *, SFTP, FTPS, HTTPS")),
        }
    }

    /// The API's text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "*",
            Self::Sftp => "SFTP",
            Self::Ftps => "FTPS",
            Self::Https => "HTTPS",
        }
    }

    fn covers(self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Sftp => matches!(self, Self::Any | Self::Sftp),
            Protocol::Ftps => matches!(self, Self::Any | Self::Ftps),
            Protocol::WebPortal | Protocol::Api => matches!(self, Self::Any | Self::Https),
        }
    }
}

/// Addresses: one, or a network in CIDR notation. Keeps the text that was sent, so that it reads back the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Source {
    text: String,
    net: IpNet,
}

impl Source {
    /// Parses `203.0.113.7` or `203.0.113.0/24`, or the same in IPv6.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let net = net.map_err(|_| Invalid::new("must be an IP address or a range in CIDR notation"))?;
        Ok(Self { text: text.to_owned(), net: net.trunc() })
    }

    /// As it was sent.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it holds `address`. An IPv4 address that a dual-stack socket shows as `::ffff:a.b.c.d` is IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.net.contains(&address.to_canonical())
    }
}

impl TryFrom<String> for Source {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<Source> for String {
    fn from(source: Source) -> Self {
        source.text
    }
}

/// One rule. `Action` is always `allow`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundRule {
    /// A UUID, or what the client chose.
    pub id: String,
    /// The door.
    pub protocol: RuleProtocol,
    /// The addresses.
    pub source: Source,
    /// A disabled rule allows nothing.
    pub enabled: bool,
    /// For people.
    pub description: String,
}

/// Whether a client at `address` may use the door.
pub fn allows<'a>(rules: impl IntoIterator<Item = &'a InboundRule>, protocol: Protocol, address: IpAddr) -> bool {
    rules.into_iter().any(|rule| rule.enabled && rule.protocol.covers(protocol) && rule.source.contains(address))
}

/// The rules that a new organization has: everybody, from everywhere. The ids are the caller's random UUIDs.
pub fn allow_all(ids: [String; 2]) -> Vec<InboundRule> {
    ids.into_iter()
        .zip(["0.0.0.0/0", "::/0"])
        .filter_map(|(id, source)| {
            Some(InboundRule {
                id,
                protocol: RuleProtocol::Any,
                source: Source::parse(source).ok()?,
                enabled: true,
                description: "Allow all inbound traffic from anywhere".to_owned(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(protocol: RuleProtocol, source: &str) -> InboundRule {
        InboundRule {
            id: "r".into(),
            protocol,
            source: Source::parse(source).unwrap(),
            enabled: true,
            description: String::new(),
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn no_rules_refuse() {
        assert!(!allows([], Protocol::Sftp, ip("192.0.2.1")));
    }

    #[test]
    fn the_default_rules_allow_everybody_through_every_door() {
        let rules = allow_all(["a".into(), "b".into()]);
        assert_eq!(rules.len(), 2);
        for protocol in [Protocol::Sftp, Protocol::Ftps, Protocol::Api, Protocol::WebPortal] {
            for address in ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"] {
                assert!(allows(&rules, protocol, ip(address)));
            }
        }
    }

    #[test]
    fn door_and_address_must_both_match_and_the_rule_be_enabled() {
        let mut rules = vec![rule(RuleProtocol::Sftp, "203.0.113.0/24"), rule(RuleProtocol::Https, "2001:db8::/32")];
        assert!(allows(&rules, Protocol::Sftp, ip("203.0.113.9")));
        assert!(allows(&rules, Protocol::Sftp, ip("::ffff:203.0.113.9")));
        assert!(!allows(&rules, Protocol::Ftps, ip("203.0.113.9")));
        assert!(!allows(&rules, Protocol::Sftp, ip("203.0.114.9")));
        assert!(allows(&rules, Protocol::Api, ip("2001:db8::1")));
        assert!(!allows(&rules, Protocol::Sftp, ip("2001:db8::1")));
        for rule in &mut rules {
            rule.enabled = false;
        }
        assert!(!allows(&rules, Protocol::Sftp, ip("203.0.113.9")));
    }

    #[test]
    fn sources_read_back_as_sent() {
        for good in ["203.0.113.7", "203.0.113.0/24", "203.0.113.9/24", "::1", "2001:db8::/32"] {
            let source = Source::parse(good).unwrap();
            assert_eq!(source.as_str(), good);
            assert_eq!(serde_json::to_string(&source).unwrap(), format!("{good:?}"));
        }
        for bad in ["", "*", "203.0.113.7/33", "example.com", "203.0.113", "203.0.113.7/", " 203.0.113.7"] {
            assert!(Source::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_range_holds_what_shares_its_prefix(bits: u32, prefix in 0u8..=32, other: u32) {
            let source = Source::parse(&format!("{}/{prefix}", std::net::Ipv4Addr::from(bits))).unwrap();
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            let address = IpAddr::from(std::net::Ipv4Addr::from(other));
            prop_assert_eq!(source.contains(address), bits & mask == other & mask);
        }
    }
}
