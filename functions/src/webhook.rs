//! The webhook function: events in, deliveries out.
//!
//! Two stages over one queue. An event becomes one message for each webhook that wants it; a delivery is one HTTP
//! request. So a receiver that is slow or dead delays no other, and a failed stage is repeated alone. What cannot be
//! read, or whose dependencies fail, is reported as failed, so that SQS gives it again and in the end moves it to the
//! dead-letter queue.

mod deliver;
mod egress;

pub use egress::{Egress, EgressError};

use crate::local::Handler;
use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use domain::event::Event;
use domain::queue_message::{Content, Delivery, QueueMessage};
use domain::webhook::delivery_id;
use futures_util::StreamExt as _;
use store::messages::{MAX_DELAY_SECONDS, Messages};
use store::records::Records;

/// Messages of one batch that are worked on side by side: one dead receiver (10 s) must not hold up the other nine.
const AT_ONCE: usize = 10;

/// What the function needs.
#[derive(Clone)]
pub struct WebhookState {
    records: Records,
    messages: Messages,
    egress: Egress,
}

/// Why a message stays in the queue. For the log.
type Failed = String;

impl WebhookState {
    /// On these records and this queue, with this way out.
    pub fn new(records: Records, messages: Messages, egress: Egress) -> Self {
        Self { records, messages, egress }
    }

    async fn handle_message(&self, message: SqsMessage) -> Result<(), Failed> {
        let body = message.body.unwrap_or_default();
        let message: QueueMessage = serde_json::from_str(&body).map_err(|error| error.to_string())?;
        match message {
            QueueMessage::Event { event, .. } => self.fan_out(&event).await,
            QueueMessage::Delivery { delivery, .. } => self.deliver(delivery).await,
        }
    }

    /// One message for each webhook that wants to hear of the event.
    async fn fan_out(&self, event: &Event) -> Result<(), Failed> {
        let webhooks = self.records.webhooks(&event.organization).await.map_err(|error| error.to_string())?;
        let mut messages = Vec::new();
        for webhook in webhooks {
            let webhook = webhook.value;
            for event in webhook.announcements(event) {
                let delivery = Delivery {
                    id: delivery_id(&event.id, &webhook.id),
                    organization: event.organization.clone(),
                    webhook: webhook.id.clone(),
                    failed_attempts: 0,
                    not_before: None,
                    content: Content::Event { event: Box::new(event) },
                };
                messages.push((QueueMessage::delivery(delivery), 0));
            }
        }
        self.messages.send(&messages).await.map_err(|error| error.to_string())
    }

    /// Puts a delivery back for later. SQS delays by 15 minutes at most, so longer waits are several hops: 96 for a
    /// day, which costs less than a hundredth of a cent.
    async fn put_back(&self, delivery: Delivery) -> Result<(), Failed> {
        let now = store::clock::now();
        let wait = delivery.not_before.map_or(0, |at| at.millis().saturating_sub(now.millis()).max(0) / 1000 + 1);
        let delay = u32::try_from(wait).unwrap_or(MAX_DELAY_SECONDS).min(MAX_DELAY_SECONDS);
        self.messages.send(&[(QueueMessage::delivery(delivery), delay)]).await.map_err(|error| error.to_string())
    }
}

impl Handler for WebhookState {
    async fn handle(&self, batch: SqsEvent) -> SqsBatchResponse {
        let handled = batch.records.into_iter().map(|message| async move {
            let id = message.message_id.clone().unwrap_or_default();
            match self.handle_message(message).await {
                Ok(()) => None,
                Err(error) => {
                    tracing::error!(message = id, error, "a queue message was not handled");
                    Some(id)
                }
            }
        });
        let outcomes: Vec<Option<String>> =
            futures_util::stream::iter(handled).buffer_unordered(AT_ONCE).collect().await;
        let mut response = SqsBatchResponse::default();
        for id in outcomes.into_iter().flatten() {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = id;
            response.batch_item_failures.push(failure);
        }
        response
    }
}
