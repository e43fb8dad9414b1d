//! What is done to a credential's folders after the answer.

mod described;

use super::opened::Opened;
use crate::http::error::ApiError;
use crate::http::extract::Segments;
use axum::Json;
use axum::response::{IntoResponse as _, Response};
use domain::job::{Job, Task};
use serde_json::{Value, json};

pub(super) use described::{begun, describe_in};

/// A job that the caller has asked for.
pub(super) async fn get(opened: Opened, segments: Segments) -> Result<Response, ApiError> {
    Ok(Json(show(&opened.job(segments.get("id")).await?)).into_response())
}

fn show(job: &Job) -> Value {
    let (path, target) = match &job.task {
        Task::DeleteFolder { path, .. } => (Some(path), None),
        Task::CopyFolder { from, to, .. } => (Some(from), Some(to)),
        _ => (None, None),
    };
    json!({
        "id": job.id,
        "kind": job.task.kind(),
        "path": path,
        "target": target,
        "state": job.state.as_str(),
        "files": job.progress.files,
        "size": job.progress.bytes,
        "result": job.note,
        "created_at": job.created_at,
        "updated_at": job.updated_at,
    })
}
