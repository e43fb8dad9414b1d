//! Tokens of admins and credentials: made, used, refused, ended.

use crate::rest::{PASSWORD, at, basic, sign_in, with};
use crate::support::{SIGNING, World, send, signing};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::time::Timestamp;
use domain::token::{AccountId, Audience, Claims};
use serde_json::{Value, json};
use store::records::NotOpened;

/// What a token says, read without a look at its signature.
fn claims(token: &str) -> Claims {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn an_admin_signs_in_works_and_logs_out() {
    let world = World::start().await;
    let answer =
        sign_in(&world.router, "/api/v2/token", "admin", &world.secrets.admin_password, None).await.expect(200);
    assert_eq!(answer.body.as_object().unwrap().len(), 2);
    let expires_at = answer.text("/expires_at");
    assert!(expires_at.len() == 20 && expires_at.ends_with('Z'), "{expires_at}");
    assert_eq!(answer.header("x-ratelimit-limit"), "1000");
    let token = answer.text("/access_token");
    let said = claims(&token);
    assert_eq!(said.aud, "https://api.example.com#admin");
    assert_eq!(said.exp - said.iat, 20 * 60);
    let text = domain::iso8601::seconds(Timestamp::from_millis(said.exp * 1000));
    assert_eq!(text.as_deref(), Some(expires_at.as_str()));
    // both dialects
    let users = with(&world.router, &token, "GET", &world.path("/users"), "").await.expect(200);
    assert_eq!(users.body.as_array().unwrap().len(), 1);
    assert_eq!(users.header("x-ratelimit-limit"), "1000");
    let made =
        with(&world.router, &token, "POST", &world.path("/api-keys"), r#"{"Name":"k","Expiration":"30d"}"#).await;
    assert!(made.expect(201).text("/Key").starts_with("tow_"));
    world.b(&token, "GET", "/connections", &Value::Null).await.expect(200);
    world.b(&token, "GET", "/defender/hosts", &Value::Null).await.expect(200);
    assert!(world.b(&token, "GET", "/version", &Value::Null).await.expect(200).text("/version").contains('.'));
    // a token is a bearer's and no key; beside another key it is one of two
    for name in ["x-api-key", "x-sftpgo-api-key"] {
        send(&world.router, "GET", "/api/v2/version", "", &[(name, &token)]).await.expect(400);
        send(&world.router, "GET", &world.path(""), "", &[(name, &token)]).await.expect(401);
    }
    let bearer = format!("Bearer {token}");
    let both = [("authorization", bearer.as_str()), ("x-api-key", world.secrets.api_key.as_str())];
    send(&world.router, "GET", "/api/v2/version", "", &both).await.expect(400);

    let other = world.first_admin().await;
    let out = world.b(&token, "GET", "/logout", &Value::Null).await.expect(200);
    assert_eq!(out.body, json!({"message": "Your token has been invalidated"}));
    let refused = world.b(&token, "GET", "/connections", &Value::Null).await.expect(401);
    assert_eq!(refused.body, json!({"error": "Unauthorized", "message": "A valid token or API key is needed"}));
    world.b(&token, "GET", "/logout", &Value::Null).await.expect(401);
    with(&world.router, &token, "GET", &world.path("/users"), "").await.expect(401);
    world.b(&other, "GET", "/connections", &Value::Null).await.expect(200);
    // a key has no token to log out
    send(&world.router, "GET", "/api/v2/logout", "", &[("x-api-key", &world.secrets.api_key)]).await.expect(403);
}

#[tokio::test]
async fn every_refused_sign_in_is_the_same_401() {
    let world = World::start().await;
    let (admin, user) = (world.secrets.admin_password.to_string(), world.secrets.password.to_string());
    let mut answers = Vec::new();
    for (path, name, password) in [
        ("/api/v2/token", "admin", "wrong"),
        ("/api/v2/token", "nobody", "wrong"),
        ("/api/v2/token", "admin", ""),
        ("/api/v2/token", "", ""),
        ("/api/v2/token", "a b#c", "x"),
        // one of the others
        ("/api/v2/token", world.secrets.user.as_str(), user.as_str()),
        ("/api/v2/user/token", "admin", admin.as_str()),
        ("/api/v2/user/token", world.secrets.user.as_str(), "wrong"),
        ("/api/v2/user/token", "nobody-at-all", "wrong"),
        // a key is no password for a token
        ("/api/v2/user/token", "@api-first key", world.secrets.api_key.as_str()),
    ] {
        let answer = sign_in(&world.router, path, name, password, None).await.expect(401);
        assert!(answer.header("www-authenticate").starts_with("Basic realm="));
        answers.push(answer.body);
    }
    for headers in [vec![], vec![("authorization", "Basic !")], vec![("authorization", "Bearer x")]] {
        answers.push(send(&world.router, "GET", "/api/v2/token", "", &headers).await.expect(401).body);
    }
    answers.dedup();
    let message = "The name, the password or the one-time code is wrong";
    assert_eq!(answers, [json!({"error": "Unauthorized", "message": message})]);
}

#[tokio::test]
async fn what_we_did_not_sign_for_this_is_refused() {
    let world = World::start().await;
    let token = world.first_admin().await;
    let good = claims(&token);
    let keys = signing(SIGNING);
    let refused = async |token: &str| {
        world.b(token, "GET", "/connections", &Value::Null).await.expect(401);
        with(&world.router, token, "GET", &world.path("/users"), "").await.expect(401);
    };
    let signed = |claims: &Claims| keys.sign(claims).unwrap().to_string();
    // the control: what we sign again counts
    world.b(&signed(&good), "GET", "/connections", &Value::Null).await.expect(200);
    // over
    let now = store::clock::now().seconds();
    refused(&signed(&Claims { exp: now - 1, ..good.clone() })).await;
    // for another API, or for credentials
    refused(&signed(&Claims { aud: "https://api.example.org#admin".into(), ..good.clone() })).await;
    refused(&signed(&Claims { aud: keys.audience(Audience::User), ..good.clone() })).await;
    let user = world.user_token(&world.secrets.user, &world.secrets.password).await;
    refused(&user).await;
    refused(&signed(&Claims { aud: keys.audience(Audience::Admin), ..claims(&user) })).await;
    // of an account that does not exist
    let nobody = AccountId::Admin("00000000-0000-4000-8000-000000000000".into());
    refused(&signed(&Claims { sub: nobody, ..good.clone() })).await;
    // signed with another passphrase, without a signature, with an HMAC of the public key
    refused(&signing("another passphrase, of 32 characters and more").sign(&good).unwrap()).await;
    let payload = token.split('.').nth(1).unwrap();
    let kid = keys.public()["keys"][0]["kid"].clone();
    for (algorithm, signature) in [("none", ""), ("None", ""), ("HS256", "c2lnbmF0dXJl"), ("EdDSA", "")] {
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": algorithm, "typ": "JWT", "kid": kid}).to_string());
        refused(&format!("{header}.{payload}.{signature}")).await;
    }
    // changed after it was signed
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts[1] = URL_SAFE_NO_PAD.encode(serde_json::to_string(&Claims { rev: 99, ..good }).unwrap());
    refused(&parts.join(".")).await;
    // the other way round, too
    for path in ["/user/profile", "/user/logout"] {
        world.b(&token, "GET", path, &Value::Null).await.expect(401);
    }
    world.b(&user, "GET", "/logout", &Value::Null).await.expect(401);
}

#[tokio::test]
async fn another_organization_does_not_exist_for_an_admin() {
    let world = World::start().await;
    let operator = world.admin_token("operator", &world.secrets.operator_password).await;
    with(&world.router, &operator, "GET", &world.path("/users"), "").await.expect(404);
    world.b(&operator, "GET", "/admins/admin", &Value::Null).await.expect(404);
    world.b(&operator, "DELETE", "/admins/admin", &Value::Null).await.expect(404);
    let put = json!({"permissions": ["view_users"]});
    world.b(&operator, "PUT", "/admins/admin", &put).await.expect(404);
    let listed = world.b(&operator, "GET", "/admins", &Value::Null).await.expect(200);
    assert_eq!((listed.body.as_array().unwrap().len(), listed.text("/0/username")), (1, "operator".to_owned()));
    // the claim is not what decides whose records are seen: a forged one is not ours, an own one names the own organization
    let said = claims(&operator);
    assert_ne!(said.org, world.organization);
}

#[tokio::test]
async fn a_change_of_an_admin_ends_its_tokens() {
    let world = World::start().await;
    let full = world.first_admin().await;
    for (change, password) in [
        (json!({"password": "another long password 2"}), "another long password 2"),
        (json!({"permissions": ["view_users", "view_conns"]}), PASSWORD),
        (json!({"status": 0}), PASSWORD),
        (json!({"filters": {"allow_list": ["0.0.0.0/8"]}}), PASSWORD),
    ] {
        let token = world.made_admin("ana", &["view_users"]).await;
        world.b(&token, "GET", "/version", &Value::Null).await.expect(200);
        world.b(&full, "PUT", "/admins/ana", &change).await.expect(200);
        world.b(&token, "GET", "/version", &Value::Null).await.expect(401);
        let again = sign_in(&world.router, "/api/v2/token", "ana", password, None).await;
        assert_eq!(again.status.as_u16(), if change.get("status").is_some() { 401 } else { 200 }, "{change}");
        world.b(&full, "DELETE", "/admins/ana", &Value::Null).await.expect(200);
    }
    // words about it do not
    let token = world.made_admin("ana", &["view_users"]).await;
    world.b(&full, "PUT", "/admins/ana", &json!({"description": "Ana", "email": "a@example.com"})).await.expect(200);
    world.b(&token, "GET", "/version", &Value::Null).await.expect(200);
    // a later admin of the same name is somebody else
    world.b(&full, "DELETE", "/admins/ana", &Value::Null).await.expect(200);
    world.b(&token, "GET", "/version", &Value::Null).await.expect(401);
    let new = world.made_admin("ana", &["*"]).await;
    world.b(&token, "GET", "/version", &Value::Null).await.expect(401);
    world.b(&new, "GET", "/version", &Value::Null).await.expect(200);
    // its own change of the password ends all of its tokens
    let wrong = json!({"current_password": "x", "new_password": "a new long password 3"});
    let answer = world.b(&new, "PUT", "/admin/changepwd", &wrong).await.expect(400);
    assert!(answer.text("/message").contains("current_password"));
    let same = json!({"current_password": PASSWORD, "new_password": PASSWORD});
    world.b(&new, "PUT", "/admin/changepwd", &same).await.expect(400);
    let short = json!({"current_password": PASSWORD, "new_password": "short"});
    world.b(&new, "PUT", "/admin/changepwd", &short).await.expect(400);
    let right = json!({"current_password": PASSWORD, "new_password": "a new long password 3"});
    world.b(&new, "PUT", "/changepwd/admin", &right).await.expect(200);
    world.b(&new, "GET", "/version", &Value::Null).await.expect(401);
    world.admin_token("ana", "a new long password 3").await;
}

#[tokio::test]
async fn a_login_that_a_change_has_overtaken_does_not_count() {
    let world = World::start().await;
    let full = world.first_admin().await;
    world.made_admin("ana", &["view_users"]).await;
    // the password was checked on this revision …
    let read = world.records.admin("ana").await.unwrap().unwrap();
    // … and then the admin was switched off
    world.b(&full, "PUT", "/admins/ana", &json!({"status": 0})).await.expect(200);
    let now = store::clock::now();
    let opened = world.records.open_account(&read.value.account(), read.rev, 100, None, now).await.unwrap();
    assert_eq!(opened.err(), Some(NotOpened::Changed));
    world.b(&full, "DELETE", "/admins/ana", &Value::Null).await.expect(200);
    let opened = world.records.open_account(&read.value.account(), read.rev, 100, None, now).await.unwrap();
    assert_eq!(opened.err(), Some(NotOpened::Missing));
    assert!(world.records.make_admin_account(&read, 100).await.is_err());
}

#[tokio::test]
async fn an_admin_may_what_its_permissions_say() {
    let world = World::start().await;
    let token = world.made_admin("ana", &["view_users", "view_defender"]).await;
    let a =
        async |method: &str, rest: &str, body: &str| with(&world.router, &token, method, &world.path(rest), body).await;
    a("GET", "/users", "").await.expect(200);
    let refused = a("POST", "/users", "{}").await.expect(403);
    let details = json!({"required": "add_users", "granted": "view_defender view_users"});
    assert_eq!(refused.body["error"]["details"], details);
    let id = a("GET", "/users", "").await.text("/0/Id");
    for (method, rest, required) in [
        ("PATCH", format!("/users/{id}"), "edit_users"),
        ("DELETE", format!("/users/{id}"), "del_users"),
        ("POST", format!("/users/{id}/credential-rotations"), "edit_users"),
        ("GET", "/webhooks".to_owned(), "manage_system"),
        ("GET", "/api-keys".to_owned(), "manage_apikeys"),
        ("GET", String::new(), "view_status"),
        ("PATCH", String::new(), "manage_system"),
    ] {
        assert_eq!(a(method, &rest, "{}").await.expect(403).text("/error/details/required"), required, "{rest}");
    }
    a("POST", "/api-keys", r#"{"Name":"k"}"#).await.expect(403);
    world.b(&token, "GET", "/defender/hosts", &Value::Null).await.expect(200);
    for (method, path, required) in [
        ("GET", "/connections", "view_conns"),
        ("DELETE", "/connections/SFTP_x", "close_conns"),
        ("DELETE", "/defender/hosts/192.0.2.1", "manage_defender"),
        ("GET", "/admins", "manage_admins"),
        ("PUT", "/admins/admin/2fa/disable", "disable_mfa"),
    ] {
        let refused = world.b(&token, method, path, &Value::Null).await.expect(403);
        assert!(refused.text("/message").contains(&format!(r#""required":"{required}""#)), "{}", refused.body);
        assert!(refused.text("/message").contains("view_defender view_users"));
    }
}

#[tokio::test]
async fn a_list_of_addresses_is_asked_at_the_sign_in_and_at_each_use() {
    let world = World::start().await;
    let full = world.first_admin().await;
    world.made_admin("ana", &["view_users"]).await;
    let list = json!({"filters": {"allow_list": ["192.0.2.0/24", "2001:db8::/32"]}});
    world.b(&full, "PUT", "/admins/ana", &list).await.expect(200);
    let (inside, outside) = (at(&world, "192.0.2.7"), at(&world, "198.51.100.7"));
    sign_in(&outside, "/api/v2/token", "ana", PASSWORD, None).await.expect(401);
    let token = sign_in(&inside, "/api/v2/token", "ana", PASSWORD, None).await.expect(200).text("/access_token");
    with(&inside, &token, "GET", "/api/v2/version", "").await.expect(200);
    with(&at(&world, "2001:db8::1"), &token, "GET", "/api/v2/version", "").await.expect(200);
    with(&outside, &token, "GET", "/api/v2/version", "").await.expect(401);
    // the address of the request, and of nobody who says so
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str()), ("x-forwarded-for", "192.0.2.7")];
    send(&outside, "GET", "/api/v2/version", "", &headers).await.expect(401);
}

#[tokio::test]
async fn wrong_passwords_of_admins_lead_to_a_ban() {
    let world = World::start().await;
    let (there, elsewhere) = (at(&world, "203.0.113.7"), at(&world, "203.0.113.8"));
    let right = world.secrets.admin_password.to_string();
    for _ in 0..10 {
        sign_in(&there, "/api/v2/token", "admin", "wrong", None).await.expect(401);
    }
    sign_in(&there, "/api/v2/token", "admin", &right, None).await.expect(401);
    let token = sign_in(&elsewhere, "/api/v2/token", "admin", &right, None).await.expect(200).text("/access_token");
    // other doors are told apart by account: a credential at that address still signs in
    let (user, password) = (world.secrets.user.clone(), world.secrets.password.to_string());
    sign_in(&there, "/api/v2/user/token", &user, &password, None).await.expect(200);
    let listed = with(&elsewhere, &token, "GET", "/api/v2/defender/hosts", "").await.expect(200);
    assert_eq!(listed.text("/0/ip"), "203.0.113.7");
    assert!(listed.body[0].get("ban_time").is_some(), "{}", listed.body);
    with(&elsewhere, &token, "DELETE", "/api/v2/defender/hosts/203.0.113.7", "").await.expect(200);
    // many names are guesses as well
    let another = at(&world, "203.0.113.9");
    for at in 0..10 {
        sign_in(&another, "/api/v2/token", &format!("guess-{at}"), "wrong", None).await.expect(401);
    }
    sign_in(&another, "/api/v2/user/token", &user, &password, None).await.expect(401);
}

#[tokio::test]
async fn requests_are_counted_for_each_account_and_wrong_passwords_cost_its_owner_nothing() {
    let world = World::start().await;
    world.call("PATCH", "", r#"{"RateLimit":{"DefaultRequests":5}}"#).await.expect(200);
    let there = at(&world, "10.0.0.1");
    for _ in 0..8 {
        sign_in(&there, "/api/v2/token", "admin", "wrong", None).await.expect(401);
    }
    // across the end of a minute the window is fresh once; within two rounds the limit must show
    for _ in 0..2 {
        let answer = sign_in(&there, "/api/v2/token", "admin", &world.secrets.admin_password, None).await;
        if answer.status.as_u16() != 200 {
            continue;
        }
        assert_eq!((answer.header("x-ratelimit-limit"), answer.header("x-ratelimit-remaining")), ("5", "4"));
        let token = answer.text("/access_token");
        for _ in 0..6 {
            let answer = with(&there, &token, "GET", "/api/v2/version", "").await;
            if answer.status.as_u16() == 429 {
                assert_eq!(answer.header("x-ratelimit-remaining"), "0");
                assert!(answer.headers.contains_key("retry-after"));
                let again = sign_in(&there, "/api/v2/token", "admin", &world.secrets.admin_password, None).await;
                if again.status.as_u16() == 429 {
                    return;
                }
            }
        }
    }
    panic!("never limited");
}

#[tokio::test]
async fn the_public_keys_are_public_and_no_route_else_is_open() {
    let world = World::start().await;
    let keys = send(&world.router, "GET", "/.well-known/jwks.json", "", &[]).await.expect(200).body;
    let key = keys["keys"][0].as_object().unwrap();
    let names: Vec<&str> = key.keys().map(String::as_str).collect();
    assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x"]);
    let header = world.first_admin().await.split('.').next().unwrap().to_owned();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    assert_eq!((&header["alg"], &header["kid"]), (&json!("EdDSA"), &key["kid"]));
    for (methods, path) in [
        ("GET", "/version"),
        ("GET", "/logout"),
        ("GET", "/user/logout"),
        ("GET POST", "/admins"),
        ("GET PUT DELETE", "/admins/admin"),
        ("PUT", "/admins/admin/2fa/disable"),
        ("PUT", "/admin/changepwd"),
        ("PUT", "/changepwd/admin"),
        ("GET PUT", "/admin/profile"),
        ("GET", "/admin/totp/configs"),
        ("POST", "/admin/totp/generate"),
        ("POST", "/admin/totp/validate"),
        ("POST", "/admin/totp/save"),
        ("GET POST", "/admin/2fa/recoverycodes"),
        ("GET", "/user/profile"),
        ("GET", "/user/publickeys"),
        ("PUT", "/user/changepwd"),
        ("GET", "/connections"),
        ("DELETE", "/connections/x"),
        ("GET", "/defender/hosts"),
        ("GET DELETE", "/defender/hosts/192.0.2.1"),
    ] {
        for method in methods.split(' ') {
            send(&world.router, method, &format!("/api/v2{path}"), "{}", &[]).await.expect(401);
            let name = basic("admin", &world.secrets.admin_password);
            let headers = [("authorization", name.as_str())];
            send(&world.router, method, &format!("/api/v2{path}"), "{}", &headers).await.expect(401);
        }
    }
}
