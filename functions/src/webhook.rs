//! The webhook function: events in, deliveries out.
//!
//! Two stages over one queue. An event becomes one message for each webhook that wants it; a delivery is one HTTP
//! request. Before that all events of a batch are recorded in the audit log (`recorded.rs`). A receiver that does not answer in
//! time has its deliveries in a second queue for an hour, which others do not wait in; and a failed stage is repeated alone. What cannot be
//! read, or whose dependencies fail, is reported as failed, so that SQS gives it again and in the end moves it to the
//! dead-letter queue.

mod deliver;
mod egress;
mod letter;
mod recorded;
mod streamed;

pub use egress::{Egress, EgressError};

use crate::queue::Handler;
use app::deliveries::Deliveries;
use domain::event::{Event, Topic};
use domain::queue_message::{Content, Delivery, QueueMessage};
use domain::webhook::{WebhookState as State, delivery_id};
use store::event_bus::EventBus;
use store::events::Events;
use store::mail::Mail;
use store::messages::{MAX_DELAY_SECONDS, Messages};
use store::records::Records;
use streamed::Stream;

/// What the function needs.
#[derive(Clone)]
pub struct WebhookState {
    records: Records,
    messages: Messages,
    events: Events,
    deliveries: Deliveries,
    mail: Mail,
    egress: Egress,
    stream: Option<Stream>,
}

/// Why a message stays in the queue. For the log.
type Failed = String;

impl WebhookState {
    /// On these records, the audit log and this queue, with these ways out.
    pub fn new(records: Records, messages: Messages, events: Events, mail: Mail, egress: Egress) -> Self {
        let deliveries = Deliveries::new(records.clone(), messages.clone());
        Self { records, messages, events, deliveries, mail, egress, stream: None }
    }

    /// With a bus that is to have all events.
    #[must_use]
    pub fn with_event_bus(self, bus: Option<EventBus>) -> Self {
        Self { stream: bus.map(Stream::new), ..self }
    }

    /// One message for each webhook that wants to hear of the event; for those that are paused, a record that they missed it.
    async fn fan_out(&self, event: &Event) -> Result<(), Failed> {
        let webhooks = self.records.webhooks(&event.organization).await.map_err(|error| error.to_string())?;
        let now = store::clock::now();
        let (mut messages, mut slow) = (Vec::new(), Vec::new());
        for webhook in webhooks {
            let webhook = webhook.value;
            for event in webhook.announcements(event) {
                let delivery = Delivery {
                    id: delivery_id(event.created_at, &event.id, &webhook.id),
                    organization: event.organization.clone(),
                    webhook: webhook.id.clone(),
                    failed_attempts: 0,
                    round: None,
                    slow: webhook.is_slow(now),
                    not_before: None,
                    content: Content::Event { event: Box::new(event) },
                };
                match webhook.state {
                    State::Enabled if delivery.slow => slow.push((QueueMessage::delivery(delivery), 0)),
                    State::Enabled => messages.push((QueueMessage::delivery(delivery), 0)),
                    State::Paused => self.deliveries.missed(delivery).await.map_err(|error| error.to_string())?,
                }
            }
        }
        if event.topic == Topic::WebhookPaused {
            // in a message of its own, so that nothing else waits for mail
            messages.push((QueueMessage::notice(event.clone()), 0));
        }
        self.messages.send_slow(&slow).await.map_err(|error| error.to_string())?;
        self.messages.send(&messages).await.map_err(|error| error.to_string())
    }

    /// Puts a delivery back for later; at most 15 minutes, which is what SQS knows. Longer waits stand in its record.
    async fn put_back(&self, delivery: Delivery) -> Result<(), Failed> {
        let now = store::clock::now();
        let wait = delivery.not_before.map_or(0, |at| at.millis().saturating_sub(now.millis()).max(0) / 1000 + 1);
        let delay = u32::try_from(wait).unwrap_or(MAX_DELAY_SECONDS).min(MAX_DELAY_SECONDS);
        let slow = delivery.slow;
        let message = [(QueueMessage::delivery(delivery), delay)];
        let sent = if slow { self.messages.send_slow(&message).await } else { self.messages.send(&message).await };
        sent.map_err(|error| error.to_string())
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
            QueueMessage::Notice { event, .. } => self.notice(&event).await,
        }
    }
}
