//! Events to EventBridge, for who wants to hear of all of them ([`domain::cloud_event`]).

use crate::aws::Aws;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::DisplayErrorContext;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use domain::cloud_event::cloud_event;
use domain::event::Event;
use futures_util::FutureExt as _;
use std::time::Duration;

/// EventBridge takes this many events in one request.
const BATCH: usize = 10;
/// How long one request may take, with its repetitions: others wait behind it in the same batch of messages.
const PATIENCE: Duration = Duration::from_secs(4);
const ATTEMPT: Duration = Duration::from_millis(1_500);
/// `Source` of every entry.
const SOURCE: &str = "towpath";

/// A bus. Cheap to clone.
#[derive(Clone)]
pub struct EventBus {
    client: Client,
    name: String,
}

/// Events that the bus has not taken.
#[derive(Debug)]
pub struct NotTaken {
    /// Which.
    pub events: Vec<Event>,
    /// Why, for the log.
    pub why: String,
}

impl EventBus {
    /// A bus by its name or ARN.
    pub fn new(aws: &Aws, name: &str) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(ATTEMPT)
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(PATIENCE)
            .build();
        let config = aws_sdk_eventbridge::config::Builder::from(aws.shared())
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(2));
        Self { client: Client::from_conf(config.build()), name: name.to_owned() }
    }

    /// Sends events. Some may be taken and others not; one whose answer gets lost is sent again, with the same id.
    pub async fn put(&self, events: &[Event]) -> Result<(), NotTaken> {
        let mut left = NotTaken { events: Vec::new(), why: String::new() };
        for chunk in events.chunks(BATCH) {
            let entries = chunk.iter().map(|event| self.entry(event)).collect();
            match self.client.put_events().set_entries(Some(entries)).send().boxed().await {
                Ok(answer) => {
                    for (event, entry) in chunk.iter().zip(answer.entries()) {
                        if let Some(code) = entry.error_code() {
                            left.why = format!("{code}: {}", entry.error_message().unwrap_or_default());
                            left.events.push(event.clone());
                        }
                    }
                    // an answer says something of each
                    left.events.extend(chunk.iter().skip(answer.entries().len()).cloned());
                }
                Err(error) => {
                    left.why = DisplayErrorContext(error).to_string();
                    left.events.extend_from_slice(chunk);
                }
            }
        }
        if left.events.is_empty() { Ok(()) } else { Err(left) }
    }

    fn entry(&self, event: &Event) -> PutEventsRequestEntry {
        PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(SOURCE)
            .detail_type(event.topic.as_str())
            .time(DateTime::from_millis(event.created_at.millis()))
            .detail(cloud_event(event).to_string())
            .build()
    }
}
