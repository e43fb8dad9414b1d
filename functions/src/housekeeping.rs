//! The housekeeping function: jobs from their queue, and what is due now and then.
//!
//! It is called in two ways: with messages of the jobs queue, one at a time, because a job may take all the time that a function
//! has; and by a schedule, once a minute, to finish what crashes left, to end what was abandoned, and to send word again of jobs
//! that nobody works on and of deliveries that are due.

use crate::config::{Config, ConfigError};
use crate::files::Storage;
use crate::queue::Handler;
use app::accounts::Known;
use app::deliveries::Deliveries;
use app::jobs::{Hands, JobQueue, Pauses, Replays, Worker};
use app::management::run_due_policies;
use app::settler::SettlingStores;
use app::sweep::Sweep;
use app::vfs::Resuming;
use aws_lambda_events::sqs::SqsBatchResponse;
use domain::queue_message::JobMessage;
use serde_json::Value;
use std::time::Duration;
use store::aws::Aws;
use store::clock;
use store::events::Events;
use store::jobs::Jobs;
use store::messages::{JobMessages, Messages};
use store::objects::Objects;
use store::records::Records;
use store::scans::Scans;

/// How long a job is worked on at a time: less than the fifteen minutes that a function may take, by what a call to S3 can.
pub const SLICE: Duration = Duration::from_secs(600);

/// What the function needs. Cheap to clone.
#[derive(Clone)]
pub struct HousekeepingState {
    worker: Worker,
    deliveries: Deliveries,
    sweep: Sweep,
    records: Records,
    queue: JobQueue,
}

/// Why it is called again with the same.
#[derive(Debug, thiserror::Error)]
pub enum HousekeepingError {
    /// Neither messages nor a schedule.
    #[error("this event is neither of the jobs queue nor of the schedule: {0}")]
    UnknownEvent(String),
}

impl HousekeepingState {
    /// Over the stores of the settings.
    pub fn build(config: &Config, aws: &Aws) -> Result<Self, ConfigError> {
        config.jobs_queue()?;
        let objects = Objects::new(aws);
        let queue = JobQueue::new(Jobs::new(aws), JobMessages::new(aws));
        let mut stores = SettlingStores::new(aws);
        stores.intents = stores.intents.with_lease(config.lease());
        let Storage { records, vfs, sessions, quotas, .. } = Storage::keeping(config, aws, config.resume());
        let hands = Hands::new(Known::new(records.clone()), vfs, sessions, quotas);
        let messages = Messages::new(aws);
        let replays = Replays::new(records.clone(), messages.clone());
        Ok(Self {
            worker: Worker::new(
                queue.clone(),
                (objects.clone(), Scans::new(aws), Events::new(aws)),
                hands,
                replays,
                SLICE,
            ),
            deliveries: Deliveries::new(records.clone(), messages),
            sweep: Sweep::new(objects, stores, Resuming::new(aws, config.resume())),
            records,
            queue,
        })
    }

    /// With other pauses of recounts, for tests.
    #[must_use]
    pub fn with_pauses(self, pauses: Pauses) -> Self {
        Self { worker: self.worker.with_pauses(pauses), ..self }
    }

    /// With other slices, for tests.
    #[must_use]
    pub fn with_slice(self, slice: Duration) -> Self {
        Self { worker: self.worker.with_slice(slice), ..self }
    }

    /// Whatever the function is called with.
    pub async fn handle_event(&self, event: Value) -> Result<SqsBatchResponse, HousekeepingError> {
        let unknown = |event: &Value| {
            let shown: String = event.to_string().chars().take(200).collect();
            HousekeepingError::UnknownEvent(shown)
        };
        if event.get("Records").is_some() {
            let batch = serde_json::from_value(event.clone()).map_err(|_| unknown(&event))?;
            return Ok(self.handle(batch).await);
        }
        // EventBridge's rules and its scheduler
        match event.get("source").and_then(Value::as_str) {
            Some("aws.events" | "aws.scheduler") => {
                self.tick().await;
                Ok(SqsBatchResponse::default())
            }
            _ => Err(unknown(&event)),
        }
    }

    /// What the schedule is for. What fails is tried again a minute later.
    pub async fn tick(&self) {
        let now = clock::now();
        self.sweep.everything(now).await;
        match run_due_policies(&self.records, &self.queue, now).await {
            Ok(0) => {}
            Ok(checks) => tracing::info!(checks, "retention policies are due"),
            Err(error) => tracing::warn!(%error, "retention policies that are due cannot be run now"),
        }
        match self.worker.wake(now).await {
            Ok(0) => {}
            Ok(jobs) => tracing::info!(jobs, "sent word again of jobs"),
            Err(error) => tracing::warn!(%error, "jobs that wait cannot be found now"),
        }
        match self.deliveries.wake(now).await {
            Ok(0) => {}
            Ok(deliveries) => tracing::info!(deliveries, "sent word of deliveries that are due"),
            Err(error) => tracing::warn!(%error, "deliveries that are due cannot be found now"),
        }
    }
}

impl Handler for HousekeepingState {
    /// Each may take all the time that there is.
    const AT_ONCE: usize = 1;

    async fn one(&self, body: &str) -> Result<(), String> {
        let JobMessage { organization, job, .. } = serde_json::from_str(body).map_err(|error| error.to_string())?;
        self.worker.work(&organization, &job).await.map_err(|error| error.to_string())
    }
}
