//! `/api-keys`.

mod described;

use super::ManagementState;
use crate::http::error::ApiError;
use crate::http::extract::{Call, Segments};
use crate::http::fields::{Fields, list as list_of, one_of, parsed, text, time, whole};
use crate::http::list::ListQuery;
use crate::http::shown::{IfMatch, answer};
use app::management::{ApiKeyChange, CreatedApiKey, KeyRole, MAX_GRACE_SECONDS, NewApiKey, ShownApiKey};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use domain::api_key::{ApiKeyId, KeyOwner, KeyRequest, Scope, Scopes, expires_at};
use domain::id::CredentialId;
use domain::inbound::Source;
use domain::time::Timestamp;
use http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};

pub(super) use described::describe;

const READ_ONLY: [&str; 10] =
    ["Id", "Prefix", "Kind", "Scope", "OwnerType", "OwnerId", "LastUsedAt", "CreatedAt", "UpdatedAt", "Key"];
const MAX_ADDRESSES: usize = 50;

pub(super) async fn list(
    State(state): State<ManagementState>,
    Call(caller): Call,
    uri: Uri,
) -> Result<Response, ApiError> {
    ListQuery::parse(&uri)?
        .collect(|after, limit| {
            let (state, caller) = (&state, &caller);
            async move {
                let (found, next) = state.management.api_keys(caller, after.as_deref(), limit).await?;
                let entry = |shown: &ShownApiKey| (shown.record.value.id.to_string(), show(shown));
                Ok((found.iter().map(entry).collect(), next))
            }
        })
        .await
}

pub(super) async fn post(
    State(state): State<ManagementState>,
    Call(caller): Call,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let name = fields.require("Name", text(100));
    let expiration = fields.take_nullable("Expiration", expiration).flatten();
    let permissions = read_permissions(&mut fields).unwrap_or(Scopes::everything());
    let allowed_ips = fields.take("AllowedIps", list_of(MAX_ADDRESSES, parsed(Source::parse))).unwrap_or_default();
    let owner = read_owner(&mut fields);
    fields.finish()?;
    let new = NewApiKey {
        name: name.unwrap_or_default(),
        description: String::new(),
        role: owner.map_or(KeyRole::Site, KeyRole::Of),
        permissions,
        allowed_ips,
        expires_at: expiration.flatten(),
    };
    Ok(made(&state.management.create_api_key(&caller, new).await?))
}

/// The one answer with the key's text.
fn made(created: &CreatedApiKey) -> Response {
    let mut object = show(&created.shown);
    if let Some(object) = object.as_object_mut() {
        object.insert("Key".to_owned(), json!(created.text.reveal()));
    }
    answer(StatusCode::CREATED, object)
}

pub(super) async fn rotate(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let grace = fields.take("GraceSeconds", whole(0..=u64::from(MAX_GRACE_SECONDS)));
    fields.finish()?;
    let grace = grace.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(0);
    Ok(made(&state.management.rotate_api_key(&caller, &key_id(&segments)?, grace).await?))
}

pub(super) async fn requests(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
) -> Result<Response, ApiError> {
    let found = state.management.key_requests(&caller, &key_id(&segments)?).await?;
    let show = |request: &KeyRequest| {
        json!({
            "At": request.at,
            "Method": request.method,
            "Route": request.route,
            "Status": request.status,
            "IP": request.address,
        })
    };
    Ok(Json(found.iter().map(show).collect::<Vec<_>>()).into_response())
}

pub(super) async fn get(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
) -> Result<Response, ApiError> {
    let shown = state.management.api_key(&caller, &key_id(&segments)?).await?;
    Ok(answer(StatusCode::OK, show(&shown)))
}

pub(super) async fn patch(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
    headers: HeaderMap,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    fields.ignore(&READ_ONLY);
    let mut change = ApiKeyChange {
        name: fields.take("Name", text(100)),
        description: None,
        permissions: read_permissions(&mut fields),
        allowed_ips: fields.take("AllowedIps", list_of(MAX_ADDRESSES, parsed(Source::parse))),
        state: fields.take("State", one_of("active, inactive")),
        expires_at: fields.take_nullable("ExpiresAt", time),
    };
    if let Some(expiration) = fields.take("Expiration", expiration) {
        change.expires_at = Some(expiration);
    }
    fields.finish()?;
    let condition = IfMatch::parse(&headers)?;
    let accept = |shown: &ShownApiKey| condition.accepts(&show(shown));
    let shown = state.management.change_api_key(&caller, &key_id(&segments)?, change, accept).await?;
    Ok(answer(StatusCode::OK, show(&shown)))
}

pub(super) async fn delete(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let condition = IfMatch::parse(&headers)?;
    let accept = |shown: &ShownApiKey| condition.accepts(&show(shown));
    let shown = state.management.delete_api_key(&caller, &key_id(&segments)?, accept).await?;
    Ok(answer(StatusCode::OK, show(&shown)))
}

fn key_id(segments: &Segments) -> Result<ApiKeyId, ApiError> {
    segments.parse("id", "API key", ApiKeyId::parse)
}

/// One of the texts, or a time.
fn expiration(value: &Value) -> Result<Option<Timestamp>, domain::invalid::Invalid> {
    match value.as_str() {
        Some(text) => expires_at(text, store::clock::now()),
        None => time(value).map(Some),
    }
}

/// Absent or null: all that the owner may do.
fn read_permissions(fields: &mut Fields) -> Option<Scopes> {
    let scopes = fields.take_nullable("Permissions", list_of(Scope::ALL.len(), parsed(Scope::parse)))?;
    Some(scopes.map_or(Scopes::everything(), Scopes::only))
}

fn read_owner(fields: &mut Fields) -> Option<KeyOwner> {
    let kind = fields.take_nullable("OwnerType", text(20)).flatten();
    let id = fields.take_nullable("OwnerId", text(100)).flatten();
    match (kind.as_deref(), id) {
        (None, None) => None,
        (Some("admin"), Some(name)) => Some(KeyOwner::Admin(name)),
        (Some("credential"), Some(id)) => {
            let parsed = CredentialId::parse(&id);
            parsed.map_err(|error| fields.problem("OwnerId", &error.to_string())).ok().map(KeyOwner::Credential)
        }
        _ => {
            fields.problem("OwnerType", "must be admin or credential, together with OwnerId");
            None
        }
    }
}

fn show(shown: &ShownApiKey) -> Value {
    let key = &shown.record.value;
    let (owner_type, owner_id) = match &key.owner {
        None => (None, None),
        Some(KeyOwner::Admin(name)) => (Some("admin"), Some(name.as_str())),
        Some(KeyOwner::Credential(id)) => (Some("credential"), Some(id.as_str())),
    };
    let addresses: Vec<&str> = key.allowed_ips.iter().map(Source::as_str).collect();
    json!({
        "Id": key.id,
        "Name": key.name,
        "Prefix": key.prefix,
        "Kind": key.kind,
        "Scope": key.scope,
        "OwnerType": owner_type,
        "OwnerId": owner_id,
        "Permissions": key.permissions.limited_to(),
        "AllowedIps": addresses,
        "State": key.state,
        "ExpiresAt": key.expires_at,
        "LastUsedAt": shown.last_used_at,
        "CreatedAt": key.created_at,
        "UpdatedAt": key.updated_at,
    })
}
