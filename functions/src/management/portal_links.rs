//! `/portal-links`: share links.

mod described;

use super::ManagementState;
use crate::http::SEGMENT;
use crate::http::error::ApiError;
use crate::http::extract::{Call, Segments};
use crate::http::fields::{Fields, lines, list as list_of, one_of, parsed, text, time, whole};
use crate::http::list::ListQuery;
use crate::http::shown::{IfMatch, answer};
use app::management::{NamedPath, ShareChange, ShownShare};
use axum::extract::State;
use axum::response::Response;
use domain::event::ActorKind;
use domain::inbound::Source;
use domain::invalid::Invalid;
use domain::path::VPath;
use domain::share::{MAX_LIMIT, MAX_NOTES, MAX_SOURCES, Target};
use http::{HeaderMap, StatusCode, Uri};
use percent_encoding::utf8_percent_encode;
use serde_json::{Value, json};
use zeroize::Zeroizing;

pub(super) use described::describe;

const READ_ONLY: [&str; 8] =
    ["Id", "OrganizationId", "Url", "Paths", "CreatedBy", "AccessCount", "CreatedAt", "UpdatedAt"];

pub(super) async fn list(
    State(state): State<ManagementState>,
    Call(caller): Call,
    uri: Uri,
) -> Result<Response, ApiError> {
    let (state, caller) = (&state, &caller);
    let page = async |after: Option<String>, limit: u16| {
        let (found, next) = state.management.shares(caller, after.as_deref(), limit).await?;
        let shown = found.iter().map(|shown| (shown.record.value.id.to_string(), show(state, shown)));
        Ok((shown.collect(), next))
    };
    ListQuery::parse(&uri)?.collect(page).await
}

pub(super) async fn post(
    State(state): State<ManagementState>,
    Call(caller): Call,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let path = fields.require("Path", path_text);
    let change = ShareChange { paths: path.map(|path| vec![path]), ..read(&mut fields) };
    fields.finish()?;
    let shown = state.management.create_share(&caller, change).await?;
    Ok(answer(StatusCode::CREATED, show(&state, &shown)))
}

pub(super) async fn get(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
) -> Result<Response, ApiError> {
    let shown = state.management.share(&caller, segments.get("id")).await?;
    Ok(answer(StatusCode::OK, show(&state, &shown)))
}

pub(super) async fn patch(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
    headers: HeaderMap,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    fields.ignore(&READ_ONLY);
    let path = fields.take("Path", path_text);
    let mut change = read(&mut fields);
    fields.finish()?;
    let condition = IfMatch::parse(&headers)?;
    if let Some(path) = path {
        // the first of its paths as it is shown changes none of them
        let there = state.management.share(&caller, segments.get("id")).await?;
        let share = &there.record.value;
        let first = share.paths.first().and_then(|first| path_text(&json!(first.shown())).ok());
        if first.as_ref() != Some(&path) {
            let named = state.management.share_path(&caller, share, path).await?;
            change.paths = Some(vec![named]);
        }
    }
    let accept = |shown: &ShownShare| condition.accepts(&show(&state, shown));
    let shown = state.management.change_share(&caller, segments.get("id"), change, accept).await?;
    Ok(answer(StatusCode::OK, show(&state, &shown)))
}

pub(super) async fn delete(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let condition = IfMatch::parse(&headers)?;
    let accept = |shown: &ShownShare| condition.accepts(&show(&state, shown));
    let shown = state.management.delete_share(&caller, segments.get("id"), accept).await?;
    Ok(answer(StatusCode::OK, show(&state, &shown)))
}

/// A path; a slash at its end says that it is a folder.
fn path_text(value: &Value) -> Result<NamedPath, Invalid> {
    let text = text(4096)(value)?;
    if !text.starts_with('/') {
        return Err(Invalid::new("must begin with a slash"));
    }
    if text.split('/').any(|segment| segment == ".." || segment == ".") {
        return Err(Invalid::new("may not hold `.` or `..`"));
    }
    let path = VPath::parse(&text).map_err(|problem| Invalid::new(problem.to_string()))?;
    let target = if text.ends_with('/') { Target::Folder } else { Target::File };
    Ok(NamedPath { path, target: Some(target) })
}

fn read(fields: &mut Fields) -> ShareChange {
    let kind = |value: &Value| match value.as_str() {
        Some("share") => Ok(()),
        _ => Err(Invalid::new("must be share")),
    };
    fields.take("Type", kind);
    let password = |value: &Value| text(256)(value).map(Zeroizing::new);
    ShareChange {
        name: None,
        notes: fields.take_nullable("Notes", lines(MAX_NOTES)),
        access: fields.take("Permission", one_of("read-only, read-write, write-only, read-write-no-delete")),
        paths: None,
        password: fields.take_nullable("Password", password),
        expires_at: fields.take_nullable("ExpiresAt", time),
        limit: fields.take_nullable("AccessLimit", whole(0..=MAX_LIMIT)).map(Option::unwrap_or_default),
        allow_from: fields
            .take_nullable("AllowFrom", list_of(MAX_SOURCES, parsed(Source::parse)))
            .map(Option::unwrap_or_default),
        state: fields.take("State", one_of("active, inactive")),
    }
}

/// Where a link is opened.
pub(crate) fn url(state: &ManagementState, shown: &ShownShare) -> String {
    let address = format!("{}/s/{}", state.share_base, shown.secret.as_str());
    match shown.record.value.file_name() {
        Some(name) => format!("{address}/{}", utf8_percent_encode(name, SEGMENT)),
        None => address,
    }
}

fn show(state: &ManagementState, shown: &ShownShare) -> Value {
    let share = &shown.record.value;
    let by = &share.created_by;
    let (kind, principal) = match by.actor.kind {
        ActorKind::User => ("User", "user"),
        _ => ("Admin", "admin"),
    };
    json!({
        "Id": share.id,
        "Url": url(state, shown),
        "Path": share.paths.first().map(domain::share::SharedPath::shown),
        "Paths": share.paths.iter().map(domain::share::SharedPath::shown).collect::<Vec<_>>(),
        "Permission": share.access,
        "State": share.state,
        "Type": "share",
        "ExpiresAt": share.expires_at,
        "AccessLimit": share.limit,
        "AccessCount": shown.used,
        "AllowFrom": share.allow_from,
        "Password": shown.password.as_ref().map(|password| password.as_str()),
        "Notes": share.notes,
        "CreatedBy": {
            "Type": kind,
            "Id": by.actor.id,
            "Name": by.name,
            "Email": null,
            "PrincipalName": by.name,
            "PrincipalId": by.actor.id,
            "PrincipalType": principal,
        },
        "OrganizationId": share.organization,
        "CreatedAt": share.created_at,
        "UpdatedAt": share.updated_at,
    })
}
