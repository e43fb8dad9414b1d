//! What a credential does with its own account: `/api/v2/user/…`, with a token of its own.

mod described;

use super::account::passwords;
use super::message;
use crate::http::error::ApiError;
use crate::http::extract::{ActingUser, OwnUser, Texts};
use crate::http::fields::{Fields, boolean, list as list_of, parsed, text};
use crate::management::ManagementState;
use crate::management::credentials::MAX_ALIAS;
use app::management::ProfileChange;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use domain::ssh_key::{self, SshKey};
use serde_json::{Value, json};

pub(super) use described::describe;

pub(super) async fn profile(
    State(state): State<ManagementState>,
    ActingUser(caller): ActingUser,
) -> Result<Response, ApiError> {
    let own = state.management().user_profile(&caller).await?;
    let shown = json!({
        "email": own.credential.extra.email,
        "description": own.credential.alias.unwrap_or_default(),
        "allow_api_key_auth": own.credential.allow_api_key_auth,
        "public_keys": keys(&own.keys),
    });
    Ok(Json(shown).into_response())
}

pub(super) async fn put_profile(
    State(state): State<ManagementState>,
    OwnUser(caller): OwnUser,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let change = ProfileChange {
        email: fields.take_nullable("email", text(254)).map(Option::unwrap_or_default),
        description: fields.take_nullable("description", text(MAX_ALIAS)).map(Option::unwrap_or_default),
        allow_api_key_auth: fields.take("allow_api_key_auth", boolean),
    };
    let most = usize::try_from(ssh_key::MAX_KEYS).unwrap_or(50);
    let keys = fields.take_nullable("public_keys", list_of(most, parsed(ssh_key::parse)));
    fields.finish()?;
    state.management().change_user_profile(&caller, change, keys.map(Option::unwrap_or_default)).await?;
    Ok(message("Profile updated"))
}

pub(super) async fn public_keys(
    State(state): State<ManagementState>,
    ActingUser(caller): ActingUser,
) -> Result<Response, ApiError> {
    let own = state.management().user_profile(&caller).await?;
    Ok(Json(keys(&own.keys)).into_response())
}

pub(super) async fn put_public_keys(
    State(state): State<ManagementState>,
    OwnUser(caller): OwnUser,
    Texts(lines): Texts,
) -> Result<Response, ApiError> {
    let mut keys = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let parsed = ssh_key::parse(line);
        keys.push(parsed.map_err(|problem| ApiError::bad_request(&format!("[{at}]"), &problem.to_string()))?);
    }
    state.management().replace_user_keys(&caller, keys).await?;
    Ok(message("Public keys updated"))
}

pub(super) async fn change_password(
    State(state): State<ManagementState>,
    OwnUser(caller): OwnUser,
    fields: Fields,
) -> Result<Response, ApiError> {
    let (current, new) = passwords(fields)?;
    state.management().change_user_password(&caller, &current, &new).await?;
    Ok(message("Password updated"))
}

fn keys(keys: &[SshKey]) -> Value {
    keys.iter().map(|key| json!(key.body)).collect()
}
