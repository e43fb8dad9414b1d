//! Upload sessions: a client announces a file, sends its parts straight to S3, and says when all are there.

mod described;

use super::folders::make_parents;
use super::opened::Opened;
use crate::http::error::ApiError;
use crate::http::extract::Segments;
use crate::http::fields::{Fields, boolean, text, time, whole};
use crate::sftpgo::message;
use app::vfs::{ADDRESSES, Address, FileSession};
use axum::Json;
use axum::response::{IntoResponse as _, Response};
use domain::direct_upload::DirectUpload;
use domain::upload::MAX_FILE_BYTES;
use http::StatusCode;
use serde_json::{Value, json};

pub(super) use described::describe_in;

pub(super) async fn begin(opened: Opened, mut fields: Fields) -> Result<Response, ApiError> {
    let path = fields.require("path", text(4096));
    let bytes = fields.require("size", whole(0..=MAX_FILE_BYTES));
    let modified = fields.take("last_modified", time);
    let parents = fields.take("mkdir_parents", boolean);
    fields.finish()?;
    let path = opened.resolve("path", &path.unwrap_or_default())?;
    let bytes = bytes.unwrap_or_default();
    if parents == Some(true) {
        make_parents(&opened.files, &path).await?;
    }
    let direct = opened.files.begin_direct(&path, bytes, modified).await?;
    let shown = shown(&opened.files, &direct, 1, None).await?;
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

pub(super) async fn get(opened: Opened, segments: Segments) -> Result<Response, ApiError> {
    let first = opened.query.number("part")?.unwrap_or(1);
    let first = u32::try_from(first).map_err(|_| ApiError::bad_request("part", "is too large"))?;
    let direct = opened.files.direct_upload(segments.get("id")).await?;
    let received = opened.files.direct_received(&direct).await?;
    Ok(Json(shown(&opened.files, &direct, first, Some(received)).await?).into_response())
}

pub(super) async fn complete(opened: Opened, segments: Segments) -> Result<Response, ApiError> {
    let direct = opened.files.direct_upload(segments.get("id")).await?;
    opened.files.finish_direct(&direct).await?;
    Ok((StatusCode::CREATED, message("Upload completed")).into_response())
}

pub(super) async fn abort(opened: Opened, segments: Segments) -> Result<Response, ApiError> {
    let direct = opened.files.direct_upload(segments.get("id")).await?;
    opened.files.abort_direct(&direct).await?;
    Ok(message("Upload ended"))
}

pub(crate) async fn shown(
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
