//! All events to EventBridge: one on loopback, which does as much of it as events need.

use crate::events::{event, file, webhooks};
use crate::support::World;
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use domain::event::{Event, Topic};
use domain::queue_message::QueueMessage;
use functions::queue::Handler as _;
use functions::webhook::WebhookState;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use store::aws::{Aws, AwsSettings};
use store::clock;
use store::event_bus::EventBus;
use tokio::net::TcpListener;

/// What it does with the next requests, and what it was sent.
#[derive(Default)]
struct Bus {
    /// It fails as a whole.
    down: bool,
    /// It takes all but the events of this topic.
    refuses: Option<Topic>,
    taken: Vec<Value>,
}

type Shared = Arc<Mutex<Bus>>;

async fn bus() -> (Shared, EventBus) {
    let state = Shared::default();
    let router = Router::new().route("/", post(put_events)).with_state(state.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = AwsSettings {
        endpoint: Some(format!("http://{}", listener.local_addr().unwrap())),
        region: Some("us-east-1".into()),
        static_credentials: Some(("test".into(), "test".into())),
        ..AwsSettings::default()
    };
    tokio::spawn(async move { axum::serve(listener, router).await });
    let aws = Aws::connect(settings).await.unwrap();
    (state, EventBus::new(&aws, "a-bus"))
}

async fn put_events(State(bus): State<Shared>, headers: HeaderMap, body: String) -> (StatusCode, Json<Value>) {
    assert_eq!(headers.get("x-amz-target").unwrap(), "AWSEvents.PutEvents");
    let mut bus = bus.lock().unwrap();
    if bus.down {
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"__type": "InternalException"})));
    }
    let body: Value = serde_json::from_str(&body).unwrap();
    let entries = body.get("Entries").and_then(Value::as_array).unwrap();
    assert!(entries.len() <= 10);
    let mut answers = Vec::new();
    for entry in entries {
        let refused = bus.refuses.is_some_and(|topic| entry["DetailType"] == topic.as_str());
        if refused {
            answers.push(json!({"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}));
        } else {
            bus.taken.push(entry.clone());
            answers.push(json!({"EventId": "e"}));
        }
    }
    let failed = answers.iter().filter(|answer| answer.get("ErrorCode").is_some()).count();
    (StatusCode::OK, Json(json!({"FailedEntryCount": failed, "Entries": answers})))
}

/// Gives the function these messages; all are handled.
async fn give(state: &WebhookState, bodies: &[String]) {
    let record = |(at, body): (usize, &String)| json!({"messageId": format!("m{at}"), "body": body});
    let records: Vec<Value> = bodies.iter().enumerate().map(record).collect();
    let batch = serde_json::from_value(json!({ "Records": records })).unwrap();
    assert!(state.handle(batch).await.batch_item_failures.is_empty());
}

/// What lies in the queue, whatever its delay: it is put back without one.
async fn queued(world: &World) -> Vec<String> {
    let received = world.messages.queue().receive(0, 10).await.unwrap();
    let receipts: Vec<String> = received.iter().map(|one| one.receipt.clone()).collect();
    if !receipts.is_empty() {
        world.messages.queue().delete(&receipts).await.unwrap();
    }
    received.into_iter().map(|one| one.body).collect()
}

fn ids(bus: &Shared) -> Vec<String> {
    let bus = bus.lock().unwrap();
    let id = |entry: &Value| {
        let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
        detail.get("id").and_then(Value::as_str).unwrap().to_owned()
    };
    bus.taken.iter().map(id).collect()
}

#[tokio::test]
async fn a_bus_has_all_events_as_cloud_events() {
    let world = World::start().await;
    let (bus, client) = bus().await;
    let state = webhooks(&world).with_event_bus(Some(client));
    let now = clock::now().millis();
    let made: Vec<Event> =
        (0..10).map(|n| Event { file: file("/in/a", false), ..event(&world, Topic::FileCreated, now - n) }).collect();
    let bodies: Vec<String> =
        made.iter().map(|event| serde_json::to_string(&QueueMessage::event(event.clone())).unwrap()).collect();
    give(&state, &bodies).await;
    assert!(ids(&bus).is_empty(), "nobody has waited for it");
    let word = queued(&world).await;
    assert_eq!(word.len(), 1, "one message for all of a batch");
    give(&state, &word).await;
    assert_eq!(ids(&bus), made.iter().map(|event| event.id.clone()).collect::<Vec<_>>());
    let first = bus.lock().unwrap().taken.first().cloned().unwrap();
    assert_eq!(
        (&first["Source"], &first["DetailType"], &first["EventBusName"]),
        (&json!("towpath"), &json!("file.created"), &json!("a-bus"))
    );
    let detail: Value = serde_json::from_str(first["Detail"].as_str().unwrap()).unwrap();
    assert_eq!((&detail["type"], &detail["data"]["Type"]), (&json!("towpath.file.created"), &json!("file.created")));
    assert!(queued(&world).await.is_empty());
}

#[tokio::test]
async fn a_bus_that_fails_holds_nothing_up_and_gets_what_it_has_not_taken() {
    let world = World::start().await;
    let (bus, client) = bus().await;
    let state = webhooks(&world).with_event_bus(Some(client.clone()));
    let now = clock::now().millis();
    let (one, other) = (event(&world, Topic::Login, now), event(&world, Topic::Logout, now));
    let bodies = [&one, &other].map(|event| serde_json::to_string(&QueueMessage::event(event.clone())).unwrap());
    bus.lock().unwrap().down = true;
    give(&state, &bodies).await;
    assert_eq!(world.call("GET", "/events", "").await.expect(200).body.as_array().unwrap().len(), 2, "it is recorded");
    let word = queued(&world).await;
    give(&state, &word).await;
    assert!(queued(&world).await.is_empty(), "it waits");
    // what waits is sent when its time has come; a process that has not failed asks at once
    let QueueMessage::Stream { streamed, .. } = serde_json::from_str(&word[0]).unwrap() else { panic!() };
    bus.lock().unwrap().down = false;
    bus.lock().unwrap().refuses = Some(Topic::Logout);
    let fresh = webhooks(&world).with_event_bus(Some(client.clone()));
    give(&fresh, &word).await;
    assert_eq!(ids(&bus), std::slice::from_ref(&one.id));
    // one that has failed a moment ago does not ask
    bus.lock().unwrap().refuses = None;
    give(&fresh, &word).await;
    assert_eq!(ids(&bus).len(), 1);
    // before its time it goes back; after a day it is given up
    let later = QueueMessage::stream(domain::queue_message::Streamed {
        not_before: clock::now().plus_millis(60_000),
        ..streamed.clone()
    });
    let fresh = webhooks(&world).with_event_bus(Some(client));
    give(&fresh, &[serde_json::to_string(&later).unwrap()]).await;
    assert_eq!(ids(&bus).len(), 1);
    bus.lock().unwrap().down = true;
    let waiting = async || {
        let url = &world.aws.settings.events_queue_url;
        let told = world.aws.sqs.get_queue_attributes().queue_url(url).attribute_names("All".into()).send().await;
        let all = told.unwrap().attributes.unwrap();
        let counts = all.iter().filter(|(name, _)| name.as_str().starts_with("ApproximateNumberOfMessages"));
        counts.map(|(_, count)| count.parse::<u32>().unwrap()).sum::<u32>()
    };
    let before = waiting().await;
    assert_eq!(before, 4, "each of those that were not taken waits");
    let old = domain::queue_message::Streamed { since: streamed.since.plus_millis(-25 * 3600 * 1000), ..streamed };
    give(&fresh, &[serde_json::to_string(&QueueMessage::stream(old)).unwrap()]).await;
    assert_eq!(waiting().await, before, "given up");
}
