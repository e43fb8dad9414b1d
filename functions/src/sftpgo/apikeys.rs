//! `/api/v2/apikeys`. A key with scope 1 acts as admins, one with scope 2 as credentials: as the one that it names, or as whoever
//! the caller appends to it.

mod described;

use super::{message, page};
use crate::http::error::ApiError;
use crate::http::extract::{Own, Segments};
use crate::http::fields::{Fields, parsed, text, time, whole};
use crate::management::ManagementState;
use app::management::{ApiKeyChange, Caller, FieldProblem, KeyRole, ManagementError, NewApiKey, ShownApiKey};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use domain::admin::AdminName;
use domain::api_key::{ApiKeyId, KeyOwner, Scopes};
use domain::credential::UserName;
use domain::time::Timestamp;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{HeaderName, StatusCode, Uri, header};
use serde_json::{Value, json};

pub(super) use described::describe;

const READ_ONLY: [&str; 6] = ["id", "key", "created_at", "updated_at", "last_use_at", "kind"];
const OBJECT_ID: HeaderName = HeaderName::from_static("x-object-id");
/// Owners whose names are read at once.
const READS_AT_ONCE: usize = 8;
/// Keys that are read at a time.
const PAGE: u16 = 500;

pub(super) async fn list(
    State(state): State<ManagementState>,
    Own(caller): Own,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = page::read(&uri)?;
    let (mut all, mut after): (Vec<ShownApiKey>, Option<String>) = (Vec::new(), None);
    loop {
        let (found, next) = state.management().api_keys(&caller, after.as_deref(), PAGE).await?;
        all.extend(found);
        // in the order of ids, so what comes later is not asked for
        let enough = !page.descending && all.len() >= page.offset.saturating_add(page.limit);
        match next {
            Some(next) if !enough => after = Some(next),
            _ => break,
        }
    }
    if page.descending {
        all.reverse();
    }
    let mut chosen = Vec::new();
    for key in all.iter().skip(page.offset).take(page.limit) {
        chosen.push(show(&state, &caller, key));
    }
    let shown: Vec<Value> = stream::iter(chosen).buffered(READS_AT_ONCE).try_collect().await?;
    Ok(Json(shown).into_response())
}

pub(super) async fn post(
    State(state): State<ManagementState>,
    Own(caller): Own,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let name = fields.require("name", text(255));
    let scope = fields.require("scope", whole(1..=2));
    let role = read_owner(&mut fields, scope);
    let change = read(&mut fields);
    fields.finish()?;
    let new = NewApiKey {
        name: name.unwrap_or_default(),
        description: change.description.unwrap_or_default(),
        role: role.unwrap_or(KeyRole::Dynamic(1)),
        permissions: Scopes::everything(),
        allowed_ips: Vec::new(),
        expires_at: change.expires_at.flatten(),
    };
    let made = state.management().create_api_key(&caller, new).await.map_err(respelled)?;
    let id = &made.shown.record.value.id;
    let headers = [(header::LOCATION, format!("/api/v2/apikeys/{id}")), (OBJECT_ID, id.to_string())];
    let said = json!({
        "message": "API key created. This is the only time the API key is visible, please save it.",
        "key": made.text.reveal(),
    });
    Ok((StatusCode::CREATED, headers, Json(said)).into_response())
}

pub(super) async fn get(
    State(state): State<ManagementState>,
    Own(caller): Own,
    segments: Segments,
) -> Result<Response, ApiError> {
    let key = state.management().api_key(&caller, &key_id(&segments)?).await?;
    Ok(Json(show(&state, &caller, &key).await?).into_response())
}

pub(super) async fn put(
    State(state): State<ManagementState>,
    Own(caller): Own,
    segments: Segments,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let id = key_id(&segments)?;
    let there = show(&state, &caller, &state.management().api_key(&caller, &id).await?).await?;
    for name in ["scope", "user", "admin"] {
        let same = |value: &Value| there.get(name) == Some(value) || value.is_null();
        let problem = || domain::invalid::Invalid::new("cannot be changed: make another key");
        fields.check(name, |value| if same(value) { Ok(()) } else { Err(problem()) });
        fields.ignore(&[name]);
    }
    let change = ApiKeyChange { name: fields.take("name", text(255)), ..read(&mut fields) };
    fields.finish()?;
    state.management().change_api_key(&caller, &id, change, |_| true).await?;
    Ok(message("API key updated"))
}

pub(super) async fn delete(
    State(state): State<ManagementState>,
    Own(caller): Own,
    segments: Segments,
) -> Result<Response, ApiError> {
    state.management().delete_api_key(&caller, &key_id(&segments)?, |_| true).await?;
    Ok(message("API key deleted"))
}

fn key_id(segments: &Segments) -> Result<ApiKeyId, ApiError> {
    segments.parse("id", "API key", ApiKeyId::parse)
}

/// The rules name fields as the other dialect does.
fn respelled(error: ManagementError) -> ManagementError {
    let field = |problem: FieldProblem| match problem.field.as_str() {
        "OwnerId" => FieldProblem::new("user or admin", problem.problem),
        "Expiration" => FieldProblem::new("expires_at", problem.problem),
        _ => problem,
    };
    match error {
        ManagementError::Invalid(problems) => ManagementError::Invalid(problems.into_iter().map(field).collect()),
        other => other,
    }
}

/// What can be given and changed.
fn read(fields: &mut Fields) -> ApiKeyChange {
    fields.ignore(&READ_ONLY);
    ApiKeyChange {
        description: fields.take_nullable("description", text(512)).map(Option::unwrap_or_default),
        expires_at: fields.take_nullable("expires_at", time).map(|at| at.filter(|at| at.millis() > 0)),
        ..ApiKeyChange::default()
    }
}

fn read_owner(fields: &mut Fields, scope: Option<u64>) -> Option<KeyRole> {
    let user = fields.take_nullable("user", text(100)).flatten().filter(|name| !name.is_empty());
    let admin = fields.take_nullable("admin", text(100)).flatten().filter(|name| !name.is_empty());
    let wrong = |fields: &mut Fields, name: &str, problem: &str| {
        fields.problem(name, problem);
        None
    };
    match (scope?, user, admin) {
        (1, None, None) => Some(KeyRole::Dynamic(1)),
        (1, None, Some(name)) => match parsed(AdminName::parse)(&json!(name)) {
            Ok(name) => Some(KeyRole::Of(KeyOwner::Admin(name.to_string()))),
            Err(problem) => wrong(fields, "admin", &problem.to_string()),
        },
        (1, Some(_), _) => wrong(fields, "user", "must be empty for a key of scope 1"),
        (_, None, None) => Some(KeyRole::Dynamic(2)),
        (_, Some(name), None) => match UserName::parse(&name) {
            Ok(name) => Some(KeyRole::OfUser(name)),
            Err(problem) => wrong(fields, "user", &problem.to_string()),
        },
        (_, _, Some(_)) => wrong(fields, "admin", "must be empty for a key of scope 2"),
    }
}

async fn show(state: &ManagementState, caller: &Caller, shown: &ShownApiKey) -> Result<Value, ApiError> {
    let key = &shown.record.value;
    let (user, admin) = match &key.owner {
        None => (None, None),
        Some(KeyOwner::Admin(name)) => (None, Some(name.clone())),
        Some(KeyOwner::Credential(id)) => (state.management().name_of(caller, id).await?, None),
    };
    Ok(json!({
        "id": key.id,
        "name": key.name,
        "description": key.description,
        "scope": key.scope,
        "user": user.unwrap_or_default(),
        "admin": admin.unwrap_or_default(),
        "kind": key.kind,
        "created_at": key.created_at,
        "updated_at": key.updated_at,
        "last_use_at": shown.last_used_at.map_or(0, Timestamp::millis),
        "expires_at": key.expires_at.map_or(0, Timestamp::millis),
    }))
}
