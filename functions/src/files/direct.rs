//! Upload sessions: a client announces a file, sends its parts straight to S3, and says when all are there.

use super::FilesState;
use super::folders::make_parents;
use super::query::Query;
use crate::http::error::ApiError;
use crate::http::extract::{ActingUser, Segments};
use crate::http::fields::{Fields, boolean, text, time, whole};
use crate::sftpgo::message;
use app::vfs::{ADDRESSES, Address, FileSession};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use domain::direct_upload::DirectUpload;
use domain::upload::MAX_FILE_BYTES;
use http::StatusCode;
use serde_json::{Value, json};

pub(super) async fn begin(
    State(state): State<FilesState>,
    ActingUser(caller): ActingUser,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let path = fields.require("path", text(4096));
    let bytes = fields.require("size", whole(0..=MAX_FILE_BYTES));
    let modified = fields.take("last_modified", time);
    let parents = fields.take("mkdir_parents", boolean);
    fields.finish()?;
    let (files, _session) = state.open(&caller).await?;
    let path = files.login_folder().resolve(&path.unwrap_or_default());
    let path = path.map_err(|problem| ApiError::bad_request("path", &problem.to_string()))?;
    let bytes = bytes.unwrap_or_default();
    if parents == Some(true) {
        make_parents(&files, &path).await?;
    }
    let direct = files.begin_direct(&path, bytes, modified).await?;
    let shown = shown(&files, &direct, 1, None).await?;
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

pub(super) async fn get(
    State(state): State<FilesState>,
    ActingUser(caller): ActingUser,
    segments: Segments,
    query: Query,
) -> Result<Response, ApiError> {
    let first = query.number("part")?.unwrap_or(1);
    let first = u32::try_from(first).map_err(|_| ApiError::bad_request("part", "is too large"))?;
    let (files, _session) = state.open(&caller).await?;
    let direct = files.direct_upload(segments.get("id")).await?;
    let received = files.direct_received(&direct).await?;
    Ok(Json(shown(&files, &direct, first, Some(received)).await?).into_response())
}

pub(super) async fn complete(
    State(state): State<FilesState>,
    ActingUser(caller): ActingUser,
    segments: Segments,
) -> Result<Response, ApiError> {
    let (files, _session) = state.open(&caller).await?;
    let direct = files.direct_upload(segments.get("id")).await?;
    files.finish_direct(&direct).await?;
    Ok((StatusCode::CREATED, message("Upload completed")).into_response())
}

pub(super) async fn abort(
    State(state): State<FilesState>,
    ActingUser(caller): ActingUser,
    segments: Segments,
) -> Result<Response, ApiError> {
    let (files, _session) = state.open(&caller).await?;
    let direct = files.direct_upload(segments.get("id")).await?;
    files.abort_direct(&direct).await?;
    Ok(message("Upload ended"))
}

async fn shown(
    files: &FileSession,
    direct: &DirectUpload,
    first: u32,
    received: Option<Vec<u32>>,
) -> Result<Value, ApiError> {
    let addresses = files.direct_addresses(direct, first).await?;
    let part = |address: &Address| json!({ "number": address.number, "size": address.bytes, "url": address.url });
    let next = first.max(1).saturating_add(ADDRESSES);
    Ok(json!({
        "id": direct.id,
        "path": direct.path.to_string(),
        "size": direct.bytes,
        "part_size": direct.part_bytes,
        "part_count": direct.parts(),
        "expires_at": direct.until.millis(),
        "received": received.unwrap_or_default(),
        "parts": addresses.iter().map(part).collect::<Vec<_>>(),
        "next_part": (next <= direct.parts()).then_some(next),
    }))
}
