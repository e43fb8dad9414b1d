//! `/api/v2/folders`: virtual folders.

mod described;

use super::{message, page};
use crate::http::error::ApiError;
use crate::http::extract::{Own, Segments};
use crate::http::fields::{Fields, parsed, text};
use crate::management::ManagementState;
use app::management::{FolderDescription, ShownFolder};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use domain::folder::FolderName;
use domain::path::VPath;
use http::{StatusCode, Uri, header};
use serde_json::{Map, Value, json};

pub(super) use described::describe;

/// What is answered, and has no effect when it is sent back.
const READ_ONLY: [&str; 5] = ["id", "used_quota_size", "used_quota_files", "last_quota_update", "users"];

pub(super) async fn list(
    State(state): State<ManagementState>,
    Own(caller): Own,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = page::read(&uri)?;
    let mut folders = state.management().folders(&caller).await?;
    if page.descending {
        folders.reverse();
    }
    let shown: Vec<Value> = folders.iter().skip(page.offset).take(page.limit).map(show).collect();
    Ok(Json(shown).into_response())
}

pub(super) async fn post(
    State(state): State<ManagementState>,
    Own(caller): Own,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let name = fields.require("name", parsed(FolderName::parse));
    let description = read(fields)?;
    let name = name.ok_or_else(|| ApiError::bad_request("name", "is needed"))?;
    let folder = state.management().create_folder(&caller, name, description).await?;
    let place = [(header::LOCATION, format!("/api/v2/folders/{}", folder.folder.name))];
    Ok((StatusCode::CREATED, place, Json(show(&folder))).into_response())
}

pub(super) async fn get(
    State(state): State<ManagementState>,
    Own(caller): Own,
    segments: Segments,
) -> Result<Response, ApiError> {
    Ok(Json(show(&state.management().folder(&caller, &name(&segments)?).await?)).into_response())
}

pub(super) async fn put(
    State(state): State<ManagementState>,
    Own(caller): Own,
    segments: Segments,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    // the one in the path counts
    fields.ignore(&["name"]);
    state.management().replace_folder(&caller, &name(&segments)?, read(fields)?).await?;
    Ok(message("Folder updated"))
}

pub(super) async fn delete(
    State(state): State<ManagementState>,
    Own(caller): Own,
    segments: Segments,
) -> Result<Response, ApiError> {
    state.management().delete_folder(&caller, &name(&segments)?).await?;
    Ok(message("Folder deleted"))
}

fn name(segments: &Segments) -> Result<FolderName, ApiError> {
    segments.parse("name", "folder", FolderName::parse)
}

fn read(mut fields: Fields) -> Result<FolderDescription, ApiError> {
    fields.ignore(&READ_ONLY);
    let tree = fields.take("mapped_path", |value| match value.as_str() {
        // what a client of a folder that needs none sends
        Some("") => Ok(None),
        _ => parsed(VPath::parse)(value).map(Some),
    });
    let description = fields.take_nullable("description", text(500)).flatten().unwrap_or_default();
    fields.check("filesystem", |value| match value.get("provider").unwrap_or(&Value::Null) {
        Value::Null => Ok(()),
        provider if provider.as_u64() == Some(0) => Ok(()),
        _ => Err(domain::invalid::Invalid::new("files are in the organization's bucket: provider must be 0")),
    });
    let extra = fields.rest();
    fields.finish()?;
    Ok(FolderDescription { tree: tree.flatten(), description, extra })
}

fn show(shown: &ShownFolder) -> Value {
    let ShownFolder { folder, users, usage } = shown;
    let mut object: Map<String, Value> = folder.extra.clone();
    let own = json!({
        "id": id(folder.name.as_str()),
        "name": folder.name,
        "mapped_path": folder.tree,
        "description": folder.description,
        "used_quota_size": usage.bytes,
        "used_quota_files": usage.files,
        "last_quota_update": usage.updated_at,
        "users": users,
    });
    if let Value::Object(own) = own {
        object.extend(own);
    }
    object.entry("filesystem").or_insert_with(|| json!({ "provider": 0 }));
    Value::Object(object)
}

/// SFTPGo's ids are numbers, of which nothing depends; this one is always the same for a name.
fn id(name: &str) -> u32 {
    (crc32fast::hash(name.as_bytes()) >> 1).max(1)
}
