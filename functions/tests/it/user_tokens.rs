//! Tokens of credentials.

use crate::rest::{at, sign_in};
use crate::support::World;
use serde_json::{Value, json};

const RIGHT: &str = "a long password 1";
const NEW: &str = "another long password 2";
const TOKEN: &str = "/api/v2/user/token";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti me";

async fn partner(world: &World) -> String {
    let body = json!({"UserName": "partner-one", "Password": RIGHT, "Permission": "full", "Alias": "Partner One"});
    world.call("POST", "/users", &body.to_string()).await.expect(201).text("/Id")
}

#[tokio::test]
async fn a_credential_signs_in_sees_itself_and_changes_its_password() {
    let world = World::start().await;
    let id = partner(&world).await;
    world
        .call("POST", &format!("/users/{id}/ssh-public-keys"), &json!({"SshPublicKeyBody": KEY}).to_string())
        .await
        .expect(201);
    let token = world.user_token("partner-one", RIGHT).await;
    let profile = world.b(&token, "GET", "/user/profile", &Value::Null).await.expect(200);
    let expected =
        json!({"email": "", "description": "Partner One", "allow_api_key_auth": false, "public_keys": [KEY]});
    assert_eq!(profile.body, expected);
    assert_eq!(world.b(&token, "GET", "/user/publickeys", &Value::Null).await.expect(200).body, json!([KEY]));
    let other = KEY.replace("XFSqti me", "XFSqtj you");
    world.b(&token, "PUT", "/user/publickeys", &json!(["nonsense"])).await.expect(400);
    world.b(&token, "PUT", "/user/publickeys", &json!({"a": 1})).await.expect(400);
    for keys in [json!([other]), json!([]), json!([KEY, KEY]), json!([KEY])] {
        world.b(&token, "PUT", "/user/publickeys", &keys).await.expect(200);
        let mut expected: Vec<Value> = keys.as_array().unwrap().clone();
        expected.dedup();
        assert_eq!(world.b(&token, "GET", "/user/publickeys", &Value::Null).await.expect(200).body, json!(expected));
    }
    world.b(&token, "GET", "/version", &Value::Null).await.expect(200);
    // nothing of the management
    for path in ["/admins", "/connections", "/defender/hosts"] {
        world.b(&token, "GET", path, &Value::Null).await.expect(401);
    }
    let other = world.user_token("partner-one", RIGHT).await;
    world.b(&other, "GET", "/user/logout", &Value::Null).await.expect(200);
    world.b(&other, "GET", "/user/profile", &Value::Null).await.expect(401);
    let wrong = json!({"current_password": "no", "new_password": NEW});
    world.b(&token, "PUT", "/user/changepwd", &wrong).await.expect(400);
    world
        .b(&token, "PUT", "/user/changepwd", &json!({"current_password": RIGHT, "new_password": NEW}))
        .await
        .expect(200);
    world.b(&token, "GET", "/user/profile", &Value::Null).await.expect(401);
    sign_in(&world.router, TOKEN, "partner-one", RIGHT, None).await.expect(401);
    world.user_token("partner-one", NEW).await;
    // what the management reads back is the new one
    assert_eq!(world.call("GET", &format!("/users/{id}"), "").await.expect(200).text("/Password"), NEW);
}

#[tokio::test]
async fn what_is_asked_of_a_login_is_asked_for_a_token() {
    let world = World::start().await;
    let id = partner(&world).await;
    let path = format!("/users/{id}");
    for (change, back) in [
        (r#"{"State":"inactive"}"#, r#"{"State":"active"}"#),
        (r#"{"Expiration":1000000000}"#, r#"{"Expiration":null}"#),
        (r#"{"Permission":"none"}"#, r#"{"Permission":"full"}"#),
        (r#"{"KeyAndPassword":true}"#, r#"{"KeyAndPassword":false}"#),
    ] {
        let token = world.user_token("partner-one", RIGHT).await;
        world.call("PATCH", &path, change).await.expect(200);
        sign_in(&world.router, TOKEN, "partner-one", RIGHT, None).await.expect(401);
        world.b(&token, "GET", "/user/profile", &Value::Null).await.expect(401);
        world.call("PATCH", &path, back).await.expect(200);
        world.b(&token, "GET", "/user/profile", &Value::Null).await.expect(401);
    }
    // limits and names for people end nothing
    let token = world.user_token("partner-one", RIGHT).await;
    world.call("PATCH", &path, r#"{"Alias":"x","MaxSessions":1,"QuotaFiles":7}"#).await.expect(200);
    world.b(&token, "GET", "/user/profile", &Value::Null).await.expect(200);
    // the door of the API is HTTPS, and the organization's rules are asked at each use
    let rules = json!({"Settings": {"Network": {"InboundRules": [{"Protocol": "HTTPS", "Source": "192.0.2.0/24"}]}}});
    world.call("PATCH", "", &rules.to_string()).await.expect(200);
    sign_in(&world.router, TOKEN, "partner-one", RIGHT, None).await.expect(401);
    sign_in(&at(&world, "192.0.2.9"), TOKEN, "partner-one", RIGHT, None).await.expect(200);
    world.b(&token, "GET", "/user/profile", &Value::Null).await.expect(401);
    let rules = json!({"Settings": {"Network": {"InboundRules": [{"Protocol": "SFTP", "Source": "0.0.0.0/0"}]}}});
    world.call("PATCH", "", &rules.to_string()).await.expect(200);
    sign_in(&at(&world, "192.0.2.9"), TOKEN, "partner-one", RIGHT, None).await.expect(401);
}

#[tokio::test]
async fn a_token_ends_with_its_credential() {
    let world = World::start().await;
    let id = partner(&world).await;
    let soon = store::clock::now().plus_millis(60_000).millis();
    world.call("PATCH", &format!("/users/{id}"), &json!({"Expiration": soon}).to_string()).await.expect(200);
    let answer = sign_in(&world.router, TOKEN, "partner-one", RIGHT, None).await.expect(200);
    let end = domain::iso8601::seconds(domain::time::Timestamp::from_millis(soon));
    assert_eq!(Some(answer.text("/expires_at")), end);
    let token = answer.text("/access_token");
    world.b(&token, "GET", "/user/profile", &Value::Null).await.expect(200);
    world.call("DELETE", &format!("/users/{id}"), "").await.expect(200);
    world.b(&token, "GET", "/user/profile", &Value::Null).await.expect(401);
    world.b(&token, "GET", "/version", &Value::Null).await.expect(401);
}

#[tokio::test]
async fn guesses_of_the_current_password_with_a_token_are_bounded() {
    let world = World::start().await;
    partner(&world).await;
    let token = world.user_token("partner-one", RIGHT).await;
    let wrong = json!({"current_password": "no", "new_password": NEW});
    for _ in 0..20 {
        world.b(&token, "PUT", "/user/changepwd", &wrong).await.expect(400);
    }
    let right = json!({"current_password": RIGHT, "new_password": NEW});
    let answer = world.b(&token, "PUT", "/user/changepwd", &right).await;
    // an hour that ended in between begins at nothing
    if answer.status.as_u16() == 400 {
        assert!(answer.text("/message").contains("Too many wrong passwords"));
    }
}
