//! `/webhooks/{id}/deliveries` and what is sent again.

mod described;

use super::{ManagementState, jobs};
use crate::http::error::ApiError;
use crate::http::extract::{Call, Segments};
use crate::http::fields::{Fields, time};
use crate::http::list::ListQuery;
use crate::http::shown::answer;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use domain::event::Topic;
use domain::queue_message::Content;
use domain::webhook::delivery::{Attempt, Logged, Status};
use http::{StatusCode, Uri};
use serde_json::{Value, json};

pub(super) use described::describe;

const STATUS: &str = "Status";
const TOPIC: &str = "Topic";

pub(super) async fn list(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
    uri: Uri,
) -> Result<Response, ApiError> {
    let query = ListQuery::parse_with(&uri, &[STATUS, TOPIC])?;
    let status = query.filter(STATUS).map(|text| {
        let known = Status::ALL.into_iter().find(|status| status.as_str() == text);
        known
            .ok_or_else(|| ApiError::bad_request(STATUS, "must be one of Pending, Succeeded, Failed, Retrying, Missed"))
    });
    let status = status.transpose()?;
    let topic = query
        .filter(TOPIC)
        .map(|text| Topic::named(text).ok_or_else(|| ApiError::bad_request(TOPIC, "must be a topic")));
    let topic = topic.transpose()?;
    let wanted = |one: &Logged| {
        status.is_none_or(|status| one.status == status) && topic.is_none_or(|topic| one.topic() == topic)
    };
    let page = async |before: Option<String>, limit| {
        let (found, more) = state.management.deliveries(&caller, segments.get("id"), before.as_deref(), limit).await?;
        let next = found.last().filter(|_| more).map(|last| last.delivery.id.clone());
        let shown = found.iter().filter(|one| wanted(one)).map(|one| (one.delivery.id.clone(), show(one)));
        Ok((shown.collect(), next))
    };
    query.collect(page).await
}

pub(super) async fn get(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
) -> Result<Response, ApiError> {
    let found = state.management.delivery(&caller, segments.get("id"), segments.get("delivery")).await?;
    Ok(answer(StatusCode::OK, show(&found)))
}

pub(super) async fn redeliver(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
    fields: Fields,
) -> Result<Response, ApiError> {
    fields.finish()?;
    let found = state.management.redeliver(&caller, segments.get("id"), segments.get("delivery")).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "Id": found.delivery.id, "Status": "Pending" }))).into_response())
}

pub(super) async fn replay(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let since = fields.require("Since", time);
    fields.finish()?;
    let since = since.ok_or_else(|| ApiError::bad_request("Since", "is needed"))?;
    Ok(jobs::accepted(&state.management.replay(&caller, segments.get("id"), since).await?))
}

fn show(logged: &Logged) -> Value {
    let delivery = &logged.delivery;
    let event = match &delivery.content {
        Content::Event { event } => &event.id,
        Content::Ping { id, .. } => id,
    };
    json!({
        "Id": delivery.id,
        "WebhookId": delivery.webhook,
        "EventId": event,
        "Topic": logged.topic(),
        "Status": logged.status.as_str(),
        "AttemptsCount": logged.tried,
        "Attempts": logged.attempts.iter().map(show_attempt).collect::<Vec<_>>(),
        "NextAttemptAt": logged.next_attempt_at,
        "CreatedAt": logged.created_at,
        "UpdatedAt": logged.updated_at,
    })
}

fn show_attempt(attempt: &Attempt) -> Value {
    json!({
        "Id": attempt.id,
        "At": attempt.at,
        "DurationMs": attempt.millis,
        "Code": attempt.status,
        "Response": attempt.answer,
        "Error": attempt.error,
        "Resent": attempt.round.is_some(),
    })
}
