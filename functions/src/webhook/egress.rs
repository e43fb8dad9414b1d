//! The way out: one POST to an address that somebody else has chosen.
//!
//! The resolver drops every address that the policy refuses, so a name that changes its address between check and
//! connection gains nothing. No redirects, no proxy, one deadline over the whole exchange, and only the first 64 KiB of
//! an answer are read.

use domain::webhook::address::AddressPolicy;
use domain::webhook::check_parsed_url;
use domain::webhook::schedule::Outcome;
use http::HeaderMap;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// From the name's resolution to the answer's status.
const DEADLINE: Duration = Duration::from_secs(10);
/// For what comes behind that.
const READING: Duration = Duration::from_secs(2);
const MAX_ANSWER: usize = 64 * 1024;
/// What is looked at of it. More than the log keeps, so that a secret is found which ends behind that.
const MAX_KEPT: usize = 16 * 1024;
/// What is kept of an error's text.
const MAX_ERROR: usize = 300;

/// What came of a request.
pub(super) struct Exchange {
    /// For the schedule.
    pub(super) outcome: Outcome,
    /// Why there was no answer, for people.
    pub(super) error: Option<String>,
    /// The beginning of the answer.
    pub(super) answer: Vec<u8>,
}

impl Exchange {
    /// None came.
    pub(super) fn without_answer(outcome: Outcome, error: String) -> Self {
        Self { outcome, error: Some(error), answer: Vec::new() }
    }
}

/// The client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for webhooks could not be made: {0}")]
pub struct EgressError(#[from] reqwest::Error);

/// The client for deliveries. Cheap to clone.
#[derive(Clone)]
pub struct Egress {
    client: reqwest::Client,
    policy: AddressPolicy,
}

impl Egress {
    /// A client that reaches what `policy` allows.
    pub fn new(policy: AddressPolicy) -> Result<Self, EgressError> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(Arc::new(CheckedResolver(policy)))
            .connect_timeout(Duration::from_secs(5))
            .timeout(DEADLINE)
            // kept connections would outlive a check of the address and pile up with the number of receivers
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Self { client, policy })
    }

    pub(super) async fn post(&self, url: &str, headers: HeaderMap, body: Vec<u8>) -> Exchange {
        // the resolver is not asked for addresses written as numbers, so the URL is checked as a whole again
        let Some(url) = Url::parse(url).ok().filter(|url| check_parsed_url(url, self.policy).is_ok()) else {
            return Exchange::without_answer(Outcome::Forbidden, "deliveries may not go to this address".to_owned());
        };
        let exchange = tokio::time::timeout(DEADLINE + READING, self.exchange(url, headers, body)).await;
        let late = || format!("no answer within {} s", DEADLINE.as_secs());
        match exchange {
            Ok(Ok(exchange)) => exchange,
            Ok(Err(error)) if error.is_timeout() => Exchange::without_answer(Outcome::TimedOut, late()),
            Ok(Err(error)) => Exchange::without_answer(Outcome::NoAnswer, why(&error.without_url())),
            Err(_) => Exchange::without_answer(Outcome::TimedOut, late()),
        }
    }

    async fn exchange(&self, url: Url, headers: HeaderMap, body: Vec<u8>) -> Result<Exchange, reqwest::Error> {
        let request = self.client.post(url).headers(headers).body(body).timeout(DEADLINE + READING);
        let Ok(answered) = tokio::time::timeout(DEADLINE, request.send()).await else {
            let late = format!("no answer within {} s", DEADLINE.as_secs());
            return Ok(Exchange::without_answer(Outcome::TimedOut, late));
        };
        let mut answer = answered?;
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get(http::header::RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()).and_then(|text| text.trim().parse().ok());
        let mut read = 0_usize;
        let mut kept = Vec::new();
        // reading more than is kept lets the receiver finish. The status counts, whatever becomes of the rest
        let reading = async {
            while let Ok(Some(chunk)) = answer.chunk().await {
                read = read.saturating_add(chunk.len());
                let room = MAX_KEPT.saturating_sub(kept.len()).min(chunk.len());
                kept.extend_from_slice(chunk.get(..room).unwrap_or_default());
                if read > MAX_ANSWER {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(READING, reading).await;
        Ok(Exchange { outcome: Outcome::Answered { status, retry_after }, error: None, answer: kept })
    }
}

/// What went wrong, for the webhook's owner: the errors below the last one, without the address that was asked.
fn why(error: &reqwest::Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut below = std::error::Error::source(error);
    while let Some(error) = below {
        texts.push(error.to_string());
        below = error.source();
    }
    let mut text = texts.join(": ");
    text.truncate(text.floor_char_boundary(MAX_ERROR));
    text
}

struct CheckedResolver(AddressPolicy);

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| policy.check(address.ip()).is_ok()).collect();
            if allowed.is_empty() {
                return Err("the name has no public address".into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_leads_only_to_addresses_that_are_allowed() {
        // whatever a name was checked for before: it counts what it leads to when the connection is made
        let resolved = |policy| CheckedResolver(policy).resolve("localhost".parse().unwrap());
        assert!(resolved(AddressPolicy::PublicOnly).await.is_err());
        let mut allowed = resolved(AddressPolicy::PublicAndLoopback).await.unwrap_or_else(|error| panic!("{error}"));
        assert!(allowed.all(|address| address.ip().is_loopback()));
    }
}
