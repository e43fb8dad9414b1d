//! What one connection holds in memory of what its client sends and asks for.
//!
//! Each pool has a *base*, which a connection always has, and beyond it *leases* from the node's budget, which are asked
//! for and never waited for. So the node's memory is its budget and the bases, whatever clients do; and nobody can starve:
//! who gets no lease goes on with the base, and a base is waited for only while the same connection holds it, in bytes
//! that an upload takes or the client reads.
//!
//! A lease is given back when nothing of the pool is in use. Within base and leases a charge is a counter of this
//! connection alone.

use app::budget::{Budget, Reserved};
use bytes::Bytes;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much is leased at a time.
const STEP: usize = 256 * 1024;

/// One frame or one answer of the largest size with what surrounds it: with less nothing could move.
const LARGEST: usize = 264 * 1024;

/// What a connection may hold of one kind: bytes of WRITEs that no upload has taken, or of answers to READs and READDIRs
/// that the transport has not encrypted.
pub(crate) struct Pool {
    permits: Arc<Semaphore>,
    leases: Leases,
}

/// Bytes in use while this lives.
pub(crate) struct Charge {
    /// `None` only while it is dropped.
    permit: Option<OwnedSemaphorePermit>,
    pool: Arc<Pool>,
}

/// Leases of one pool, at most `most` bytes.
struct Leases {
    node: Budget,
    most: usize,
    held: Mutex<Vec<Reserved>>,
    bytes: AtomicUsize,
}

impl Leases {
    fn new(node: Budget, most: usize) -> Self {
        Self { node, most, held: Mutex::default(), bytes: AtomicUsize::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Reserved>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more; `false` if there is none.
    fn add(&self) -> bool {
        let mut held = self.lock();
        if self.bytes.load(Ordering::Acquire) + STEP > self.most {
            return false;
        }
        let Some(reserved) = self.node.try_door(STEP) else {
            return false;
        };
        held.push(reserved);
        self.bytes.fetch_add(STEP, Ordering::AcqRel);
        true
    }

    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Acquire)
    }
}

impl Pool {
    fn new(node: Budget, most: usize) -> Arc<Self> {
        Arc::new(Self { permits: Arc::new(Semaphore::new(LARGEST)), leases: Leases::new(node, most) })
    }

    /// Charges at once, if there is room.
    pub(crate) fn try_charge(self: &Arc<Self>, bytes: usize) -> Option<Charge> {
        loop {
            if let Ok(permit) = Arc::clone(&self.permits).try_acquire_many_owned(permits(bytes)) {
                return Some(Charge { permit: Some(permit), pool: Arc::clone(self) });
            }
            if !self.lease() {
                return None;
            }
        }
    }

    /// Charges when earlier charges of this connection are given back. In order of asking.
    pub(crate) async fn charge(self: Arc<Self>, bytes: usize) -> Option<Charge> {
        if let Some(charge) = self.try_charge(bytes) {
            return Some(charge);
        }
        let permit = Arc::clone(&self.permits).acquire_many_owned(permits(bytes)).await.ok()?;
        Some(Charge { permit: Some(permit), pool: self })
    }

    /// Whether so much could be charged now without a lease.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.permits.available_permits() >= bytes.min(LARGEST)
    }

    fn lease(&self) -> bool {
        let added = self.leases.add();
        if added {
            self.permits.add_permits(STEP);
        }
        added
    }

    /// Gives the leases back if nothing is in use.
    fn settle(&self) {
        let leased = self.leases.bytes();
        if leased == 0 || self.permits.available_permits() < LARGEST + leased {
            return;
        }
        let mut held = self.leases.lock();
        let all = LARGEST + self.leases.bytes();
        // whoever charges at this moment finds nothing, and leases anew as soon as the lock is free
        if let Ok(permit) = self.permits.try_acquire_many(permits_exactly(all)) {
            permit.forget();
            held.clear();
            self.leases.bytes.store(0, Ordering::Release);
            self.permits.add_permits(LARGEST);
        }
    }
}

impl Charge {
    /// Adds another of the same pool.
    pub(crate) fn merge(&mut self, mut other: Self) {
        if let (Some(permit), Some(other)) = (&mut self.permit, other.permit.take()) {
            permit.merge(other);
        }
    }
}

/// Bytes with what they are charged.
struct Charged {
    bytes: Bytes,
    _charge: Charge,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Charge {
    /// The same bytes, in use until their last piece is dropped: the transport queues pieces of what it has taken.
    pub(crate) fn attach(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Charged { bytes, _charge: self })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.pool.settle();
    }
}

/// Nothing is larger than the base, so that it can always be charged in the end.
fn permits(bytes: usize) -> u32 {
    permits_exactly(bytes.min(LARGEST))
}

fn permits_exactly(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// The records of requests without an answer, in bytes. Never waited for: who exceeds them is disconnected.
pub(crate) struct Requests {
    used: AtomicUsize,
    leases: Leases,
}

impl Requests {
    /// What a connection always has: the 8,192 READs with which paramiko asks for 256 MiB.
    const BASE: usize = 512 * 1024;

    /// Counts `bytes`; `false` if there is no room.
    pub(crate) fn add(&self, bytes: usize) -> bool {
        let used = self.used.fetch_add(bytes, Ordering::AcqRel) + bytes;
        while used > Self::BASE + self.leases.bytes() {
            if !self.leases.add() {
                return false;
            }
        }
        true
    }

    /// Takes `bytes` off.
    pub(crate) fn remove(&self, bytes: usize) {
        let left = self.used.fetch_sub(bytes, Ordering::AcqRel).saturating_sub(bytes);
        if left == 0 && self.leases.bytes() > 0 {
            let mut held = self.leases.lock();
            if self.used.load(Ordering::Acquire) <= Self::BASE {
                held.clear();
                self.leases.bytes.store(0, Ordering::Release);
            }
        }
    }
}

/// The pools of a connection, shared by its channels.
#[derive(Clone)]
pub(crate) struct Memory {
    /// WRITEs that no upload has taken.
    pub(crate) writes: Arc<Pool>,
    /// Answers under way.
    pub(crate) answers: Arc<Pool>,
    /// Requests without an answer.
    pub(crate) requests: Arc<Requests>,
}

impl Memory {
    /// For a new connection.
    pub(crate) fn new(node: &Budget) -> Self {
        let requests = Requests { used: AtomicUsize::new(0), leases: Leases::new(node.clone(), super::REQUEST_LEASES) };
        Self {
            writes: Pool::new(node.clone(), super::WRITE_LEASES),
            answers: Pool::new(node.clone(), super::ANSWER_LEASES),
            requests: Arc::new(requests),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> Budget {
        Budget::new(Budget::LEAST_MIB).unwrap()
    }

    #[tokio::test]
    async fn a_connection_has_its_base_and_leases_while_there_are_some() {
        let node = node();
        let pool = Pool::new(node.clone(), 2 * STEP);
        let first = pool.try_charge(LARGEST).unwrap();
        let second = (pool.try_charge(STEP).unwrap(), pool.try_charge(STEP).unwrap());
        assert!(pool.try_charge(1).is_none(), "more than base and leases");
        let all = std::iter::from_fn(|| node.try_door(STEP)).collect::<Vec<_>>();
        drop((first, second));
        assert!(node.try_door(2 * STEP).is_some(), "leases are given back");
        let rest = std::iter::from_fn(|| node.try_door(STEP)).collect::<Vec<_>>();
        let mut first = pool.try_charge(LARGEST - 10).unwrap();
        assert!(pool.try_charge(20).is_none(), "the node has none");
        first.merge(pool.try_charge(10).unwrap());
        let waiting = tokio::spawn(Arc::clone(&pool).charge(usize::MAX));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        assert!(waiting.await.unwrap().is_some(), "the base comes back");
        drop((all, rest));
    }

    #[test]
    fn requests_are_counted_and_leases_given_back() {
        let node = node();
        let requests = Memory::new(&node).requests;
        let most = Requests::BASE + super::super::REQUEST_LEASES;
        let free = || std::iter::from_fn(|| node.try_door(STEP)).collect::<Vec<_>>().len();
        let before = free();
        assert!(requests.add(Requests::BASE + STEP) && !requests.add(most), "there is a limit");
        requests.remove(Requests::BASE + STEP + most);
        assert_eq!(free(), before);
    }
}
