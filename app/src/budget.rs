//! The node's memory for file contents.
//!
//! Three pools, so that nobody who holds memory waits for somebody who waits for memory:
//! * *small*: the first 256 KiB of an upload, granted at its first WRITE. Its holder may wait for a slot.
//! * *slots*: one multipart part (8 to 64 MiB) or one read-ahead segment. Its holder never waits for another: an upload
//!   takes more only while there is some free ([`Budget::try_slot`]) or when all its own are given back
//!   ([`Budget::slot`]), and a download that gets none reads without a window. Segments of a reader that pauses are taken
//!   back while an upload waits.
//!
//! * *door*: what a door holds of requests and answers beyond the little that each connection always has
//!   ([`Budget::try_door`]). Never waited for, so who holds some may wait for anything.
//!
//! The first two are granted in order of asking, each wait has a deadline. At the limit: uploads slow down to one part at a time,
//! then new ones wait at their first WRITE, then fail with "no memory"; the operator raises `TOWPATH_MEMORY_BUDGET_MIB` or adds nodes.

use domain::file_error::{FileError, FileErrorKind};
use domain::upload::{LARGEST_PART_BYTES, SMALL_FILE_BYTES};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits are this large: semaphores count to 2^29, which is then 32 TiB.
const UNIT: usize = 64 * 1024;

/// How long a write waits for memory.
const DEADLINE: Duration = Duration::from_secs(60);

/// The pools. Cheap to clone.
#[derive(Clone)]
pub struct Budget {
    small: Arc<Semaphore>,
    slots: Arc<Semaphore>,
    door: Arc<Semaphore>,
    /// All units.
    units: usize,
}

/// A pool as it stands, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// Which.
    pub name: &'static str,
    /// All of it.
    pub all: usize,
    /// What is free.
    pub free: usize,
}

/// Memory that is reserved while this lives.
pub struct Reserved {
    _permit: OwnedSemaphorePermit,
}

/// The budget is below what one upload needs.
#[derive(Debug, thiserror::Error)]
#[error("the memory budget is {given} MiB and must be at least {least} MiB")]
pub struct BudgetTooSmall {
    given: usize,
    least: usize,
}

impl Budget {
    /// The least that works, in MiB: one slot of the largest part, and a quarter of it all for small files.
    pub const LEAST_MIB: usize = LARGEST_PART_BYTES / 3 * 4 / (1024 * 1024) + 1;

    /// `mib` MiB in all: three quarters for slots, a sixteenth for doors, the rest for small files.
    pub fn new(mib: usize) -> Result<Self, BudgetTooSmall> {
        if mib < Self::LEAST_MIB {
            return Err(BudgetTooSmall { given: mib, least: Self::LEAST_MIB });
        }
        Ok(Self::of(mib))
    }

    /// The least that works.
    pub fn least() -> Self {
        Self::of(Self::LEAST_MIB)
    }

    fn of(mib: usize) -> Self {
        let units = mib * (1024 * 1024 / UNIT);
        let (quarter, door) = (units / 4, units / 16);
        let pool = |units| Arc::new(Semaphore::new(units));
        Self { small: pool(quarter - door), slots: pool(units - quarter), door: pool(door), units }
    }

    /// The pools as they stand.
    pub fn pools(&self) -> [PoolUse; 3] {
        let (quarter, door) = (self.units / 4, self.units / 16);
        let pool = |name, all: usize, semaphore: &Semaphore| PoolUse {
            name,
            all: all * UNIT,
            free: semaphore.available_permits().saturating_mul(UNIT),
        };
        [
            pool("small", quarter - door, &self.small),
            pool("slots", self.units - quarter, &self.slots),
            pool("door", door, &self.door),
        ]
    }

    /// The first buffer of an upload.
    pub async fn small(&self) -> Result<Reserved, FileError> {
        wait(&self.small, SMALL_FILE_BYTES).await
    }

    /// Memory for one part, in order. Only for who holds no other slot.
    pub async fn slot(&self, bytes: usize) -> Result<Reserved, FileError> {
        wait(&self.slots, bytes).await
    }

    /// Memory for one more part or segment, if there is some that nobody waits for.
    pub fn try_slot(&self, bytes: usize) -> Option<Reserved> {
        now(&self.slots, bytes)
    }

    /// What [`Budget::try_slot`] could give now, in bytes.
    pub fn free_for_slots(&self) -> usize {
        self.slots.available_permits().saturating_mul(UNIT)
    }

    /// Memory for requests and answers that a door holds, if there is some.
    pub fn try_door(&self, bytes: usize) -> Option<Reserved> {
        now(&self.door, bytes)
    }
}

fn now(pool: &Arc<Semaphore>, bytes: usize) -> Option<Reserved> {
    let permit = Arc::clone(pool).try_acquire_many_owned(units(bytes)).ok()?;
    Some(Reserved { _permit: permit })
}

async fn wait(pool: &Arc<Semaphore>, bytes: usize) -> Result<Reserved, FileError> {
    let permit = tokio::time::timeout(DEADLINE, Arc::clone(pool).acquire_many_owned(units(bytes))).await;
    match permit {
        Ok(Ok(permit)) => Ok(Reserved { _permit: permit }),
        Ok(Err(_)) | Err(_) => {
            Err(FileError::new(FileErrorKind::Unavailable, "the server has no memory for another transfer; try again"))
        }
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    #[tokio::test]
    async fn slots_are_granted_in_order_and_extra_ones_only_when_nobody_waits() {
        let budget = Budget::new(Budget::LEAST_MIB).unwrap();
        let first = budget.slot(40 * MIB).await.unwrap();
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.slot(64 * MIB).await.unwrap() }
        });
        while budget.try_slot(8 * MIB).is_some() {
            tokio::task::yield_now().await;
        }
        drop(first);
        let second = waiting.await.unwrap();
        assert!(budget.try_slot(8 * MIB).is_none());
        drop(second);
        assert!(budget.try_slot(8 * MIB).is_some());
    }

    #[test]
    fn a_budget_below_one_part_is_refused() {
        assert!(Budget::new(Budget::LEAST_MIB).is_ok());
        let error = Budget::new(10).err().unwrap().to_string();
        assert!(error.contains("10 MiB") && error.contains("86 MiB"), "{error}");
    }
}
