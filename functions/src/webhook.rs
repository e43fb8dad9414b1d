//! The webhook function: events in, deliveries out.
//!
//! Two stages over one queue. An event becomes one message for each webhook that wants it; a delivery is one HTTP
//! request. Before that all events of a batch are recorded in the audit log (`recorded.rs`). So a receiver that is slow or dead delays no other, and a failed stage is repeated alone. What cannot be
//! read, or whose dependencies fail, is reported as failed, so that SQS gives it again and in the end moves it to the
//! dead-letter queue.

mod deliver;
mod egress;
mod recorded;
mod streamed;

pub use egress::{Egress, EgressError};

use crate::queue::Handler;
use domain::event::Event;
use domain::queue_message::{Content, Delivery, QueueMessage};
use domain::webhook::delivery_id;
use store::event_bus::EventBus;
use store::events::Events;
use store::messages::{MAX_DELAY_SECONDS, Messages};
use store::records::Records;
use streamed::Stream;

/// What the function needs.
#[derive(Clone)]
pub struct WebhookState {
    records: Records,
    messages: Messages,
    events: Events,
    egress: Egress,
    stream: Option<Stream>,
}

/// Why a message stays in the queue. For the log.
type Failed = String;

impl WebhookState {
    /// On these records, the audit log and this queue, with this way out.
    pub fn new(records: Records, messages: Messages, events: Events, egress: Egress) -> Self {
        Self { records, messages, events, egress, stream: None }
    }

    /// With a bus that is to have all events.
    #[must_use]
    pub fn with_event_bus(self, bus: Option<EventBus>) -> Self {
        Self { stream: bus.map(Stream::new), ..self }
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
    /// One dead receiver (10 s) must not hold up the other nine.
    const AT_ONCE: usize = 10;

    async fn all(&self, bodies: &[&str]) -> Vec<Result<(), Failed>> {
        self.record(bodies).await
    }

    async fn one(&self, body: &str) -> Result<(), Failed> {
        match serde_json::from_str(body).map_err(|error| error.to_string())? {
            QueueMessage::Event { event, .. } => self.fan_out(&event).await,
            QueueMessage::Delivery { delivery, .. } => self.deliver(delivery).await,
            QueueMessage::Stream { streamed, .. } => self.stream(streamed).await,
        }
    }
}
