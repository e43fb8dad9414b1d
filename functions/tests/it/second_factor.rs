//! One-time codes and recovery codes of admins.

use crate::rest::{PASSWORD, sign_in};
use crate::support::{Answer, World};
use serde_json::{Value, json};

const NONE: Value = Value::Null;

/// The code of a secret some steps from now.
pub(crate) fn code(secret: &str, steps: u64) -> String {
    let now = u64::try_from(store::clock::now().seconds()).unwrap() + steps * 30;
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    totp_rs::Builder::new().with_secret(secret).build().unwrap().generate(now).to_string()
}

/// Sets a second factor up and answers its secret.
async fn protect(world: &World, token: &str) -> String {
    let made = world.b(token, "POST", "/admin/totp/generate", &json!({"config_name": "Default"})).await.expect(200);
    let secret = made.text("/secret");
    assert!(made.text("/url").contains(&secret) && made.text("/qr_code").starts_with("iVBORw0KGgo"));
    let try_code = |code: &str| json!({"config_name": "Default", "secret": secret, "passcode": code});
    world.b(token, "POST", "/admin/totp/validate", &try_code("000000x")).await.expect(400);
    world.b(token, "POST", "/admin/totp/validate", &try_code(&code(&secret, 0))).await.expect(200);
    let save = json!({"enabled": true, "config_name": "Default", "secret": {"status": "Plain", "payload": secret}});
    world.b(token, "POST", "/admin/totp/save", &save).await.expect(200);
    secret
}

async fn with_code(world: &World, code: &str) -> Answer {
    sign_in(&world.router, "/api/v2/token", "ana", PASSWORD, Some(code)).await
}

#[tokio::test]
async fn a_code_is_needed_and_counts_once() {
    let world = World::start().await;
    let token = world.made_admin("ana", &["view_conns"]).await;
    let configs = world.b(&token, "GET", "/admin/totp/configs", &NONE).await.expect(200).body;
    assert_eq!(configs, json!([{"name": "Default", "issuer": "Towpath", "algo": "sha1"}]));
    let secret = protect(&world, &token).await;
    // what was signed in without a code is void, and a password alone is not enough
    world.b(&token, "GET", "/connections", &NONE).await.expect(401);
    sign_in(&world.router, "/api/v2/token", "ana", PASSWORD, None).await.expect(401);
    with_code(&world, "000").await.expect(401);
    let now = code(&secret, 0);
    sign_in(&world.router, "/api/v2/token", "ana", "wrong", Some(&now)).await.expect(401);
    let token = with_code(&world, &now).await.expect(200).text("/access_token");
    world.b(&token, "GET", "/connections", &NONE).await.expect(200);
    with_code(&world, &now).await.expect(401);
    // the secret lies nowhere in the clear
    let record = world.records.admin("ana").await.unwrap().unwrap().value;
    assert!(!record.second_factor.unwrap().secret.as_text().contains(&secret));
    assert!(!world.b(&world.first_admin().await, "GET", "/admins/ana", &NONE).await.body.to_string().contains(&secret));
}

#[tokio::test]
async fn of_many_who_show_a_code_at_once_one_is_let_in() {
    let world = World::start().await;
    let secret = protect(&world, &world.made_admin("ana", &["view_conns"]).await).await;
    // the next step's code counts already, and no other test's clock can overtake it
    let next = code(&secret, 1);
    let all = futures_util::future::join_all((0..8).map(|_| with_code(&world, &next))).await;
    assert_eq!(all.iter().filter(|answer| answer.status.as_u16() == 200).count(), 1);
    // nor does an older code count after a newer one
    with_code(&world, &code(&secret, 0)).await.expect(401);
}

#[tokio::test]
async fn recovery_codes_count_once_each() {
    let world = World::start().await;
    let token = world.made_admin("ana", &["view_conns"]).await;
    world.b(&token, "POST", "/admin/2fa/recoverycodes", &NONE).await.expect(400);
    let secret = protect(&world, &token).await;
    let token = with_code(&world, &code(&secret, 0)).await.expect(200).text("/access_token");
    let codes = world.b(&token, "POST", "/admin/2fa/recoverycodes", &NONE).await.expect(200).body;
    let codes: Vec<String> = serde_json::from_value(codes).unwrap();
    assert_eq!(codes.len(), 12);
    let one = &codes[0];
    let all = futures_util::future::join_all((0..6).map(|_| with_code(&world, one))).await;
    assert_eq!(all.iter().filter(|answer| answer.status.as_u16() == 200).count(), 1, "one code, one token");
    with_code(&world, one).await.expect(401);
    with_code(&world, &codes[1].to_lowercase().replace('-', "")).await.expect(200);
    let shown = world.b(&token, "GET", "/admin/2fa/recoverycodes", &NONE).await.expect(200).body;
    let used = shown.as_array().unwrap().iter().filter(|code| code["used"] == true).count();
    assert_eq!((shown.as_array().unwrap().len(), used), (12, 2));
    assert!(!shown.to_string().contains(&codes[2]));
    // new ones take the place of the old ones
    world.b(&token, "POST", "/admin/2fa/recoverycodes", &NONE).await.expect(200);
    with_code(&world, &codes[2]).await.expect(401);
}

#[tokio::test]
async fn who_has_lost_it_is_helped_by_another_admin() {
    let world = World::start().await;
    let full = world.first_admin().await;
    protect(&world, &world.made_admin("ana", &["view_conns"]).await).await;
    sign_in(&world.router, "/api/v2/token", "ana", PASSWORD, None).await.expect(401);
    let helper = world.made_admin("helper", &["disable_mfa"]).await;
    world.b(&helper, "PUT", "/admins/ana/2fa/disable", &NONE).await.expect(403);
    world.b(&full, "PUT", "/admins/ana/2fa/disable", &NONE).await.expect(200);
    world.b(&full, "PUT", "/admins/ana/2fa/disable", &NONE).await.expect(400);
    world.admin_token("ana", PASSWORD).await;
}

#[tokio::test]
async fn who_must_have_one_may_do_nothing_without_it() {
    let world = World::start().await;
    let full = world.first_admin().await;
    world.made_admin("ana", &["view_conns"]).await;
    world.b(&full, "PUT", "/admins/ana", &json!({"filters": {"require_two_factor": true}})).await.expect(200);
    let token = world.admin_token("ana", PASSWORD).await;
    world.b(&token, "GET", "/connections", &NONE).await.expect(403);
    let secret = protect(&world, &token).await;
    let token = with_code(&world, &code(&secret, 0)).await.expect(200).text("/access_token");
    world.b(&token, "GET", "/connections", &NONE).await.expect(200);
    world.b(&token, "POST", "/admin/totp/save", &json!({"enabled": false})).await.expect(400);
}

#[tokio::test]
async fn guesses_of_codes_are_bounded_for_who_has_the_password() {
    let world = World::start().await;
    let secret = protect(&world, &world.made_admin("ana", &["view_conns"]).await).await;
    // from many addresses, so that no ban ends it
    let hour = store::clock::now().seconds() / 3600;
    for at in 0..20 {
        let router = crate::rest::at(&world, &format!("10.0.0.{at}"));
        sign_in(&router, "/api/v2/token", "ana", PASSWORD, Some("999x99")).await.expect(401);
    }
    let answer = with_code(&world, &code(&secret, 1)).await;
    if store::clock::now().seconds() / 3600 == hour {
        answer.expect(401);
    }
}
