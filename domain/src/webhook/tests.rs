use super::*;
use crate::event::{Actor, ActorKind, FileSubject};
use crate::path::VPath;

pub(super) fn event(topic: Topic) -> Event {
    let file = |path, size| FileSubject { path: VPath::parse(path).unwrap(), folder: false, size };
    Event {
        id: "5a1c1e0a-9c1e-4d59-9c39-0c2d8b1a7f11".into(),
        topic,
        created_at: Timestamp::from_millis(1_591_106_805_970),
        organization: OrganizationId::from_random([1; 16]),
        actor: Actor { kind: ActorKind::User, id: "ana".into() },
        origin: None,
        file: Some(file("/new.txt", Some(5))),
        reason: None,
        api_key: None,
        changed: None,
        previous: (topic == Topic::FileRenamed).then(|| file("/old.txt", Some(5))),
        user_agent: None,
    }
}

fn webhook(topics: &[Topic]) -> Webhook {
    Webhook {
        id: "w".into(),
        organization: OrganizationId::from_random([1; 16]),
        alias: None,
        url: "https://example.com".into(),
        webhook_type: WebhookType::Webhook,
        authorization_header: None,
        secret: Sealed::from_text(String::new()),
        previous_secret: None,
        topics: topics.to_vec(),
        state: WebhookState::Enabled,
        filter: Vec::new(),
        pause_reason: None,
        slow_until: None,
        created_at: Timestamp::from_millis(0),
        updated_at: Timestamp::from_millis(0),
    }
}

#[test]
fn a_rename_is_told_as_it_was_subscribed_to() {
    let told = |topics: &[Topic], topic| -> Vec<(Topic, String)> {
        let announcements = webhook(topics).announcements(&event(topic));
        announcements.into_iter().map(|event| (event.topic, event.file.unwrap().path.to_string())).collect()
    };
    use Topic::{FileCreated, FileDeleted, FileRenamed};
    assert_eq!(told(&[FileRenamed, FileCreated], FileRenamed), [(FileRenamed, "/new.txt".into())]);
    assert_eq!(
        told(&[FileCreated, FileDeleted], FileRenamed),
        [(FileDeleted, "/old.txt".into()), (FileCreated, "/new.txt".into())]
    );
    assert_eq!(told(&[FileDeleted], FileRenamed), [(FileDeleted, "/old.txt".into())]);
    assert_eq!(told(&[FileDeleted], FileCreated), []);
    assert_eq!(told(&[], FileRenamed), []);
}

#[test]
fn the_parts_of_a_rename_have_their_own_stable_ids() {
    let webhook = webhook(&[Topic::FileCreated, Topic::FileDeleted]);
    let ids = || -> Vec<String> {
        webhook.announcements(&event(Topic::FileRenamed)).into_iter().map(|event| event.id).collect()
    };
    assert_eq!(ids(), ids());
    let first = ids();
    assert!(first[0] != first[1] && first.iter().all(|id| crate::id::is_uuid(id)));
}

#[test]
fn urls() {
    let strict = AddressPolicy::PublicOnly;
    for good in ["https://example.com/hook?x=1", "https://example.com:8443", "https://93.184.216.34/"] {
        assert_eq!(check_url(WebhookType::Webhook, good, strict), Ok(()), "{good}");
    }
    for bad in [
        "",
        "example.com",
        "http://example.com",
        "ftp://example.com",
        "https://user:pw@example.com",
        "https://user@example.com",
        "https://example.com:22",
        "https://localhost",
        "https://LOCALHOST./",
        "https://127.0.0.1",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://%31%32%37.0.0.1/",
        "https://[64:ff9b::7f00:1]/",
        "https://[fd00:ec2::254]/",
        "https://example.com@127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest",
        "http://127.0.0.1:8080/",
    ] {
        assert!(check_url(WebhookType::Webhook, bad, strict).is_err(), "{bad}");
    }
    for good in ["http://127.0.0.1:39999/hook", "http://localhost:1/", "https://example.com"] {
        assert_eq!(check_url(WebhookType::Webhook, good, AddressPolicy::PublicAndLoopback), Ok(()), "{good}");
    }
    for bad in ["http://example.com", "https://10.0.0.1", "http://192.168.0.1:8080"] {
        assert!(check_url(WebhookType::Webhook, bad, AddressPolicy::PublicAndLoopback).is_err(), "{bad}");
    }
    assert_eq!(check_url(WebhookType::Email, "ops@example.com", strict), Ok(()));
    assert!(check_url(WebhookType::Email, "https://example.com", strict).is_err());
    assert!(check_url(WebhookType::Email, "a@b.c\r\nBcc: x@y.z", strict).is_err());
}
