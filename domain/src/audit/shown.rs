//! An event as the audit log shows it: as an object with the fields of SFTP To Go's audit log, and as a row of a table.

use super::path_text;
use crate::event::{ActorKind, Changed, Event};
use crate::iso8601;
use serde_json::{Map, Value, json};

const fn principal_type(kind: ActorKind) -> &'static str {
    match kind {
        ActorKind::User => "user",
        ActorKind::Admin => "admin",
        ActorKind::ShareLink => "share-link",
        ActorKind::Iam | ActorKind::System => "system",
    }
}

/// The name of who logs in with one.
fn user_name(event: &Event) -> Option<&str> {
    matches!(event.actor.kind, ActorKind::User | ActorKind::Admin).then_some(event.actor.id.as_str())
}

/// The object. Every key is always there, but those of `Data`, which are those that say something.
pub fn shown(event: &Event) -> Value {
    let origin = event.origin.as_ref();
    json!({
        "Id": event.id,
        "Timestamp": event.created_at,
        "Type": event.topic,
        "PrincipalId": event.actor.id,
        "PrincipalType": principal_type(event.actor.kind),
        "Username": user_name(event),
        "SessionId": origin.map(|origin| &origin.session_id),
        "IP": origin.map(|origin| origin.client_ip.to_canonical()),
        "Geo": null,
        "Client": event.user_agent,
        "Data": data(event),
    })
}

fn data(event: &Event) -> Map<String, Value> {
    let mut data = Map::new();
    let mut say = |name: &str, value: Value| data.insert(name.to_owned(), value);
    if let Some(file) = &event.file {
        say("Path", json!(path_text(file)));
        file.size.map(|size| say("Size", json!(size)));
    }
    event.previous.as_ref().map(|file| say("PreviousPath", json!(path_text(file))));
    event.origin.as_ref().map(|origin| say("Protocol", json!(origin.protocol)));
    event.reason.as_ref().map(|reason| say("Reason", json!(reason)));
    event.api_key.as_ref().map(|key| say("ApiKeyId", json!(key)));
    if let Some(Changed { kind, id, name, how, fields }) = event.changed.as_deref() {
        say("Object", json!({ "Kind": kind, "Id": id, "Name": name }));
        say("Action", json!(how));
        say("Fields", json!(fields));
    }
    data
}

/// What stands above the cells.
pub const COLUMNS: [&str; 20] = [
    "Id",
    "Time",
    "Type",
    "PrincipalType",
    "PrincipalId",
    "Username",
    "SessionId",
    "IP",
    "Client",
    "Protocol",
    "Path",
    "Size",
    "PreviousPath",
    "Reason",
    "ApiKeyId",
    "ObjectKind",
    "ObjectId",
    "ObjectName",
    "Action",
    "Fields",
];

/// The cells of an event's row; empty where there is nothing to say.
pub fn cells(event: &Event) -> [String; 20] {
    let record = shown(event);
    let at = |pointer: &str| match record.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        Some(other) => other.to_string(),
    };
    let time = iso8601::millis(event.created_at).unwrap_or_default();
    [
        at("/Id"),
        time,
        at("/Type"),
        at("/PrincipalType"),
        at("/PrincipalId"),
        at("/Username"),
        at("/SessionId"),
        at("/IP"),
        at("/Client"),
        at("/Data/Protocol"),
        at("/Data/Path"),
        at("/Data/Size"),
        at("/Data/PreviousPath"),
        at("/Data/Reason"),
        at("/Data/ApiKeyId"),
        at("/Data/Object/Kind"),
        at("/Data/Object/Id"),
        at("/Data/Object/Name"),
        at("/Data/Action"),
        at("/Data/Fields"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(more: Value) -> Event {
        let mut event = json!({
            "id": "5a1c1e0a-9c1e-4d59-9c39-0c2d8b1a7f11", "topic": "file.renamed", "created_at": 1_591_106_805_970_i64,
            "organization": "0b8f0f0e-6c0a-4a52-9d5a-3f3a1f6e7c11", "actor": {"kind": "User", "id": "ana"},
            "origin": {"protocol": "SFTP", "client_ip": "::ffff:192.0.2.7", "session_id": "s1"},
        });
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn a_file() {
        let event = event(json!({
            "file": {"path": "/in/=new", "folder": true}, "previous": {"path": "/old", "folder": true},
        }));
        assert_eq!(
            shown(&event),
            json!({
                "Id": "5a1c1e0a-9c1e-4d59-9c39-0c2d8b1a7f11", "Timestamp": 1_591_106_805_970_i64, "Type": "file.renamed",
                "PrincipalId": "ana", "PrincipalType": "user", "Username": "ana", "SessionId": "s1", "IP": "192.0.2.7",
                "Geo": null, "Client": null,
                "Data": {"Path": "/in/=new/", "PreviousPath": "/old/", "Protocol": "SFTP"},
            })
        );
        let row = cells(&event);
        let cell = |name| row[COLUMNS.iter().position(|column| *column == name).unwrap()].as_str();
        assert_eq!((cell("Time"), cell("Path"), cell("IP")), ("2020-06-02T14:06:45.970Z", "/in/=new/", "192.0.2.7"));
    }

    #[test]
    fn a_change() {
        let changed = json!({"kind": "api_key", "id": "k", "name": "n", "how": "updated", "fields": ["state", "name"]});
        let event = event(json!({
            "topic": "admin.changed", "actor": {"kind": "Admin", "id": "bea"}, "changed": changed, "origin": null,
        }));
        let record = shown(&event);
        assert_eq!(
            (&record["IP"], &record["SessionId"], &record["PrincipalType"]),
            (&Value::Null, &Value::Null, &json!("admin"))
        );
        let data = json!({"Object": {"Kind": "api_key", "Id": "k", "Name": "n"}, "Action": "updated",
            "Fields": ["state", "name"]});
        assert_eq!(record["Data"], data);
        assert_eq!(cells(&event)[15..], ["api_key", "k", "n", "updated", "state name"].map(String::from));
    }
}
