//! `/jobs`: what takes longer than an answer may, and `/quota-scans`, which begins one.

pub(crate) mod described;

use super::ManagementState;
use crate::http::error::ApiError;
use crate::http::extract::{Call, Segments};
use crate::http::list::ListQuery;
use app::management::ManagementError;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use domain::id::CredentialId;
use domain::invalid::Invalid;
use domain::job::{Job, JobId, Task};
use domain::quota::Holder;
use http::{HeaderValue, StatusCode, Uri, header};
use serde_json::{Value, json};

pub(super) use described::describe;

pub(super) async fn list(
    State(state): State<ManagementState>,
    Call(caller): Call,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = async |before: Option<String>, limit| {
        let no_cursor = || ManagementError::field("Cursor", &Invalid::new("must be one of ours"));
        let before = before.map(|id| JobId::parse(&id).ok_or_else(no_cursor)).transpose()?;
        let (jobs, more) = state.management.jobs(&caller, before.as_ref(), limit).await?;
        let next = jobs.last().filter(|_| more).map(|job| job.id.to_string());
        Ok((jobs.iter().map(|job| (job.id.to_string(), show(job))).collect(), next))
    };
    ListQuery::parse(&uri)?.collect(page).await
}

pub(super) async fn get(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
) -> Result<Response, ApiError> {
    let job = state.management.job(&caller, segments.get("id")).await?;
    let mut shown = show(&job);
    if let (Some(made), Some(fields)) = (state.management.exported(&caller, &job).await?, shown.as_object_mut()) {
        fields.insert("Object".to_owned(), json!(made.key));
        fields.insert("Download".to_owned(), json!({ "Url": made.url, "ExpiresAt": made.until }));
    }
    Ok(Json(shown).into_response())
}

/// Counts again all that the organization has stored.
pub(super) async fn scan(State(state): State<ManagementState>, Call(caller): Call) -> Result<Response, ApiError> {
    Ok(accepted(&state.management.scan_organization(&caller).await?))
}

/// 202 with the job, and where it is.
pub(crate) fn accepted(job: &Job) -> Response {
    let mut response = (StatusCode::ACCEPTED, Json(show(job))).into_response();
    let place = format!("/organizations/{}/jobs/{}", job.organization, job.id);
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

pub(crate) fn show(job: &Job) -> Value {
    let credential = |id: &CredentialId, name: &str| json!({ "Type": "Credential", "Id": id, "Name": name });
    let subject = match &job.task {
        Task::QuotaScan { holder, name, .. } => match holder {
            Holder::Organization => json!({ "Type": "Organization" }),
            Holder::Credential(id) => credential(id, name),
            Holder::Folder(name) => json!({ "Type": "Folder", "Name": name }),
        },
        Task::DeleteFolder { by, path } => with(credential(&by.credential, &by.name), json!({ "Path": path })),
        Task::CopyFolder { by, from, to } => {
            with(credential(&by.credential, &by.name), json!({ "Path": from, "Target": to }))
        }
        Task::RetentionCheck { credential: id, name, .. } => credential(id, name),
        Task::EventExport(_) => json!({ "Type": "Events" }),
        Task::WebhookReplay { webhook, .. } => json!({ "Type": "Webhook", "Id": webhook }),
    };
    json!({
        "Id": job.id,
        "Kind": job.task.kind(),
        "Subject": subject,
        "State": job.state.as_str(),
        "Progress": { "Files": job.progress.files, "Bytes": job.progress.bytes },
        "Result": job.note,
        "Details": job.result,
        "Failures": job.failures,
        "AskedBy": job.asked_by,
        "CreatedAt": job.created_at,
        "UpdatedAt": job.updated_at,
    })
}

/// An object with more fields.
fn with(mut object: Value, more: Value) -> Value {
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
    object
}
