//! Messages in the queues of events and of jobs: sending in batches, and for the development program receiving and deleting.

use crate::aws::Aws;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, SendMessageBatchRequestEntry};
use domain::queue_message::{JobMessage, QueueMessage};
use futures_util::FutureExt as _;
use serde::Serialize;

/// SQS takes this many messages in one request.
const BATCH: usize = 10;

/// The longest delay that SQS knows, in seconds.
pub const MAX_DELAY_SECONDS: u32 = 900;

/// The queue did not take or give messages.
#[derive(Debug, thiserror::Error)]
#[error("the queue did not answer: {0}")]
pub struct MessagesError(String);

fn failed<E: std::error::Error + 'static>(error: E) -> MessagesError {
    MessagesError(aws_smithy_types::error::display::DisplayErrorContext(error).to_string())
}

/// A message that was received.
pub struct Received {
    /// Its id.
    pub id: String,
    /// What deletes it.
    pub receipt: String,
    /// What it says.
    pub body: String,
    /// How often it was received, this time included.
    pub receive_count: u32,
}

/// A queue. Cheap to clone.
#[derive(Clone)]
pub struct Queue {
    client: Client,
    url: String,
}

/// The events queue. Cheap to clone.
#[derive(Clone)]
pub struct Messages {
    queue: Queue,
    slow: Queue,
}

/// The jobs queue. Cheap to clone.
#[derive(Clone)]
pub struct JobMessages(Queue);

impl Messages {
    /// The queue of the settings.
    pub fn new(aws: &Aws) -> Self {
        let queue = Queue { client: aws.sqs.clone(), url: aws.settings.events_queue_url.clone() };
        let slow = match aws.settings.slow_events_queue_url.as_str() {
            "" => queue.clone(),
            url => Queue { url: url.to_owned(), ..queue.clone() },
        };
        Self { queue, slow }
    }

    /// The queue itself.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The one beside it.
    pub fn slow_queue(&self) -> &Queue {
        &self.slow
    }

    /// Sends messages to where those for slow receivers wait; as [`Messages::send`].
    pub async fn send_slow(&self, messages: &[(QueueMessage, u32)]) -> Result<(), MessagesError> {
        // nearly always nobody is slow
        if messages.is_empty() {
            return Ok(());
        }
        self.slow.send(messages).await
    }

    /// Sends messages, each after its delay in seconds. An error means that at least one was not taken; others may
    /// have been, so a repeated call may send twice, which receivers of the queue expect.
    pub async fn send(&self, messages: &[(QueueMessage, u32)]) -> Result<(), MessagesError> {
        self.queue.send(messages).await
    }
}

impl JobMessages {
    /// The queue of the settings.
    pub fn new(aws: &Aws) -> Self {
        Self(Queue { client: aws.sqs.clone(), url: aws.settings.jobs_queue_url.clone() })
    }

    /// The queue itself.
    pub fn queue(&self) -> &Queue {
        &self.0
    }

    /// Sends word of a job.
    pub async fn send(&self, message: JobMessage) -> Result<(), MessagesError> {
        self.0.send(&[(message, 0)]).await
    }
}

impl Queue {
    async fn send<T: Serialize>(&self, messages: &[(T, u32)]) -> Result<(), MessagesError> {
        for chunk in messages.chunks(BATCH) {
            let mut request = self.client.send_message_batch().queue_url(&self.url);
            for (at, (message, delay)) in chunk.iter().enumerate() {
                let body = serde_json::to_string(message).map_err(|error| MessagesError(error.to_string()))?;
                let delay = i32::try_from((*delay).min(MAX_DELAY_SECONDS)).unwrap_or_default();
                let entry = SendMessageBatchRequestEntry::builder().id(at.to_string()).message_body(body);
                request = request.entries(entry.delay_seconds(delay).build().map_err(failed)?);
            }
            let answer = request.send().boxed().await.map_err(failed)?;
            if let Some(refused) = answer.failed.first() {
                return Err(MessagesError(format!("{}: {}", refused.code(), refused.message().unwrap_or_default())));
            }
        }
        Ok(())
    }

    /// Waits up to `wait_seconds` for at most `most` messages, which are ten.
    pub async fn receive(&self, wait_seconds: u8, most: u8) -> Result<Vec<Received>, MessagesError> {
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::from(most.clamp(1, 10)))
            .wait_time_seconds(i32::from(wait_seconds.min(15)))
            .message_system_attribute_names(aws_sdk_sqs::types::MessageSystemAttributeName::ApproximateReceiveCount)
            .send()
            .boxed()
            .await
            .map_err(failed)?;
        Ok(answer.messages.unwrap_or_default().into_iter().filter_map(received).collect())
    }

    /// Deletes what was handled, by receipt.
    pub async fn delete(&self, receipts: &[String]) -> Result<(), MessagesError> {
        for chunk in receipts.chunks(BATCH) {
            let mut request = self.client.delete_message_batch().queue_url(&self.url);
            for (at, receipt) in chunk.iter().enumerate() {
                let entry = DeleteMessageBatchRequestEntry::builder().id(at.to_string()).receipt_handle(receipt);
                request = request.entries(entry.build().map_err(failed)?);
            }
            request.send().boxed().await.map_err(failed)?;
        }
        Ok(())
    }
}

fn received(message: Message) -> Option<Received> {
    let attribute = aws_sdk_sqs::types::MessageSystemAttributeName::ApproximateReceiveCount;
    let count = message.attributes.as_ref().and_then(|all| all.get(&attribute)).and_then(|count| count.parse().ok());
    Some(Received {
        id: message.message_id?,
        receipt: message.receipt_handle?,
        body: message.body?,
        receive_count: count.unwrap_or(1),
    })
}
