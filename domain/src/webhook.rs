//! Webhooks: subscriptions to file events, and everything about a delivery that is decided without a network.

pub mod address;
pub mod body;
pub mod delivery;
pub mod filter;
pub mod health;
pub mod people;
pub mod schedule;
pub mod signature;

pub use delivery::delivery_id;
pub use signature::WebhookSecret;

use crate::digest::derived_id;
use crate::event::{Event, Topic};
use crate::id::OrganizationId;
use crate::invalid::Invalid;
use crate::sealed::Sealed;
use crate::time::Timestamp;
use address::AddressPolicy;
use filter::Filter;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// The most webhooks of one organization: an event is at most so many messages.
pub const MAX_WEBHOOKS: usize = 100;

/// Ports that a target may have. Others are how a webhook becomes a port scanner.
const PORTS: [u16; 4] = [443, 8443, 80, 8080];
const MAX_URL_BYTES: usize = 2048;

/// After a rotation the old secret signs as well for this long.
pub const ROTATION_OVERLAP_MILLIS: i64 = 24 * 3600 * 1000;

/// For how long a receiver that did not answer in time has a lane of its own, in milliseconds.
pub const SLOW_MILLIS: i64 = 3_600_000;

/// The kind of receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WebhookType {
    /// An HTTP endpoint.
    Webhook,
    /// A Slack incoming webhook.
    Slack,
    /// A Microsoft Teams webhook.
    MsTeams,
    /// An e-mail address.
    Email,
}

/// Whether it is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookState {
    /// It is.
    Enabled,
    /// It is not; its events are kept in the delivery log.
    Paused,
}

/// The secret before the last rotation.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousSecret {
    /// The secret.
    pub secret: Sealed,
    /// Until when it signs as well.
    pub until: Timestamp,
}

/// A subscription. No Debug output: it holds secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// A UUID.
    pub id: String,
    /// Whose it is.
    pub organization: OrganizationId,
    /// For people.
    #[serde(default)]
    pub alias: Option<String>,
    /// Where to.
    pub url: String,
    /// The kind of receiver.
    #[serde(rename = "type")]
    pub webhook_type: WebhookType,
    /// Sent as `Authorization`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_header: Option<Sealed>,
    /// What deliveries are signed with.
    pub secret: Sealed,
    /// After a rotation, for a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_secret: Option<PreviousSecret>,
    /// What it wants to hear of.
    pub topics: Vec<Topic>,
    /// Which events of them: those that pass all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filter: Vec<Filter>,
    /// Whether it is served.
    pub state: WebhookState,
    /// Why Towpath has paused it; nothing if somebody else did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_reason: Option<String>,
    /// Until when its deliveries have a lane of their own, because its receiver did not answer in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_until: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Webhook {
    /// Whether others must not wait for its receiver.
    pub fn is_slow(&self, now: Timestamp) -> bool {
        self.slow_until.is_some_and(|until| now < until)
    }

    /// What this webhook is told about an event: nothing, the event, or for a rename it has not subscribed to, that the
    /// old name is gone and the new one is there. The parts have ids of their own, made from the
    /// event's, so that a repeated announcement is still recognised.
    pub fn announcements(&self, event: &Event) -> Vec<Event> {
        let mut wanted = self.of_its_topics(event);
        wanted.retain(|event| self.filter.iter().all(|filter| filter.passes(event)));
        wanted
    }

    fn of_its_topics(&self, event: &Event) -> Vec<Event> {
        if self.topics.contains(&event.topic) {
            return vec![event.clone()];
        }
        let (Topic::FileRenamed, Some(previous), Some(file)) = (event.topic, &event.previous, &event.file) else {
            return Vec::new();
        };
        let mut gone = previous.clone();
        gone.size = None;
        let part = |topic: Topic, file| Event {
            id: derived_id(&["rename", &event.id, topic.as_str()]),
            topic,
            file: Some(file),
            previous: None,
            user_agent: None,
            ..event.clone()
        };
        [part(Topic::FileDeleted, gone), part(Topic::FileCreated, file.clone())]
            .into_iter()
            .filter(|part| self.topics.contains(&part.topic))
            .collect()
    }
}

/// Parses a topic that a webhook may subscribe to.
pub fn parse_topic(text: &str) -> Result<Topic, Invalid> {
    let may_have = |topic: &Topic| *topic != Topic::WebhookPing;
    Topic::named(text).filter(may_have).ok_or_else(|| {
        let texts: Vec<&str> = Topic::ALL.iter().copied().filter(may_have).map(Topic::as_str).collect();
        Invalid::new(format!("must be one of {}", texts.join(", ")))
    })
}

/// Checks the address of a receiver as far as that is possible without asking DNS: the resolver asks the policy again
/// for every address that it finds.
pub fn check_url(webhook_type: WebhookType, text: &str, policy: AddressPolicy) -> Result<(), Invalid> {
    if text.len() > MAX_URL_BYTES {
        return Err(Invalid::new("must be at most 2048 bytes long"));
    }
    if webhook_type == WebhookType::Email {
        return check_email(text);
    }
    let url = Url::parse(text).map_err(|_| Invalid::new("must be a valid HTTPS URL"))?;
    check_parsed_url(&url, policy)
}

/// [`check_url`] for a URL that was parsed already; a delivery checks again, because rules may have become stricter.
pub fn check_parsed_url(url: &Url, policy: AddressPolicy) -> Result<(), Invalid> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Invalid::new("may not hold a user name or password; use AuthorizationHeader"));
    }
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => policy.check(address.into()).map(|()| address.is_loopback())?,
        Some(Host::Ipv6(address)) => policy.check(address.into()).map(|()| address.is_loopback())?,
        Some(Host::Domain(name)) => is_localhost(name) && policy.allows_loopback(),
        None => return Err(Invalid::new("must name a host")),
    };
    if loopback {
        return Ok(());
    }
    if url.host_str().is_some_and(is_localhost) {
        return Err(Invalid::new("may not name this host"));
    }
    if url.scheme() != "https" {
        return Err(Invalid::new("must start with https://"));
    }
    if url.port_or_known_default().is_some_and(|port| PORTS.contains(&port)) {
        Ok(())
    } else {
        Err(Invalid::new("must have one of the ports 443, 8443, 80, 8080"))
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// Checks an e-mail address: what is certainly none, and what could become more than one, is refused.
pub fn check_email(text: &str) -> Result<(), Invalid> {
    let well_formed = text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && domain.contains('.') && !domain.starts_with('.') && !domain.ends_with('.')
    });
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b',' | b';' | b'"'));
    if well_formed && plain && text.matches('@').count() == 1 && text.len() <= 254 {
        Ok(())
    } else {
        Err(Invalid::new("must be an e-mail address"))
    }
}

#[cfg(test)]
mod tests;
