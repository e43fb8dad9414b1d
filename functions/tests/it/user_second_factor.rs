//! Second factors and profiles of credentials.

use crate::rest::{at, sign_in};
use crate::second_factor::code;
use crate::support::{Answer, World};
use app::accounts::{Attempt, Proof};
use domain::event::{Origin, Protocol};
use serde_json::{Value, json};
use zeroize::Zeroizing;

const NONE: Value = Value::Null;
const PASSWORD: &str = "a long password 1";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti me";

async fn ana(world: &World, more: Value) {
    let mut body = json!({"username": "ana", "password": PASSWORD, "permissions": {"/": ["*"]}});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.own("POST", "/api/v2/users", &body.to_string()).await.expect(201);
}

async fn with_code(world: &World, code: Option<&str>) -> Answer {
    sign_in(&world.router, "/api/v2/user/token", "ana", PASSWORD, code).await
}

fn save(secret: &str) -> Value {
    json!({"enabled": true, "config_name": "Default", "protocols": ["HTTP"], "secret": {"status": "Plain", "payload": secret}})
}

async fn protect(world: &World) -> String {
    let token = world.user_token("ana", PASSWORD).await;
    let made = world.b(&token, "POST", "/user/totp/generate", &json!({"config_name": "Default"})).await.expect(200);
    let secret = made.text("/secret");
    assert!(made.text("/url").contains("ana") && made.text("/qr_code").starts_with("iVBORw0KGgo"));
    let shown = json!({"secret": secret, "passcode": code(&secret, 0)});
    world.b(&token, "POST", "/user/totp/validate", &shown).await.expect(200);
    world.b(&token, "POST", "/user/totp/validate", &json!({"secret": secret, "passcode": "00000x"})).await.expect(400);
    world.b(&token, "POST", "/user/totp/save", &save(&secret)).await.expect(200);
    world.b(&token, "GET", "/user/profile", &NONE).await.expect(401);
    secret
}

#[tokio::test]
async fn a_token_takes_a_code_once_and_sftp_none() {
    let world = World::start().await;
    ana(&world, json!({})).await;
    let secret = protect(&world).await;
    with_code(&world, None).await.expect(401);
    with_code(&world, Some("000")).await.expect(401);
    let now = code(&secret, 0);
    let all = futures_util::future::join_all((0..6).map(|_| with_code(&world, Some(&now)))).await;
    assert_eq!(all.iter().filter(|answer| answer.status.as_u16() == 200).count(), 1);
    let token = all.iter().find(|answer| answer.status.as_u16() == 200).unwrap().text("/access_token");
    world.b(&token, "GET", "/user/profile", &NONE).await.expect(200);
    with_code(&world, Some(&now)).await.expect(401);
    // an admin sees that there is one and nothing of it
    let shown = world.own("GET", "/api/v2/users/ana", "").await.expect(200);
    let config = json!({"enabled": true, "config_name": "Default", "protocols": ["HTTP"]});
    assert_eq!(shown.body["filters"]["totp_config"], config);
    assert!(!shown.body.to_string().contains(&secret));
    // and keeps it when it writes the user back, or anything else
    world.own("PUT", "/api/v2/users/ana", &shown.body.to_string()).await.expect(200);
    with_code(&world, None).await.expect(401);
    let proof = Proof::Password(Zeroizing::new(PASSWORD.to_owned()));
    let origin = Origin { protocol: Protocol::Sftp, client_ip: "192.0.2.1".parse().unwrap(), session_id: "s".into() };
    assert!(world.accounts().log_in(Attempt { user: "ana".into(), proof, origin }).await.is_ok());
    let id = world.call("GET", "/users", "").await.body;
    let id = id.as_array().unwrap().iter().find(|one| one["UserName"] == "ana").unwrap()["Id"].clone();
    let id = domain::id::CredentialId::parse(id.as_str().unwrap()).unwrap();
    let record = world.records.credential(&world.organization, &id).await.unwrap().unwrap().value;
    assert!(!record.second_factor.unwrap().secret.as_text().contains(&secret), "sealed");
}

#[tokio::test]
async fn recovery_codes_and_help_from_an_admin() {
    let world = World::start().await;
    ana(&world, json!({})).await;
    let secret = protect(&world).await;
    let token = with_code(&world, Some(&code(&secret, 0))).await.expect(200).text("/access_token");
    let codes = world.b(&token, "POST", "/user/2fa/recoverycodes", &NONE).await.expect(200).body;
    let codes: Vec<String> = serde_json::from_value(codes).unwrap();
    let all = futures_util::future::join_all((0..4).map(|_| with_code(&world, Some(&codes[0])))).await;
    assert_eq!(all.iter().filter(|answer| answer.status.as_u16() == 200).count(), 1, "one code, one token");
    with_code(&world, Some(&codes[0])).await.expect(401);
    // a code that was used ends no token
    let shown = world.b(&token, "GET", "/user/2fa/recoverycodes", &NONE).await.expect(200).body;
    assert_eq!(shown.as_array().unwrap().iter().filter(|code| code["used"] == true).count(), 1);
    assert!(codes.iter().all(|code| !shown.to_string().contains(code)));

    let helper = world.made_admin("helper", &["disable_mfa"]).await;
    let editor = world.made_admin("editor", &["edit_users"]).await;
    let operator = world.admin_token("operator", &world.secrets.operator_password).await;
    world.b(&editor, "PUT", "/users/ana/2fa/disable", &NONE).await.expect(403);
    world.b(&operator, "PUT", "/users/ana/2fa/disable", &NONE).await.expect(404);
    world.b(&helper, "PUT", "/users/ana/2fa/disable", &NONE).await.expect(200);
    world.b(&token, "GET", "/user/profile", &NONE).await.expect(401);
    world.b(&helper, "PUT", "/users/ana/2fa/disable", &NONE).await.expect(400);
    let token = with_code(&world, None).await.expect(200).text("/access_token");
    for bad in
        [json!({"enabled": true}), json!({"enabled": true, "protocols": ["SSH"], "secret": save(&secret)["secret"]})]
    {
        world.b(&token, "POST", "/user/totp/save", &bad).await.expect(400);
    }
    world.b(&token, "POST", "/user/totp/save", &save(&secret)).await.expect(200);
    let token = with_code(&world, Some(&code(&secret, 1))).await.expect(200).text("/access_token");
    world.b(&token, "POST", "/user/totp/save", &json!({"enabled": false})).await.expect(200);
    with_code(&world, None).await.expect(200);
}

#[tokio::test]
async fn wrong_codes_are_bounded() {
    let world = World::start().await;
    ana(&world, json!({})).await;
    let secret = protect(&world).await;
    let hour = store::clock::now().seconds() / 3600;
    for n in 0..20 {
        let router = at(&world, &format!("10.0.0.{n}"));
        sign_in(&router, "/api/v2/user/token", "ana", PASSWORD, Some("999x99")).await.expect(401);
    }
    let answer = with_code(&world, Some(&code(&secret, 1))).await;
    if store::clock::now().seconds() / 3600 == hour {
        answer.expect(401);
    }
}

#[tokio::test]
async fn a_profile_is_the_holder_s_as_far_as_it_may() {
    let world = World::start().await;
    ana(&world, json!({"public_keys": [KEY]})).await;
    let token = world.user_token("ana", PASSWORD).await;
    let change =
        json!({"email": "ana@example.com", "description": "Ana", "allow_api_key_auth": true, "public_keys": []});
    world.b(&token, "PUT", "/user/profile", &change).await.expect(200);
    assert_eq!(world.b(&token, "GET", "/user/profile", &NONE).await.expect(200).body, change);
    let shown = world.own("GET", "/api/v2/users/ana", "").await.body;
    assert_eq!((&shown["email"], &shown["description"]), (&json!("ana@example.com"), &json!("Ana")));
    world.b(&token, "PUT", "/user/profile", &json!({"username": "x"})).await.expect(400);
    // a key of its own sees it and changes nothing
    let full = world.first_admin().await;
    let made = world.b(&full, "POST", "/apikeys", &json!({"name": "k", "scope": 2, "user": "ana"})).await.expect(201);
    let key = made.text("/key");
    let by_key = async |method: &str, path: &str, body: &Value| {
        let headers = [("x-sftpgo-api-key", key.as_str())];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        crate::support::send(&world.router, method, &format!("/api/v2{path}"), &body, &headers).await
    };
    by_key("GET", "/user/profile", &NONE).await.expect(200);
    for (method, path) in [
        ("PUT", "/user/profile"),
        ("GET", "/user/totp/configs"),
        ("POST", "/user/totp/generate"),
        ("POST", "/user/totp/validate"),
        ("POST", "/user/totp/save"),
        ("GET", "/user/2fa/recoverycodes"),
        ("POST", "/user/2fa/recoverycodes"),
    ] {
        by_key(method, path, &json!({})).await.expect(403);
    }
    // what is kept from it
    let options = ["info-change-disabled", "api-key-auth-change-disabled", "publickey-change-disabled", "mfa-disabled"];
    world.own("PUT", "/api/v2/users/ana", &json!({"filters": {"web_client": options}}).to_string()).await.expect(200);
    let token = world.user_token("ana", PASSWORD).await;
    for change in [json!({"email": "x@example.com"}), json!({"description": ""}), json!({"public_keys": [KEY]})] {
        world.b(&token, "PUT", "/user/profile", &change).await.expect(403);
    }
    // the same again is no change, and to withdraw is always possible
    world
        .b(&token, "PUT", "/user/profile", &json!({"email": "ana@example.com", "allow_api_key_auth": false}))
        .await
        .expect(200);
    world.b(&token, "PUT", "/user/profile", &json!({"allow_api_key_auth": true})).await.expect(403);
    by_key("GET", "/user/profile", &NONE).await.expect(401);
    let secret = world.b(&token, "POST", "/user/totp/generate", &json!({})).await.expect(200).text("/secret");
    world.b(&token, "POST", "/user/totp/save", &save(&secret)).await.expect(403);
}

#[tokio::test]
async fn refused_sign_ins_are_told_to_the_organization() {
    let world = World::start().await;
    ana(&world, json!({})).await;
    let events = async || {
        let mut found = Vec::new();
        for _ in 0..10 {
            for message in world.messages.queue().receive(0, 10).await.unwrap() {
                let value: Value = serde_json::from_str(&message.body).unwrap();
                found.push(value);
                world.messages.queue().delete(std::slice::from_ref(&message.receipt)).await.unwrap();
            }
        }
        found.retain(|message| message.to_string().contains("user.login-failed"));
        found
    };
    events().await;
    sign_in(&at(&world, "203.0.113.9"), "/api/v2/user/token", "ana", "wrong", None).await.expect(401);
    sign_in(&at(&world, "203.0.113.9"), "/api/v2/user/token", "nobody", "wrong", None).await.expect(401);
    sign_in(&at(&world, "203.0.113.9"), "/api/v2/token", "admin", "wrong", None).await.expect(401);
    let told = events().await;
    assert_eq!(told.len(), 1, "{told:?}");
    let text = told[0].to_string();
    assert!(
        text.contains("ana")
            && text.contains("203.0.113.9")
            && text.contains("\"API\"")
            && text.contains("wrong password")
    );
}
