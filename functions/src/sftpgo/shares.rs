//! `/api/v2/user/shares`: a credential's share links. Their `id` is what their addresses hold, as in SFTPGo; the id that events carry
//! does as well where one is asked for.

mod described;

use super::{message, page};
use crate::http::error::ApiError;
use crate::http::extract::{ActingUser, Segments};
use crate::http::fields::{Fields, lines, list as list_of, parsed, text, time, whole};
use crate::management::ManagementState;
use app::management::{FieldProblem, ManagementError, NamedPath, ShareChange, ShownShare};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use domain::inbound::Source;
use domain::invalid::Invalid;
use domain::path::VPath;
use domain::share::{Access, MAX_LIMIT, MAX_NOTES, MAX_PATHS, MAX_SOURCES, Target};
use domain::time::Timestamp;
use http::{HeaderName, StatusCode, Uri, header};
use serde_json::{Value, json};
use zeroize::Zeroizing;

pub(super) use described::describe;

const OBJECT_ID: HeaderName = HeaderName::from_static("x-object-id");

/// What SFTPGo shows in the place of a password, and takes for "as it is".
const REDACTED: &str = "[**redacted**]";

pub(super) async fn list(
    State(state): State<ManagementState>,
    ActingUser(caller): ActingUser,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = page::read(&uri)?;
    let (mut all, user) = state.management().user_shares(&caller).await?;
    if page.descending {
        all.reverse();
    }
    let shown: Vec<Value> = all.iter().skip(page.offset).take(page.limit).map(|one| show(one, &user)).collect();
    Ok(Json(shown).into_response())
}

pub(super) async fn post(
    State(state): State<ManagementState>,
    ActingUser(caller): ActingUser,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let change = read(&mut fields);
    if change.access.is_none() && !fields.has_problem("scope") {
        fields.problem("scope", "is needed");
    }
    if change.paths.is_none() && !fields.has_problem("paths") {
        fields.problem("paths", "is needed");
    }
    fields.rest();
    fields.finish()?;
    let shown = state.management().create_user_share(&caller, change).await.map_err(respelled)?;
    let id = shown.secret.to_string();
    let headers = [(header::LOCATION, format!("/api/v2/user/shares/{id}")), (OBJECT_ID, id)];
    Ok((StatusCode::CREATED, headers, message("Share created")).into_response())
}

pub(super) async fn get(
    State(state): State<ManagementState>,
    ActingUser(caller): ActingUser,
    segments: Segments,
) -> Result<Response, ApiError> {
    let (shown, user) = state.management().user_share(&caller, segments.get("id")).await?;
    Ok(Json(show(&shown, &user)).into_response())
}

pub(super) async fn put(
    State(state): State<ManagementState>,
    ActingUser(caller): ActingUser,
    segments: Segments,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let mut change = read(&mut fields);
    fields.rest();
    fields.finish()?;
    let (there, _) = state.management().user_share(&caller, segments.get("id")).await?;
    // scope 3 stands for two permissions
    if change.access.map(scope) == Some(scope(there.record.value.access)) {
        change.access = None;
    }
    state.management().change_user_share(&caller, segments.get("id"), change).await.map_err(respelled)?;
    Ok(message("Share updated"))
}

pub(super) async fn delete(
    State(state): State<ManagementState>,
    ActingUser(caller): ActingUser,
    segments: Segments,
) -> Result<Response, ApiError> {
    state.management().delete_user_share(&caller, segments.get("id")).await?;
    Ok(message("Share deleted"))
}

/// The rules name fields as the other dialect does.
fn respelled(error: ManagementError) -> ManagementError {
    let field = |problem: FieldProblem| {
        let name = match problem.field.as_str() {
            "Path" => "paths",
            "Permission" => "scope",
            "Password" => "password",
            "ExpiresAt" => "expires_at",
            other => other,
        };
        FieldProblem::new(name, problem.problem)
    };
    match error {
        ManagementError::Invalid(problems) => ManagementError::Invalid(problems.into_iter().map(field).collect()),
        other => other,
    }
}

const fn scope(access: Access) -> u64 {
    match access {
        Access::ReadOnly => 1,
        Access::WriteOnly => 2,
        Access::ReadWrite | Access::ReadWriteNoDelete => 3,
    }
}

fn read(fields: &mut Fields) -> ShareChange {
    let path = |value: &Value| {
        let text = text(4096)(value)?;
        let path = VPath::parse(&text).map_err(|problem| Invalid::new(problem.to_string()))?;
        // nothing says what another path is: the page looks
        let target = text.ends_with('/').then_some(Target::Folder);
        Ok(NamedPath { path, target })
    };
    let password = fields.take_nullable("password", text(256)).map(Option::unwrap_or_default);
    let password = password.filter(|text| text != REDACTED);
    let access = fields.take("scope", whole(1..=3)).map(|scope| match scope {
        1 => Access::ReadOnly,
        2 => Access::WriteOnly,
        _ => Access::ReadWrite,
    });
    ShareChange {
        name: fields.take_nullable("name", text(255)).map(Option::unwrap_or_default),
        notes: fields.take_nullable("description", lines(MAX_NOTES)).map(|notes| notes.filter(|text| !text.is_empty())),
        access,
        paths: fields.take("paths", list_of(MAX_PATHS, path)),
        password: password.map(|text| Some(Zeroizing::new(text)).filter(|text| !text.is_empty())),
        expires_at: fields.take_nullable("expires_at", time).map(|at| at.filter(|at| at.millis() > 0)),
        limit: fields.take_nullable("max_tokens", whole(0..=MAX_LIMIT)).map(Option::unwrap_or_default),
        allow_from: fields
            .take_nullable("allow_from", list_of(MAX_SOURCES, parsed(Source::parse)))
            .map(Option::unwrap_or_default),
        state: None,
    }
}

fn show(shown: &ShownShare, user: &str) -> Value {
    let share = &shown.record.value;
    let mut object = json!({
        "id": shown.secret.as_str(),
        "name": share.name,
        "description": share.notes.clone().unwrap_or_default(),
        "scope": scope(share.access),
        "paths": share.paths.iter().map(|path| path.view.to_string()).collect::<Vec<_>>(),
        "username": user,
        "created_at": share.created_at,
        "updated_at": share.updated_at,
        "last_use_at": shown.last_used_at.map_or(0, Timestamp::millis),
        "expires_at": share.expires_at.map_or(0, Timestamp::millis),
        "max_tokens": share.limit,
        "used_tokens": shown.used,
        "allow_from": share.allow_from,
    });
    if let (Some(fields), Some(_)) = (object.as_object_mut(), &share.password) {
        fields.insert("password".to_owned(), json!(REDACTED));
    }
    object
}
