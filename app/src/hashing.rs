//! Argon2 on a bounded number of threads.
//!
//! Each hash takes about 21 ms of a core and 19 MiB. At most one for each core runs at a time and a bounded number
//! waits, with a deadline; beyond that callers are told that the service is not available, so that a flood of logins
//! costs neither the memory nor the sessions that are already open.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Waiting callers for each core: at 21 ms each the last one waits about 1.4 s.
const WAITING_PER_CORE: usize = 64;
/// How long a caller waits for its turn.
const DEADLINE: Duration = Duration::from_secs(10);

/// No turn in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked")]
pub(crate) struct Busy;

/// The threads. Cheap to clone; one for each process.
#[derive(Clone)]
pub(crate) struct Hashing {
    waiting: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

impl Hashing {
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::with_cores(cores, WAITING_PER_CORE)
    }

    fn with_cores(cores: usize, waiting_per_core: usize) -> Self {
        Self {
            waiting: Arc::new(Semaphore::new(cores * (waiting_per_core + 1))),
            running: Arc::new(Semaphore::new(cores)),
        }
    }

    /// Runs `work` on a blocking thread when it is its turn.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let _place = self.waiting.try_acquire().map_err(|_| Busy)?;
        let turn = tokio::time::timeout(DEADLINE, Arc::clone(&self.running).acquire_owned()).await;
        let turn = turn.map_err(|_| Busy)?.map_err(|_| Busy)?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            // given back by the thread and not by the caller, who may be gone before the work is done
            drop(turn);
            result
        });
        done.await.map_err(|_| Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn more_callers_than_places_are_sent_away() {
        let hashing = Hashing::with_cores(1, 1);
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let (first, second) = (hashing.clone(), hashing.clone());
        let first = tokio::spawn(async move { first.run(move || blocked.recv().is_ok()).await });
        while hashing.running.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let second = tokio::spawn(async move { second.run(|| 2).await });
        while hashing.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(hashing.run(|| 3).await, Err(Busy));
        release.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(true));
        assert_eq!(second.await.unwrap(), Ok(2));
    }
}
