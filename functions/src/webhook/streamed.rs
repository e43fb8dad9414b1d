//! All events to an event bus, where the deployment has one.
//!
//! The events of a batch become one message of the same queue, so that a bus that fails or is slow is nobody's matter but that
//! message's: webhooks do not wait for it, and what it has not taken comes again later. While it fails, this process asks it only now
//! and then. After a day of failures events are given up, which the log tells; they stay in the audit log.

use super::{Failed, WebhookState};
use domain::event::Event;
use domain::queue_message::{QueueMessage, Streamed};
use domain::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use store::clock;
use store::event_bus::EventBus;
use store::messages::MAX_DELAY_SECONDS;

/// The first pause, in seconds; it trebles up to the longest delay of the queue.
const FIRST_PAUSE: u32 = 5;
/// So long after a failure this process does not ask again, in milliseconds.
const QUIET_MILLIS: i64 = 10_000;
/// Events that are older than this when they fail are given up, in milliseconds.
const GIVEN_UP_MILLIS: i64 = 24 * 3600 * 1000;

/// A bus, and how it does.
#[derive(Clone)]
pub(super) struct Stream {
    bus: EventBus,
    silence: Silence,
}

impl Stream {
    pub(super) fn new(bus: EventBus) -> Self {
        Self { bus, silence: Silence::default() }
    }
}

/// After a failure nobody in this process asks for a while.
#[derive(Clone, Default)]
struct Silence(Arc<AtomicI64>);

impl Silence {
    fn begin(&self, now: Timestamp) {
        self.0.store(now.plus_millis(QUIET_MILLIS).millis(), Ordering::Relaxed);
    }

    /// When it may be asked again, if that is not now.
    fn until(&self, now: Timestamp) -> Option<Timestamp> {
        Some(Timestamp::from_millis(self.0.load(Ordering::Relaxed))).filter(|until| *until > now)
    }
}

impl WebhookState {
    /// Puts word of events for the bus on the queue.
    pub(super) async fn hand_to_stream(&self, events: Vec<Event>) -> Result<(), Failed> {
        if self.stream.is_none() || events.is_empty() {
            return Ok(());
        }
        let now = clock::now();
        let message = QueueMessage::stream(Streamed { events, failed: 0, since: now, not_before: now });
        self.messages.send(&[(message, 0)]).await.map_err(|error| error.to_string())
    }

    /// Sends events to the bus, or puts them back for later.
    pub(super) async fn stream(&self, mut streamed: Streamed) -> Result<(), Failed> {
        let Some(stream) = &self.stream else {
            tracing::warn!(events = streamed.events.len(), "there is no event bus any more: events are not sent there");
            return Ok(());
        };
        let now = clock::now();
        if streamed.not_before > now {
            return self.put_stream_back(streamed, now).await;
        }
        if let Some(until) = stream.silence.until(now) {
            streamed.not_before = until;
            return self.put_stream_back(streamed, now).await;
        }
        let Err(left) = stream.bus.put(&streamed.events).await else {
            return Ok(());
        };
        stream.silence.begin(now);
        streamed.events = left.events;
        let (events, failed) = (streamed.events.len(), streamed.failed);
        if streamed.since.plus_millis(GIVEN_UP_MILLIS) < now {
            tracing::error!(why = left.why, events, "given up: the event bus has not taken events for a day");
            return Ok(());
        }
        tracing::warn!(why = left.why, events, failed, "the event bus has not taken events yet");
        streamed.failed = streamed.failed.saturating_add(1);
        streamed.not_before = now.plus_millis(i64::from(pause(failed)) * 1000);
        self.put_stream_back(streamed, now).await
    }

    async fn put_stream_back(&self, streamed: Streamed, now: Timestamp) -> Result<(), Failed> {
        let wait = streamed.not_before.millis().saturating_sub(now.millis()).max(0) / 1000;
        let delay = u32::try_from(wait).unwrap_or(MAX_DELAY_SECONDS).min(MAX_DELAY_SECONDS);
        self.messages.send(&[(QueueMessage::stream(streamed), delay)]).await.map_err(|error| error.to_string())
    }
}

/// In seconds, after so many failures before this one.
fn pause(failed: u32) -> u32 {
    FIRST_PAUSE.saturating_mul(3_u32.saturating_pow(failed)).min(MAX_DELAY_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_ends_however_often_somebody_wants_to_ask() {
        let (at, silence) = (Timestamp::from_millis, Silence::default());
        assert_eq!(silence.until(at(1_000)), None);
        silence.begin(at(1_000));
        for now in [1_000, 5_000, 10_999] {
            assert_eq!(silence.until(at(now)), Some(at(11_000)), "{now}");
        }
        assert_eq!(silence.until(at(11_000)), None);
    }

    #[test]
    fn pauses_grow_to_what_a_queue_can_wait() {
        assert_eq!([0, 1, 2, 3, 4, 5, 40].map(pause), [5, 15, 45, 135, 405, 900, 900]);
    }
}
