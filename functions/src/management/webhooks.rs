//! `/webhooks`.

mod described;

use super::ManagementState;
use crate::http::error::ApiError;
use crate::http::extract::{Call, Segments};
use crate::http::fields::{Fields, lines, list as list_of, one_of, parsed, text};
use crate::http::shown::{IfMatch, answer};
use app::management::{ShownWebhook, WebhookChange};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use domain::webhook::filter::{Filter, MAX_FILTERS, MAX_VALUE};
use domain::webhook::parse_topic;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use zeroize::Zeroizing;

pub(super) use described::describe;

const READ_ONLY: [&str; 6] = ["Id", "Secret", "OrganizationId", "CreatedAt", "UpdatedAt", "PauseReason"];

pub(super) async fn list(State(state): State<ManagementState>, Call(caller): Call) -> Result<Response, ApiError> {
    let all = state.management.webhooks(&caller).await?;
    Ok(Json(all.iter().map(show).collect::<Vec<_>>()).into_response())
}

pub(super) async fn post(
    State(state): State<ManagementState>,
    Call(caller): Call,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let change = read(&mut fields);
    if change.url.is_none() {
        fields.problem("Url", "is needed");
    }
    fields.finish()?;
    let shown = state.management.create_webhook(&caller, change).await?;
    Ok(answer(StatusCode::CREATED, show(&shown)))
}

pub(super) async fn get(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
) -> Result<Response, ApiError> {
    let shown = state.management.webhook(&caller, segments.get("id")).await?;
    Ok(answer(StatusCode::OK, show(&shown)))
}

pub(super) async fn patch(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
    headers: HeaderMap,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    fields.ignore(&READ_ONLY);
    let change = read(&mut fields);
    fields.finish()?;
    let condition = IfMatch::parse(&headers)?;
    let accept = |shown: &ShownWebhook| condition.accepts(&show(shown));
    let shown = state.management.change_webhook(&caller, segments.get("id"), change, accept).await?;
    Ok(answer(StatusCode::OK, show(&shown)))
}

pub(super) async fn delete(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let condition = IfMatch::parse(&headers)?;
    let accept = |shown: &ShownWebhook| condition.accepts(&show(shown));
    let shown = state.management.delete_webhook(&caller, segments.get("id"), accept).await?;
    Ok(answer(StatusCode::OK, show(&shown)))
}

pub(super) async fn rotate(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
    fields: Fields,
) -> Result<Response, ApiError> {
    fields.finish()?;
    let shown = state.management.rotate_webhook_secret(&caller, segments.get("id")).await?;
    Ok(answer(StatusCode::OK, show(&shown)))
}

pub(super) async fn ping(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
    fields: Fields,
) -> Result<Response, ApiError> {
    fields.finish()?;
    let id = state.management.ping_webhook(&caller, segments.get("id")).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "Id": id, "Status": "Pending" }))).into_response())
}

fn read(fields: &mut Fields) -> WebhookChange {
    // a header value: anything else could not be sent
    let header = |value: &Value| {
        let value = text(4000)(value)?;
        if value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            Ok(Zeroizing::new(value))
        } else {
            Err(domain::invalid::Invalid::new("must be plain ASCII"))
        }
    };
    WebhookChange {
        alias: fields.take_nullable("Alias", text(200)),
        url: fields.take("Url", text(2048)),
        webhook_type: fields.take("Type", one_of("webhook, slack, ms-teams, email")),
        authorization_header: fields.take_nullable("AuthorizationHeader", header),
        topics: fields.take("Topics", list_of(20, parsed(parse_topic))),
        filter: fields.objects("Filter", MAX_FILTERS, filter),
        state: fields.take("State", one_of("enabled, paused")),
    }
}

fn filter(fields: &mut Fields) -> Option<Filter> {
    let field = fields.require("Field", one_of("Path, ActorId, ActorType"));
    let operator =
        fields.require("Operator", one_of("Is, IsNot, Contains, NotContains, StartsWith, EndsWith, Matches"));
    let value = fields.require("Value", lines(MAX_VALUE));
    match Filter::new(field?, operator?, &value?) {
        Ok(filter) => Some(filter),
        Err(problem) => {
            fields.problem("Value", &problem.to_string());
            None
        }
    }
}

fn show_filter(filter: &Filter) -> Value {
    json!({ "Field": filter.field(), "Operator": filter.operator(), "Value": filter.value() })
}

fn show(shown: &ShownWebhook) -> Value {
    let webhook = &shown.record.value;
    json!({
        "Id": webhook.id,
        "Alias": webhook.alias,
        "Url": webhook.url,
        "Type": webhook.webhook_type,
        "AuthorizationHeader": shown.authorization_header.as_ref().map(|header| header.as_str()),
        "Secret": shown.secret.as_ref().map_or("", |secret| secret.reveal()),
        "Topics": webhook.topics,
        "Filter": webhook.filter.iter().map(show_filter).collect::<Vec<_>>(),
        "OrganizationId": webhook.organization,
        "State": webhook.state,
        "PauseReason": webhook.pause_reason,
        "CreatedAt": webhook.created_at,
        "UpdatedAt": webhook.updated_at,
    })
}
