//! `/api/v2/defender/hosts`: hosts from which logins have failed.

mod described;

use crate::http::error::ApiError;
use crate::http::extract::{Own, Segments};
use crate::management::ManagementState;
use app::management::DefendedHost;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use domain::defender::Host;
use serde_json::{Value, json};

pub(super) use described::describe;

pub(super) async fn list(State(state): State<ManagementState>, Own(caller): Own) -> Result<Response, ApiError> {
    let hosts = state.management().defended_hosts(&caller).await?;
    Ok(Json(hosts.iter().map(show).collect::<Vec<_>>()).into_response())
}

pub(super) async fn get(
    State(state): State<ManagementState>,
    Own(caller): Own,
    segments: Segments,
) -> Result<Response, ApiError> {
    let host = state.management().defended_host(&caller, host(&segments)?).await?;
    Ok(Json(show(&host)).into_response())
}

pub(super) async fn forgive(
    State(state): State<ManagementState>,
    Own(caller): Own,
    segments: Segments,
) -> Result<Response, ApiError> {
    state.management().forgive_host(&caller, host(&segments)?).await?;
    Ok(Json(json!({ "message": "OK" })).into_response())
}

/// The id is the address's text in hex, as SFTPGo has it; the address itself will do.
fn host(segments: &Segments) -> Result<Host, ApiError> {
    let id = segments.get("id");
    let text = hex::decode(id).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let host = text.as_deref().and_then(Host::parse).or_else(|| Host::parse(id));
    host.ok_or_else(|| ApiError::not_found("No such host"))
}

fn show(known: &DefendedHost) -> Value {
    let ip = known.host.to_string();
    let mut shown = json!({ "id": hex::encode(&ip), "ip": ip });
    if let Some(fields) = shown.as_object_mut() {
        match known.banned_until.and_then(domain::iso8601::millis) {
            Some(until) => fields.insert("ban_time".to_owned(), json!(until)),
            None => fields.insert("score".to_owned(), json!(known.score)),
        };
    }
    shown
}
