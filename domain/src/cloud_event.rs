//! An event as CloudEvents has it (version 1.0.2, the JSON format), for who takes all of them.

use crate::audit::{path_text, shown};
use crate::event::Event;
use crate::iso8601;
use serde_json::{Value, json};

/// The object. Its `data` is the record of the audit log.
pub fn cloud_event(event: &Event) -> Value {
    let mut made = json!({
        "specversion": "1.0",
        "id": event.id,
        "source": format!("urn:towpath:organization:{}", event.organization),
        "type": format!("towpath.{}", event.topic),
        "time": iso8601::millis(event.created_at),
        "datacontenttype": "application/json",
        "data": shown(event),
    });
    if let (Some(file), Some(fields)) = (&event.file, made.as_object_mut()) {
        fields.insert("subject".to_owned(), json!(path_text(file)));
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_what_the_specification_demands() {
        let event: Event = serde_json::from_value(json!({
            "id": "5a1c1e0a-9c1e-4d59-9c39-0c2d8b1a7f11", "topic": "file.created", "created_at": 1_591_106_805_970_i64,
            "organization": "0b8f0f0e-6c0a-4a52-9d5a-3f3a1f6e7c11", "actor": {"kind": "User", "id": "ana"},
            "file": {"path": "/in/a b", "folder": false, "size": 5},
        }))
        .unwrap();
        let made = cloud_event(&event);
        assert_eq!(made["data"], shown(&event));
        assert_eq!(
            [&made["specversion"], &made["id"], &made["source"], &made["type"], &made["time"], &made["subject"]],
            [
                "1.0",
                "5a1c1e0a-9c1e-4d59-9c39-0c2d8b1a7f11",
                "urn:towpath:organization:0b8f0f0e-6c0a-4a52-9d5a-3f3a1f6e7c11",
                "towpath.file.created",
                "2020-06-02T14:06:45.970Z",
                "/in/a b"
            ]
        );
    }
}
