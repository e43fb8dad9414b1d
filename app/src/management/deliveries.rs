//! What was delivered to a webhook, and sending it again.

use super::{Caller, Management, ManagementError};
use domain::id::uuid_text;
use domain::job::{Job, Task};
use domain::queue_message::{Delivery, QueueMessage};
use domain::right::Right;
use domain::time::Timestamp;
use domain::webhook::delivery::Logged;
use domain::webhook::{Webhook, WebhookState};
use store::clock;

const NO_SUCH: ManagementError = ManagementError::NotFound("delivery");

impl Management {
    /// Up to `limit` deliveries of a webhook older than `before`, the newest first; and whether there may be more.
    pub async fn deliveries(
        &self,
        caller: &Caller,
        webhook: &str,
        before: Option<&str>,
        limit: u16,
    ) -> Result<(Vec<Logged>, bool), ManagementError> {
        caller.require(Right::SeeWebhooks)?;
        let webhook = self.load_webhook(caller, webhook).await?.record.value;
        Ok(self.records.deliveries(&caller.organization, &webhook.id, before, limit).await?)
    }

    /// One delivery.
    pub async fn delivery(&self, caller: &Caller, webhook: &str, id: &str) -> Result<Logged, ManagementError> {
        caller.require(Right::SeeWebhooks)?;
        let webhook = self.load_webhook(caller, webhook).await?.record.value;
        self.load_delivery(&webhook, id).await
    }

    /// Sends a delivery again, whatever became of it, with its whole schedule of retries.
    pub async fn redeliver(&self, caller: &Caller, webhook: &str, id: &str) -> Result<Logged, ManagementError> {
        caller.require(Right::ChangeWebhooks)?;
        let webhook = self.enabled_webhook(caller, webhook).await?;
        let logged = self.load_delivery(&webhook, id).await?;
        let message = Delivery {
            failed_attempts: 0,
            not_before: None,
            round: Some(uuid_text(clock::random())),
            ..logged.delivery.clone()
        };
        let sent = self.messages.send(&[(QueueMessage::delivery(message), 0)]).await;
        sent.map_err(|error| ManagementError::Unavailable(error.to_string()))?;
        Ok(logged)
    }

    /// Sends again all that happened since a time, also what was missed meanwhile.
    pub async fn replay(&self, caller: &Caller, webhook: &str, since: Timestamp) -> Result<Job, ManagementError> {
        caller.require(Right::ChangeWebhooks)?;
        let webhook = self.enabled_webhook(caller, webhook).await?.id;
        Ok(self.queue.ask(&caller.organization, Task::WebhookReplay { webhook, since }, caller.actor().id).await?)
    }

    async fn enabled_webhook(&self, caller: &Caller, id: &str) -> Result<Webhook, ManagementError> {
        let webhook = self.load_webhook(caller, id).await?.record.value;
        match webhook.state {
            WebhookState::Enabled => Ok(webhook),
            WebhookState::Paused => Err(ManagementError::Conflict("the webhook is paused; enable it first")),
        }
    }

    async fn load_delivery(&self, webhook: &Webhook, id: &str) -> Result<Logged, ManagementError> {
        if !domain::id::is_uuid(id) {
            return Err(NO_SUCH);
        }
        let found = self.records.delivery(&webhook.organization, &webhook.id, id).await?;
        Ok(found.ok_or(NO_SUCH)?.value)
    }
}
