//! What runs beside the control connection: a transfer, a listing, or the reading of a whole file.
//!
//! A job ends in one of four ways, and only in one: it is aborted (ABOR), its session is gone, or it *finishes*, from which
//! point on nothing takes it back, or it fails. An atomic word decides between the first three.

use super::reply::{self, Reply};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

const RUNNING: u8 = 0;
const ABORTED: u8 = 1;
const GONE: u8 = 2;
const FINISHING: u8 = 3;

/// What a job says.
pub(crate) enum Told {
    /// A first reply: 150.
    First(Reply),
    /// The last one.
    Last(Reply),
}

/// A running job, as its session sees it. Dropping it means that the session is gone.
pub(crate) struct Job {
    told: mpsc::Receiver<Told>,
    common: Arc<Common>,
}

/// The same from inside.
pub(crate) struct Work {
    tell: mpsc::Sender<Told>,
    common: Arc<Common>,
}

struct Common {
    stage: AtomicU8,
    stop: CancellationToken,
    moved: AtomicU64,
}

impl Job {
    /// Starts `run` on a task; what it answers is the job's last reply.
    pub(crate) fn start<F>(tasks: &TaskTracker, run: impl FnOnce(Arc<Work>) -> F) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let (tell, told) = mpsc::channel(2);
        let common = Arc::new(Common {
            stage: AtomicU8::new(RUNNING),
            stop: CancellationToken::new(),
            moved: AtomicU64::new(0),
        });
        let work = Arc::new(Work { tell: tell.clone(), common: Arc::clone(&common) });
        let running = run(work);
        let task = async move {
            let last = running.await;
            // nobody listens if the session is gone or the job was aborted
            let _ = tell.try_send(Told::Last(last));
        };
        tasks.spawn(task.in_current_span());
        Self { told, common }
    }

    /// What it says next. May be cancelled.
    pub(crate) async fn next(&mut self) -> Told {
        self.told.recv().await.unwrap_or(Told::Last(reply::INTERNAL))
    }

    /// Aborts it, if it has not come to its end; whether it is aborted now.
    pub(crate) fn abort(&self) -> bool {
        self.common.decide(ABORTED)
    }

    /// Bytes so far.
    pub(crate) fn moved(&self) -> u64 {
        self.common.moved.load(Ordering::Relaxed)
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.common.decide(GONE);
    }
}

impl Common {
    fn decide(&self, end: u8) -> bool {
        let decided = self.stage.compare_exchange(RUNNING, end, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if decided && end != FINISHING {
            self.stop.cancel();
        }
        decided
    }
}

impl Work {
    /// Says 150.
    pub(crate) fn tell(&self, first: Reply) {
        // there is room for it and the last one; nobody listens when the session is gone
        let _ = self.tell.try_send(Told::First(first));
    }

    /// Runs `step` unless the job is aborted or its session gone.
    pub(crate) async fn unless_stopped<T>(&self, step: impl Future<Output = T>) -> Option<T> {
        self.common.stop.run_until_cancelled(step).await
    }

    /// From here on nothing takes the job back; `false` if something has.
    pub(crate) fn finishes(&self) -> bool {
        self.common.decide(FINISHING)
    }

    /// Whether ABOR has ended it.
    pub(crate) fn is_aborted(&self) -> bool {
        self.common.stage.load(Ordering::Acquire) == ABORTED
    }

    /// Counts bytes.
    pub(crate) fn moved(&self, bytes: usize) {
        self.common.moved.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_one_end_is_decided() {
        let tasks = TaskTracker::new();
        let (send, receive) = tokio::sync::oneshot::channel();
        let mut job = Job::start(&tasks, |work| async move {
            work.tell(reply::OPENING);
            let waited = work.unless_stopped(receive).await;
            assert!(waited.is_some() && work.finishes());
            reply::TRANSFERRED
        });
        assert!(matches!(job.next().await, Told::First(_)));
        send.send(()).unwrap();
        assert!(matches!(job.next().await, Told::Last(reply) if reply == reply::TRANSFERRED));
        assert!(!job.abort(), "too late");

        let job = Job::start(&tasks, |work| async move {
            assert!(work.unless_stopped(std::future::pending::<()>()).await.is_none());
            assert!(work.is_aborted() && !work.finishes());
            reply::ABORTED
        });
        assert!(job.abort());
        drop(job);
        let job = Job::start(&tasks, |work| async move {
            assert!(work.unless_stopped(std::future::pending::<()>()).await.is_none());
            assert!(!work.is_aborted());
            reply::ABORTED
        });
        drop(job);
        tasks.close();
        tasks.wait().await;
    }
}
