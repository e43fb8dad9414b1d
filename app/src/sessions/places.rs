//! Places for sessions of credentials that may have only so many, counted over all nodes that are alive.

use domain::id::{CredentialId, NodeId, OrganizationId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use store::nodes::Nodes;
use store::records::RecordError;
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

/// How often a place is asked for again when another node was faster.
const ATTEMPTS: usize = 8;

/// The places. Cheap to clone.
#[derive(Clone)]
pub struct Places(Arc<Inner>);

struct Inner {
    node: NodeId,
    nodes: Nodes,
    records: store::places::Places,
    /// This node's sessions of each such credential. The inner lock is held over a request to the table, so that one number is
    /// written after the other.
    here: StdMutex<HashMap<CredentialId, Arc<Mutex<u32>>>>,
    giving_back: TaskTracker,
}

/// A session's place; dropping it gives it back.
pub struct Place {
    places: Places,
    organization: OrganizationId,
    credential: CredentialId,
}

impl Places {
    /// For the sessions of a node.
    pub fn new(node: NodeId, nodes: Nodes, records: store::places::Places) -> Self {
        let (here, giving_back) = (StdMutex::default(), TaskTracker::new());
        Self(Arc::new(Inner { node, nodes, records, here, giving_back }))
    }

    /// A place, if fewer than `most` are taken.
    pub async fn take(
        &self,
        organization: &OrganizationId,
        credential: &CredentialId,
        most: u32,
    ) -> Result<Option<Place>, RecordError> {
        let inner = &*self.0;
        let here = inner.number(credential);
        let mut here = here.lock().await;
        for _ in 0..ATTEMPTS {
            let alive = inner.nodes.alive(store::clock::now());
            let read = inner.records.get(organization, credential);
            let (alive, (mut taken, rev)) = futures_util::future::try_join(alive, read).await?;
            // a node that is dead has no sessions, and ours are known here
            taken.nodes.retain(|node, _| *node != inner.node && alive.contains(node));
            let elsewhere = taken.nodes.values().copied().fold(0, u32::saturating_add);
            if elsewhere.saturating_add(*here) >= most {
                return Ok(None);
            }
            taken.nodes.insert(inner.node.clone(), *here + 1);
            if inner.records.put(organization, credential, &taken, rev).await? {
                *here += 1;
                let (organization, credential) = (organization.clone(), credential.clone());
                return Ok(Some(Place { places: self.clone(), organization, credential }));
            }
        }
        Err(RecordError::Conflict)
    }

    /// Waits until what was given back is written.
    pub async fn settled(&self) {
        self.0.giving_back.close();
        self.0.giving_back.wait().await;
        self.0.giving_back.reopen();
    }

    async fn give_back(&self, organization: &OrganizationId, credential: &CredentialId) {
        let inner = &*self.0;
        let number = inner.number(credential);
        let mut here = number.lock().await;
        *here = here.saturating_sub(1);
        if let Err(error) = inner.records.set(organization, credential, &inner.node, *here).await {
            // the next session of this credential here writes the number, or this node ends
            tracing::warn!(%error, %credential, "a session's place could not be given back now");
        }
        if *here == 0 {
            drop(here);
            inner.forget(credential, &number);
        }
    }
}

impl Inner {
    fn number(&self, credential: &CredentialId) -> Arc<Mutex<u32>> {
        let mut all = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(credential.clone()).or_default())
    }

    /// Forgets a number that nobody else looks at.
    fn forget(&self, credential: &CredentialId, number: &Arc<Mutex<u32>>) {
        let mut all = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        // the map's and ours
        if Arc::strong_count(number) == 2 && number.try_lock().is_ok_and(|here| *here == 0) {
            all.remove(credential);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (places, organization, credential) =
            (self.places.clone(), self.organization.clone(), self.credential.clone());
        let tracker = places.0.giving_back.clone();
        tracker.spawn(async move { places.give_back(&organization, &credential).await });
    }
}
