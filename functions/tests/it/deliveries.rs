//! The delivery log, what is sent again, and when a webhook is paused.

use crate::support::{Answer, World, housekeeping};
use crate::webhook_delivery::{Receiver, event, next, receiver, receiver_of, state};
use domain::event::Topic;
use domain::queue_message::{Content, Delivery, QueueMessage};
use domain::webhook::delivery::{LEASE_MILLIS, Logged, Status, delivery_id};
use functions::queue::Handler as _;
use serde_json::{Value, json};
use std::time::Duration;
use store::clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

impl World {
    /// Makes a webhook; answers its path.
    async fn hook(&self, receiver: &Receiver, more: &Value) -> String {
        let mut body = json!({ "Url": receiver.url, "Topics": ["file.created"] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = self.call("POST", "/webhooks", &body.to_string()).await.expect(201);
        format!("/webhooks/{}", made.text("/Id"))
    }

    async fn happens(&self) -> String {
        let event = event(self, Topic::FileCreated);
        let id = event.id.clone();
        self.messages.send(&[(QueueMessage::event(event), 0)]).await.unwrap();
        id
    }

    /// Gives the function one batch of what is in the queue; answers the bodies.
    async fn batch(&self) -> Vec<String> {
        let received = self.messages.queue().receive(0, 10).await.unwrap();
        let receipts: Vec<String> = received.iter().map(|one| one.receipt.clone()).collect();
        let bodies: Vec<String> = received.into_iter().map(|one| one.body).collect();
        self.give(&bodies).await;
        self.messages.queue().delete(&receipts).await.unwrap();
        bodies
    }

    async fn give(&self, bodies: &[String]) {
        let records: Vec<Value> = bodies.iter().map(|body| json!({ "messageId": "m", "body": body })).collect();
        let batch = serde_json::from_value(json!({ "Records": records })).unwrap();
        let failed = state(self).handle(batch).await.batch_item_failures;
        assert!(failed.is_empty(), "{failed:?}");
    }

    /// Works until the queue has nothing to give.
    async fn deliver_all(&self) {
        for _ in 0..50 {
            if self.batch().await.is_empty() {
                return;
            }
        }
        panic!("the queue does not get empty");
    }

    async fn log(&self, hook: &str, query: &str) -> Answer {
        self.call("GET", &format!("{hook}/deliveries{query}"), "").await.expect(200)
    }

    /// What people were told by mail.
    fn mails(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.mail).into_iter().flatten();
        entries.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
    }
}

fn statuses(log: &Answer) -> Vec<&str> {
    log.body.as_array().unwrap().iter().map(|one| one["Status"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_attempt_is_in_the_log_with_its_answer_and_without_secrets() {
    let world = World::start().await;
    // an answer that repeats what it was sent
    let mut receiver = receiver_of(|headers, _| {
        let sent = headers.get("authorization").map_or("", |value| value.to_str().unwrap());
        (500, format!("you sent {sent}, that is {}", sent.replace("Bearer ", "")))
    })
    .await;
    let hook = world.hook(&receiver, &json!({ "AuthorizationHeader": "Bearer topsecret" })).await;
    let event = world.happens().await;
    world.batch().await;
    world.batch().await;
    let (headers, _) = next(&mut receiver).await;
    let log = world.log(&hook, "").await;
    let one = &log.body[0];
    assert_eq!((&one["Id"], &one["EventId"]), (&json!(headers["webhook-id"].to_str().unwrap()), &json!(event)));
    assert_eq!(
        (&one["Status"], &one["AttemptsCount"], &one["Topic"]),
        (&json!("Retrying"), &json!(1), &json!("file.created"))
    );
    let attempt = &one["Attempts"][0];
    assert_eq!(attempt["Code"], 500);
    assert_eq!(attempt["Response"], "you sent [redacted], that is [redacted]");
    assert_eq!(attempt["Resent"], false);
    let wait = one["NextAttemptAt"].as_i64().unwrap() - one["UpdatedAt"].as_i64().unwrap();
    assert!((5000..=6000).contains(&wait), "{wait}");
    let shown = world.call("GET", &format!("{hook}/deliveries/{}", one["Id"].as_str().unwrap()), "").await.expect(200);
    assert_eq!(shown.body, *one);
    assert!(!log.body.to_string().contains("topsecret"));
    world.call("GET", &format!("{hook}/deliveries/nonsense"), "").await.expect(404);
    world.call("GET", &format!("{hook}/deliveries?Status=nope"), "").await.expect(400);
    world.call("GET", &format!("{hook}/deliveries?Topic=nope"), "").await.expect(400);
}

#[tokio::test]
async fn a_message_that_comes_twice_is_sent_and_counted_once() {
    let world = World::start().await;
    let mut receiver = receiver_of(|_, _| (404, String::new())).await;
    let hook = world.hook(&receiver, &json!({})).await;
    world.happens().await;
    let events = world.batch().await;
    // the event again, as SQS may; and its delivery ten times side by side
    world.give(&events).await;
    let received = world.messages.queue().receive(0, 10).await.unwrap();
    assert_eq!(received.len(), 2);
    let bodies: Vec<String> = received.iter().cycle().take(10).map(|one| one.body.clone()).collect();
    world.give(&bodies).await;
    world.give(&bodies).await;
    next(&mut receiver).await;
    assert!(receiver.got.try_recv().is_err(), "sent twice");
    let log = world.log(&hook, "").await;
    assert_eq!((statuses(&log), &log.body[0]["AttemptsCount"]), (vec!["Failed"], &json!(1)));
    let id = hook.rsplit('/').next().unwrap();
    assert_eq!(world.records.webhook_health(&world.organization, id).await.unwrap().failures, 1);
}

#[tokio::test]
async fn lists_have_pages_and_filters() {
    let world = World::start().await;
    let receiver = receiver(0).await;
    let hook = world.hook(&receiver, &json!({})).await;
    for _ in 0..3 {
        world.happens().await;
    }
    world.deliver_all().await;
    world.call("POST", &format!("{hook}/ping"), "").await.expect(202);
    let pinged = world.log(&hook, "?Topic=webhook.ping").await;
    assert_eq!(statuses(&pinged), ["Pending"], "before it is sent");
    world.deliver_all().await;
    assert_eq!(statuses(&world.log(&hook, "").await), ["Succeeded"; 4]);
    assert_eq!(world.log(&hook, "").await.body[0]["Topic"], "webhook.ping", "the newest first");
    assert_eq!(statuses(&world.log(&hook, "?Status=Failed").await), [""; 0]);
    let first = world.log(&hook, "?Topic=file.created&Limit=2").await;
    assert_eq!(statuses(&first).len(), 2);
    let link = first.header("link").split(['<', '>']).nth(1).unwrap().to_owned();
    let rest = link.strip_prefix(&world.path("")).unwrap();
    let second = world.call("GET", rest, "").await.expect(200);
    assert_eq!(statuses(&second), ["Succeeded"]);
    assert!(first.body[0]["Id"].as_str() > second.body[0]["Id"].as_str());
}

#[tokio::test]
async fn a_delivery_is_sent_again_on_demand() {
    let world = World::start().await;
    let mut receiver = receiver_of(|_, _| (200, "ok".into())).await;
    let hook = world.hook(&receiver, &json!({})).await;
    world.happens().await;
    world.deliver_all().await;
    let (first, body) = next(&mut receiver).await;
    let id = first["webhook-id"].to_str().unwrap().to_owned();
    let again = world.call("POST", &format!("{hook}/deliveries/{id}/redeliveries"), "").await.expect(202);
    assert_eq!(again.body, json!({ "Id": id, "Status": "Pending" }));
    let messages = world.batch().await;
    world.give(&messages).await;
    let (second, repeated) = next(&mut receiver).await;
    assert_eq!(second["webhook-id"], first["webhook-id"]);
    let data = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap()["Data"].clone();
    assert_eq!(data(&body), data(&repeated));
    assert!(receiver.got.try_recv().is_err(), "the message twice is one attempt");
    let log = world.log(&hook, "").await;
    let resent: Vec<&Value> = log.body[0]["Attempts"].as_array().unwrap().iter().map(|one| &one["Resent"]).collect();
    assert_eq!(resent, [false, true]);
    world.call("PATCH", &hook, r#"{"State":"paused"}"#).await.expect(200);
    world.call("POST", &format!("{hook}/deliveries/{id}/redeliveries"), "").await.expect(409);
    world.call("POST", &format!("{hook}/replays"), r#"{"Since": 1500000000000}"#).await.expect(409);
}

#[tokio::test]
async fn five_failures_pause_a_webhook_and_what_it_misses_is_replayed() {
    let world = World::start().await;
    world.call("PATCH", "", r#"{"NotificationEmail":"ops@example.com"}"#).await.expect(200);
    let broken = receiver_of(|_, _| (400, "no".into())).await;
    let mut watcher = receiver(0).await;
    let hook = world.hook(&broken, &json!({ "Alias": "erp" })).await;
    world.hook(&watcher, &json!({ "Topics": ["webhook.paused", "webhook.delivery.failed"] })).await;
    let state_of = async || world.call("GET", &hook, "").await.expect(200);
    // pings do not count
    for _ in 0..6 {
        world.call("POST", &format!("{hook}/ping"), "").await.expect(202);
    }
    world.deliver_all().await;
    for _ in 0..4 {
        world.happens().await;
    }
    world.deliver_all().await;
    // nor do those that somebody sends again
    let failed = world.log(&hook, "?Topic=file.created").await.text("/0/Id");
    for _ in 0..3 {
        world.call("POST", &format!("{hook}/deliveries/{failed}/redeliveries"), "").await.expect(202);
        world.deliver_all().await;
    }
    assert_eq!(state_of().await.text("/State"), "enabled");
    world.happens().await;
    world.deliver_all().await;
    let paused = state_of().await;
    assert_eq!(
        (paused.text("/State"), paused.text("/PauseReason")),
        ("paused".into(), "5 deliveries failed one after the other".into())
    );
    let mut told = Vec::new();
    while let Ok((_, body)) = watcher.got.try_recv() {
        told.push(serde_json::from_slice::<Value>(&body).unwrap());
    }
    let of = |topic: &str| told.iter().filter(|one| one["Topic"] == topic).collect::<Vec<_>>();
    assert_eq!(of("webhook.delivery.failed").len(), 8, "5, and 3 that were sent again");
    let pause = of("webhook.paused");
    assert_eq!(pause.len(), 1);
    assert_eq!((&pause[0]["Resource"], &pause[0]["Data"]["Name"]), (&json!("webhook"), &json!("erp")));
    assert_eq!(pause[0]["Data"]["Reason"], paused.body["PauseReason"]);
    let mails = world.mails();
    assert_eq!(mails.len(), 1, "{mails:?}");
    assert!(mails[0].contains("ops@example.com") && mails[0].contains("webhook.paused: erp"), "{}", mails[0]);

    // what happens now is kept
    let missed = [world.happens().await, world.happens().await];
    world.deliver_all().await;
    assert_eq!(statuses(&world.log(&hook, "?Status=Missed").await).len(), 2);
    let mut healthy = receiver(0).await;
    let enabled =
        world.call("PATCH", &hook, &json!({"State": "enabled", "Url": healthy.url}).to_string()).await.expect(200);
    assert_eq!(enabled.body["PauseReason"], Value::Null);
    let id = hook.rsplit('/').next().unwrap();
    assert_eq!(world.records.webhook_health(&world.organization, id).await.unwrap(), Default::default());
    let job = world.call("POST", &format!("{hook}/replays"), r#"{"Since": 1500000000000}"#).await.expect(202);
    assert_eq!((job.text("/Kind"), job.text("/Subject/Id")), ("WebhookReplay".into(), id.to_owned()));
    world.call("POST", &format!("{hook}/replays"), r#"{"Since": 1500000000000}"#).await.expect(409);
    for _ in 0..2 {
        // word of it that comes twice does nothing
        let message = json!({ "v": 1, "organization": world.organization, "job": job.text("/Id") }).to_string();
        let batch = json!({ "Records": [{ "messageId": "j", "body": message }] });
        let done = housekeeping(&world.aws).handle(serde_json::from_value(batch).unwrap()).await;
        assert!(done.batch_item_failures.is_empty());
    }
    let over = world.call("GET", &format!("/jobs/{}", job.text("/Id")), "").await.expect(200);
    assert_eq!((over.text("/State"), over.text("/Result")), ("Succeeded".into(), "deliveries: 7".into()));
    world.deliver_all().await;
    let mut arrived = Vec::new();
    while let Ok((_, body)) = healthy.got.try_recv() {
        arrived.push(serde_json::from_slice::<Value>(&body).unwrap()["Id"].as_str().unwrap().to_owned());
    }
    assert_eq!(arrived.len(), 7, "five that failed, two that were missed, no ping");
    assert!(missed.iter().all(|id| arrived.contains(id)));
    std::fs::remove_dir_all(&world.mail).unwrap();
}

#[tokio::test]
async fn a_success_begins_the_count_anew_and_410_ends_it_at_once() {
    let world = World::start().await;
    let receiver =
        receiver_of(|_, body| match serde_json::from_slice::<Value>(body).unwrap()["Data"]["Size"].as_i64() {
            Some(7) => (404, String::new()),
            Some(8) => (200, String::new()),
            _ => (410, String::new()),
        })
        .await;
    let hook = world.hook(&receiver, &json!({})).await;
    let sized = async |size| {
        let mut event = event(&world, Topic::FileCreated);
        event.file.as_mut().unwrap().size = Some(size);
        world.messages.send(&[(QueueMessage::event(event), 0)]).await.unwrap();
        world.deliver_all().await;
        world.call("GET", &hook, "").await.expect(200)
    };
    for size in [7, 7, 7, 7, 8, 7, 7, 7, 7] {
        assert_eq!(sized(size).await.text("/State"), "enabled");
    }
    let paused = sized(9).await;
    assert_eq!(
        (paused.text("/State"), paused.text("/PauseReason")),
        ("paused".into(), "the receiver answered 410".into())
    );
}

#[tokio::test]
async fn a_day_of_failures_without_a_success_pauses() {
    let world = World::start().await;
    let receiver = receiver_of(|_, _| (503, String::new())).await;
    let hook = world.hook(&receiver, &json!({})).await;
    let id = hook.rsplit('/').next().unwrap();
    let yesterday = clock::now().plus_millis(-24 * 3600 * 1000 - 1000);
    world.records.note_failing(&world.organization, id, yesterday).await.unwrap();
    world.happens().await;
    world.batch().await;
    world.batch().await;
    let paused = world.call("GET", &hook, "").await.expect(200);
    assert_eq!(paused.text("/PauseReason"), "no delivery has arrived for 24 hours");
}

#[tokio::test]
async fn what_is_due_and_has_no_message_is_sent_each_minute() {
    let world = World::start().await;
    let mut receiver = receiver(0).await;
    let hook = world.hook(&receiver, &json!({})).await;
    let id = hook.rsplit('/').next().unwrap();
    // that it was made is an event, too
    world.deliver_all().await;
    let event = event(&world, Topic::FileCreated);
    let now = clock::now();
    let delivery = Delivery {
        id: delivery_id(event.created_at, &event.id, id),
        organization: world.organization.clone(),
        webhook: id.to_owned(),
        failed_attempts: 3,
        round: None,
        slow: false,
        not_before: None,
        content: Content::Event { event: Box::new(event) },
    };
    let mut record = Logged::new(delivery, Status::Retrying, now.plus_millis(-7_300_000));
    record.next_attempt_at = Some(now.plus_millis(60_000));
    world.records.save_delivery(&record, None).await.unwrap().unwrap();
    housekeeping(&world.aws).tick().await;
    assert!(world.batch().await.is_empty(), "not due yet");
    record.next_attempt_at = Some(now.plus_millis(-1000));
    world.records.save_delivery(&record, Some(1)).await.unwrap().unwrap();
    housekeeping(&world.aws).tick().await;
    housekeeping(&world.aws).tick().await;
    assert_eq!(world.batch().await.len(), 1, "once");
    next(&mut receiver).await;
    assert_eq!(statuses(&world.log(&hook, "").await), ["Succeeded"]);
    housekeeping(&world.aws).tick().await;
    assert!(world.batch().await.is_empty());
}

#[tokio::test]
async fn who_dies_in_an_attempt_leaves_it_to_the_next() {
    let world = World::start().await;
    let mut receiver = receiver(0).await;
    let hook = world.hook(&receiver, &json!({})).await;
    world.happens().await;
    world.batch().await;
    let received = world.messages.queue().receive(0, 10).await.unwrap();
    let QueueMessage::Delivery { delivery, .. } = serde_json::from_str(&received[0].body).unwrap() else { panic!() };
    let dead = |ago: i64| Logged::claimed(delivery.clone(), clock::now().plus_millis(-ago));
    world.records.save_delivery(&dead(1000), None).await.unwrap().unwrap();
    world.give(&[received[0].body.clone()]).await;
    assert!(receiver.got.try_recv().is_err(), "it may be under way");
    world.records.save_delivery(&dead(LEASE_MILLIS + 1), Some(1)).await.unwrap().unwrap();
    world.give(&[received[0].body.clone()]).await;
    next(&mut receiver).await;
    assert_eq!(statuses(&world.log(&hook, "").await), ["Succeeded"]);
}

#[tokio::test]
async fn chats_and_mail_get_forms_of_their_own() {
    let world = World::start().await;
    let mut receiver = receiver(0).await;
    let slack = world.hook(&receiver, &json!({ "Type": "slack" })).await;
    world.happens().await;
    world.deliver_all().await;
    let told: Value = serde_json::from_slice(&next(&mut receiver).await.1).unwrap();
    assert_eq!(told["blocks"][0]["text"]["text"], "file.created: /dir/new name.txt");
    world.call("PATCH", &slack, r#"{"Type":"ms-teams"}"#).await.expect(200);
    world.happens().await;
    world.deliver_all().await;
    let told: Value = serde_json::from_slice(&next(&mut receiver).await.1).unwrap();
    assert_eq!(told["attachments"][0]["contentType"], "application/vnd.microsoft.card.adaptive");
    world.call("PATCH", &slack, r#"{"Type":"email"}"#).await.expect(400);
    world.call("PATCH", &slack, r#"{"Type":"email","Url":"team@example.com"}"#).await.expect(200);
    world.happens().await;
    world.deliver_all().await;
    let mails = world.mails();
    assert_eq!(mails.len(), 1);
    for part in ["team@example.com", "file.created: /dir/new name.txt", "text/html", "By: User ana"] {
        assert!(mails[0].contains(part), "{part}: {}", mails[0]);
    }
    assert_eq!(statuses(&world.log(&slack, "").await), ["Succeeded"; 3]);
    std::fs::remove_dir_all(&world.mail).unwrap();
}

/// A receiver that writes what it likes, for as long as it likes.
async fn raw_receiver(head: &'static str, piece: &'static [u8], pause: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let mut written = stream.write_all(head.as_bytes()).await;
                while written.is_ok() {
                    written = stream.write_all(piece).await;
                    tokio::time::sleep(pause).await;
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn a_receiver_can_hold_an_attempt_neither_by_drops_nor_by_floods() {
    let world = World::start().await;
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let flood = raw_receiver(chunked, b"8\r\nbytes...\r\n", Duration::ZERO).await;
    let drops = raw_receiver(chunked, b"1\r\nx\r\n", Duration::from_millis(500)).await;
    let headless = raw_receiver("HTTP/1.1 200 OK\r\n", b"x", Duration::from_millis(500)).await;
    let metadata = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/\r\ncontent-length: 0\r\n\r\n";
    let redirect = raw_receiver(metadata, b"", Duration::from_millis(500)).await;
    let mut hooks = Vec::new();
    for url in [flood, drops, headless, redirect] {
        let receiver = Receiver { url, got: tokio::sync::mpsc::channel(1).1 };
        hooks.push(world.hook(&receiver, &json!({})).await);
    }
    world.happens().await;
    while !world.batch().await.iter().any(|body| body.contains("\"delivery\"")) {}
    let mut ends = Vec::new();
    for hook in &hooks {
        let log = world.log(hook, "").await.body;
        let attempt = &log[0]["Attempts"][0];
        let kept = attempt["Response"].as_str().unwrap().len();
        let error = attempt["Error"].as_str().unwrap_or_default().to_owned();
        ends.push((
            log[0]["Status"].as_str().unwrap().to_owned(),
            kept,
            error,
            attempt["DurationMs"].as_u64().unwrap(),
        ));
    }
    let [flood, drops, headless, redirect] = ends.as_slice() else { panic!("{ends:?}") };
    assert!(flood.0 == "Succeeded" && flood.1 == 1024 && flood.3 < 2500, "{flood:?}");
    assert!(drops.0 == "Succeeded" && drops.1 < 10 && drops.3 < 3500, "{drops:?}");
    assert_eq!((headless.0.as_str(), headless.2.as_str()), ("Retrying", "no answer within 10 s"));
    assert!((9_900..11_500).contains(&headless.3), "{headless:?}");
    assert_eq!(redirect.0, "Failed");

    // who was not answered in time has a lane of its own
    let id = hooks[2].rsplit('/').next().unwrap();
    assert!(world.records.webhook(&world.organization, id).await.unwrap().unwrap().value.is_slow(clock::now()));
    world.happens().await;
    while !world.batch().await.is_empty() {}
    let slow = world.messages.slow_queue().receive(0, 10).await.unwrap();
    assert_eq!(slow.len(), 1);
    let QueueMessage::Delivery { delivery, .. } = serde_json::from_str(&slow[0].body).unwrap() else { panic!() };
    assert!(delivery.slow && delivery.webhook == id);
}

#[tokio::test]
async fn of_a_webhook_that_is_gone_nothing_is_looked_for_any_more() {
    let world = World::start().await;
    let receiver = receiver(1000).await;
    let hook = world.hook(&receiver, &json!({})).await;
    world.happens().await;
    world.batch().await;
    let bodies = world.batch().await;
    let log = world.log(&hook, "").await;
    assert_eq!(statuses(&log), ["Retrying"]);
    world.call("DELETE", &hook, "").await.expect(200);
    world.give(&bodies).await;
    let webhook = hook.rsplit('/').next().unwrap();
    let id = log.body[0]["Id"].as_str().unwrap();
    let record = world.records.delivery(&world.organization, webhook, id).await.unwrap().unwrap().value;
    assert_eq!((record.status.as_str(), record.due()), ("Failed", None));
}
