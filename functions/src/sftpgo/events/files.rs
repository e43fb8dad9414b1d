//! What happened to files.

use super::{Form, Query, id, ip, nanoseconds};
use crate::http::error::ApiError;
use crate::http::extract::Own;
use crate::management::ManagementState;
use axum::extract::State;
use axum::response::Response;
use domain::audit::path_text;
use domain::event::{ActorKind, Event, Protocol, Topic};
use domain::iso8601;
use http::Uri;
use serde_json::{Value, json};

/// SFTPGo's actions. Those that nothing here does are known, and find nothing.
pub(super) const ACTIONS: [&str; 11] = [
    "download",
    "upload",
    "first-upload",
    "first-download",
    "delete",
    "rename",
    "mkdir",
    "rmdir",
    "ssh_cmd",
    "copy",
    "pre-delete",
];
/// Its protocols.
pub(super) const PROTOCOLS: [&str; 10] =
    ["SSH", "SFTP", "SCP", "FTP", "DAV", "HTTP", "HTTPShare", "DataRetention", "EventAction", "OIDC"];
const FORM: Form = Form {
    object,
    columns: &["Time", "Action", "Path", "Size", "Status", "User", "Protocol", "IP", "SSH command"],
    cells,
    file: "attachment; filename=\"fslogs.csv\"",
};

pub(in crate::sftpgo) async fn list(
    State(state): State<ManagementState>,
    Own(caller): Own,
    uri: Uri,
) -> Result<Response, ApiError> {
    let query = Query::read(&uri)?;
    let actions = query.named("actions", &ACTIONS)?;
    let protocols = query.named("protocols", &PROTOCOLS)?;
    let statuses = query.among("statuses", |text| text.parse().ok().filter(|status| (1..=3).contains(status)))?;
    let keep = |event: &Event| {
        let Some(action) = action(event) else { return false };
        actions.as_ref().is_none_or(|actions| actions.contains(&action))
            && protocols.as_ref().is_none_or(|protocols| protocols.contains(&protocol(event)))
            && statuses.as_ref().is_none_or(|statuses| statuses.contains(&status(event)))
    };
    query.answer((&state, &caller), &uri, keep, &FORM).await
}

/// What SFTPGo calls it; `None` for what it does not know.
fn action(event: &Event) -> Option<&'static str> {
    let folder = event.file.as_ref()?.folder;
    match event.topic {
        Topic::FileCreated if folder => Some("mkdir"),
        Topic::FileCreated | Topic::UploadFailed => Some("upload"),
        Topic::FileDeleted if folder => Some("rmdir"),
        Topic::FileDeleted => Some("delete"),
        Topic::FileDownloaded => Some("download"),
        Topic::FileRenamed => Some("rename"),
        Topic::AccessDenied
        | Topic::Login
        | Topic::LoginFailed
        | Topic::Logout
        | Topic::PasswordUpdated
        | Topic::ShareLinkAccessed
        | Topic::ShareLinkAccessFailed
        | Topic::ShareLinkLimitReached
        | Topic::AdminChanged
        | Topic::RetentionCompleted
        | Topic::WebhookPaused
        | Topic::DeliveryFailed
        | Topic::WebhookPing => None,
    }
}

fn status(event: &Event) -> u8 {
    match event.topic {
        Topic::UploadFailed if event.reason.as_ref().is_some_and(|reason| reason.contains("quota")) => 3,
        Topic::UploadFailed => 2,
        _ => 1,
    }
}

fn protocol(event: &Event) -> &'static str {
    match event.origin.as_ref().map(|origin| origin.protocol) {
        _ if event.actor.kind == ActorKind::ShareLink => "HTTPShare",
        Some(Protocol::Sftp) => "SFTP",
        Some(Protocol::Ftps) => "FTP",
        Some(Protocol::WebPortal | Protocol::Api) => "HTTP",
        None => "EventAction",
    }
}

/// Where it was, and where it is now if that is elsewhere.
fn paths(event: &Event) -> (String, Option<String>) {
    let file = event.file.as_ref().map(path_text).unwrap_or_default();
    match &event.previous {
        Some(previous) => (path_text(previous), Some(file)),
        None => (file, None),
    }
}

fn object(event: &Event) -> Value {
    let (path, target) = paths(event);
    let mut shown = json!({
        "id": id(event),
        "timestamp": nanoseconds(event),
        "action": action(event),
        "username": event.actor.id,
        "fs_path": path,
        "virtual_path": path,
        "file_size": event.file.as_ref().and_then(|file| file.size).unwrap_or_default(),
        "elapsed": 0,
        "status": status(event),
        "protocol": protocol(event),
        "ip": ip(event),
        "session_id": event.origin.as_ref().map(|origin| origin.session_id.as_str()).unwrap_or_default(),
        "fs_provider": 0,
        "instance_id": "",
    });
    if let (Some(target), Some(fields)) = (target, shown.as_object_mut()) {
        fields.insert("fs_target_path".to_owned(), json!(target));
        fields.insert("virtual_target_path".to_owned(), json!(target));
    }
    shown
}

fn cells(event: &Event) -> Vec<String> {
    let (path, target) = paths(event);
    let status = match status(event) {
        1 => "OK",
        3 => "Quota exceeded",
        _ => "KO",
    };
    vec![
        iso8601::millis(event.created_at).unwrap_or_default(),
        action(event).unwrap_or_default().to_owned(),
        target.map_or(path.clone(), |target| format!("{path} => {target}")),
        event.file.as_ref().and_then(|file| file.size).map(|size| size.to_string()).unwrap_or_default(),
        status.to_owned(),
        event.actor.id.clone(),
        protocol(event).to_owned(),
        ip(event),
        String::new(),
    ]
}
