//! Rules of an organization beside the limit that holds for everything: so many requests a minute of a route, or from an address.

use crate::defender::Host;
use crate::inbound::Source;
use crate::invalid::Invalid;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The most rules: each that a request meets is one write.
pub const MAX_RULES: usize = 20;

/// Which requests a rule is about: `/api/v2/users/{username}`, `/organizations/*`. A segment in braces is any one segment, `*` at the
/// end whatever follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoutePattern(String);

impl RoutePattern {
    /// Every request.
    pub fn any() -> Self {
        Self("*".to_owned())
    }

    /// Parses a pattern.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let inner = text.strip_suffix("/*").unwrap_or(text);
        let path = text.starts_with('/') && text.len() <= 200 && !inner.contains('*');
        if text == "*" || (path && text.bytes().all(|byte| byte.is_ascii_graphic())) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("must be * or a path like /api/v2/users/{username} or /organizations/*"))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is(&self, path: &str) -> bool {
        if self.0 == "*" {
            return true;
        }
        let (mut wanted, mut there) = (self.0.split('/'), path.split('/'));
        loop {
            match (wanted.next(), there.next()) {
                (Some("*"), Some(_)) | (None, None) => return true,
                (Some(wanted), Some(there)) if wanted == there || is_any(wanted) => {}
                _ => return false,
            }
        }
    }
}

fn is_any(segment: &str) -> bool {
    segment.starts_with('{') && segment.ends_with('}')
}

impl TryFrom<String> for RoutePattern {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<RoutePattern> for String {
    fn from(pattern: RoutePattern) -> Self {
        pattern.0
    }
}

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Per {
    /// Those of each API key and each account.
    #[default]
    Caller,
    /// Those from each address; of IPv6 from each /64.
    Address,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateRule {
    /// A UUID, or what the client chose.
    pub id: String,
    /// `GET` and so on; none: every one.
    pub method: Option<String>,
    /// Which requests.
    pub route: RoutePattern,
    /// From where; none: from anywhere.
    pub source: Option<Source>,
    /// Whose.
    pub per: Per,
    /// How many a minute.
    pub requests: u32,
}

impl RateRule {
    /// Whether it is about this request.
    pub fn is_about(&self, method: &str, path: &str, address: IpAddr) -> bool {
        let from = self.source.as_ref().is_none_or(|source| source.contains(address));
        let how = self.method.as_deref().is_none_or(|wanted| wanted == method);
        from && how && self.route.is(path)
    }

    /// Under which its requests are counted.
    pub fn subject(&self, caller: &str, address: IpAddr) -> String {
        match self.per {
            Per::Caller => caller.to_owned(),
            Per::Address => Host::of(address).to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for bad in ["", "users", "/a*", "/a/*/b", "/a b", "**", "/*x", &format!("/{}", "x".repeat(200))] {
            assert!(RoutePattern::parse(bad).is_err(), "{bad}");
        }
        for (pattern, yes, no) in [
            ("*", "/", None),
            ("/api/v2/users", "/api/v2/users", Some("/api/v2/users/ana")),
            ("/api/v2/users/{username}", "/api/v2/users/ana", Some("/api/v2/users")),
            ("/organizations/{Id}/users", "/organizations/x/users", Some("/organizations/x/webhooks")),
            ("/organizations/*", "/organizations/x/users", Some("/organizations")),
        ] {
            let parsed = RoutePattern::parse(pattern).unwrap();
            assert!(parsed.is(yes) && no.is_none_or(|no| !parsed.is(no)), "{pattern}");
        }
    }

    #[test]
    fn methods_and_addresses() {
        let mut rule = RateRule {
            id: "r".into(),
            method: Some("POST".into()),
            route: RoutePattern::any(),
            source: Source::parse("2001:db8::/32").ok(),
            per: Per::Address,
            requests: 1,
        };
        let address: IpAddr = "2001:db8::1".parse().unwrap();
        assert!(rule.is_about("POST", "/x", address));
        assert!(!rule.is_about("GET", "/x", address) && !rule.is_about("POST", "/x", "192.0.2.1".parse().unwrap()));
        assert_eq!(rule.subject("k", address), rule.subject("k", "2001:db8::2".parse().unwrap()));
        rule.per = Per::Caller;
        assert_eq!(rule.subject("k", address), "k");
    }
}
