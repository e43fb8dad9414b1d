//! All clients together.

use crate::ftps::FtpsDoor;
use crate::groups::Group;
use crate::ledger::Ledger;
use crate::sftp::Door;
use crate::workers::Worker;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How many names two clients fight over.
const SHARED: usize = 3;

/// How long the last operations may take when the load ends. Every request of theirs has a shorter deadline.
const END: Duration = Duration::from_secs(300);

pub(crate) struct Load {
    pub(crate) ledger: Ledger,
    stop: watch::Sender<bool>,
    clients: JoinSet<()>,
    shared: Arc<Vec<Mutex<Vec<crate::groups::Write>>>>,
}

impl Load {
    /// Two clients with small files, one with large ones, two that overwrite the same names, one that moves folders.
    pub(crate) fn start(door: &Door, seed: u64) -> Self {
        let ledger = Ledger::default();
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new((0..SHARED).map(|_| Mutex::default()).collect::<Vec<_>>());
        let mut clients = JoinSet::new();
        let worker = |at: u64| Worker::new(door.clone(), ledger.clone(), seed.wrapping_add(at << 32), stopped.clone());
        clients.spawn(worker(1).on_own_names("small-1".to_owned(), 0.0));
        clients.spawn(worker(2).on_own_names("small-2".to_owned(), 0.02));
        clients.spawn(worker(3).on_own_names("large".to_owned(), 0.6));
        clients.spawn(worker(4).on_shared_names(Arc::clone(&shared)));
        clients.spawn(worker(5).on_shared_names(Arc::clone(&shared)));
        clients.spawn(worker(6).on_folders("folders".to_owned()));
        Self { ledger, stop, clients, shared }
    }

    /// One client more, which uploads by FTPS.
    pub(crate) fn with_ftps(mut self, door: &Door, ftps: &FtpsDoor, seed: u64) -> Self {
        let worker = Worker::new(door.clone(), self.ledger.clone(), seed.wrapping_add(7 << 32), self.stop.subscribe());
        self.clients.spawn(worker.over_ftps("ftps".to_owned(), ftps.clone()));
        self
    }

    /// A client that found something wrong has ended; then the test ends, too.
    pub(crate) async fn assert_alive(&mut self) {
        if let Some(ended) = self.clients.try_join_next() {
            panic!("a client ended: {ended:?}");
        }
    }

    /// Waits until this many more operations were acknowledged.
    pub(crate) async fn progress(&mut self, operations: usize, deadline: Duration) {
        let (target, started) = (self.ledger.done() + operations, std::time::Instant::now());
        while self.ledger.done() < target {
            self.assert_alive().await;
            assert!(started.elapsed() < deadline, "fewer than {operations} operations were done in {deadline:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Lets every client finish what it does.
    pub(crate) async fn end(mut self) -> Ledger {
        self.stop.send_replace(true);
        let all = async {
            while let Some(ended) = self.clients.join_next().await {
                ended.expect("a client found something wrong");
            }
        };
        tokio::time::timeout(END, all).await.expect("a client does not end");
        for (at, writes) in self.shared.iter().enumerate() {
            let writes = std::mem::take(&mut *writes.lock().unwrap());
            self.ledger.close(Group::Shared { name: format!("shared/{at}"), writes });
        }
        self.ledger
    }
}
