//! `/api/v2/admins`.

mod described;

use super::{kept, message, page};
use crate::http::error::ApiError;
use crate::http::extract::{Own, Segments};
use crate::http::fields::{Fields, boolean, lines, list as list_of, parsed, text, whole};
use crate::management::ManagementState;
use app::management::{AdminChange, NewAdmin};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use domain::admin::{Admin, AdminName, MAX_ALLOWED, Permission, Permissions, second_factor};
use domain::inbound::Source;
use http::{HeaderValue, StatusCode, Uri};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

pub(super) use described::describe;

/// What is shown and cannot be set.
const READ_ONLY: [&str; 4] = ["id", "created_at", "updated_at", "last_login"];

pub(super) async fn list(
    State(state): State<ManagementState>,
    Own(caller): Own,
    uri: Uri,
) -> Result<Response, ApiError> {
    let found = state.management().admins(&caller, page::read(&uri)?).await?;
    Ok(Json(found.iter().map(show).collect::<Vec<_>>()).into_response())
}

pub(super) async fn post(
    State(state): State<ManagementState>,
    Own(caller): Own,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let name = fields.require("username", parsed(AdminName::parse));
    let change = read(&mut fields);
    fields.finish()?;
    // what is missing was noted as a problem
    let name = name.ok_or_else(|| ApiError::bad_request("username", "is needed"))?;
    let admin = state.management().create_admin(&caller, NewAdmin { name, change }).await?;
    let mut response = (StatusCode::CREATED, Json(show(&admin))).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v2/admins/{}", admin.name)) {
        response.headers_mut().insert(http::header::LOCATION, location);
    }
    Ok(response)
}

pub(super) async fn get(
    State(state): State<ManagementState>,
    Own(caller): Own,
    segments: Segments,
) -> Result<Response, ApiError> {
    let admin = state.management().admin(&caller, &name(&segments)?).await?;
    Ok(Json(show(&admin)).into_response())
}

pub(super) async fn put(
    State(state): State<ManagementState>,
    Own(caller): Own,
    segments: Segments,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let name = name(&segments)?;
    // names do not change; SFTPGo ignores another one as well
    fields.ignore(&["username"]);
    let change = read(&mut fields);
    fields.finish()?;
    state.management().change_admin(&caller, &name, change).await?;
    Ok(message("Admin updated"))
}

pub(super) async fn delete(
    State(state): State<ManagementState>,
    Own(caller): Own,
    segments: Segments,
) -> Result<Response, ApiError> {
    state.management().delete_admin(&caller, &name(&segments)?).await?;
    Ok(message("Admin deleted"))
}

pub(super) async fn disable_second_factor(
    State(state): State<ManagementState>,
    Own(caller): Own,
    segments: Segments,
) -> Result<Response, ApiError> {
    state.management().disable_second_factor(&caller, &name(&segments)?).await?;
    Ok(message("2FA disabled"))
}

fn name(segments: &Segments) -> Result<AdminName, ApiError> {
    segments.parse("username", "admin", AdminName::parse)
}

/// What is given of an admin. What is not known is kept as it is.
fn read(fields: &mut Fields) -> AdminChange {
    fields.ignore(&READ_ONLY);
    let role = fields.take_nullable("role", text(255)).flatten().unwrap_or_default();
    if !role.is_empty() {
        fields.problem("role", "must be empty: there are no roles here, and one would bound nothing");
    }
    let mut change = AdminChange {
        password: fields.take_nullable("password", password).flatten(),
        permissions: fields
            .take("permissions", list_of(Permission::ALL.len(), parsed(Permission::parse)))
            .map(Permissions::of),
        active: fields.take("status", whole(0..=1)).map(|status| status == 1),
        email: or_empty(fields, "email", 254),
        description: or_empty(fields, "description", 512),
        additional_info: fields.take_nullable("additional_info", lines(8192)).map(Option::unwrap_or_default),
        ..AdminChange::default()
    };
    let mut kept_filters = Map::new();
    let filters = fields.object("filters", |filters| {
        // each admin sets its own up
        filters.ignore(&["totp_config", "recovery_codes"]);
        let sources = list_of(MAX_ALLOWED, parsed(Source::parse));
        change.allow_list = filters.take_nullable("allow_list", sources).map(Option::unwrap_or_default);
        change.allow_api_key_auth = filters.take("allow_api_key_auth", boolean);
        change.needs_second_factor = filters.take("require_two_factor", boolean);
        change.needs_new_password = filters.take("require_password_change", boolean);
        kept_filters = filters.rest();
    });
    change.kept_filters = filters.map(|()| text_of(kept_filters));
    change.kept = Some(text_of(fields.rest()));
    change
}

pub(super) fn or_empty(fields: &mut Fields, name: &str, most: usize) -> Option<String> {
    fields.take_nullable(name, text(most)).map(Option::unwrap_or_default)
}

/// Empty counts as none: SFTPGo shows no password, and who sends that back wants no other.
pub(super) fn password(value: &Value) -> Result<Zeroizing<String>, domain::invalid::Invalid> {
    value
        .as_str()
        .map(|text| Zeroizing::new(text.to_owned()))
        .ok_or_else(|| domain::invalid::Invalid::new("must be a string"))
}

fn text_of(fields: Map<String, Value>) -> String {
    if fields.is_empty() { String::new() } else { Value::Object(fields).to_string() }
}

fn show(admin: &Admin) -> Value {
    let addresses: Vec<&str> = admin.allow_list.iter().map(Source::as_str).collect();
    let mut filters = kept::read(&admin.profile.kept_filters);
    let own_filters = json!({
        "allow_list": addresses,
        "allow_api_key_auth": admin.allow_api_key_auth,
        "require_two_factor": admin.needs_second_factor,
        "require_password_change": admin.needs_new_password,
        "totp_config": match &admin.second_factor {
            None => json!({ "enabled": false }),
            Some(_) => json!({ "enabled": true, "config_name": second_factor::CONFIG }),
        },
    });
    kept::extend(&mut filters, own_filters);
    let mut shown = kept::read(&admin.profile.kept);
    kept::extend(
        &mut shown,
        json!({
            "id": admin.number(),
            "status": i32::from(admin.active),
            "username": admin.name,
            "description": admin.profile.description,
            "email": admin.profile.email,
            "permissions": admin.permissions,
            "filters": filters,
            "additional_info": admin.profile.additional_info,
            "created_at": admin.created_at,
            "updated_at": admin.updated_at,
        }),
    );
    Value::Object(shown)
}
