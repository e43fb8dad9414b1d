//! The audit log: what the webhook function records, and what both dialects find.

use crate::support::{World, raw, send};
use aws_lambda_events::sqs::SqsEvent;
use axum::body::to_bytes;
use domain::event::{Actor, ActorKind, Changed, ChangedHow, ChangedKind, Event, FileSubject, Origin, Protocol, Topic};
use domain::path::VPath;
use domain::queue_message::QueueMessage;
use domain::time::Timestamp;
use domain::webhook::address::AddressPolicy;
use functions::queue::Handler as _;
use functions::webhook::{Egress, WebhookState};
use offline_aws::FaultPlan;
use serde_json::{Value, json};
use store::clock;
use store::events::Events;
use store::mail::Mail;

pub(crate) fn webhooks(world: &World) -> WebhookState {
    let egress = Egress::new(AddressPolicy::PublicAndLoopback).unwrap();
    WebhookState::new(
        world.records.clone(),
        world.messages.clone(),
        Events::new(&world.aws),
        Mail::new(&world.aws),
        egress,
    )
}

pub(crate) fn event(world: &World, topic: Topic, millis: i64) -> Event {
    Event {
        id: domain::id::uuid_text(clock::random()),
        topic,
        created_at: Timestamp::from_millis(millis),
        organization: world.organization.clone(),
        actor: Actor { kind: ActorKind::User, id: "ana".into() },
        origin: Some(Origin {
            protocol: Protocol::Sftp,
            client_ip: "192.0.2.7".parse().unwrap(),
            session_id: "s1".into(),
        }),
        file: None,
        reason: None,
        api_key: None,
        changed: None,
        previous: None,
        user_agent: None,
    }
}

pub(crate) fn file(path: &str, folder: bool) -> Option<FileSubject> {
    Some(FileSubject { path: VPath::parse(path).unwrap(), folder, size: (!folder).then_some(5) })
}

fn batch(messages: &[QueueMessage]) -> SqsEvent {
    let record = |(at, message): (usize, &QueueMessage)| json!({"messageId": format!("m{at}"), "body": serde_json::to_string(message).unwrap()});
    let records: Vec<Value> = messages.iter().enumerate().map(record).collect();
    serde_json::from_value(json!({ "Records": records })).unwrap()
}

impl World {
    /// As the webhook function records them.
    pub(crate) async fn recorded(&self, events: &[Event]) {
        Events::new(&self.aws).put(events).await.unwrap();
    }

    /// Gives the webhook function what is in the events queue.
    pub(crate) async fn fan_out(&self) {
        loop {
            let received = self.messages.queue().receive(0, 10).await.unwrap();
            if received.is_empty() {
                return;
            }
            let records: Vec<Value> =
                received.iter().map(|one| json!({"messageId": one.id, "body": one.body})).collect();
            let event = serde_json::from_value(json!({ "Records": records })).unwrap();
            let failed = webhooks(self).handle(event).await.batch_item_failures;
            assert!(failed.is_empty(), "{failed:?}");
            let receipts: Vec<String> = received.into_iter().map(|one| one.receipt).collect();
            self.messages.queue().delete(&receipts).await.unwrap();
        }
    }
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one["Id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_the_function_has_handled_is_in_the_log_and_what_is_not_recorded_stays_in_the_queue() {
    let world = World::start().await;
    let now = clock::now().millis();
    let one = Event { file: file("/in/a b.txt", false), ..event(&world, Topic::FileCreated, now) };
    let message = QueueMessage::event(one.clone());
    let mut plan = FaultPlan::default();
    plan.dynamodb.error_rate = 1.0;
    world.offline.faults().set(plan);
    let failed = webhooks(&world).handle(batch(std::slice::from_ref(&message))).await.batch_item_failures;
    assert_eq!(failed.len(), 1, "it stays in the queue");
    world.offline.faults().set(FaultPlan::default());
    assert_eq!(world.call("GET", "/events", "").await.expect(200).body, json!([]));
    // given twice, also in one batch
    for messages in [vec![message.clone(), message.clone()], vec![message]] {
        assert!(webhooks(&world).handle(batch(&messages)).await.batch_item_failures.is_empty());
    }
    let found = world.call("GET", "/events", "").await.expect(200).body;
    assert_eq!(
        found,
        json!([{
            "Id": one.id, "Timestamp": now, "Type": "file.created", "PrincipalId": "ana", "PrincipalType": "user",
            "Username": "ana", "SessionId": "s1", "IP": "192.0.2.7", "Geo": null, "Client": null,
            "Data": {"Path": "/in/a b.txt", "Size": 5, "Protocol": "SFTP"},
        }])
    );
}

#[tokio::test]
async fn a_search_filters_and_pages_and_keeps_organizations_apart() {
    let world = World::start().await;
    let now = clock::now().millis();
    let mut made: Vec<Event> = (0..60)
        .map(|n| Event { file: file(&format!("/in/{n}"), false), ..event(&world, Topic::FileCreated, now - 1000 * n) })
        .collect();
    made[3].actor.id = "bea".into();
    made[4].topic = Topic::FileDeleted;
    made[5].file = file("/inbox/5", false);
    made[6].origin.as_mut().unwrap().client_ip = "2001:db8::1".parse().unwrap();
    let expired = event(&world, Topic::Login, now - domain::audit::KEPT_MILLIS - 60_000);
    let foreign = Event { organization: domain::id::OrganizationId::from_random([9; 16]), ..made[0].clone() };
    world.recorded(&[made.clone(), vec![expired, foreign]].concat()).await;
    let call = async |rest: &str| world.call("GET", &format!("/events{rest}"), "").await.expect(200);
    let all = call("").await;
    assert_eq!(ids(&all.body), made.iter().map(|event| event.id.as_str()).collect::<Vec<_>>(), "the newest first");
    assert!(all.header("link").is_empty());
    let from = format!("?From={}&To={}&Order=OldestFirst", now - 3000, now - 1000);
    for (rest, expected) in [
        ("?PrincipalId=bea", vec![3]),
        ("?Topic=file.deleted", vec![4]),
        ("?Type=file.deleted&Topic=user.login", vec![4]),
        ("?PathPrefix=/inbox/", vec![5]),
        ("?PathPrefix=inb", vec![5]),
        ("?Address=2001:db8:0::1", vec![6]),
        ("?Address=2001:db8::1&PrincipalId=bea", vec![]),
        (from.as_str(), vec![3, 2, 1]),
    ] {
        let found = call(rest).await.body;
        assert_eq!(ids(&found), expected.iter().map(|at: &usize| made[*at].id.as_str()).collect::<Vec<_>>(), "{rest}");
    }
    let first = call("?PathPrefix=/in/&Limit=40").await;
    assert_eq!(first.body.as_array().unwrap().len(), 40);
    let next = first.header("link").split(['<', '>']).nth(1).unwrap().to_owned();
    let key = world.secrets.api_key.as_str();
    let rest = send(&world.router, "GET", &next, "", &[("x-api-key", key)]).await.expect(200);
    assert_eq!([ids(&first.body), ids(&rest.body)].concat().len(), 59, "without the one elsewhere");
    assert_eq!(rest.body[18]["Id"], json!(made[59].id));
    for bad in [
        "?Cursor=x",
        "?Cursor=IyMj",
        "?Limit=0",
        "?Limit=1001",
        "?Topic=x",
        "?From=x",
        "?Address=x",
        "?Other=1",
        "?Order=x",
    ] {
        world.call("GET", &format!("/events{bad}"), "").await.expect(400);
    }
    // a stranger sees nothing, not even with our cursor
    world.as_stranger("GET", &world.path("/events"), "").await.expect(404);
    assert_eq!(world.as_stranger("GET", "/api/v2/events/fs", "").await.expect(200).body, json!([]));
}

#[tokio::test]
async fn only_who_may_see_events_does() {
    let world = World::start().await;
    let (yes, no) =
        (world.made_admin("seer", &["view_events"]).await, world.made_admin("blind", &["view_users"]).await);
    for path in [world.path("/events"), "/api/v2/events/fs".into(), "/api/v2/events/provider".into()] {
        for (token, status) in [(&yes, 200), (&no, 403)] {
            send(&world.router, "GET", &path, "", &[("authorization", &format!("Bearer {token}"))])
                .await
                .expect(status);
        }
        send(&world.router, "GET", &path, "", &[]).await.expect(401);
    }
}

/// One of each kind that SFTPGo knows.
async fn of_sftpgo(world: &World, now: i64) {
    let of = |topic, ago, path, folder| Event { file: file(path, folder), ..event(world, topic, now - ago) };
    let through =
        |event: Event, protocol| Event { origin: event.origin.map(|origin| Origin { protocol, ..origin }), ..event };
    let link = Actor { kind: ActorKind::ShareLink, id: "ana".into() };
    let all = vec![
        through(of(Topic::FileCreated, 1, "/a", false), Protocol::Ftps),
        of(Topic::FileCreated, 2, "/d", true),
        Event { actor: link, ..of(Topic::FileDeleted, 3, "/a", false) },
        of(Topic::FileDeleted, 4, "/d", true),
        of(Topic::FileDownloaded, 5, "/=cmd|' /C calc'!A0", false),
        Event { previous: file("/old", false), ..of(Topic::FileRenamed, 6, "/new", false) },
        Event { reason: Some("the quota of 5 bytes is used up".into()), ..of(Topic::UploadFailed, 7, "/b", false) },
        Event { reason: Some("the connection was cut".into()), ..of(Topic::UploadFailed, 8, "/b", false) },
        of(Topic::AccessDenied, 9, "/x", false),
        event(world, Topic::Login, now - 10),
    ];
    world.recorded(&all).await;
}

#[tokio::test]
async fn what_happened_to_files_as_sftpgo_shows_it() {
    let world = World::start().await;
    let now = clock::now().millis();
    of_sftpgo(&world, now).await;
    let call = async |rest: &str| world.own("GET", &format!("/api/v2/events/fs{rest}"), "").await.expect(200).body;
    let actions = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap().to_owned()).collect()
    };
    let all = call("").await;
    assert_eq!(actions(&all), ["upload", "mkdir", "delete", "rmdir", "download", "rename", "upload", "upload"]);
    let (first, renamed) = (&all[0], &all[5]);
    assert_eq!((&first["protocol"], &first["timestamp"]), (&json!("FTP"), &json!((now - 1) * 1_000_000)));
    assert_eq!(
        (&first["file_size"], &first["ip"], &first["username"]),
        (&json!(5), &json!("192.0.2.7"), &json!("ana"))
    );
    assert_eq!((&renamed["virtual_path"], &renamed["virtual_target_path"]), (&json!("/old"), &json!("/new")));
    assert_eq!((&all[6]["status"], &all[7]["status"]), (&json!(3), &json!(2)));
    for (rest, expected) in [
        ("?actions=mkdir,rmdir", vec!["mkdir", "rmdir"]),
        ("?statuses=2,3&order=ASC", vec!["upload", "upload"]),
        ("?protocols=HTTPShare", vec!["delete"]),
        ("?protocols=FTP,HTTPShare&limit=1", vec!["upload"]),
        ("?username=bea", vec![]),
        ("?ip=192.0.2.8", vec![]),
        ("?ssh_cmd=md5sum", vec![]),
        ("?ssh_cmd=&bucket=&limit=1", vec!["upload"]),
    ] {
        assert_eq!(actions(&call(rest).await), expected, "{rest}");
    }
    let span = format!("?start_timestamp={}&end_timestamp={}", (now - 3) * 1_000_000, (now - 2) * 1_000_000 + 999_999);
    assert_eq!(actions(&call(&span).await), ["mkdir", "delete"]);
    // page by page, both ways
    for order in ["ASC", "DESC"] {
        let (mut seen, mut from) = (Vec::new(), String::new());
        loop {
            let page = call(&format!("?limit=3&order={order}&from_id={from}")).await;
            seen.extend(actions(&page));
            let Some(last) = page.as_array().unwrap().last() else { break };
            from = last["id"].as_str().unwrap().to_owned();
        }
        let mut expected = actions(&all);
        if order == "ASC" {
            expected.reverse();
        }
        assert_eq!(seen, expected);
    }
    for bad in ["?from_id=x", "?actions=x", "?limit=0", "?order=asc", "?start_timestamp=-1", "?statuses=4"] {
        world.own("GET", &format!("/api/v2/events/fs{bad}"), "").await.expect(400);
    }
}

#[tokio::test]
async fn a_file_of_rows_opens_without_running_anything() {
    let world = World::start().await;
    let now = 1_739_120_350_624 + 365 * 24 * 3600 * 1000;
    of_sftpgo(&world, now).await;
    let key = world.secrets.api_key.as_str();
    let path = format!("/api/v2/events/fs?csv_export=true&limit=1&order=ASC&end_timestamp={}", (now + 1) * 1_000_000);
    let answer = raw(&world.router, "GET", &path, "", &[("x-api-key", key)]).await;
    assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8");
    assert!(answer.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
    let text = String::from_utf8(to_bytes(answer.into_body(), 1_000_000).await.unwrap().to_vec()).unwrap();
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    assert_eq!(lines[0], "Time,Action,Path,Size,Status,User,Protocol,IP,SSH command");
    assert_eq!(lines.len(), 9, "all, whatever the limit of a page is: {text}");
    assert_eq!(lines[3].split_once(',').unwrap().1, "rename,/old => /new,5,OK,ana,SFTP,192.0.2.7,");
    assert!(text.contains(",/=cmd|' /C calc'!A0,"), "a path begins with a slash: {text}");
}

#[tokio::test]
async fn who_changed_what_is_found_without_what_was_changed() {
    let world = World::start().await;
    let body = json!({"UserName": "partner-one", "Password": "a long password 1", "Permission": "full"});
    let id = world.call("POST", "/users", &body.to_string()).await.expect(201).text("/Id");
    world.call("PATCH", &format!("/users/{id}"), r#"{"Alias": "Partner & Sons"}"#).await.expect(200);
    world
        .call("POST", &format!("/users/{id}/credential-rotations"), r#"{"Password": "another password 2"}"#)
        .await
        .expect(200);
    world.own("POST", "/api/v2/folders", r#"{"name": "inbox"}"#).await.expect(201);
    let usage = r#"{"used_quota_size": 5, "used_quota_files": 1}"#;
    world.own("PUT", "/api/v2/quotas/folders/inbox/usage", usage).await.expect(200);
    world.call("DELETE", &format!("/users/{id}"), "").await.expect(200);
    world.fan_out().await;
    let call =
        async |rest: &str| world.own("GET", &format!("/api/v2/events/provider{rest}"), "").await.expect(200).body;
    let all = call("?order=ASC").await;
    let told: Vec<String> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let text = |name: &str| one[name].as_str().unwrap().to_owned();
            format!("{} {} {}", text("action"), text("object_type"), text("object_name"))
        })
        .collect();
    assert_eq!(
        told,
        [
            "add user partner-one",
            "update user partner-one",
            "update user partner-one",
            "add folder inbox",
            "update folder inbox",
            "delete user partner-one"
        ]
    );
    let data = |one: &Value| -> Value {
        let text = one["object_data"].as_str().unwrap();
        serde_json::from_slice(&base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).unwrap())
            .unwrap()
    };
    assert_eq!((&data(&all[1])["fields"], &data(&all[4])["fields"]), (&json!(["alias"]), &json!(["usage"])));
    assert_eq!(call("?object_types=folder&actions=add").await[0]["object_name"], "inbox");
    assert_eq!(call("?object_name=partner-one&actions=delete&omit_object_data=true").await[0].get("object_data"), None);
    let everything = world.call("GET", "/events", "").await.expect(200).body;
    let text = format!("{everything}{all}");
    for secret in ["a long password 1", "another password 2", "Partner & Sons", "argon2", "$"] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn changes_of_every_kind_have_a_name_there() {
    let world = World::start().await;
    let kinds = [
        ChangedKind::Credential,
        ChangedKind::PublicKey,
        ChangedKind::Webhook,
        ChangedKind::Folder,
        ChangedKind::ApiKey,
        ChangedKind::Admin,
        ChangedKind::ShareLink,
        ChangedKind::Organization,
    ];
    let now = clock::now().millis();
    let made: Vec<Event> = kinds
        .iter()
        .map(|kind| Event {
            changed: Some(Box::new(Changed {
                kind: *kind,
                id: "i".into(),
                name: "n".into(),
                how: ChangedHow::Created,
                fields: Vec::new(),
            })),
            ..event(&world, Topic::AdminChanged, now)
        })
        .collect();
    world.recorded(&made).await;
    let found = world.own("GET", "/api/v2/events/provider", "").await.expect(200).body;
    assert_eq!(found.as_array().unwrap().len(), kinds.len());
    assert_eq!(
        world.call("GET", "/events?Topic=admin.changed", "").await.expect(200).body.as_array().unwrap().len(),
        8
    );
}
