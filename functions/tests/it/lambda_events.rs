//! Events as Lambda gives them, through the runtime's own deserialisers.

use crate::support::World;
use aws_lambda_events::sqs::SqsEvent;
use axum::body::to_bytes;
use domain::webhook::address::AddressPolicy;
use functions::queue::Handler as _;
use functions::webhook::{Egress, WebhookState};
use serde_json::{Value, json};
use store::events::Events;
use store::mail::Mail;
use tower::ServiceExt as _;

#[tokio::test]
async fn a_request_of_api_gateway() {
    let world = World::start().await;
    let recorded = include_str!("events/api_gateway_v2.json")
        .replace("ORGANIZATION", world.organization.as_str())
        .replace("KEY", &world.secrets.api_key);
    let request = lambda_http::request::from_str(&recorded).unwrap();
    let response = world.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 201);
    let body: Value = serde_json::from_slice(&to_bytes(response.into_body(), 100_000).await.unwrap()).unwrap();
    assert_eq!(body["Alias"], "Lambda ä");
    // the address of the request's context is what an allow list is asked with
    let made = world.admin("POST", "/api-keys", r#"{"Name":"n","AllowedIps":["203.0.113.9"]}"#).await.expect(201);
    for (address, status) in [("203.0.113.9", 201), ("203.0.113.10", 401)] {
        let recorded = include_str!("events/api_gateway_v2.json")
            .replace("ORGANIZATION", world.organization.as_str())
            .replace("KEY", &made.text("/Key"))
            .replace("203.0.113.9", address);
        let request = lambda_http::request::from_str(&recorded).unwrap();
        assert_eq!(world.router.clone().oneshot(request).await.unwrap().status(), status);
    }
}

#[tokio::test]
async fn a_batch_of_sqs_answers_what_must_be_given_again() {
    let world = World::start().await;
    world.call("POST", "/webhooks", r#"{"Url":"https://example.com/a"}"#).await.expect(201);
    world.call("POST", "/webhooks", r#"{"Url":"https://example.com/b","State":"paused"}"#).await.expect(201);
    let recorded = include_str!("events/sqs.json").replace("ORGANIZATION", world.organization.as_str());
    let batch: SqsEvent = serde_json::from_str(&recorded).unwrap();
    let egress = Egress::new(AddressPolicy::PublicOnly).unwrap();
    let (events, mail) = (Events::new(&world.aws), Mail::new(&world.aws));
    let state = WebhookState::new(world.records.clone(), world.messages.clone(), events, mail, egress);
    let answer = serde_json::to_value(state.handle(batch).await).unwrap();
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "unreadable"}]}));
    let queued = world.messages.queue().receive(5, 10).await.unwrap();
    let mut kinds: Vec<Value> = queued.iter().map(|message| serde_json::from_str(&message.body).unwrap()).collect();
    // that the webhooks were made is announced as well
    kinds.retain(|message| message["kind"] != "event");
    assert_eq!(kinds.len(), 1, "one enabled webhook, one delivery: {kinds:?}");
    assert_eq!((&kinds[0]["v"], &kinds[0]["kind"]), (&json!(1), &json!("delivery")));
}
