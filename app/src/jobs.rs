//! Jobs: what takes longer than an answer may ([`domain::job`]).
//!
//! Who asks for one writes its record and sends word of it. A worker claims the record under a lease, which it renews with its
//! progress, and works for a *slice*: what a function may take. At the end of a slice it notes where it is and sends word again.
//! Word that is lost, and a worker that dies, are found by [`Worker::wake`], which is to be called once a minute. After a failure,
//! as which a dead worker counts, a job begins again when a pause has passed; after [`MOST_FAILURES`] it has failed.

mod export;
mod folders;
mod hands;
mod recount;
mod replay;
mod retention;
mod run;

pub(crate) use export::key as export_key;
pub use hands::Hands;
pub use recount::Pauses;
pub use replay::Replays;

use domain::id::{CredentialId, OrganizationId};
use domain::job::{Job, JobId, LEASE_MILLIS, MOST_FAILURES, State, Task};
use domain::queue_message::{JobMessage, V1};
use domain::time::Timestamp;
use export::Export;
use folders::FolderError;
use hands::OpenError;
use recount::Recount;
use retention::Check;
use run::Run;
use serde_json::Value;
use std::time::Duration;
use store::clock;
use store::events::Events;
use store::jobs::Jobs;
use store::messages::JobMessages;
use store::objects::Objects;
use store::records::{RecordError, Versioned};
use store::scans::Scans;
use tokio::time::Instant;

/// How many of an organization's jobs are looked at for one that does the same.
const LOOKED_AT: u16 = 100;

/// The first pause after a failure, in milliseconds; it doubles.
const PAUSE_MILLIS: i64 = 5_000;

/// Asks for jobs. Cheap to clone.
#[derive(Clone)]
pub struct JobQueue {
    jobs: Jobs,
    messages: JobMessages,
}

/// Why a job is not asked for.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// One that does the same is not over.
    #[error("the same is being done already")]
    SameAlready,
    /// The table does not answer.
    #[error(transparent)]
    Unavailable(#[from] RecordError),
}

impl JobQueue {
    /// Over these.
    pub fn new(jobs: Jobs, messages: JobMessages) -> Self {
        Self { jobs, messages }
    }

    /// The records.
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// Asks for a job. It will be done: if its word gets lost, within two minutes.
    pub async fn ask(&self, organization: &OrganizationId, task: Task, asked_by: String) -> Result<Job, AskError> {
        self.ask_with(organization, task, asked_by, Value::Null).await
    }

    /// The same with what is known of its result already.
    pub async fn ask_with(
        &self,
        organization: &OrganizationId,
        task: Task,
        asked_by: String,
        result: Value,
    ) -> Result<Job, AskError> {
        let (known, _) = self.jobs.list(organization, None, LOOKED_AT).await?;
        if known.iter().any(|job| !job.value.state.is_over() && job.value.task.does_the_same(&task)) {
            return Err(AskError::SameAlready);
        }
        let now = clock::now();
        let job = Job::new(JobId::new(now, clock::random()), organization.clone(), task, asked_by, now);
        let job = Job { result, ..job };
        self.jobs.save(&job, None).await?.ok_or(RecordError::Conflict)?;
        self.send(&job).await;
        Ok(job)
    }

    /// A job that works for a credential, for the credential itself.
    pub async fn of_credential(
        &self,
        organization: &OrganizationId,
        credential: &CredentialId,
        id: &str,
    ) -> Result<Option<Job>, RecordError> {
        let Some(id) = JobId::parse(id) else { return Ok(None) };
        let found = self.jobs.get(organization, &id).await?.map(|found| found.value);
        Ok(found.filter(|job| job.task.by().is_some_and(|by| by.credential == *credential)))
    }

    async fn send(&self, job: &Job) {
        let message = JobMessage { v: V1, organization: job.organization.clone(), job: job.id.clone() };
        if let Err(error) = self.messages.send(message).await {
            tracing::warn!(%error, job = %job.id, "word of a job is sent later");
        }
    }
}

/// Notes a failure: it begins again after a pause, or has failed for good.
fn fail(job: &mut Job, why: String, now: Timestamp) {
    job.place.clear();
    job.note = why;
    let pause = PAUSE_MILLIS << job.failures.min(8);
    job.failures += 1;
    if job.failures >= MOST_FAILURES {
        job.state = State::Failed;
    } else {
        (job.state, job.due) = (State::Queued, now.plus_millis(pause));
    }
}

/// Files that do not open end a job, or have it tried again.
fn refused(error: OpenError) -> Result<Slice, String> {
    match error {
        OpenError::Refused => Ok(Slice::Refused(error.to_string())),
        OpenError::Unavailable(_) => Err(error.to_string()),
    }
}

/// What is left of a job after a slice.
enum Slice {
    /// Nothing: it has ended, with this note for people.
    Ended(String),
    /// Nothing, but not all of it could be done; to try again would not help.
    Refused(String),
    /// It goes on here.
    GoesOn(String),
}

/// Works on jobs. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    queue: JobQueue,
    objects: Objects,
    scans: Scans,
    events: Events,
    hands: Hands,
    replays: Replays,
    slice: Duration,
    pauses: Pauses,
}

impl Worker {
    /// Over these stores and files, for `slice` at a time.
    pub fn new(
        queue: JobQueue,
        (objects, scans, events): (Objects, Scans, Events),
        hands: Hands,
        replays: Replays,
        slice: Duration,
    ) -> Self {
        Self { queue, objects, scans, events, hands, replays, slice, pauses: Pauses::default() }
    }

    /// With shorter slices, for tests.
    #[must_use]
    pub fn with_slice(self, slice: Duration) -> Self {
        Self { slice, ..self }
    }

    /// With other pauses of recounts, for tests.
    #[must_use]
    pub fn with_pauses(self, pauses: Pauses) -> Self {
        Self { pauses, ..self }
    }

    /// Works on a job, if nobody else does and it is not over. An error means that word of it must be given again.
    pub async fn work(&self, organization: &OrganizationId, id: &JobId) -> Result<(), RecordError> {
        let Some(Versioned { value: mut job, rev }) = self.queue.jobs.get(organization, id).await? else {
            tracing::info!(job = %id, "a job is gone");
            return Ok(());
        };
        let now = clock::now();
        if !job.is_free(now) {
            return Ok(());
        }
        job.updated_at = now;
        if job.state == State::Running {
            // what it had taken in since its last note is lost
            fail(&mut job, "its worker died".to_owned(), now);
        }
        if !job.state.is_over() {
            (job.state, job.due) = (State::Running, now.plus_millis(LEASE_MILLIS));
        }
        let is_over = job.state.is_over();
        let Some(rev) = self.queue.jobs.save(&job, Some(rev)).await? else {
            return Ok(());
        };
        if is_over {
            return Ok(());
        }
        let mut run = Run::new(self.queue.jobs.clone(), Versioned { value: job, rev });
        let outcome = self.slice_of(&mut run).await;
        self.note(run, outcome).await
    }

    async fn slice_of(&self, run: &mut Run) -> Result<Slice, String> {
        let until = Instant::now() + self.slice;
        let organization = run.job().organization.clone();
        match run.job().task.clone() {
            Task::QuotaScan { holder, folders, .. } => {
                let (objects, scans, pauses) = (&self.objects, &self.scans, self.pauses);
                let recount = Recount { objects, scans, organization, holder, pauses };
                recount.slice(&folders, run, until).await.map_err(|error| error.to_string())
            }
            Task::EventExport(asked) => {
                let export = Export { objects: &self.objects, events: &self.events };
                export.slice(&asked, run, until).await.map_err(|error| error.to_string())
            }
            Task::WebhookReplay { webhook, since } => {
                self.replays.slice(&webhook, since, run, until).await.map_err(|error| error.to_string())
            }
            Task::DeleteFolder { by, path } => match self.hands.of(&organization, &by, &run.job().id).await {
                Ok(opened) => self.worked(folders::delete(&opened, &path, run, until).await).await,
                Err(error) => refused(error),
            },
            Task::CopyFolder { by, from, to } => match self.hands.of(&organization, &by, &run.job().id).await {
                Ok(opened) => self.worked(folders::copy(&opened, (&from, &to), run, until).await).await,
                Err(error) => refused(error),
            },
            Task::RetentionCheck { credential, policy, dry_run, mail, .. } => {
                let check = Check { hands: &self.hands, organization, credential, policy, dry_run, mail };
                match check.open(&run.job().id).await {
                    Ok(opened) => self.worked(check.slice(opened, run, until).await).await,
                    Err(error) => refused(error),
                }
            }
        }
    }

    /// What files have come to: all of it is counted and announced before the job says so.
    async fn worked(&self, outcome: Result<Slice, FolderError>) -> Result<Slice, String> {
        self.hands.settle().await;
        match outcome {
            Err(FolderError::File(error)) if !error.is_for_now() => Ok(Slice::Refused(error.to_string())),
            outcome => outcome.map_err(|error| error.to_string()),
        }
    }

    /// Writes down how a slice ended.
    async fn note(&self, run: Run, outcome: Result<Slice, String>) -> Result<(), RecordError> {
        let Versioned { value: mut job, rev } = run.into_job();
        let now = clock::now();
        job.updated_at = now;
        let mut again = false;
        match outcome {
            Ok(Slice::Ended(note)) => (job.state, job.note) = (State::Succeeded, note),
            Ok(Slice::Refused(note)) => (job.state, job.note) = (State::Failed, note),
            Ok(Slice::GoesOn(place)) => {
                (job.state, job.place, job.due) = (State::Queued, place, now.plus_millis(LEASE_MILLIS));
                again = true;
            }
            Err(error) => {
                tracing::warn!(error, job = %job.id, kind = job.task.kind(), failures = job.failures, "a job failed");
                fail(&mut job, error, now);
            }
        }
        if self.queue.jobs.save(&job, Some(rev)).await?.is_none() {
            tracing::warn!(job = %job.id, "somebody else has taken a job over");
            return Ok(());
        }
        if again {
            self.queue.send(&job).await;
        }
        Ok(())
    }

    /// Sends word again of jobs that nobody works on though they are due.
    pub async fn wake(&self, now: Timestamp) -> Result<usize, RecordError> {
        let due = self.queue.jobs.due(now).await?;
        for job in &due {
            self.queue.send(&job.value).await;
        }
        Ok(due.len())
    }
}
