//! `/users/{Id}/ssh-public-keys`.

mod described;

use super::ManagementState;
use super::credentials::credential_id;
use crate::http::error::ApiError;
use crate::http::extract::{Call, Segments};
use crate::http::fields::{Fields, parsed};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use domain::ssh_key::{self, SshKey};
use http::StatusCode;
use serde_json::{Value, json};

pub(super) use described::describe_in;

pub(super) async fn list(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
) -> Result<Response, ApiError> {
    let keys = state.management.ssh_keys(&caller, &credential_id(&segments)?).await?;
    Ok(Json(keys.iter().map(show).collect::<Vec<_>>()).into_response())
}

pub(super) async fn post(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let parsed = fields.require("SshPublicKeyBody", parsed(ssh_key::parse));
    fields.finish()?;
    let parsed = parsed.ok_or_else(|| ApiError::bad_request("SshPublicKeyBody", "is needed"))?;
    let key = state.management.add_ssh_key(&caller, &credential_id(&segments)?, parsed).await?;
    Ok((StatusCode::CREATED, Json(show(&key))).into_response())
}

pub(super) async fn delete(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
) -> Result<Response, ApiError> {
    let credential = credential_id(&segments)?;
    let key = state.management.remove_ssh_key(&caller, &credential, segments.get("key")).await?;
    Ok(Json(show(&key)).into_response())
}

fn show(key: &SshKey) -> Value {
    json!({
        "Id": key.id,
        "UserId": key.credential,
        "Type": key.key_type,
        "Fingerprint": key.fingerprint,
        "Comment": key.comment,
        "SshPublicKeyBody": key.body,
        "CreatedAt": key.created_at,
        "UpdatedAt": key.created_at,
    })
}
