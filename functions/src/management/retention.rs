//! `/users/{Id}/retention-policy`: for how long a credential's files stay. Run daily.

mod described;

use super::ManagementState;
use super::credentials::credential_id;
use crate::http::error::ApiError;
use crate::http::extract::{Call, Segments, body};
use crate::sftpgo::retention::{read, show};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};

pub(super) use described::describe_in;

pub(super) async fn get(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
) -> Result<Response, ApiError> {
    let kept = state.management.retention_policy(&caller, &credential_id(&segments)?).await?;
    Ok(Json(show(&kept.policy)).into_response())
}

pub(super) async fn put(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
    request: Request,
) -> Result<Response, ApiError> {
    let policy = read(&body(request).await?)?;
    let kept = state.management.keep_retention_policy(&caller, &credential_id(&segments)?, policy).await?;
    Ok(Json(show(&kept.policy)).into_response())
}

pub(super) async fn delete(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
) -> Result<Response, ApiError> {
    let kept = state.management.forget_retention_policy(&caller, &credential_id(&segments)?).await?;
    Ok(Json(show(&kept.policy)).into_response())
}
