//! What was asked with API keys, written after the answer and not before it: nobody waits for it.
//!
//! At most [`AT_ONCE`] are written at a time; beyond that, and where the table does not answer in time, requests go unnoted. In
//! Lambda the writes go on while the function runs, so the last one before a pause is written with the next request.

use domain::api_key::{AuthState, KeyRequest};
use std::sync::Arc;
use std::time::Duration;
use store::records::Records;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Far more than a function answers in the time of a write.
const AT_ONCE: usize = 64;
const DEADLINE: Duration = Duration::from_secs(5);

/// Where requests are noted. Cheap to clone.
#[derive(Clone)]
pub(crate) struct KeyLog {
    records: Records,
    places: Arc<Semaphore>,
}

impl KeyLog {
    /// In these records.
    pub(crate) fn new(records: Records) -> Self {
        Self { records, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Notes a request of a key.
    pub(crate) fn note(&self, key: AuthState, request: KeyRequest) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            tracing::warn!(key = %key.id, "a request is not noted: too many at once");
            return;
        };
        let records = self.records.clone();
        tokio::spawn(async move {
            let written = timeout(DEADLINE, records.note_key_request(&key.id, key.requests, &request)).await;
            match written {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(key = %key.id, %error, "a request is not noted"),
                Err(_) => tracing::warn!(key = %key.id, "a request is not noted: the table does not answer"),
            }
            drop(place);
        });
    }
}
