//! From the queue to a receiver on loopback.

use crate::support::World;
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use domain::event::{Actor, ActorKind, Event, FileSubject, Topic};
use domain::path::VPath;
use domain::queue_message::QueueMessage;
use domain::time::Timestamp;
use domain::webhook::WebhookSecret;
use domain::webhook::address::AddressPolicy;
use functions::local::poll_queue;
use functions::queue::Handler as _;
use functions::webhook::{Egress, WebhookState};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use store::events::Events;
use store::mail::Mail;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use zeroize::Zeroizing;

type Got = (HeaderMap, Bytes);
type Answering = dyn Fn(&HeaderMap, &Bytes) -> (u16, String) + Send + Sync;

pub(crate) struct Receiver {
    pub(crate) url: String,
    pub(crate) got: mpsc::Receiver<Got>,
}

/// Answers the first requests with 503, as many as said, then 200.
pub(crate) async fn receiver(failures: usize) -> Receiver {
    let left = AtomicUsize::new(failures);
    receiver_of(move |_, _| {
        let fail = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        (if fail { 503 } else { 200 }, String::new())
    })
    .await
}

/// Answers as `answering` says.
pub(crate) async fn receiver_of(
    answering: impl Fn(&HeaderMap, &Bytes) -> (u16, String) + Send + Sync + 'static,
) -> Receiver {
    let (sender, got) = mpsc::channel(100);
    let answering: Arc<Answering> = Arc::new(answering);
    type Shared = (mpsc::Sender<Got>, Arc<Answering>);
    let answer = |State((sender, answering)): State<Shared>, headers: HeaderMap, body: Bytes| async move {
        let (status, text) = answering(&headers, &body);
        sender.send((headers, body)).await.unwrap();
        (StatusCode::from_u16(status).unwrap(), text)
    };
    let router = Router::new().route("/hook", post(answer)).with_state((sender, answering));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    Receiver { url, got }
}

pub(crate) fn state(world: &World) -> WebhookState {
    let egress = Egress::new(AddressPolicy::PublicAndLoopback).unwrap();
    let (events, mail) = (Events::new(&world.aws), Mail::new(&world.aws));
    WebhookState::new(world.records.clone(), world.messages.clone(), events, mail, egress)
}

pub(crate) fn event(world: &World, topic: Topic) -> Event {
    let file = |path| FileSubject { path: VPath::parse(path).unwrap(), folder: false, size: Some(7) };
    Event {
        id: domain::id::uuid_text(store::clock::random()),
        topic,
        created_at: Timestamp::from_millis(1_591_106_805_970),
        organization: world.organization.clone(),
        actor: Actor { kind: ActorKind::User, id: "ana".into() },
        origin: None,
        file: Some(file("/dir/new name.txt")),
        reason: None,
        api_key: None,
        changed: None,
        previous: (topic == Topic::FileRenamed).then(|| file("/dir/old.txt")),
        user_agent: None,
    }
}

pub(crate) async fn next(receiver: &mut Receiver) -> (HeaderMap, Bytes) {
    timeout(Duration::from_secs(20), receiver.got.recv()).await.expect("a delivery in time").unwrap()
}

/// Runs the poller until the returned sender is used or dropped.
fn poll(world: &World) -> (oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(poll_queue(world.messages.queue().clone(), 10, state(world), async move {
        let _ = stopped.await;
    }));
    (stop, task)
}

#[tokio::test]
async fn an_event_arrives_signed_and_is_repeated_after_a_failure() {
    let world = World::start().await;
    let mut receiver = receiver(1).await;
    let body = json!({"Url": receiver.url, "AuthorizationHeader": "Bearer 1"}).to_string();
    let webhook = world.call("POST", "/webhooks", &body).await.expect(201);
    let secret = WebhookSecret::from_text(Zeroizing::new(webhook.text("/Secret")));
    world.messages.send(&[(QueueMessage::event(event(&world, Topic::FileCreated)), 0)]).await.unwrap();
    let (stop, task) = poll(&world);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (headers, body) = next(&mut receiver).await;
        let header = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(header("authorization"), "Bearer 1");
        assert_eq!(header("x-hub-signature"), secret.hub_signature(&body));
        let timestamp = header("webhook-timestamp").parse().unwrap();
        assert_eq!(header("webhook-signature"), secret.standard_signature(&header("webhook-id"), timestamp, &body));
        let told: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(told["Data"], json!({"Path": "dir/new+name.txt", "Size": 7}));
        assert_eq!(told["Metadata"]["Webhook"]["Id"], webhook.body["Id"]);
        assert_eq!(told["Metadata"]["Delivery"]["Id"], header("webhook-id"));
        ids.push((header("webhook-id"), told["Metadata"]["Attempt"]["Id"].to_string()));
    }
    assert!(ids[0].0 == ids[1].0 && ids[0].1 != ids[1].1, "one delivery, two attempts: {ids:?}");
    stop.send(()).unwrap();
    timeout(Duration::from_secs(10), task).await.unwrap().unwrap();
}

#[tokio::test]
async fn who_filters_hears_of_what_passes_all_and_of_nothing_else() {
    let world = World::start().await;
    let mut receiver = receiver(0).await;
    let filter =
        |field: &str, operator: &str, value: &str| json!({"Field": field, "Operator": operator, "Value": value});
    let both = json!([filter("Path", "StartsWith", "dir/new"), filter("ActorId", "Is", "ana")]);
    let hook =
        world.call("POST", "/webhooks", &json!({"Url": receiver.url, "Filter": both}).to_string()).await.expect(201);
    assert_eq!(hook.body["Filter"], both);
    let path = format!("/webhooks/{}", hook.text("/Id"));
    // not by somebody else, and of the two parts of a rename only the one that passes
    let mut others = event(&world, Topic::FileCreated);
    others.actor.id = "bob".into();
    let renamed = event(&world, Topic::FileRenamed);
    let messages: Vec<_> = [others, renamed].into_iter().map(|event| (QueueMessage::event(event), 0)).collect();
    world.messages.send(&messages).await.unwrap();
    let (stop, task) = poll(&world);
    let told: Value = serde_json::from_slice(&next(&mut receiver).await.1).unwrap();
    assert_eq!((&told["Topic"], &told["Data"]["Path"]), (&json!("file.created"), &json!("dir/new+name.txt")));
    assert_eq!(told["Actor"]["Id"], "ana");
    // without filters everything comes again
    world.call("PATCH", &path, r#"{"Filter":[]}"#).await.expect(200);
    let mut others = event(&world, Topic::FileDeleted);
    others.actor.id = "bob".into();
    world.messages.send(&[(QueueMessage::event(others), 0)]).await.unwrap();
    let told: Value = serde_json::from_slice(&next(&mut receiver).await.1).unwrap();
    assert_eq!((&told["Topic"], &told["Actor"]["Id"]), (&json!("file.deleted"), &json!("bob")));
    stop.send(()).unwrap();
    timeout(Duration::from_secs(10), task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_rename_and_a_ping_and_an_old_secret() {
    let world = World::start().await;
    let mut receiver = receiver(0).await;
    let webhook = world.call("POST", "/webhooks", &json!({"Url": receiver.url}).to_string()).await.expect(201);
    let path = format!("/webhooks/{}", webhook.text("/Id"));
    world.messages.send(&[(QueueMessage::event(event(&world, Topic::FileRenamed)), 0)]).await.unwrap();
    let (stop, task) = poll(&world);
    let mut topics = Vec::new();
    for _ in 0..2 {
        let told: Value = serde_json::from_slice(&next(&mut receiver).await.1).unwrap();
        topics.push((told["Topic"].as_str().unwrap().to_owned(), told["Data"]["Path"].as_str().unwrap().to_owned()));
    }
    topics.sort();
    assert_eq!(
        topics,
        [("file.created".into(), "dir/new+name.txt".into()), ("file.deleted".into(), "dir/old.txt".into())]
    );
    let rotated = world.call("POST", &format!("{path}/secret-rotations"), "").await.expect(200);
    world.call("PATCH", &path, r#"{"State":"paused"}"#).await.expect(200);
    let ping = world.call("POST", &format!("{path}/ping"), "").await.expect(202);
    let (headers, body) = next(&mut receiver).await;
    let told: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&told["Topic"], &told["Resource"]), (&json!("webhook.ping"), &json!("webhook")));
    assert!(told["Data"].get("Secret").is_none() && told["Data"]["Id"] == webhook.body["Id"]);
    let header = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!(header("webhook-id"), ping.text("/Id"));
    let timestamp = header("webhook-timestamp").parse().unwrap();
    let both = [rotated.text("/Secret"), webhook.text("/Secret")].map(|secret| {
        WebhookSecret::from_text(Zeroizing::new(secret)).standard_signature(&ping.text("/Id"), timestamp, &body)
    });
    assert_eq!(header("webhook-signature"), both.join(" "));
    drop(stop);
    timeout(Duration::from_secs(10), task).await.unwrap().unwrap();
}

#[tokio::test]
async fn production_does_not_reach_loopback_whatever_the_record_says() {
    let world = World::start().await;
    let mut receiver = receiver(0).await;
    let webhook = world.call("POST", "/webhooks", &json!({"Url": receiver.url}).to_string()).await.expect(201);
    world.call("POST", &format!("/webhooks/{}/ping", webhook.text("/Id")), "").await.expect(202);
    let strict = WebhookState::new(
        world.records.clone(),
        world.messages.clone(),
        Events::new(&world.aws),
        Mail::new(&world.aws),
        Egress::new(AddressPolicy::PublicOnly).unwrap(),
    );
    let received = world.messages.queue().receive(5, 10).await.unwrap();
    let event = json!({"Records": [{"messageId": "m1", "body": received[0].body}]});
    let answer = strict.handle(serde_json::from_value(event).unwrap()).await;
    assert_eq!(answer.batch_item_failures.len(), 0, "refused for good, not repeated");
    assert!(receiver.got.try_recv().is_err());
}
