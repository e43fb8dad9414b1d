//! One attempt of one delivery, and what follows from it.

use super::egress::Exchange;
use super::{Failed, WebhookState};
use app::deliveries::Claimed;
use app::management::{AUTHORIZATION_FIELD, SECRET_FIELD, webhook_place};
use domain::queue_message::{Content, Delivery};
use domain::sealed::Sealed;
use domain::webhook::body::body;
use domain::webhook::delivery::{Attempt, kept_answer};
use domain::webhook::people;
use domain::webhook::schedule::{Next, Outcome, next};
use domain::webhook::{SLOW_MILLIS, Webhook, WebhookSecret, WebhookState as State, WebhookType};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use std::time::Instant;
use store::records::RecordError;
use zeroize::Zeroizing;

/// What must not be kept of an answer. No Debug output.
#[derive(Default)]
struct Secrets(Vec<Zeroizing<String>>);

impl WebhookState {
    pub(super) async fn deliver(&self, delivery: Delivery) -> Result<(), Failed> {
        let failed = |error: RecordError| error.to_string();
        let now = store::clock::now();
        if delivery.not_before.is_some_and(|at| at > now) {
            return self.put_back(delivery).await;
        }
        let found = self.records.webhook(&delivery.organization, &delivery.webhook).await.map_err(failed)?;
        let Some(webhook) = found.map(|found| found.value) else {
            tracing::info!(delivery = delivery.id, "the webhook is gone");
            return self.deliveries.abandon(&delivery, now).await.map_err(failed);
        };
        if webhook.is_slow(now) && !delivery.slow {
            return self.put_back(Delivery { slow: true, not_before: None, ..delivery }).await;
        }
        let claimed = match self.deliveries.claim(&delivery, now).await.map_err(failed)? {
            Claimed::Yours(claimed) => *claimed,
            Claimed::Later(until) => {
                return self.put_back(Delivery { not_before: Some(until), ..delivery }).await;
            }
            Claimed::Over => return Ok(()),
        };
        let is_ping = matches!(delivery.content, Content::Ping { .. });
        if webhook.state == State::Paused && !is_ping {
            return self.deliveries.missed_claimed(claimed).await.map_err(failed);
        }
        let (attempt, outcome) = self.attempt(&claimed.value.delivery, &webhook).await?;
        let number = claimed.value.delivery.failed_attempts.saturating_add(1);
        let next = match next(number, outcome, u32::from_be_bytes(store::clock::random())) {
            // somebody waits for a ping now; tomorrow it would only surprise
            Next::Retry(_) if is_ping => Next::Failed,
            next => next,
        };
        tracing::info!(
            delivery = delivery.id,
            webhook = webhook.id,
            attempt = number,
            duration_ms = attempt.millis,
            ?outcome,
            ?next,
            "tried a delivery"
        );
        let later = self.deliveries.tried(&webhook, claimed, attempt, next).await.map_err(failed)?;
        if outcome == Outcome::TimedOut && !webhook.is_slow(now.plus_millis(SLOW_MILLIS / 2)) {
            let until = now.plus_millis(SLOW_MILLIS);
            if let Err(error) = self.records.note_slow(&webhook.organization, &webhook.id, until).await {
                tracing::warn!(%error, webhook = webhook.id, "others wait for a slow receiver until its next attempt");
            }
        }
        match later {
            Some(delivery) => self.put_back(delivery).await,
            None => Ok(()),
        }
    }

    async fn attempt(&self, delivery: &Delivery, webhook: &Webhook) -> Result<(Attempt, Outcome), Failed> {
        let id = domain::id::uuid_text(store::clock::random());
        let (at, began) = (store::clock::now(), Instant::now());
        let mut secrets = Secrets::default();
        let exchange = match webhook.webhook_type {
            WebhookType::Email => self.mail_out(delivery, &webhook.url).await,
            kind => {
                let told = match kind {
                    WebhookType::Slack => people::slack(delivery),
                    WebhookType::MsTeams => people::teams(delivery),
                    WebhookType::Webhook | WebhookType::Email => body(delivery, &id, &public_object(webhook)),
                };
                let told = told.to_string().into_bytes();
                let headers = self.headers(delivery, webhook, &told, &mut secrets)?;
                self.egress.post(&webhook.url, headers, told).await
            }
        };
        let Exchange { outcome, error, answer } = exchange;
        let status = match outcome {
            Outcome::Answered { status, .. } => Some(status),
            Outcome::Taken | Outcome::NoAnswer | Outcome::TimedOut | Outcome::Forbidden => None,
        };
        let secrets: Vec<&str> = secrets.0.iter().map(|secret| secret.as_str()).collect();
        let answer = kept_answer(&answer, &secrets);
        let millis = u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX);
        Ok((Attempt { id, at, millis, status, error, answer, round: None }, outcome))
    }

    /// `secrets` gets what is secret in them, or made them.
    fn headers(
        &self,
        delivery: &Delivery,
        webhook: &Webhook,
        body: &[u8],
        secrets: &mut Secrets,
    ) -> Result<HeaderMap, Failed> {
        let now = store::clock::now();
        let open = |field, sealed: &Sealed| {
            let opened = self.records.sealer().open(webhook_place(webhook, field), sealed);
            opened.map_err(|error| error.to_string())
        };
        let text = open(SECRET_FIELD, &webhook.secret)?;
        secrets.0.push(text.clone());
        let secret = WebhookSecret::from_text(text);
        let timestamp = now.seconds();
        let mut signatures = secret.standard_signature(&delivery.id, timestamp, body);
        if let Some(previous) = webhook.previous_secret.as_ref().filter(|previous| now < previous.until) {
            let text = open(SECRET_FIELD, &previous.secret)?;
            secrets.0.push(text.clone());
            let previous = WebhookSecret::from_text(text);
            signatures.push(' ');
            signatures.push_str(&previous.standard_signature(&delivery.id, timestamp, body));
        }
        let mut headers = HeaderMap::new();
        let mut add = |name: &'static str, value: &str| -> Result<(), Failed> {
            let value = HeaderValue::from_str(value).map_err(|_| format!("`{name}` cannot be sent"))?;
            headers.insert(HeaderName::from_static(name), value);
            Ok(())
        };
        add("content-type", "application/json")?;
        add("user-agent", "Towpath-Webhooks/1")?;
        add("x-hub-signature", &secret.hub_signature(body))?;
        add("webhook-id", &delivery.id)?;
        add("webhook-timestamp", &timestamp.to_string())?;
        add("webhook-signature", &signatures)?;
        if let Some(sealed) = &webhook.authorization_header {
            let header = open(AUTHORIZATION_FIELD, sealed)?;
            add("authorization", &header)?;
            // a receiver may repeat it with or without its scheme
            secrets.0.extend(header.split_once(' ').map(|(_, rest)| Zeroizing::new(rest.to_owned())));
            secrets.0.insert(0, header);
        }
        Ok(headers)
    }
}

/// The webhook as a ping tells it: what the API shows, without secrets.
fn public_object(webhook: &Webhook) -> Value {
    json!({
        "Id": webhook.id,
        "Alias": webhook.alias,
        "Url": webhook.url,
        "Type": webhook.webhook_type,
        "Topics": webhook.topics,
        "OrganizationId": webhook.organization,
        "State": webhook.state,
        "CreatedAt": webhook.created_at,
        "UpdatedAt": webhook.updated_at,
    })
}
