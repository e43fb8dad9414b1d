//! What a node does for its sessions beside serving them: the beat, the orders, the pages.

use super::Sessions;
use super::pages::Write;
use domain::connection::Close;
use domain::time::Timestamp;
use futures_util::{StreamExt as _, stream};
use std::collections::HashMap;
use std::time::Duration;
use store::clock;
use store::nodes::Nodes;
use store::records::RecordError;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// How often a node with sessions beats, and asks for orders.
const BEAT: Duration = Duration::from_secs(2);
/// The same without sessions: nobody can order them to end.
const IDLE_BEAT: Duration = Duration::from_secs(5);
/// For a call to the table. Who waits longer is late for the next beat.
const PATIENCE: Duration = Duration::from_secs(5);
/// For taking leave, when the node stops.
const FAREWELL: Duration = Duration::from_secs(5);
/// Pages that are written at once.
const WRITES: usize = 8;

/// What has been asked for so far.
struct Asked {
    /// Orders since then are still to be asked for.
    since: Timestamp,
    /// Those of the last answer. They are applied again and again, as a session may begin after its order was written with what
    /// was read before.
    closes: HashMap<String, Close>,
}

impl Sessions {
    /// Keeps the table informed until `stop`, then takes leave.
    pub async fn keep(self, nodes: Nodes, stop: CancellationToken) {
        let mut asked = Asked { since: clock::now(), closes: HashMap::new() };
        let mut next = Instant::now();
        while stop.run_until_cancelled(self.due(next)).await.is_some() {
            let began = Instant::now();
            let round = self.round(&nodes, &mut asked);
            stop.run_until_cancelled(round).await;
            next = began + if self.count() > 0 { BEAT } else { IDLE_BEAT };
        }
        if timeout(FAREWELL, self.leave(&nodes)).await.is_err() {
            tracing::info!("the node's record stays until it is taken for dead");
        }
    }

    /// The next beat; on an idle node, the moment when somebody comes.
    async fn due(&self, next: Instant) {
        tokio::select! {
            () = sleep_until(next) => {}
            () = self.0.first.notified() => {}
        }
    }

    /// One round: each part is tried whatever became of the others.
    async fn round(&self, nodes: &Nodes, asked: &mut Asked) {
        let now = clock::now();
        let orders = async {
            if self.count() == 0 {
                // who comes later begins with what is true then
                return None;
            }
            Some(within(nodes.closes_since(asked.since)).await)
        };
        let (beat, orders) = tokio::join!(within(nodes.beat(self.node(), now)), orders);
        failed(beat, "the node's beat");
        match orders {
            None => *asked = Asked { since: now, closes: HashMap::new() },
            Some(Ok(closes)) => *asked = Asked { since: now, closes },
            Some(Err(error)) => failed(Err(error), "orders to end sessions"),
        }
        for close in asked.closes.values() {
            self.close(close);
        }
        self.end_expired(now);
        self.write_pages(nodes, now).await;
    }

    async fn write_pages(&self, nodes: &Nodes, now: Timestamp) {
        let due = self.0.open().due(now);
        let writing = due.into_iter().map(|write| async move {
            let written = within(self.write_page(nodes, &write, now)).await;
            if written.is_err() {
                self.0.open().failed(&write);
            }
            failed(written, "the list of sessions");
        });
        stream::iter(writing).buffer_unordered(WRITES).collect::<()>().await;
    }

    async fn write_page(&self, nodes: &Nodes, write: &Write, now: Timestamp) -> Result<(), RecordError> {
        let Write { organization, page, sessions } = write;
        match sessions {
            Some(sessions) => nodes.write_page(self.node(), organization, *page, sessions, now).await,
            None => nodes.remove_page(self.node(), organization, *page).await,
        }
    }

    async fn leave(&self, nodes: &Nodes) {
        let written = self.0.open().written();
        // first of all: without it, the pages are nobody's
        failed(nodes.leave(self.node()).await, "the node's record");
        let removing = written.into_iter().map(|(organization, page)| async move {
            failed(nodes.remove_page(self.node(), &organization, page).await, "the list of sessions");
        });
        stream::iter(removing).buffer_unordered(WRITES).collect::<()>().await;
    }
}

async fn within<T>(call: impl Future<Output = Result<T, RecordError>>) -> Result<T, RecordError> {
    let late = |_| Err(RecordError::Unavailable(format!("no answer within {} s", PATIENCE.as_secs())));
    timeout(PATIENCE, call).await.unwrap_or_else(late)
}

fn failed(done: Result<(), RecordError>, what: &str) {
    if let Err(error) = done {
        tracing::warn!(%error, what, "the table did not take or give what concerns sessions; it is tried again");
    }
}
