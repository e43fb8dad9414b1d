//! Limits on bytes a second, for all transfers of a credential on this node together.
//!
//! A transfer is told how long to wait for the bytes that it has just moved, in the order of asking: so transfers share the limit
//! evenly, and nobody needs a timer of its own.

use domain::bandwidth::Bandwidth;
use domain::connection::Direction;
use domain::id::CredentialId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Bytes that may come at once after a pause.
const BURST: Duration = Duration::from_millis(250);

/// The limits of the credentials that use this process.
#[derive(Default)]
pub(crate) struct Paces(Mutex<HashMap<CredentialId, Weak<Pace>>>);

/// Both directions of one credential.
pub(crate) struct Pace {
    bandwidth: Bandwidth,
    /// Until when what has been moved takes, at the limit.
    upload: Mutex<Instant>,
    download: Mutex<Instant>,
}

impl Paces {
    /// What a credential's sessions share; none if it has no limit.
    pub(crate) fn of(&self, credential: &CredentialId, bandwidth: Bandwidth) -> Option<Arc<Pace>> {
        if bandwidth.is_unlimited() {
            return None;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let there = all.get(credential).and_then(Weak::upgrade);
        // after a change, new sessions begin with the new limit and old ones go on with theirs
        if let Some(there) = there.filter(|there| there.bandwidth == bandwidth) {
            return Some(there);
        }
        all.retain(|_, pace| pace.strong_count() > 0);
        let now = Instant::now();
        let pace = Arc::new(Pace { bandwidth, upload: Mutex::new(now), download: Mutex::new(now) });
        all.insert(credential.clone(), Arc::downgrade(&pace));
        Some(pace)
    }
}

impl Pace {
    /// Waits until so many bytes may have been moved.
    pub(crate) async fn pass(&self, direction: Direction, bytes: u64) {
        let (until, limit) = match direction {
            Direction::Upload => (&self.upload, self.bandwidth.upload_bytes()),
            Direction::Download => (&self.download, self.bandwidth.download_bytes()),
        };
        let Some(limit) = limit else { return };
        let takes = Duration::from_micros(bytes.saturating_mul(1_000_000) / limit);
        let now = Instant::now();
        let due = {
            let mut until = until.lock().unwrap_or_else(PoisonError::into_inner);
            *until = (*until).max(now) + takes;
            *until
        };
        if due > now + BURST {
            sleep_until(due - BURST).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn transfers_of_a_credential_share_its_limit() {
        let paces = Paces::default();
        let ana = CredentialId::from_random([1; 15]);
        let limit = Bandwidth { upload_kilobytes: 1_000, download_kilobytes: 0 };
        let (one, other) = (paces.of(&ana, limit).unwrap(), paces.of(&ana, limit).unwrap());
        let began = Instant::now();
        let moving = |pace: Arc<Pace>| async move {
            for _ in 0..50 {
                pace.pass(Direction::Upload, 10_000).await;
            }
        };
        tokio::join!(moving(one.clone()), moving(other));
        // a million bytes at a million a second, but for the burst
        assert!(began.elapsed() >= Duration::from_millis(740), "{:?}", began.elapsed());
        let began = Instant::now();
        one.pass(Direction::Download, 1 << 50).await;
        assert!(began.elapsed() < Duration::from_millis(200), "there is no limit on that");
        // a pause is not saved up
        tokio::time::sleep(Duration::from_millis(600)).await;
        let began = Instant::now();
        moving(one.clone()).await;
        assert!(began.elapsed() >= Duration::from_millis(240), "{:?}", began.elapsed());
        let more = Bandwidth { upload_kilobytes: 2_000, ..limit };
        assert!(!Arc::ptr_eq(&paces.of(&ana, more).unwrap(), &one));
        assert!(paces.of(&ana, Bandwidth::default()).is_none());
    }
}
