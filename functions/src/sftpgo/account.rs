//! What an admin does with its own account: `/api/v2/admin/…`.

use super::message;
use crate::http::error::ApiError;
use crate::http::extract::Own;
use crate::http::fields::{Fields, boolean, text};
use crate::management::ManagementState;
use app::management::ProfileChange;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::admin::second_factor::{ALGORITHM, CONFIG, ISSUER};
use domain::invalid::Invalid;
use serde_json::{Value, json};
use zeroize::Zeroizing;

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

fn secret(value: &Value) -> Result<Zeroizing<String>, Invalid> {
    let text = value.as_str().map(|text| Zeroizing::new(text.to_owned()));
    text.ok_or_else(|| Invalid::new("must be a string"))
}

pub(super) async fn configs(Own(_): Own) -> Response {
    Json(json!([{ "name": CONFIG, "issuer": ISSUER, "algo": ALGORITHM }])).into_response()
}

/// There is one configuration; who names none means it.
fn config(fields: &mut Fields) {
    let named = fields.take_nullable("config_name", text(100)).flatten();
    if named.is_some_and(|name| !name.is_empty() && name != CONFIG) {
        fields.problem("config_name", "must be Default");
    }
}

pub(super) async fn generate(
    State(state): State<ManagementState>,
    Own(caller): Own,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    config(&mut fields);
    fields.finish()?;
    let made = state.management().generate_second_factor(&caller)?;
    let picture = domain::picture::qr_code(&made.url).map(|png| STANDARD.encode(png));
    let shown = json!({
        "config_name": CONFIG,
        "issuer": ISSUER,
        "secret": made.secret.as_str(),
        "url": made.url.as_str(),
        "qr_code": picture,
    });
    Ok(Json(shown).into_response())
}

pub(super) async fn validate(
    State(state): State<ManagementState>,
    Own(caller): Own,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    config(&mut fields);
    let (code, secret) = (fields.require("passcode", secret), fields.require("secret", secret));
    fields.finish()?;
    let (code, secret) = (code.unwrap_or_default(), secret.unwrap_or_default());
    state.management().try_second_factor(&caller, &secret, &code)?;
    Ok(message("Passcode successfully validated"))
}

pub(super) async fn save(
    State(state): State<ManagementState>,
    Own(caller): Own,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    config(&mut fields);
    let enabled = fields.require("enabled", boolean);
    let given = fields.object("secret", |fields| {
        let status = fields.take_nullable("status", text(50)).flatten().unwrap_or_default();
        let payload = fields.take_nullable("payload", secret).flatten();
        // SFTPGo's other fields of an encrypted secret
        fields.ignore(&["key", "additional_data", "mode"]);
        // what is shown of a secret and sent back is none
        payload.filter(|payload| !payload.is_empty() && status.eq_ignore_ascii_case("plain"))
    });
    // for which doors, which is asked of users only
    fields.ignore(&["protocols"]);
    fields.finish()?;
    if enabled.unwrap_or_default() {
        let secret = given.flatten();
        state.management().save_second_factor(&caller, secret.as_ref().map(|secret| secret.as_str())).await?;
    } else {
        state.management().drop_second_factor(&caller).await?;
    }
    Ok(message("TOTP configuration saved"))
}

/// Codes are kept as hashes: their texts were shown when they were made.
pub(super) async fn recovery_codes(
    State(state): State<ManagementState>,
    Own(caller): Own,
) -> Result<Response, ApiError> {
    let codes = state.management().recovery_codes(&caller).await?;
    let show = |used: bool| json!({ "secret": { "status": "Redacted", "payload": "" }, "used": used });
    Ok(Json(codes.iter().map(|code| show(code.used)).collect::<Vec<_>>()).into_response())
}

pub(super) async fn make_recovery_codes(
    State(state): State<ManagementState>,
    Own(caller): Own,
) -> Result<Response, ApiError> {
    let codes = state.management().make_recovery_codes(&caller).await?;
    Ok(Json(codes.iter().map(|code| code.as_str()).collect::<Vec<_>>()).into_response())
}
