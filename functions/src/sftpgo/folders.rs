//! `/api/v2/folders`: virtual folders.

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

/// What is answered, and has no effect when it is sent back.
const READ_ONLY: [&str; 5] = ["id", "used_quota_size", "used_quota_files", "last_quota_update", "users"];

/// SFTPGo's default, and its maximum.
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 500;

pub(super) async fn list(
    State(state): State<ManagementState>,
    Own(caller): Own,
    uri: Uri,
) -> Result<Response, ApiError> {
    let slice = Slice::parse(&uri)?;
    let mut folders = state.management().folders(&caller).await?;
    if slice.descending {
        folders.reverse();
    }
    let shown: Vec<Value> = folders.iter().skip(slice.offset).take(slice.limit).map(show).collect();
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
    Ok(Json(json!({ "message": "Folder updated" })).into_response())
}

pub(super) async fn delete(
    State(state): State<ManagementState>,
    Own(caller): Own,
    segments: Segments,
) -> Result<Response, ApiError> {
    state.management().delete_folder(&caller, &name(&segments)?).await?;
    Ok(Json(json!({ "message": "Folder deleted" })).into_response())
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
    Ok(FolderDescription { tree: tree.flatten(), description, extra: fields.finish_keeping()? })
}

fn show(shown: &ShownFolder) -> Value {
    let ShownFolder { folder, users } = shown;
    let mut object: Map<String, Value> = folder.extra.clone();
    let own = json!({
        "id": id(folder.name.as_str()),
        "name": folder.name,
        "mapped_path": folder.tree,
        "description": folder.description,
        // what is in it counts for who wrote it
        "used_quota_size": 0,
        "used_quota_files": 0,
        "last_quota_update": 0,
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

/// `offset`, `limit` and `order`.
struct Slice {
    offset: usize,
    limit: usize,
    descending: bool,
}

impl Slice {
    fn parse(uri: &Uri) -> Result<Self, ApiError> {
        let mut slice = Self { offset: 0, limit: DEFAULT_LIMIT, descending: false };
        for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            match &*name {
                "offset" => {
                    slice.offset =
                        value.parse().map_err(|_| ApiError::bad_request("offset", "must be a number from 0"))?;
                }
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                    let wrong = || ApiError::bad_request("limit", "must be a number from 1 to 500");
                    slice.limit = limit.ok_or_else(wrong)?;
                }
                "order" => {
                    slice.descending = match &*value {
                        "ASC" => false,
                        "DESC" => true,
                        _ => return Err(ApiError::bad_request("order", "must be ASC or DESC")),
                    }
                }
                // SFTPGo ignores what it does not know
                _ => {}
            }
        }
        Ok(slice)
    }
}
