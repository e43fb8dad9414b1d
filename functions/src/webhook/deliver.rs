//! One attempt of one delivery, and what follows from it.

use super::{Failed, WebhookState};
use app::management::{AUTHORIZATION_FIELD, SECRET_FIELD, webhook_place};
use domain::queue_message::{Content, Delivery};
use domain::sealed::Sealed;
use domain::webhook::body::body;
use domain::webhook::schedule::{Next, Outcome, next};
use domain::webhook::{Webhook, WebhookSecret, WebhookState as State, WebhookType};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

impl WebhookState {
    pub(super) async fn deliver(&self, mut delivery: Delivery) -> Result<(), Failed> {
        let now = store::clock::now();
        if delivery.not_before.is_some_and(|at| at > now) {
            return self.put_back(delivery).await;
        }
        let found = self.records.webhook(&delivery.organization, &delivery.webhook).await;
        let Some(webhook) = found.map_err(|error| error.to_string())?.map(|found| found.value) else {
            tracing::info!(delivery = delivery.id, "the webhook is gone");
            return Ok(());
        };
        let is_ping = matches!(delivery.content, Content::Ping { .. });
        if webhook.state == State::Paused && !is_ping {
            return Ok(());
        }
        let outcome = self.attempt(&delivery, &webhook).await?;
        let failed = delivery.failed_attempts.saturating_add(1);
        let fields = (&delivery.id, &webhook.id);
        match next(failed, outcome, u32::from_be_bytes(store::clock::random())) {
            Next::Done => {
                tracing::info!(delivery = fields.0, webhook = fields.1, attempt = failed, "delivered");
                Ok(())
            }
            Next::Retry(seconds) if !is_ping => {
                tracing::info!(
                    delivery = fields.0,
                    webhook = fields.1,
                    attempt = failed,
                    ?outcome,
                    retry_seconds = seconds,
                    "not delivered yet"
                );
                delivery.failed_attempts = failed;
                delivery.not_before = Some(now.plus_millis(i64::from(seconds) * 1000));
                self.put_back(delivery).await
            }
            // somebody waits for a ping now; tomorrow it would only surprise
            Next::Retry(_) | Next::Failed => {
                tracing::warn!(delivery = fields.0, webhook = fields.1, attempt = failed, ?outcome, "delivery failed");
                Ok(())
            }
        }
    }

    async fn attempt(&self, delivery: &Delivery, webhook: &Webhook) -> Result<Outcome, Failed> {
        let attempt = domain::id::uuid_text(store::clock::random());
        let told = body(delivery, &attempt, &public_object(webhook));
        let told = match webhook.webhook_type {
            WebhookType::Webhook => told,
            WebhookType::Slack | WebhookType::MsTeams => json!({ "text": sentence(&told) }),
            WebhookType::Email => return Ok(Outcome::Forbidden),
        };
        let told = told.to_string().into_bytes();
        let headers = self.headers(delivery, webhook, &told)?;
        Ok(self.egress.post(&webhook.url, headers, told).await)
    }

    fn headers(&self, delivery: &Delivery, webhook: &Webhook, body: &[u8]) -> Result<HeaderMap, Failed> {
        let now = store::clock::now();
        let open = |field, sealed: &Sealed| {
            let opened = self.records.sealer().open(webhook_place(webhook, field), sealed);
            opened.map_err(|error| error.to_string())
        };
        let secret = WebhookSecret::from_text(open(SECRET_FIELD, &webhook.secret)?);
        let timestamp = now.seconds();
        let mut signatures = secret.standard_signature(&delivery.id, timestamp, body);
        if let Some(previous) = webhook.previous_secret.as_ref().filter(|previous| now < previous.until) {
            let previous = WebhookSecret::from_text(open(SECRET_FIELD, &previous.secret)?);
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
            add("authorization", &open(AUTHORIZATION_FIELD, sealed)?)?;
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

/// An event for people in a chat.
fn sentence(body: &Value) -> String {
    let text = |pointer| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    format!("{}: {} ({} {})", text("/Topic"), text("/Data/Path"), text("/Actor/Type"), text("/Actor/Id"))
}
