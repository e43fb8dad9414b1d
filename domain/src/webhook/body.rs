//! The body of a delivery: exactly SFTP To Go's.

use crate::event::{ActorKind, Changed, Event, FileSubject, Topic};
use crate::queue_message::{Content, Delivery};
use serde_json::{Map, Value, json};

/// The body. `attempt_id` names this attempt; `webhook` is the webhook's object as the API shows it, without its
/// secret, which is what a ping tells.
pub fn body(delivery: &Delivery, attempt_id: &str, webhook: &Value) -> Value {
    match &delivery.content {
        Content::Event { event } => json!({
            "Id": event.id,
            "Topic": event.topic,
            "CreatedAt": event.created_at,
            "UpdatedAt": event.created_at,
            "Actor": { "Type": event.actor.kind, "Id": event.actor.id },
            "Resource": resource(event),
            "PreviousData": event.previous.as_ref().map(data),
            "Data": what_happened(event),
            "Metadata": metadata(delivery, attempt_id, &event.id, event.topic),
        }),
        Content::Ping { id, created_at, actor } => json!({
            "Id": id,
            "Topic": Topic::WebhookPing,
            "CreatedAt": created_at,
            "UpdatedAt": created_at,
            "Actor": { "Type": actor.kind, "Id": actor.id },
            "Resource": "webhook",
            "PreviousData": null,
            "Data": without_secrets(webhook),
            "Metadata": metadata(delivery, attempt_id, id, Topic::WebhookPing),
        }),
    }
}

fn resource(event: &Event) -> Value {
    match &event.changed {
        _ if event.file.is_some() => json!("File"),
        Some(changed) if event.topic.is_about_a_record() => json!(changed.kind),
        _ if is_link(event) => json!("ShareLink"),
        _ => json!("User"),
    }
}

fn is_link(event: &Event) -> bool {
    event.actor.kind == ActorKind::ShareLink
}

fn metadata(delivery: &Delivery, attempt_id: &str, event_id: &str, topic: Topic) -> Value {
    json!({
        "Organization": { "Id": delivery.organization },
        "Webhook": { "Id": delivery.webhook },
        "Delivery": { "Id": delivery.id },
        "Attempt": { "Id": attempt_id },
        "Event": { "Id": event_id, "Topic": topic },
    })
}

fn data(file: &FileSubject) -> Map<String, Value> {
    Map::from_iter([("Path".to_owned(), json!(encoded_path(file))), ("Size".to_owned(), json!(file.size))])
}

/// A file, or who it was. What is no change of a file says from where it came, as SFTP To Go does for downloads.
fn what_happened(event: &Event) -> Map<String, Value> {
    let mut data = match (&event.file, event.changed.as_deref()) {
        (Some(file), _) => data(file),
        (None, None) if is_link(event) => Map::from_iter([("Id".to_owned(), json!(event.actor.id))]),
        (None, None) => Map::from_iter([("UserName".to_owned(), json!(event.actor.id))]),
        (None, Some(changed)) if event.topic == Topic::PasswordUpdated => {
            Map::from_iter([("UserName".to_owned(), json!(changed.name))])
        }
        (None, Some(Changed { id, name, how, fields, .. })) => Map::from_iter([
            ("Id".to_owned(), json!(id)),
            ("Name".to_owned(), json!(name)),
            ("Action".to_owned(), json!(how)),
            ("Fields".to_owned(), json!(fields)),
        ]),
    };
    data.extend(event.reason.as_ref().map(|reason| ("Reason".to_owned(), json!(reason))));
    data.extend(event.api_key.as_ref().map(|key| ("ApiKeyId".to_owned(), json!(key))));
    let changes_files = matches!(event.topic, Topic::FileCreated | Topic::FileDeleted | Topic::FileRenamed);
    if let (true, Some(origin)) = (!changes_files || is_link(event), &event.origin) {
        let mut metadata =
            json!({ "Protocol": origin.protocol, "ClientIp": origin.client_ip, "SessionId": origin.session_id });
        if let (Some(agent), Some(fields)) = (&event.user_agent, metadata.as_object_mut()) {
            fields.insert("UserAgent".to_owned(), json!(agent));
        }
        data.insert("Metadata".to_owned(), metadata);
    }
    data
}

fn without_secrets(webhook: &Value) -> Value {
    let mut shown = webhook.clone();
    if let Some(object) = shown.as_object_mut() {
        object.remove("Secret");
        // it is what the receiver was just sent as a header; a body may end in a log
        object.remove("AuthorizationHeader");
    }
    shown
}

/// Relative to the organization's root, form-urlencoded segment by segment (space is `+`, slashes stay), a folder with
/// a slash at its end.
pub fn encoded_path(file: &FileSubject) -> String {
    let mut path = String::new();
    for segment in file.path.segments() {
        if !path.is_empty() {
            path.push('/');
        }
        path.extend(form_urlencoded::byte_serialize(segment.as_bytes()));
    }
    if file.folder {
        path.push('/');
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Origin, Protocol};
    use crate::path::VPath;
    use crate::webhook::tests::event;
    use proptest::prelude::*;

    fn delivery(topic: Topic) -> Delivery {
        let mut event = event(topic);
        event.origin =
            Some(Origin { protocol: Protocol::Sftp, client_ip: "192.0.2.7".parse().unwrap(), session_id: "s1".into() });
        Delivery {
            id: "d".into(),
            organization: event.organization.clone(),
            webhook: "w".into(),
            failed_attempts: 0,
            round: None,
            slow: false,
            not_before: None,
            content: Content::Event { event: Box::new(event) },
        }
    }

    #[test]
    fn a_created_file_has_every_key_of_the_documentation_and_no_other() {
        let body = body(&delivery(Topic::FileCreated), "a", &json!({}));
        let expected = json!({
            "Id": "5a1c1e0a-9c1e-4d59-9c39-0c2d8b1a7f11", "Topic": "file.created",
            "CreatedAt": 1_591_106_805_970_i64, "UpdatedAt": 1_591_106_805_970_i64,
            "Actor": {"Type": "User", "Id": "ana"}, "Resource": "File", "PreviousData": null,
            "Data": {"Path": "new.txt", "Size": 5},
            "Metadata": {"Organization": {"Id": "01010101-0101-4101-8101-010101010101"}, "Webhook": {"Id": "w"},
                "Delivery": {"Id": "d"}, "Attempt": {"Id": "a"},
                "Event": {"Id": "5a1c1e0a-9c1e-4d59-9c39-0c2d8b1a7f11", "Topic": "file.created"}}
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn a_download_says_how_and_a_rename_says_from_where() {
        let downloaded = body(&delivery(Topic::FileDownloaded), "a", &json!({}));
        let metadata = json!({"Protocol": "SFTP", "ClientIp": "192.0.2.7", "SessionId": "s1"});
        assert_eq!(downloaded["Data"]["Metadata"], metadata);
        let renamed = body(&delivery(Topic::FileRenamed), "a", &json!({}));
        assert_eq!(renamed["PreviousData"], json!({"Path": "old.txt", "Size": 5}));
    }

    #[test]
    fn a_ping_tells_the_webhook_without_its_secrets() {
        let mut ping = delivery(Topic::FileCreated);
        let Content::Event { event } = ping.content else { panic!() };
        ping.content = Content::Ping { id: "p".into(), created_at: event.created_at, actor: event.actor };
        let body = body(&ping, "a", &json!({"Id": "w", "Secret": "", "AuthorizationHeader": "Bearer x", "Url": "u"}));
        assert_eq!(body["Data"], json!({"Id": "w", "Url": "u"}));
        assert_eq!((&body["Topic"], &body["Resource"]), (&json!("webhook.ping"), &json!("webhook")));
    }

    #[test]
    fn paths_are_form_urlencoded() {
        let encoded =
            |path, folder| encoded_path(&FileSubject { path: VPath::parse(path).unwrap(), folder, size: None });
        assert_eq!(encoded("/dir/file 1.txt", false), "dir/file+1.txt");
        assert_eq!(encoded("/a+b/ä&=%", false), "a%2Bb/%C3%A4%26%3D%25");
        assert_eq!(encoded("/dir", true), "dir/");
        assert_eq!(encoded("/", true), "/");
    }

    proptest! {
        #[test]
        fn a_receiver_decodes_the_path_that_was_meant(text in "(/[^/\\pC]{1,12}){1,5}") {
            let path = VPath::parse(&text).unwrap();
            let encoded = encoded_path(&FileSubject { path: path.clone(), folder: false, size: None });
            let decoded: Vec<String> = encoded
                .split('/')
                .map(|segment| {
                    let plus = segment.replace('+', " ");
                    percent_encoding::percent_decode_str(&plus).decode_utf8().unwrap().into_owned()
                })
                .collect();
            prop_assert_eq!(decoded.join("/"), path.relative());
        }
    }
}
