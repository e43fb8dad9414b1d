//! `/api/v2/retention`: deleting what has been kept for long enough; and the folders of a policy, as both dialects spell them.

pub(crate) mod described;

use super::page::switch;
use crate::http::error::ApiError;
use crate::http::extract::{Own, Segments, body};
use crate::http::fields::{Fields, boolean, parsed, whole};
use crate::management::ManagementState;
use app::management::ManagementError;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use domain::credential::UserName;
use domain::job::Task;
use domain::path::VPath;
use domain::retention::{MAX_FOLDERS, MAX_HOURS, RetainedFolder, RetentionPolicy};
use http::StatusCode;
use serde_json::{Value, json};

pub(super) use described::describe;

pub(super) async fn list(State(state): State<ManagementState>, Own(caller): Own) -> Result<Response, ApiError> {
    let checks = state.management().retention_checks(&caller).await?;
    let shown = checks.iter().filter_map(|job| match &job.task {
        Task::RetentionCheck { name, policy, mail, dry_run, .. } => Some(json!({
            "username": name,
            "folders": show(policy),
            "start_time": job.created_at,
            "notifications": if *mail { json!(["Email"]) } else { json!([]) },
            "dry_run": dry_run,
            "job": job.id,
        })),
        _ => None,
    });
    Ok(Json(shown.collect::<Vec<_>>()).into_response())
}

pub(super) async fn check(
    State(state): State<ManagementState>,
    Own(caller): Own,
    segments: Segments,
    request: Request,
) -> Result<Response, ApiError> {
    let name = segments.parse("username", "user", UserName::parse)?;
    let dry_run = switch(request.uri(), "dry_run")?;
    let mail = notifications(request.uri())?;
    let policy = read(&body(request).await?)?;
    let job = state.management().check_retention(&caller, &name, (policy, dry_run, mail)).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "message": "Check started", "job": job.id }))).into_response())
}

/// `notifications=Email,Hook`: the event is always told to who has subscribed to it.
fn notifications(uri: &http::Uri) -> Result<bool, ApiError> {
    let pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let mut mail = false;
    for (_, kinds) in pairs.filter(|(name, _)| name == "notifications") {
        for kind in kinds.split(',').map(str::trim).filter(|kind| !kind.is_empty()) {
            match kind {
                "Email" => mail = true,
                "Hook" => {}
                _ => return Err(ApiError::bad_request("notifications", "must be Email or Hook")),
            }
        }
    }
    Ok(mail)
}

/// The folders of a policy: a list.
pub(crate) fn read(body: &[u8]) -> Result<RetentionPolicy, ApiError> {
    let folders = Fields::each(body, MAX_FOLDERS, |fields| {
        let path = fields.require("path", parsed(VPath::parse));
        let hours = fields.require("retention", whole(0..=u64::from(MAX_HOURS)));
        let delete_empty_folders = fields.take("delete_empty_dirs", boolean).unwrap_or(false);
        let ignore_permissions = fields.take("ignore_user_permissions", boolean).unwrap_or(false);
        let hours = u32::try_from(hours?).ok()?;
        Some(RetainedFolder { path: path?, hours, delete_empty_folders, ignore_permissions })
    })?;
    let problem = |problem: domain::invalid::Invalid| ManagementError::field("", &problem);
    RetentionPolicy::new(folders).map_err(|error| problem(error).into())
}

/// The same for reading.
pub(crate) fn show(policy: &RetentionPolicy) -> Value {
    let show = |folder: &RetainedFolder| {
        json!({
            "path": folder.path,
            "retention": folder.hours,
            "delete_empty_dirs": folder.delete_empty_folders,
            "ignore_user_permissions": folder.ignore_permissions,
        })
    };
    policy.folders().iter().map(show).collect()
}
