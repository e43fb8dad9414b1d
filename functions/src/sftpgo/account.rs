//! What an admin does with its own account: `/api/v2/admin/…`.

pub(super) mod described;

use super::message;
use crate::http::error::ApiError;
use crate::http::extract::Own;
use crate::http::fields::{Fields, boolean, text};
use crate::management::ManagementState;
use app::management::ProfileChange;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use domain::invalid::Invalid;
use serde_json::{Value, json};
use zeroize::Zeroizing;

pub(super) use described::describe;

pub(super) async fn profile(State(state): State<ManagementState>, Own(caller): Own) -> Result<Response, ApiError> {
    let own = state.management().own_profile(&caller).await?;
    let shown = json!({
        "email": own.email,
        "description": own.description,
        "allow_api_key_auth": own.allow_api_key_auth,
    });
    Ok(Json(shown).into_response())
}

pub(super) async fn put_profile(
    State(state): State<ManagementState>,
    Own(caller): Own,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let change = ProfileChange {
        email: fields.take_nullable("email", text(254)).map(Option::unwrap_or_default),
        description: fields.take_nullable("description", text(512)).map(Option::unwrap_or_default),
        allow_api_key_auth: fields.take("allow_api_key_auth", boolean),
    };
    fields.finish()?;
    state.management().change_own_profile(&caller, change).await?;
    Ok(message("Profile updated"))
}

pub(super) async fn change_password(
    State(state): State<ManagementState>,
    Own(caller): Own,
    fields: Fields,
) -> Result<Response, ApiError> {
    let (current, new) = passwords(fields)?;
    state.management().change_own_password(&caller, &current, &new).await?;
    Ok(message("Password updated"))
}

/// `current_password` and `new_password`.
pub(super) fn passwords(mut fields: Fields) -> Result<(Zeroizing<String>, Zeroizing<String>), ApiError> {
    let current = fields.require("current_password", secret);
    let new = fields.require("new_password", secret);
    fields.finish()?;
    Ok((current.unwrap_or_default(), new.unwrap_or_default()))
}

pub(super) fn secret(value: &Value) -> Result<Zeroizing<String>, Invalid> {
    let text = value.as_str().map(|text| Zeroizing::new(text.to_owned()));
    text.ok_or_else(|| Invalid::new("must be a string"))
}
