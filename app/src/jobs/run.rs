//! A job while somebody works on it.

use domain::job::{Job, LEASE_MILLIS, Progress};
use serde_json::Value;
use std::time::Duration;
use store::clock;
use store::jobs::Jobs;
use store::records::{RecordError, Versioned};
use tokio::time::Instant;

/// How often progress is written down, which renews the lease as well.
const EVERY: Duration = Duration::from_secs(2);

/// Why it must not be gone on with.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    /// Another worker has it: this one stood still for too long.
    #[error("somebody else works on this job now")]
    TakenOver,
    #[error(transparent)]
    Unavailable(#[from] RecordError),
}

/// One worker's hold of a job.
pub(super) struct Run {
    jobs: Jobs,
    job: Versioned<Job>,
    noted: Instant,
}

impl Run {
    pub(super) fn new(jobs: Jobs, job: Versioned<Job>) -> Self {
        Self { jobs, job, noted: Instant::now() }
    }

    /// What is being done.
    pub(super) fn job(&self) -> &Job {
        &self.job.value
    }

    /// For its last note.
    pub(super) fn into_job(self) -> Versioned<Job> {
        self.job
    }

    /// What it has found so far; written down with its next progress.
    pub(super) fn set_result(&mut self, result: Value) {
        self.job.value.result = result;
    }

    /// Notes how far it is, now and then.
    pub(super) async fn progress(&mut self, progress: Progress) -> Result<(), RunError> {
        self.job.value.progress = progress;
        if self.noted.elapsed() < EVERY {
            return Ok(());
        }
        self.noted = Instant::now();
        let now = clock::now();
        self.job.value.updated_at = now;
        self.job.value.due = now.plus_millis(LEASE_MILLIS);
        match self.jobs.save(&self.job.value, Some(self.job.rev)).await? {
            Some(rev) => {
                self.job.rev = rev;
                Ok(())
            }
            None => Err(RunError::TakenOver),
        }
    }
}
