//! Deliveries of events to webhooks, but for the sending itself: who may send, what is noted of it, what follows for the webhook.
//!
//! A message of the queue stands for a delivery that is due; its record decides whether it is sent ([`Logged::claim`]). After each
//! attempt the record says what comes next. A retry within a quarter of an hour is a message with a delay; later ones, and those
//! whose message got lost, are found by [`Deliveries::wake`], once a minute.

use crate::announced::{announcing, changed, event};
use domain::event::{Actor, ActorKind, ChangedHow, ChangedKind, Event, Topic};
use domain::queue_message::{Delivery, QueueMessage};
use domain::time::Timestamp;
use domain::webhook::delivery::{Attempt, Claim, LONGEST_DELAY_SECONDS, Logged, Status};
use domain::webhook::health::pause_reason;
use domain::webhook::schedule::Next;
use domain::webhook::{Webhook, WebhookState};
use store::clock;
use store::messages::Messages;
use store::records::{RecordError, Records, Versioned};
use store::table::SWEEP_SHARDS;

/// How often a change of a webhook is tried again when somebody else was faster.
const ATTEMPTS: usize = 8;

/// How many due deliveries of a shard one look sends; the others are sent a minute later.
const DUE: u16 = 500;

/// Whether a message leads to an attempt.
pub enum Claimed {
    /// Now, with this record.
    Yours(Box<Versioned<Logged>>),
    /// Somebody has it until then.
    Later(Timestamp),
    /// It is over, or another message stands for it.
    Over,
}

/// Over records and queue. Cheap to clone.
#[derive(Clone)]
pub struct Deliveries {
    records: Records,
    messages: Messages,
}

impl Deliveries {
    /// Over these.
    pub fn new(records: Records, messages: Messages) -> Self {
        Self { records, messages }
    }

    /// Claims the delivery of a message. Nothing may be sent without.
    pub async fn claim(&self, message: &Delivery, now: Timestamp) -> Result<Claimed, RecordError> {
        // what comes for the first time, as most do, needs no look
        if message.failed_attempts == 0 && message.round.is_none() {
            let record = Logged::claimed(message.clone(), now);
            if let Some(rev) = self.records.save_delivery(&record, None).await? {
                return Ok(Claimed::Yours(Box::new(Versioned { value: record, rev })));
            }
        }
        let found = self.records.delivery(&message.organization, &message.webhook, &message.id).await?;
        let Some(Versioned { value: mut record, rev }) = found else {
            // it has expired
            return Ok(Claimed::Over);
        };
        match record.claim(message, now) {
            Claim::Over => Ok(Claimed::Over),
            Claim::Later(until) => Ok(Claimed::Later(until)),
            Claim::Yours => Ok(match self.records.save_delivery(&record, Some(rev)).await? {
                Some(rev) => Claimed::Yours(Box::new(Versioned { value: record, rev })),
                // somebody else was faster, and has it now
                None => Claimed::Later(now.plus_millis(domain::webhook::delivery::LEASE_MILLIS)),
            }),
        }
    }

    /// Notes that an event was not sent because the webhook is paused.
    pub async fn missed(&self, message: Delivery) -> Result<(), RecordError> {
        let record = Logged::new(message, Status::Missed, clock::now());
        self.records.save_delivery(&record, None).await.map(|_| ())
    }

    /// The same of a delivery that was claimed.
    pub async fn missed_claimed(&self, claimed: Versioned<Logged>) -> Result<(), RecordError> {
        let Versioned { value: mut record, rev } = claimed;
        record.missed(clock::now());
        self.records.save_delivery(&record, Some(rev)).await.map(|_| ())
    }

    /// Notes that the webhook of a message is gone: its delivery is not looked for any more.
    pub async fn abandon(&self, message: &Delivery, now: Timestamp) -> Result<(), RecordError> {
        let found = self.records.delivery(&message.organization, &message.webhook, &message.id).await?;
        if let Some(Versioned { value: mut record, rev }) = found.filter(|found| !found.value.status.is_over()) {
            record.abandoned(now);
            self.records.save_delivery(&record, Some(rev)).await?;
        }
        Ok(())
    }

    /// Notes an attempt and does what follows from it. Answers the message of the next one, if it has one.
    pub async fn tried(
        &self,
        webhook: &Webhook,
        claimed: Versioned<Logged>,
        attempt: Attempt,
        next: Next,
    ) -> Result<Option<Delivery>, RecordError> {
        let Versioned { value: mut record, rev } = claimed;
        let now = clock::now();
        let counts = record.counts();
        record.tried(attempt, next, now);
        let (organization, id) = (&webhook.organization, webhook.id.as_str());
        match next {
            Next::Done => {
                // before it is noted: a process that dies in between does this again, and not the other way round
                if counts && self.records.webhook_health(organization, id).await? != Default::default() {
                    self.records.forget_failures(organization, id).await?;
                }
                if self.records.save_delivery(&record, Some(rev)).await?.is_none() {
                    tracing::warn!(delivery = record.delivery.id, "somebody else has sent it as well");
                }
                Ok(None)
            }
            Next::Retry(seconds) => {
                if self.records.save_delivery(&record, Some(rev)).await?.is_none() {
                    return Ok(None);
                }
                if counts {
                    let mut health = self.records.webhook_health(organization, id).await?;
                    if health.failing_since.is_none() {
                        self.records.note_failing(organization, id, now).await?;
                        health.failing_since = Some(now);
                    }
                    if let Some(reason) = pause_reason(health, false, now) {
                        self.pause(webhook, &reason).await?;
                    }
                }
                let delivery = Delivery { not_before: record.next_attempt_at, ..record.delivery };
                Ok((seconds <= LONGEST_DELAY_SECONDS).then_some(delivery))
            }
            Next::Failed | Next::Gone => {
                if counts && next == Next::Gone {
                    self.pause_if_due(webhook, true, now).await?;
                }
                let announced =
                    announcing(&self.records, &self.messages, failed(webhook, &record).into_iter().collect());
                let written = announced.records.give_up_delivery(&record, rev, counts).await;
                match announced.told(written).await {
                    // somebody else was faster, or it was this, whose answer got lost
                    Ok(()) | Err(RecordError::Conflict) => {}
                    Err(error) => return Err(error),
                }
                if counts {
                    self.pause_if_due(webhook, false, now).await?;
                }
                Ok(None)
            }
        }
    }

    async fn pause_if_due(&self, webhook: &Webhook, gone: bool, now: Timestamp) -> Result<(), RecordError> {
        // read after it was counted: of several who count at once, the last one sees all
        let health = self.records.webhook_health(&webhook.organization, &webhook.id).await?;
        match pause_reason(health, gone, now) {
            Some(reason) => self.pause(webhook, &reason).await,
            None => Ok(()),
        }
    }

    /// Pauses a webhook and tells it, once.
    async fn pause(&self, webhook: &Webhook, reason: &str) -> Result<(), RecordError> {
        for _ in 0..ATTEMPTS {
            let found = self.records.webhook(&webhook.organization, &webhook.id).await?;
            let Some(Versioned { value: mut paused, rev }) = found else {
                return Ok(());
            };
            if paused.state == WebhookState::Paused {
                return Ok(());
            }
            (paused.state, paused.pause_reason, paused.updated_at) =
                (WebhookState::Paused, Some(reason.to_owned()), clock::now());
            let told = about(&paused, Topic::WebhookPaused, reason.to_owned());
            let announced = announcing(&self.records, &self.messages, vec![told]);
            let written = announced.records.save_webhook(&paused, Some(rev)).await;
            match announced.told(written).await {
                Ok(_) => {
                    tracing::warn!(webhook = webhook.id, reason, "paused a webhook");
                    return Ok(());
                }
                Err(RecordError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(RecordError::Conflict)
    }

    /// Sends messages of deliveries that are due and for which none comes. Answers how many.
    pub async fn wake(&self, now: Timestamp) -> Result<usize, RecordError> {
        let mut sent = 0;
        for shard in 0..SWEEP_SHARDS {
            let due = self.records.due_deliveries(shard, now, DUE).await?;
            let message = |due: &Versioned<Logged>| {
                let delivery = Delivery { not_before: None, ..due.value.delivery.clone() };
                (QueueMessage::delivery(delivery), 0)
            };
            let messages: Vec<_> = due.iter().map(message).collect();
            let queued = self.messages.send(&messages).await;
            queued.map_err(|error| RecordError::Unavailable(error.to_string()))?;
            sent += due.len();
            for Versioned { value: mut record, rev } in due {
                // looked for again if this one gets lost, too
                record.woken(now);
                self.records.save_delivery(&record, Some(rev)).await?;
            }
        }
        Ok(sent)
    }
}

/// What is told of a delivery that was given up: nothing of one that tells of such itself, which would not end.
fn failed(webhook: &Webhook, record: &Logged) -> Option<Event> {
    let topic = record.topic();
    if matches!(topic, Topic::WebhookPing | Topic::WebhookPaused | Topic::DeliveryFailed) {
        return None;
    }
    let why = record.attempts.last().map(|last| match (last.status, &last.error) {
        (Some(status), _) => format!("the receiver answered {status}"),
        (None, Some(error)) => error.clone(),
        (None, None) => "no answer".to_owned(),
    });
    let reason = format!("delivery {} of {topic} failed: {}", record.delivery.id, why.unwrap_or_default());
    Some(about(webhook, Topic::DeliveryFailed, reason))
}

fn about(webhook: &Webhook, topic: Topic, reason: String) -> Event {
    let actor = Actor { kind: ActorKind::System, id: "towpath".to_owned() };
    let name = webhook.alias.as_deref().unwrap_or_default();
    let mut what = changed(ChangedKind::Webhook, ChangedHow::Updated, &webhook.id, name);
    if topic == Topic::WebhookPaused {
        what.fields = vec!["state".to_owned()];
    }
    let mut told = event(topic, webhook.organization.clone(), actor, None, what);
    told.reason = Some(reason);
    told
}
