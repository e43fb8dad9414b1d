//! `Idempotency-Key`.

use crate::rest::with;
use crate::support::{Answer, World, send};
use serde_json::{Value, json};

const BODY: &str = r#"{"UserName":"partner-one"}"#;

impl World {
    async fn once(&self, rest: &str, body: &str, key: &str) -> Answer {
        self.call_with("POST", rest, body, &[("idempotency-key", key)]).await
    }

    async fn count(&self, rest: &str) -> usize {
        self.call("GET", rest, "").await.expect(200).body.as_array().unwrap().len()
    }
}

#[tokio::test]
async fn a_repeated_request_is_answered_again_without_what_is_shown_once() {
    let world = World::start().await;
    let first = world.once("/users", BODY, "k1").await.expect(201);
    let again = world.once("/users", BODY, "k1").await.expect(201);
    assert_eq!((again.header("idempotency-replayed"), again.header("towpath-left-out")), ("true", "Password, URI"));
    let mut expected = first.body.clone();
    for name in ["Password", "URI"] {
        assert!(expected[name].is_string());
        expected[name] = Value::Null;
    }
    assert_eq!((again.body, again.headers.get("etag")), (expected, first.headers.get("etag")));
    assert_eq!(first.header("idempotency-replayed"), "");
    assert_eq!(world.count("/users").await, 2);
    // the rest of the table does not know the password either
    let other = world.once("/users", r#"{"UserName":"partner-two"}"#, "k1").await.expect(422);
    assert_eq!(other.body["error"]["code"], "VALIDATION_FAILED");
    // another key, another route, another principal: another request
    world.once("/users", BODY, "k2").await.expect(409);
    world.once("/webhooks", r#"{"Url":"https://example.com/hook"}"#, "k1").await.expect(201);
    let token = world.first_admin().await;
    let headers = [("authorization", format!("Bearer {token}")), ("idempotency-key", "k1".to_owned())];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    send(&world.router, "POST", &world.path("/users"), BODY, &headers).await.expect(409);
    for bad in ["a b", &"x".repeat(256)] {
        world.once("/users", BODY, bad).await.expect(400);
    }
    // without one, and on what changes nothing, it is nothing
    world.call("POST", "/users", "").await.expect(201);
    world.call_with("GET", "/users", "", &[("idempotency-key", "k1")]).await.expect(200);
}

#[tokio::test]
async fn of_many_at_once_one_has_an_effect() {
    let world = World::start().await;
    let all = futures_util::future::join_all((0..6).map(|_| world.once("/users", "", "k"))).await;
    assert_eq!(world.count("/users").await, 2);
    for answer in &all {
        assert!([201, 409].contains(&answer.status.as_u16()), "{}", answer.body);
    }
    let made: Vec<&Answer> = all.iter().filter(|answer| answer.header("idempotency-replayed").is_empty()).collect();
    assert_eq!(made.iter().filter(|answer| answer.status.as_u16() == 201).count(), 1);
    world.once("/users", "", "k").await.expect(201);
    assert_eq!(world.count("/users").await, 2);
}

#[tokio::test]
async fn what_had_no_effect_can_be_sent_again() {
    let world = World::start().await;
    world.once("/users", r#"{"UserName":"short"}"#, "k").await.expect(400);
    world.once("/users", BODY, "k").await.expect(201);
    assert_eq!(world.once("/users", BODY, "k").await.expect(201).header("idempotency-replayed"), "true");
}

#[tokio::test]
async fn the_mark_lies_in_the_transaction_of_the_effect() {
    let world = World::start().await;
    let claimed = |place: &'static str| {
        let records = world.records.clone();
        async move { records.claim_request(place, "body").await.unwrap() }
    };
    let store::records::Claimed::Mine(claim) = claimed("p").await else { panic!("claimed") };
    assert!(matches!(claimed("p").await, store::records::Claimed::Not(domain::idempotency::Verdict::InProgress)));
    // an effect and then a crash: the key is not given back, so nothing can be repeated
    let made = claim.during(world.call("POST", "/users", BODY)).await.expect(201);
    world.records.give_back(&claim).await.unwrap();
    assert!(matches!(claimed("p").await, store::records::Claimed::Not(_)));
    // without an effect it is free again, and a request that comes late with a lost claim changes nothing
    let store::records::Claimed::Mine(lost) = claimed("q").await else { panic!("claimed") };
    world.records.give_back(&lost).await.unwrap();
    let store::records::Claimed::Mine(_) = claimed("q").await else { panic!("claimed") };
    lost.during(world.call("POST", "/users", r#"{"UserName":"partner-two"}"#)).await.expect(409);
    assert_eq!(world.count("/users").await, 2);
    drop(made);
}

#[tokio::test]
async fn secrets_of_every_kind_are_left_out() {
    let world = World::start().await;
    let token = world.first_admin().await;
    let post = async |path: &str, body: &Value| {
        let headers = [("authorization", format!("Bearer {token}")), ("idempotency-key", "k".to_owned())];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        send(&world.router, "POST", path, &body.to_string(), &headers).await.expect(201)
    };
    for (path, body, secret) in [
        (world.path("/api-keys"), json!({"Name": "k"}), "Key"),
        (
            world.path("/webhooks"),
            json!({"Url": "https://example.com/hook", "AuthorizationHeader": "Bearer x"}),
            "Secret",
        ),
        ("/api/v2/apikeys".to_owned(), json!({"name": "k", "scope": 1}), "key"),
    ] {
        let first = post(&path, &body).await;
        let again = post(&path, &body).await;
        assert!(first.body[secret].is_string() && again.body[secret].is_null(), "{}", again.body);
        assert!(again.header("towpath-left-out").contains(secret) && !again.body.to_string().contains("Bearer x"));
        assert_eq!(first.header("x-object-id"), again.header("x-object-id"));
    }
    let user = json!({"username": "ana", "permissions": {"/": ["*"]}});
    let (first, again) = (post("/api/v2/users", &user).await, post("/api/v2/users", &user).await);
    assert_eq!((&first.body, first.header("location")), (&again.body, again.header("location")));
    assert_eq!(again.header("towpath-left-out"), "");
    // a second factor's secret is kept nowhere: such a route knows no keys
    let made = json!({"config_name": "Default"}).to_string();
    let headers = [("authorization", format!("Bearer {token}")), ("idempotency-key", "k".to_owned())];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let one = send(&world.router, "POST", "/api/v2/admin/totp/generate", &made, &headers).await.expect(200);
    let two = send(&world.router, "POST", "/api/v2/admin/totp/generate", &made, &headers).await.expect(200);
    assert_ne!(one.text("/secret"), two.text("/secret"));
    with(&world.router, &token, "GET", "/api/v2/users/ana", "").await.expect(200);
}
