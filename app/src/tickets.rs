//! Tickets ([`domain::ticket`]), signed: JWTs (RFC 7519) with HMAC-SHA-256 under a secret of their own, which functions and nodes
//! share. So a node needs no key with which tokens for the API could be made.

use domain::ticket::{LIFE_SECONDS, Ticket};
use domain::time::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zeroize::Zeroizing;

/// As for every secret of ours.
const MIN_CHARS: usize = 32;

/// Longer ones hold more than a path.
const MAX_TICKET: usize = 8 * 1024;

/// What they are for, so that no other JWT under the same secret is one.
const AUDIENCE: &str = "towpath-ticket";

/// The secret cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("TOWPATH_TICKET_SECRET must have at least {MIN_CHARS} characters")]
pub struct SecretTooShort;

/// Signs and reads tickets. Cheap to clone; no Debug output.
#[derive(Clone)]
pub struct Tickets(Arc<Keys>);

struct Keys {
    sign: EncodingKey,
    read: DecodingKey,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    aud: String,
    exp: i64,
    #[serde(flatten)]
    ticket: Ticket,
}

impl Tickets {
    /// Under this secret.
    pub fn new(secret: &str) -> Result<Self, SecretTooShort> {
        if secret.len() < MIN_CHARS {
            return Err(SecretTooShort);
        }
        let secret = secret.as_bytes();
        Ok(Self(Arc::new(Keys { sign: EncodingKey::from_secret(secret), read: DecodingKey::from_secret(secret) })))
    }

    /// The text of a ticket, which counts from `now` for a minute. `None` if it cannot be written, which no ticket of ours is.
    pub fn sign(&self, ticket: Ticket, now: Timestamp) -> Option<Zeroizing<String>> {
        let claims = Claims { aud: AUDIENCE.to_owned(), exp: now.seconds().saturating_add(LIFE_SECONDS), ticket };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.0.sign).ok().map(Zeroizing::new)
    }

    /// What a text allows at `now`, if it is a ticket of ours whose time is not over.
    pub fn read(&self, text: &str, now: Timestamp) -> Option<Ticket> {
        if text.len() > MAX_TICKET {
            return None;
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["aud", "exp"]);
        // by our own clock
        validation.validate_exp = false;
        let claims: Claims = jsonwebtoken::decode(text, &self.0.read, &validation).ok()?.claims;
        (now.seconds() < claims.exp).then_some(claims.ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::event::Protocol;
    use domain::id::{CredentialId, OrganizationId};
    use domain::path::VPath;
    use domain::ticket::Errand;

    const SECRET: &str = "a secret of at least 32 characters";
    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000_000);

    fn ticket(errand: Errand) -> Ticket {
        Ticket {
            organization: OrganizationId::from_random([1; 16]),
            credential: CredentialId::from_random([2; 15]),
            protocol: Protocol::Api,
            key: None,
            link: None,
            errand,
        }
    }

    fn signed(tickets: &Tickets, ticket: &Ticket) -> String {
        tickets.sign(ticket.clone(), NOW).unwrap().to_string()
    }

    #[test]
    fn a_ticket_reads_back_for_a_minute() {
        let tickets = Tickets::new(SECRET).ok().unwrap();
        let path = VPath::parse("/a \"b\"/ü").unwrap();
        let modified = Some(Timestamp::from_millis(5));
        for errand in
            [Errand::Archive, Errand::Upload { path: path.clone(), modified }, Errand::Download { path, inline: true }]
        {
            let one = ticket(errand);
            let text = signed(&tickets, &one);
            assert_eq!(tickets.read(&text, NOW.plus_millis(59_999)), Some(one));
            assert_eq!(tickets.read(&text, NOW.plus_millis(60_000)), None);
        }
    }

    #[test]
    fn nothing_else_is_a_ticket() {
        let tickets = Tickets::new(SECRET).ok().unwrap();
        let text = signed(&tickets, &ticket(Errand::Archive));
        let other = Tickets::new("another secret of 32 characters!!").ok().unwrap();
        assert_eq!(other.read(&text, NOW), None);
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            let byte = bytes.get_mut(at).unwrap();
            *byte = if *byte == b'A' { b'B' } else { b'A' };
            assert_eq!(tickets.read(&String::from_utf8(bytes).unwrap(), NOW), None, "{at}");
        }
        let claims = |aud: &str, ticket: Ticket| Claims { aud: aud.to_owned(), exp: NOW.seconds() + 60, ticket };
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let made = |algorithm, claims| jsonwebtoken::encode(&Header::new(algorithm), &claims, &key).unwrap();
        let good = made(Algorithm::HS256, claims(AUDIENCE, ticket(Errand::Archive)));
        assert!(tickets.read(&good, NOW).is_some());
        assert_eq!(tickets.read(&made(Algorithm::HS256, claims("api#user", ticket(Errand::Archive))), NOW), None);
        assert_eq!(tickets.read(&made(Algorithm::HS512, claims(AUDIENCE, ticket(Errand::Archive))), NOW), None);
        let (_, body) = good.split_once('.').unwrap();
        let (body, _) = body.split_once('.').unwrap();
        for text in ["", "..", "a.b.c", &format!("eyJhbGciOiJub25lIn0.{body}."), &"x".repeat(9000)] {
            assert_eq!(tickets.read(text, NOW), None);
        }
    }

    #[test]
    fn a_short_secret_is_none() {
        assert!(Tickets::new("short").is_err());
    }
}
