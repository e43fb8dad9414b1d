//! The queue of events, from whoever did something to the webhook function.

use crate::aws::Aws;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use domain::event::Event;

/// SQS takes this many messages in one request.
pub const BATCH: usize = 10;

/// The sending end.
#[derive(Clone)]
pub struct EventQueue {
    sqs: aws_sdk_sqs::Client,
    url: String,
}

/// Why events are not in the queue. All of them may be sent again: receivers tell by the event's id.
#[derive(Debug, thiserror::Error)]
#[error("{failed} of {all} events could not be queued: {reason}")]
pub struct QueueError {
    failed: usize,
    all: usize,
    reason: String,
}

impl EventQueue {
    /// On the queue of the settings.
    pub fn new(aws: &Aws) -> Self {
        Self {
            sqs: aws.sqs.clone(),
            url: aws.settings.events_queue_url.clone(),
        }
    }

    /// Puts all of them into the queue. `Ok` means that every one is durable there.
    pub async fn send(&self, events: &[&Event]) -> Result<(), QueueError> {
        for batch in events.chunks(BATCH) {
            let all = batch.len();
            let failed = |failed, reason: String| QueueError { failed, all, reason };
            let entries = batch
                .iter()
                .enumerate()
                .map(|(at, event)| {
                    let body = serde_json::json!({ "v": 1, "kind": "event", "event": event }).to_string();
                    SendMessageBatchRequestEntry::builder()
                        .id(at.to_string())
                        .message_body(body)
                        .build()
                })
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| failed(all, error.to_string()))?;
            let sent = self
                .sqs
                .send_message_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries))
                .send()
                .await
                .map_err(|error| failed(all, aws_sdk_sqs::error::DisplayErrorContext(&error).to_string()))?;
            if let Some(first) = sent.failed().first() {
                return Err(failed(sent.failed().len(), first.code().to_owned()));
            }
        }
        Ok(())
    }
}
