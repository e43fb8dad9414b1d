//! A team's own system: keeps which events arrived, and checks how each was signed.

use crate::events::Told;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

#[derive(Clone, Default)]
struct Kept {
    /// By the event's id.
    told: Arc<Mutex<BTreeMap<String, Told>>>,
    /// What a receiver must never see.
    wrong: Arc<Mutex<Vec<String>>>,
    secret: Arc<OnceLock<String>>,
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

    /// What its webhook signs with.
    pub(crate) fn set_secret(&self, secret: &str) {
        self.kept.secret.set(secret.to_owned()).unwrap();
    }

    /// Every event that arrived, by id.
    pub(crate) fn told(&self) -> BTreeMap<String, Told> {
        self.kept.told.lock().unwrap().clone()
    }

    pub(crate) fn wrong(&self) -> Vec<String> {
        self.kept.wrong.lock().unwrap().clone()
    }
}

async fn take(State(kept): State<Kept>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let wrong = |what: String| kept.wrong.lock().unwrap().push(what);
    if let Err(what) = signed(&headers, &body, kept.secret.get().map(String::as_str)) {
        wrong(what);
    }
    let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let told = Told::read(&json);
    let id = json["Id"].as_str().unwrap().to_owned();
    if let Some(before) = kept.told.lock().unwrap().insert(id.clone(), told.clone())
        && before != told
    {
        wrong(format!("event {id} was {before:?} and then {told:?}"));
    }
    StatusCode::OK
}

/// Both signatures, computed here from their definitions.
fn signed(headers: &HeaderMap, body: &[u8], secret: Option<&str>) -> Result<(), String> {
    let secret = secret.ok_or("a delivery before the webhook was made")?;
    let header = |name: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).ok_or_else(|| format!("a delivery without {name}"))
    };
    let hub = format!("sha256={}", hex::encode(hmac(secret.as_bytes(), &[body])));
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let (id, at) = (header("webhook-id")?, header("webhook-timestamp")?);
    let standard = format!("v1,{}", STANDARD.encode(hmac(&key, &[id.as_bytes(), b".", at.as_bytes(), b".", body])));
    if header("x-hub-signature")? == hub && header("webhook-signature")?.split(' ').any(|one| one == standard) {
        return Ok(());
    }
    Err(format!("delivery {id} has a wrong signature"))
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}
