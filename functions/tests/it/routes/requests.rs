//! What holds for every route: keys, bodies, limits, unknown things.

use crate::support::{World, send};
use domain::api_key::KeyText;
use serde_json::json;

#[tokio::test]
async fn every_bad_key_is_the_same_401() {
    let world = World::start().await;
    let path = world.path("/users");
    let good = world.secrets.api_key.to_string();
    let unknown = KeyText::generate(&[5; 192]).reveal().to_owned();
    let mut answers = Vec::new();
    for headers in [
        vec![],
        vec![("authorization", "Bearer x".to_owned())],
        vec![("authorization", format!("Basic {good}"))],
        vec![("authorization", good.clone())],
        vec![("x-api-key", String::new())],
        vec![("x-api-key", unknown)],
        vec![("x-api-key", good[..good.len() - 1].to_owned())],
    ] {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = send(&world.router, "GET", &path, "", &headers).await.expect(401);
        assert!(answer.headers.contains_key("x-request-id") && answer.headers.contains_key("x-ratelimit-limit"));
        answers.push(answer.body);
    }
    answers.dedup();
    let body =
        json!({"success": false, "error": {"code": "UNAUTHORIZED", "message": "A valid token or API key is needed"}});
    assert_eq!(answers, [body]);
    for name in ["x-api-key", "x-sftpgo-api-key"] {
        send(&world.router, "GET", &path, "", &[(name, &good)]).await.expect(200);
    }
    let bearer = format!("Bearer {good}");
    send(&world.router, "GET", &path, "", &[("authorization", &bearer), ("x-api-key", &good)]).await.expect(200);
    send(&world.router, "GET", &path, "", &[("authorization", &bearer), ("x-api-key", "tow_x")]).await.expect(400);
}

#[tokio::test]
async fn bodies_that_cannot_be_used() {
    let world = World::start().await;
    for body in ["{", "[]", "null", "\"x\"", "{\"Alias\":}", "\u{0}"] {
        let answer = world.call("POST", "/users", body).await.expect(400);
        assert_eq!(answer.body["error"]["code"], "VALIDATION_FAILED");
    }
    let answer = world
        .call("POST", "/users", r#"{"Alias":1,"UserName":"a b","Password":[],"HomeDirectory":"/a\u0000","Permission":"x","State":true,"Nope":1,"Id":"1","Expiration":"x"}"#)
        .await
        .expect(400);
    let mut fields: Vec<&str> =
        answer.body["error"]["details"].as_array().unwrap().iter().map(|bad| bad["field"].as_str().unwrap()).collect();
    fields.sort_unstable();
    let all = ["Alias", "Expiration", "HomeDirectory", "Id", "Nope", "Password", "Permission", "State", "UserName"];
    assert_eq!(fields, all);
    let custom = world.call("POST", "/users", r#"{"Permission":"custom"}"#).await.expect(400);
    assert_eq!(custom.body["error"]["details"][0]["field"], "Permission");
    world.call("POST", "/users", r#"{"UserName":"too-short"}"#).await.expect(400);
    let huge = format!(r#"{{"Alias":"{}"}}"#, "x".repeat(300_000));
    let answer = world.call("POST", "/users", &huge).await.expect(413);
    assert_eq!(answer.body["error"]["code"], "PAYLOAD_TOO_LARGE");
}

#[tokio::test]
async fn what_does_not_exist_and_what_is_somebody_elses_look_the_same() {
    let world = World::start().await;
    let key = world.secrets.api_key.to_string();
    let headers = [("x-api-key", key.as_str())];
    for path in ["/", "/nope", "/organizations", &world.path("/nope")] {
        assert_eq!(send(&world.router, "GET", path, "", &headers).await.expect(404).body["error"]["code"], "NOT_FOUND");
    }
    let users = send(&world.router, "PUT", &world.path("/users"), "", &headers).await.expect(405);
    assert_eq!(users.body["success"], false);
    let operator = world.records.bootstrap_record().await.unwrap().unwrap().operator;
    let other = "00000000-0000-4000-8000-000000000000";
    for organization in [operator.as_str(), other, "x", "%ff", ".."] {
        for rest in ["", "/users", "/webhooks", "/api-keys", "/users/4ddb2ea265b8eaf7685b4e125a1292"] {
            let path = format!("/organizations/{organization}{rest}");
            send(&world.router, "GET", &path, "", &headers).await.expect(404);
        }
    }
    for id in ["4ddb2ea265b8eaf7685b4e125a1292", "x", "..", "%2e%2e", "%ff", "%00", "CRED%23"] {
        for rest in ["/users/", "/webhooks/", "/api-keys/"] {
            world.call("GET", &format!("{rest}{id}"), "").await.expect(404);
        }
    }
}

#[tokio::test]
async fn the_limit_is_counted_for_each_key_and_a_wrong_secret_costs_its_owner_nothing() {
    let world = World::start().await;
    world.call("PATCH", "", r#"{"RateLimit":{"DefaultRequests":5}}"#).await.expect(200);
    let key = KeyText::parse(&world.secrets.api_key).unwrap();
    let hash = KeyText::generate(&[6; 192]).hash();
    let shown =
        domain::api_key::Presented { hash: &hash, address: "192.0.2.1".parse().unwrap(), now: store::clock::now() };
    for _ in 0..10 {
        let verdict = world.records.check_api_key(key.id(), &shown).await.unwrap();
        assert_eq!(verdict.map(|_| ()), Err(domain::api_key::Denied::Unknown));
    }
    let first = world.call("GET", "", "").await.expect(200);
    assert!(first.header("x-ratelimit-remaining").parse::<u32>().unwrap() >= 3);
    // a test that runs across the end of a minute sees a fresh window once; within two rounds the limit must show
    for _ in 0..2 {
        for _ in 0..6 {
            let answer = world.call("GET", "", "").await;
            if answer.status.as_u16() == 429 {
                assert_eq!(answer.body["error"]["code"], "RATE_LIMIT_EXCEEDED");
                assert_eq!(answer.header("x-ratelimit-remaining"), "0");
                assert_eq!(answer.header("x-ratelimit-limit"), "5");
                assert_eq!(answer.body["error"]["retryAfter"].to_string(), answer.header("retry-after"));
                return;
            }
            assert_eq!(answer.header("x-ratelimit-limit"), "5");
        }
    }
    panic!("never limited");
}
