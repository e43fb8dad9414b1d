//! API keys: SFTPGo's dialect, owners, rotation, what was asked with them, and keys of credentials.

use crate::rest::{PASSWORD as ADMINS, at};
use crate::support::{Answer, World, send};
use serde_json::{Value, json};
use std::time::Duration;

const NONE: Value = Value::Null;
const PASSWORD: &str = "a long password 1";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti me";
const SAID: &str = "API key created. This is the only time the API key is visible, please save it.";

impl World {
    /// Shows a key.
    async fn with_key(&self, key: &str, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        send(&self.router, method, &format!("/api/v2{path}"), &body, &[("x-sftpgo-api-key", key)]).await
    }

    /// Makes a key with a token and answers its id and text.
    async fn new_key(&self, token: &str, body: &Value) -> (String, String) {
        let made = self.b(token, "POST", "/apikeys", body).await.expect(201);
        let id = made.header("x-object-id").to_owned();
        assert_eq!(made.header("location"), format!("/api/v2/apikeys/{id}"));
        assert_eq!(made.text("/message"), SAID);
        (id, made.text("/key"))
    }

    /// A credential that allows keys.
    async fn willing(&self, name: &str) {
        let full = self.first_admin().await;
        let body = json!({"username": name, "password": PASSWORD, "permissions": {"/": ["*"]}, "public_keys": [KEY],
                          "filters": {"allow_api_key_auth": true}});
        self.b(&full, "POST", "/users", &body).await.expect(201);
    }
}

#[tokio::test]
async fn keys_are_made_shown_changed_and_deleted() {
    let world = World::start().await;
    world.willing("ana").await;
    let full = world.first_admin().await;
    let body = json!({"name": "sync", "scope": 2, "user": "ana", "description": "nightly", "expires_at": 0});
    let (id, key) = world.new_key(&full, &body).await;
    let shown = world.b(&full, "GET", &format!("/apikeys/{id}"), &NONE).await.expect(200).body;
    let expected = json!({"id": id, "name": "sync", "description": "nightly", "scope": 2, "user": "ana", "admin": "",
        "kind": "user", "expires_at": 0, "last_use_at": 0, "created_at": shown["created_at"], "updated_at": shown["updated_at"]});
    assert_eq!(shown, expected);
    assert!(!shown.to_string().contains(&key));
    world.with_key(&key, "GET", "/user/profile", &NONE).await.expect(200);
    assert!(world.b(&full, "GET", &format!("/apikeys/{id}"), &NONE).await.body["last_use_at"].as_i64() > Some(0));
    // read, changed and written back
    let mut changed = world.b(&full, "GET", &format!("/apikeys/{id}"), &NONE).await.body;
    changed["description"] = json!("weekly");
    let said = world.b(&full, "PUT", &format!("/apikeys/{id}"), &changed).await.expect(200);
    assert_eq!(said.body, json!({"message": "API key updated"}));
    let shown = world.b(&full, "GET", &format!("/apikeys/{id}"), &NONE).await.body;
    assert_eq!((&shown["description"], &shown["name"]), (&json!("weekly"), &json!("sync")));
    world.with_key(&key, "GET", "/user/profile", &NONE).await.expect(200);
    for other in [json!({"user": "root-user-name"}), json!({"scope": 1}), json!({"expires_at": "soon"})] {
        world.b(&full, "PUT", &format!("/apikeys/{id}"), &other).await.expect(400);
    }
    // the other dialect has it too, and lists go by id
    assert_eq!(world.call("GET", &format!("/api-keys/{id}"), "").await.expect(200).text("/OwnerType"), "credential");
    let all = world.b(&full, "GET", "/apikeys", &NONE).await.expect(200).body;
    let ids: Vec<&str> = all.as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap()).collect();
    assert!(ids.len() == 2 && ids.is_sorted());
    let last = world.b(&full, "GET", "/apikeys?order=DESC&limit=1", &NONE).await.body;
    assert_eq!((last.as_array().unwrap().len(), &last[0]["id"]), (1, &json!(ids[1])));
    world.b(&full, "PUT", &format!("/apikeys/{id}"), &json!({"expires_at": 1_000_000_000})).await.expect(200);
    world.with_key(&key, "GET", "/user/profile", &NONE).await.expect(401);
    let said = world.b(&full, "DELETE", &format!("/apikeys/{id}"), &NONE).await.expect(200);
    assert_eq!(said.body, json!({"message": "API key deleted"}));
    world.b(&full, "GET", &format!("/apikeys/{id}"), &NONE).await.expect(404);
    for (bad, field) in [
        (json!({"scope": 1}), "name"),
        (json!({"name": "x"}), "scope"),
        (json!({"name": "x", "scope": 3}), "scope"),
        (json!({"name": "x", "scope": 1, "user": "ana"}), "user"),
        (json!({"name": "x", "scope": 2, "admin": "admin"}), "admin"),
        (json!({"name": "x", "scope": 2, "user": "nobody"}), "user"),
        (json!({"name": "x", "scope": 2, "user": "root-user-name"}), "allow"),
        (json!({"name": "x", "scope": 1, "admin": "operator"}), "admin"),
        (json!({"name": "x", "scope": 2, "expires_at": 1_000_000_000}), "expires_at"),
    ] {
        let refused = world.b(&full, "POST", "/apikeys", &bad).await.expect(400);
        assert!(refused.text("/message").contains(field), "{bad}: {}", refused.body);
    }
}

#[tokio::test]
async fn a_credential_s_key_acts_for_it_and_changes_nothing_of_its_account() {
    let world = World::start().await;
    world.willing("ana").await;
    let full = world.first_admin().await;
    let (id, key) = world.new_key(&full, &json!({"name": "k", "scope": 2, "user": "ana"})).await;
    world.with_key(&key, "GET", "/user/profile", &NONE).await.expect(200);
    let change = json!({"current_password": PASSWORD, "new_password": "another long password 2"});
    for (method, path, body) in [("PUT", "/user/changepwd", &change), ("PUT", "/user/publickeys", &json!([]))] {
        let refused = world.with_key(&key, method, path, body).await.expect(403);
        assert!(refused.text("/message").contains("signed in"), "{}", refused.body);
    }
    assert_eq!(world.with_key(&key, "GET", "/user/publickeys", &NONE).await.expect(200).body, json!([KEY]));
    world.user_token("ana", PASSWORD).await;
    // nothing of the management, and no keys
    for path in ["/users", "/apikeys", "/admins", "/connections"] {
        world.with_key(&key, "GET", path, &NONE).await.expect(403);
    }
    world.with_key(&key, "POST", "/apikeys", &json!({"name": "x", "scope": 2, "user": "ana"})).await.expect(403);
    // no other key is a credential
    let site = world.secrets.api_key.to_string();
    world.with_key(&site, "GET", "/user/profile", &NONE).await.expect(403);
    world.b(&full, "GET", "/user/profile", &NONE).await.expect(401);
    // what is asked of its owner is asked now
    let put = async |body: Value| world.own("PUT", "/api/v2/users/ana", &body.to_string()).await.expect(200);
    for (change, back) in [
        (json!({"filters": {"allow_api_key_auth": false}}), None),
        (json!({"status": 0}), Some(json!({"status": 1}))),
        (json!({"expiration_date": 1_000_000_000_000_i64}), Some(json!({"expiration_date": 0}))),
        (json!({"filters": {"denied_protocols": ["HTTP"]}}), Some(json!({"filters": {"denied_protocols": []}}))),
        (
            json!({"filters": {"denied_login_methods": ["password"]}}),
            Some(json!({"filters": {"denied_login_methods": []}})),
        ),
    ] {
        world.with_key(&key, "GET", "/user/profile", &NONE).await.expect(200);
        put(change).await;
        world.with_key(&key, "GET", "/user/profile", &NONE).await.expect(401);
        match back {
            Some(back) => drop(put(back).await),
            None => {
                let allow = json!({"filters": {"allow_api_key_auth": true}});
                world.b(&full, "PUT", "/users/ana", &allow).await.expect(200);
            }
        }
    }
    world.with_key(&key, "GET", "/user/profile", &NONE).await.expect(200);
    world.b(&full, "DELETE", "/users/ana", &NONE).await.expect(200);
    world.willing("ana").await;
    world.with_key(&key, "GET", "/user/profile", &NONE).await.expect(401);
    assert_eq!(world.b(&full, "GET", &format!("/apikeys/{id}"), &NONE).await.expect(200).text("/user"), "");
    // what has no form is told to SFTPGo's clients, what is unknown is not told from a wrong one
    world.with_key("nonsense", "GET", "/user/profile", &NONE).await.expect(400);
    let mut other = key.clone();
    other.replace_range(4..5, if other.as_bytes()[4] == b'A' { "B" } else { "A" });
    world.with_key(&other, "GET", "/user/profile", &NONE).await.expect(400);
}

#[tokio::test]
async fn a_key_that_names_nobody_acts_as_whom_its_caller_appends() {
    let world = World::start().await;
    world.willing("ana").await;
    world.willing("bob.smith").await;
    let full = world.first_admin().await;
    world.made_admin("viewer@example.com", &["view_users"]).await;
    let (_, users) = world.new_key(&full, &json!({"name": "u", "scope": 2})).await;
    let (_, admins) = world.new_key(&full, &json!({"name": "a", "scope": 1})).await;
    let shown = world.b(&full, "GET", "/apikeys", &NONE).await.body;
    assert_eq!(shown.as_array().unwrap().iter().filter(|key| key["kind"] == "dynamic").count(), 2);
    world.with_key(&users, "GET", "/user/profile", &NONE).await.expect(401);
    world.with_key(&format!("{users}.ana"), "GET", "/user/profile", &NONE).await.expect(200);
    world.with_key(&format!("{users}.bob.smith"), "GET", "/user/profile", &NONE).await.expect(200);
    for name in ["nobody", "root-user-name", "admin", "operator"] {
        world.with_key(&format!("{users}.{name}"), "GET", "/user/profile", &NONE).await.expect(401);
    }
    world.with_key(&format!("{users}.ana"), "GET", "/users", &NONE).await.expect(403);
    // an admin must allow it, and gives no more than it has
    let viewer = format!("{admins}.viewer@example.com");
    world.with_key(&viewer, "GET", "/users", &NONE).await.expect(401);
    let token = world.admin_token("viewer@example.com", ADMINS).await;
    world.b(&token, "PUT", "/admin/profile", &json!({"allow_api_key_auth": true})).await.expect(200);
    world.with_key(&viewer, "GET", "/users", &NONE).await.expect(200);
    world.with_key(&viewer, "POST", "/users", &json!({"username": "x", "permissions": {"/": ["*"]}})).await.expect(403);
    world.with_key(&viewer, "PUT", "/admin/profile", &json!({})).await.expect(403);
    let operator = world.admin_token("operator", &world.secrets.operator_password).await;
    world.b(&operator, "PUT", "/admin/profile", &json!({"allow_api_key_auth": true})).await.expect(200);
    world.with_key(&format!("{admins}.operator"), "GET", "/users", &NONE).await.expect(401);
    world.with_key(&format!("{admins}.ana"), "GET", "/user/profile", &NONE).await.expect(401);
}

#[tokio::test]
async fn nobody_makes_a_key_beyond_its_own_rights() {
    let world = World::start().await;
    world.willing("ana").await;
    let full = world.first_admin().await;
    let allow = json!({"allow_api_key_auth": true});
    world.b(&full, "PUT", "/admin/profile", &allow).await.expect(200);
    let (of_full, _) = world.new_key(&full, &json!({"name": "f", "scope": 1, "admin": "admin"})).await;
    let tries = [
        json!({"name": "k", "scope": 1}),
        json!({"name": "k", "scope": 1, "admin": "admin"}),
        json!({"name": "k", "scope": 2}),
        json!({"name": "k", "scope": 2, "user": "ana"}),
    ];
    for (name, permissions, allowed) in [
        ("viewer", &["view_users"][..], [403, 403, 403, 403]),
        ("keeper", &["manage_apikeys"][..], [403, 403, 403, 403]),
        ("both", &["manage_apikeys", "edit_users"][..], [403, 403, 201, 201]),
    ] {
        let token = world.made_admin(name, permissions).await;
        world.b(&token, "PUT", "/admin/profile", &allow).await.expect(200);
        for (body, allowed) in tries.iter().zip(allowed) {
            let answer = world.b(&token, "POST", "/apikeys", body).await;
            assert_eq!(answer.status.as_u16(), allowed, "{name}: {body}");
        }
        // its own it may: it has its own rights and no more, and none over keys
        let (own, key) = world.new_key(&token, &json!({"name": "own", "scope": 1, "admin": name})).await;
        world.with_key(&key, "POST", "/apikeys", &tries[3]).await.expect(403);
        world.with_key(&key, "DELETE", &format!("/apikeys/{own}"), &NONE).await.expect(403);
        world.b(&token, "GET", &format!("/apikeys/{own}"), &NONE).await.expect(200);
        let list = if name == "viewer" { 403 } else { 200 };
        world.b(&token, "GET", "/apikeys", &NONE).await.expect(list);
        // those of others as far as it could act in their place
        let rotations = world.path(&format!("/api-keys/{of_full}/rotations"));
        let bearer = format!("Bearer {token}");
        send(&world.router, "POST", &rotations, "", &[("authorization", &bearer)]).await.expect(403);
        for method in ["PUT", "DELETE"] {
            world.b(&token, method, &format!("/apikeys/{of_full}"), &json!({"name": "mine"})).await.expect(403);
        }
        world.b(&token, "DELETE", &format!("/apikeys/{own}"), &NONE).await.expect(200);
    }
    let operator = world.admin_token("operator", &world.secrets.operator_password).await;
    for method in ["GET", "PUT", "DELETE"] {
        world.b(&operator, method, &format!("/apikeys/{of_full}"), &json!({})).await.expect(404);
    }
    world.b(&operator, "POST", "/apikeys", &tries[3]).await.expect(400);
}

#[tokio::test]
async fn a_rotated_key_goes_on_for_as_long_as_was_asked_for() {
    let world = World::start().await;
    world.willing("ana").await;
    let full = world.first_admin().await;
    let (id, key) = world.new_key(&full, &json!({"name": "k", "scope": 2, "user": "ana"})).await;
    let rotate = async |id: &str, body: &str| world.admin("POST", &format!("/api-keys/{id}/rotations"), body).await;
    rotate(&id, r#"{"GraceSeconds": -1}"#).await.expect(400);
    rotate(&id, r#"{"GraceSeconds": 2592001}"#).await.expect(400);
    let refused = world.call("POST", &format!("/api-keys/{id}/rotations"), "").await.expect(403);
    assert_eq!(refused.body["error"]["details"]["required"], "an admin with *");
    let made = rotate(&id, r#"{"GraceSeconds": 3600}"#).await.expect(201);
    let (second, second_key) = (made.text("/Id"), made.text("/Key"));
    assert_ne!(second, id);
    assert_eq!(
        (made.text("/Name"), made.text("/OwnerType"), &made.body["ExpiresAt"]),
        ("k".into(), "credential".into(), &NONE)
    );
    for key in [&key, &second_key] {
        world.with_key(key, "GET", "/user/profile", &NONE).await.expect(200);
    }
    let old = world.call("GET", &format!("/api-keys/{id}"), "").await.expect(200);
    let left = old.body["ExpiresAt"].as_i64().unwrap() - store::clock::now().millis();
    assert!((3_500_000..=3_600_000).contains(&left), "{left}");
    // that it ends soon stands on its answers, and not on those of the other
    let answer = world.with_key(&key, "GET", "/user/profile", &NONE).await;
    let ends = domain::iso8601::seconds(domain::time::Timestamp::from_millis(old.body["ExpiresAt"].as_i64().unwrap()));
    assert_eq!(Some(answer.header("towpath-key-expires")), ends.as_deref());
    assert_eq!(world.with_key(&second_key, "GET", "/user/profile", &NONE).await.header("towpath-key-expires"), "");
    // at once, and twice at the same time: one new key
    let both = futures_util::future::join(rotate(&second, ""), rotate(&second, "")).await;
    let mut statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 404]);
    world.with_key(&second_key, "GET", "/user/profile", &NONE).await.expect(401);
    world.call("GET", &format!("/api-keys/{second}"), "").await.expect(404);
    // a key that was made for thirty days is made for thirty days
    let body = r#"{"Name":"t","Expiration":"30d"}"#;
    let limited = world.admin("POST", "/api-keys", body).await.expect(201).text("/Id");
    let again = rotate(&limited, "").await.expect(201);
    let lives = again.body["ExpiresAt"].as_i64().unwrap() - again.body["CreatedAt"].as_i64().unwrap();
    assert!((lives - 30 * 24 * 3600 * 1000).abs() < 10_000, "{lives}");
    world.admin("PATCH", &format!("/api-keys/{}", again.text("/Id")), r#"{"State":"inactive"}"#).await.expect(200);
    rotate(&again.text("/Id"), "").await.expect(409);
}

#[tokio::test]
async fn what_was_asked_with_a_key_is_listed_and_bounded() {
    let world = World::start().await;
    world.willing("ana").await;
    let full = world.first_admin().await;
    let (id, key) = world.new_key(&full, &json!({"name": "k", "scope": 2, "user": "ana"})).await;
    let from = at(&world, "203.0.113.9");
    let headers = [("x-api-key", key.as_str())];
    send(&from, "GET", "/api/v2/user/profile?secret=1", "", &headers).await.expect(200);
    send(&from, "GET", "/api/v2/users/ana", "", &headers).await.expect(403);
    let log = async || world.call("GET", &format!("/api-keys/{id}/requests"), "").await.expect(200).body;
    let mut found = log().await;
    for _ in 0..200 {
        if found.as_array().unwrap().len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        found = log().await;
    }
    let mut found: Vec<Value> = found.as_array().unwrap().clone();
    for entry in &mut found {
        let at = entry.as_object_mut().unwrap().remove("At").unwrap().as_i64().unwrap();
        assert!((store::clock::now().millis() - at).abs() < 60_000);
    }
    let entry =
        |route: &str, status: u16| json!({"Method": "GET", "Route": route, "Status": status, "IP": "203.0.113.9"});
    assert_eq!(found, [entry("/api/v2/users/{username}", 403), entry("/api/v2/user/profile", 200)]);
    // the thousand and first takes the place of the first, and what is late the place of none
    let id = domain::api_key::ApiKeyId::parse(&id).unwrap();
    let request = |millis: i64| domain::api_key::KeyRequest {
        at: store::clock::now().plus_millis(millis),
        method: "GET".into(),
        route: "/".into(),
        status: 200,
        address: "203.0.113.9".parse().unwrap(),
    };
    let later = request(1000);
    world.records.note_key_request(&id, 1001, &later).await.unwrap();
    world.records.note_key_request(&id, 1, &request(-1000)).await.unwrap();
    let all = world.records.key_requests(&id).await.unwrap();
    assert!(all.len() == 2 && all[0] == later);
    world.as_stranger("GET", &world.path(&format!("/api-keys/{id}/requests")), "").await.expect(404);
}
