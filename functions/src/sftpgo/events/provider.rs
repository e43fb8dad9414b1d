//! Who changed which account or setting.

use super::{Form, Query, id, ip, nanoseconds};
use crate::http::error::ApiError;
use crate::http::extract::Own;
use crate::management::ManagementState;
use crate::sftpgo::sftpgo_true;
use axum::extract::State;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::event::{Changed, ChangedHow, ChangedKind, Event};
use domain::iso8601;
use http::Uri;
use serde_json::{Value, json};

/// SFTPGo's actions.
pub(super) const ACTIONS: [&str; 3] = ["add", "update", "delete"];
/// Its kinds of objects, and those which it does not have.
pub(super) const OBJECT_TYPES: [&str; 14] = [
    "user",
    "folder",
    "group",
    "admin",
    "api_key",
    "share",
    "event_action",
    "event_rule",
    "role",
    "ip_list_entry",
    "configs",
    "webhook",
    "connection",
    "defender_host",
];
const FORM: Form = Form {
    object: whole,
    columns: &["Time", "Action", "Object Type", "Object Name", "User", "IP"],
    cells,
    file: "attachment; filename=\"providerlogs.csv\"",
};
const WITHOUT_DATA: Form = Form { object, ..FORM };

pub(in crate::sftpgo) async fn list(
    State(state): State<ManagementState>,
    Own(caller): Own,
    uri: Uri,
) -> Result<Response, ApiError> {
    let query = Query::read(&uri)?;
    let actions = query.named("actions", &ACTIONS)?;
    let types = query.named("object_types", &OBJECT_TYPES)?;
    let name = query.others.get("object_name");
    let keep = |event: &Event| {
        let Some(changed) = event.changed.as_deref() else { return false };
        actions.as_ref().is_none_or(|actions| actions.contains(&action(changed)))
            && types.as_ref().is_none_or(|types| types.contains(&object_type(changed)))
            && name.is_none_or(|name| *name == changed.name)
    };
    let without_data = query.others.get("omit_object_data").is_some_and(|value| sftpgo_true(value));
    query.answer((&state, &caller), &uri, keep, if without_data { &WITHOUT_DATA } else { &FORM }).await
}

/// A key of a credential is a field of the user there.
fn action(changed: &Changed) -> &'static str {
    match (changed.kind, changed.how) {
        (ChangedKind::PublicKey, _) | (_, ChangedHow::Updated) => "update",
        (_, ChangedHow::Created) => "add",
        (_, ChangedHow::Deleted) => "delete",
    }
}

fn object_type(changed: &Changed) -> &'static str {
    match changed.kind {
        ChangedKind::Credential | ChangedKind::PublicKey => "user",
        ChangedKind::Webhook => "webhook",
        ChangedKind::Folder => "folder",
        ChangedKind::ApiKey => "api_key",
        ChangedKind::Admin => "admin",
        ChangedKind::ShareLink => "share",
        ChangedKind::Organization => "configs",
        ChangedKind::Session => "connection",
        ChangedKind::Host => "defender_host",
    }
}

fn object(event: &Event) -> Value {
    let changed = event.changed.as_deref();
    json!({
        "id": id(event),
        "timestamp": nanoseconds(event),
        "action": changed.map(action),
        "username": event.actor.id,
        "ip": ip(event),
        "object_type": changed.map(object_type),
        "object_name": changed.map(|changed| changed.name.as_str()).unwrap_or_default(),
        "instance_id": "",
    })
}

/// With what SFTPGo calls the object's data: of ours, what it is and which of its fields are different. What was in them is nowhere.
fn whole(event: &Event) -> Value {
    let mut shown = object(event);
    if let (Some(changed), Some(fields)) = (event.changed.as_deref(), shown.as_object_mut()) {
        let data = json!({ "id": changed.id, "name": changed.name, "kind": changed.kind, "fields": changed.fields });
        fields.insert("object_data".to_owned(), json!(STANDARD.encode(data.to_string())));
    }
    shown
}

fn cells(event: &Event) -> Vec<String> {
    let changed = event.changed.as_deref();
    vec![
        iso8601::millis(event.created_at).unwrap_or_default(),
        changed.map(action).unwrap_or_default().to_owned(),
        changed.map(object_type).unwrap_or_default().to_owned(),
        changed.map(|changed| changed.name.clone()).unwrap_or_default(),
        event.actor.id.clone(),
        ip(event),
    ]
}
