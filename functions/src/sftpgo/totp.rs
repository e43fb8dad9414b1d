//! Second factors, of admins (`/api/v2/admin/…`) and of credentials (`/api/v2/user/…`): one and the same, for whoever calls.

mod described;

use super::account::secret;
use super::message;
use crate::http::error::ApiError;
use crate::http::extract::Me;
use crate::http::fields::{Fields, boolean, list as list_of, text};
use crate::management::ManagementState;
use app::management::SelfService;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::admin::second_factor::{ALGORITHM, CONFIG, ISSUER};
use serde_json::json;

pub(super) use described::describe_in;

pub(super) async fn configs<C: SelfService>(Me(_): Me<C>) -> Response {
    Json(json!([{ "name": CONFIG, "issuer": ISSUER, "algo": ALGORITHM }])).into_response()
}

/// There is one configuration; who names none means it.
fn config(fields: &mut Fields) {
    let named = fields.take_nullable("config_name", text(100)).flatten();
    if named.is_some_and(|name| !name.is_empty() && name != CONFIG) {
        fields.problem("config_name", "must be Default");
    }
}

pub(super) async fn generate<C: SelfService>(
    State(state): State<ManagementState>,
    Me(caller): Me<C>,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    config(&mut fields);
    fields.finish()?;
    let made = state.management().generate_second_factor(&caller).await?;
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

pub(super) async fn validate<C: SelfService>(
    State(state): State<ManagementState>,
    Me(caller): Me<C>,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    config(&mut fields);
    let (code, secret) = (fields.require("passcode", secret), fields.require("secret", secret));
    fields.finish()?;
    let (code, secret) = (code.unwrap_or_default(), secret.unwrap_or_default());
    state.management().try_second_factor(&caller, &secret, &code)?;
    Ok(message("Passcode successfully validated"))
}

pub(super) async fn save<C: SelfService>(
    State(state): State<ManagementState>,
    Me(caller): Me<C>,
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
    // for which doors, which is asked of users: it is this one, and no other asks for codes
    let doors = fields.take_nullable("protocols", list_of(8, text(20))).flatten().unwrap_or_default();
    if doors.iter().any(|door| door != "HTTP") {
        fields.problem("protocols", "must be HTTP: codes are asked for tokens, and not by SFTP and FTPS");
    }
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
pub(super) async fn recovery_codes<C: SelfService>(
    State(state): State<ManagementState>,
    Me(caller): Me<C>,
) -> Result<Response, ApiError> {
    let codes = state.management().recovery_codes(&caller).await?;
    let show = |used: bool| json!({ "secret": { "status": "Redacted", "payload": "" }, "used": used });
    Ok(Json(codes.iter().map(|code| show(code.used)).collect::<Vec<_>>()).into_response())
}

pub(super) async fn make_recovery_codes<C: SelfService>(
    State(state): State<ManagementState>,
    Me(caller): Me<C>,
) -> Result<Response, ApiError> {
    let codes = state.management().make_recovery_codes(&caller).await?;
    Ok(Json(codes.iter().map(|code| code.as_str()).collect::<Vec<_>>()).into_response())
}
