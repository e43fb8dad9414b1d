//! `/api/v2/quotas`: what is stored, counted again or set by hand.

mod described;

use super::message;
use crate::http::error::ApiError;
use crate::http::extract::{Own, Segments};
use crate::http::fields::{Fields, whole};
use crate::management::ManagementState;
use app::management::UsageMode;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use domain::credential::UserName;
use domain::folder::FolderName;
use domain::intent::UsageChange;
use domain::job::{Job, Task};
use domain::quota::Holder;
use http::{StatusCode, Uri};
use serde_json::json;

pub(super) use described::describe;

/// What can be counted or set: more than S3 holds for anybody.
const MOST: u64 = 1 << 53;

pub(super) async fn user_scans(State(state): State<ManagementState>, Own(caller): Own) -> Result<Response, ApiError> {
    let scans = state.management().quota_scans(&caller).await?;
    Ok(listed(&scans, "username", |holder| matches!(holder, Holder::Credential(_))))
}

pub(super) async fn folder_scans(State(state): State<ManagementState>, Own(caller): Own) -> Result<Response, ApiError> {
    let scans = state.management().quota_scans(&caller).await?;
    Ok(listed(&scans, "name", |holder| matches!(holder, Holder::Folder(_))))
}

pub(super) async fn scan_user(
    State(state): State<ManagementState>,
    Own(caller): Own,
    segments: Segments,
) -> Result<Response, ApiError> {
    Ok(started(&state.management().scan_user(&caller, &user(&segments)?).await?))
}

pub(super) async fn scan_folder(
    State(state): State<ManagementState>,
    Own(caller): Own,
    segments: Segments,
) -> Result<Response, ApiError> {
    Ok(started(&state.management().scan_folder(&caller, &folder(&segments)?).await?))
}

pub(super) async fn put_user_usage(
    State(state): State<ManagementState>,
    Own(caller): Own,
    segments: Segments,
    uri: Uri,
    fields: Fields,
) -> Result<Response, ApiError> {
    let usage = (mode(&uri)?, read(fields)?);
    state.management().set_user_usage(&caller, &user(&segments)?, usage).await?;
    Ok(message("Quota updated"))
}

pub(super) async fn put_folder_usage(
    State(state): State<ManagementState>,
    Own(caller): Own,
    segments: Segments,
    uri: Uri,
    fields: Fields,
) -> Result<Response, ApiError> {
    let usage = (mode(&uri)?, read(fields)?);
    state.management().set_folder_usage(&caller, &folder(&segments)?, usage).await?;
    Ok(message("Quota updated"))
}

fn user(segments: &Segments) -> Result<UserName, ApiError> {
    segments.parse("username", "user", UserName::parse)
}

fn folder(segments: &Segments) -> Result<FolderName, ApiError> {
    segments.parse("name", "folder", FolderName::parse)
}

fn mode(uri: &Uri) -> Result<UsageMode, ApiError> {
    let mut pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    match pairs.find(|(name, _)| name == "mode").as_ref().map(|(_, mode)| mode.as_ref()) {
        None | Some("reset") => Ok(UsageMode::Reset),
        Some("add") => Ok(UsageMode::Add),
        Some(_) => Err(ApiError::bad_request("mode", "must be add or reset")),
    }
}

fn read(mut fields: Fields) -> Result<UsageChange, ApiError> {
    let bytes = fields.take("used_quota_size", whole(0..=MOST)).unwrap_or(0);
    let files = fields.take("used_quota_files", whole(0..=MOST)).unwrap_or(0);
    fields.rest();
    fields.finish()?;
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    Ok(UsageChange { bytes: signed(bytes), files: signed(files) })
}

/// The job's id is beside SFTPGo's message, for whoever wants to see how far it is.
fn started(job: &Job) -> Response {
    (StatusCode::ACCEPTED, Json(json!({ "message": "Scan started", "job": job.id }))).into_response()
}

fn listed(scans: &[Job], named: &str, wanted: fn(&Holder) -> bool) -> Response {
    let shown = scans.iter().filter_map(|job| {
        let Task::QuotaScan { holder, name, .. } = &job.task else { return None };
        wanted(holder).then(|| {
            json!({
                named: name,
                "start_time": job.created_at,
                "job": job.id,
                "files": job.progress.files,
                "size": job.progress.bytes,
            })
        })
    });
    Json(shown.collect::<Vec<_>>()).into_response()
}
