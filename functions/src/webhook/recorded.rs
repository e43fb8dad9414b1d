//! Events into the audit log, all of a batch at once, before anybody is told of them. What is not recorded stays in the queue, so that
//! nothing that the queue has taken is missing from the log; what comes twice is there once.

use super::{Failed, WebhookState};
use domain::event::Event;
use domain::queue_message::QueueMessage;

impl WebhookState {
    /// Records the events among these messages; what is no event has nothing to record, and what cannot be read fails later.
    pub(super) async fn record(&self, bodies: &[&str]) -> Vec<Result<(), Failed>> {
        let events: Vec<Option<Event>> = bodies.iter().map(|body| event(body)).collect();
        let all: Vec<Event> = events.iter().flatten().cloned().collect();
        let outcome = match all.is_empty() {
            true => Ok(()),
            false => match self.events.put(&all).await {
                Ok(()) => self.hand_to_stream(all).await,
                Err(error) => Err(format!("not recorded: {error}")),
            },
        };
        events.iter().map(|event| if event.is_some() { outcome.clone() } else { Ok(()) }).collect()
    }
}

fn event(body: &str) -> Option<Event> {
    match serde_json::from_str(body) {
        Ok(QueueMessage::Event { event, .. }) => Some(event),
        Ok(QueueMessage::Delivery { .. } | QueueMessage::Stream { .. } | QueueMessage::Notice { .. }) | Err(_) => None,
    }
}
