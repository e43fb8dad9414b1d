//! A team's own system: an HTTP server that keeps what webhooks send.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Clone, Default)]
struct Kept {
    received: Arc<Mutex<Vec<Received>>>,
    failing: Arc<Mutex<usize>>,
}

pub(crate) struct Receiver {
    pub(crate) url: String,
    kept: Kept,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let kept = Kept::default();
        let app = axum::Router::new().route("/hook", axum::routing::post(take)).with_state(kept.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, kept }
    }

    /// Lets the next requests fail with 503.
    pub(crate) fn fail_next(&self, requests: usize) {
        *self.kept.failing.lock().unwrap() = requests;
    }

    /// Waits until this many different events have arrived.
    pub(crate) async fn wait_for(&self, events: usize) -> Vec<Received> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let mut received = self.kept.received.lock().unwrap().clone();
            let mut seen = std::collections::BTreeSet::new();
            received.retain(|one| seen.insert(one.json()["Metadata"]["Delivery"]["Id"].to_string()));
            if received.len() >= events {
                return received;
            }
            assert!(Instant::now() < deadline, "only {} of {events} events arrived: {received:?}", received.len());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn take(State(kept): State<Kept>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut failing = kept.failing.lock().unwrap();
    if *failing > 0 {
        *failing -= 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    drop(failing);
    kept.received.lock().unwrap().push(Received { headers, body });
    StatusCode::OK
}
