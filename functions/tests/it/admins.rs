//! Admins of an organization.

use crate::rest::{PASSWORD, sign_in};
use crate::support::{World, send};
use serde_json::{Value, json};

const NONE: Value = Value::Null;

#[tokio::test]
async fn admins_are_made_read_changed_and_deleted_without_a_loss() {
    let world = World::start().await;
    let full = world.first_admin().await;
    let ana = json!({
        "username": "ana@example.com", "password": PASSWORD, "status": 1, "email": "ana@example.com",
        "description": "Ana", "additional_info": "x", "permissions": ["view_users", "add_users", "add_users"],
        "filters": {"allow_list": ["192.0.2.0/24"], "preferences": {"default_users_expiration": 30}, "new_one": [1, 2.5]},
        "groups": [{"name": "g", "options": {"add_to_users_as": 1}}], "something": "kept", "role": "",
    });
    let made = world.b(&full, "POST", "/admins", &ana).await.expect(201);
    assert_eq!(made.header("location"), "/api/v2/admins/ana@example.com");
    assert!(made.body.get("password").is_none());
    let read = world.b(&full, "GET", "/admins/ana@example.com", &NONE).await.expect(200);
    assert_eq!(read.body, made.body);
    assert_eq!(read.body["permissions"], json!(["add_users", "view_users"]));
    for (pointer, value) in [
        ("/filters/preferences", json!({"default_users_expiration": 30})),
        ("/filters/new_one", json!([1, 2.5])),
        ("/filters/allow_list", json!(["192.0.2.0/24"])),
        ("/filters/totp_config/enabled", json!(false)),
        ("/groups", json!([{"name": "g", "options": {"add_to_users_as": 1}}])),
        ("/something", json!("kept")),
        ("/status", json!(1)),
    ] {
        assert_eq!(read.body.pointer(pointer), Some(&value), "{pointer}");
    }
    // read, changed, sent back
    let mut back = read.body.clone();
    back["description"] = json!("Ana B.");
    let updated = world.b(&full, "PUT", "/admins/ana@example.com", &back).await.expect(200);
    assert_eq!(updated.body, json!({"message": "Admin updated"}));
    let again = world.b(&full, "GET", "/admins/ana@example.com", &NONE).await.expect(200).body;
    back["updated_at"] = again["updated_at"].clone();
    assert_eq!(again, back);
    assert!(world.records.admin("ana@example.com").await.unwrap().is_some());
    world.b(&full, "POST", "/admins", &ana).await.expect(409);
    // names are unique in the deployment
    let taken = json!({"username": "operator", "password": PASSWORD, "permissions": ["view_users"]});
    world.b(&full, "POST", "/admins", &taken).await.expect(409);
    let deleted = world.b(&full, "DELETE", "/admins/ana@example.com", &NONE).await.expect(200);
    assert_eq!(deleted.body, json!({"message": "Admin deleted"}));
    for method in ["GET", "DELETE", "PUT"] {
        world.b(&full, method, "/admins/ana@example.com", &json!({})).await.expect(404);
    }
}

#[tokio::test]
async fn everything_that_is_wrong_is_named() {
    let world = World::start().await;
    let full = world.first_admin().await;
    let bad = json!({
        "username": "a b", "password": 1, "status": 2, "email": 7, "permissions": ["fly"], "role": "support",
        "filters": {"allow_list": ["x"], "allow_api_key_auth": 1},
    });
    let answer = world.b(&full, "POST", "/admins", &bad).await.expect(400);
    assert_eq!(answer.text("/error"), "Bad Request");
    let message = answer.text("/message");
    for name in [
        "username",
        "password",
        "status",
        "email",
        "permissions",
        "role",
        "filters.allow_list",
        "filters.allow_api_key_auth",
    ] {
        assert!(message.contains(name), "{name}: {message}");
    }
    for missing in [
        json!({"username": "ana", "permissions": ["*"]}),
        json!({"username": "ana", "password": PASSWORD}),
        json!({"username": "ana", "password": PASSWORD, "permissions": []}),
        json!({"username": "ana", "password": "short", "permissions": ["*"]}),
        json!({"password": PASSWORD, "permissions": ["*"]}),
        json!({"username": "ana", "password": PASSWORD, "permissions": ["*"], "x": "y".repeat(17 * 1024)}),
    ] {
        world.b(&full, "POST", "/admins", &missing).await.expect(400);
    }
    for query in ["limit=0", "limit=501", "limit=x", "offset=-1", "order=UP"] {
        world.b(&full, "GET", &format!("/admins?{query}"), &NONE).await.expect(400);
    }
}

#[tokio::test]
async fn the_list_has_an_order_and_pages() {
    let world = World::start().await;
    let full = world.first_admin().await;
    for name in ["carl", "berta", "dora"] {
        world.made_admin(name, &["view_users"]).await;
    }
    let names = async |query: &str| -> Vec<String> {
        let answer = world.b(&full, "GET", &format!("/admins{query}"), &NONE).await.expect(200);
        let all = answer.body.as_array().unwrap().clone();
        all.iter().map(|admin| admin["username"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("").await, ["admin", "berta", "carl", "dora"]);
    assert_eq!(names("?order=DESC&limit=2").await, ["dora", "carl"]);
    assert_eq!(names("?offset=1&limit=2&order=ASC").await, ["berta", "carl"]);
    assert_eq!(names("?offset=9").await, Vec::<String>::new());
}

#[tokio::test]
async fn nobody_gives_what_it_does_not_have() {
    let world = World::start().await;
    let full = world.first_admin().await;
    let manager = world.made_admin("manager", &["manage_admins", "view_users"]).await;
    let make =
        |name: &str, permissions: &[&str]| json!({"username": name, "password": PASSWORD, "permissions": permissions});
    world.b(&manager, "POST", "/admins", &make("less", &["view_users"])).await.expect(201);
    for permissions in [&["*"][..], &["view_users", "add_users"]] {
        world.b(&manager, "POST", "/admins", &make("more", permissions)).await.expect(403);
        let put = json!({"permissions": permissions});
        world.b(&manager, "PUT", "/admins/less", &put).await.expect(403);
        world.b(&manager, "PUT", "/admins/manager", &put).await.expect(403);
    }
    // nor takes over who has more
    for change in [json!({"password": "a password of mine 1"}), json!({"status": 0}), json!({"description": "x"})] {
        world.b(&manager, "PUT", "/admins/admin", &change).await.expect(403);
    }
    world.b(&manager, "DELETE", "/admins/admin", &NONE).await.expect(403);
    world.b(&manager, "DELETE", "/admins/less", &NONE).await.expect(200);
    // a site-wide key manages admins, but makes nobody who could make keys
    let key = world.secrets.api_key.to_string();
    let by_key = async |method: &str, path: &str, body: &Value| {
        send(&world.router, method, &format!("/api/v2{path}"), &body.to_string(), &[("x-sftpgo-api-key", &key)]).await
    };
    by_key("POST", "/admins", &make("robot", &["view_users", "add_users"])).await.expect(201);
    by_key("POST", "/admins", &make("master", &["*"])).await.expect(403);
    by_key("POST", "/admins", &make("keys", &["manage_apikeys"])).await.expect(403);
    by_key("PUT", "/admins/admin", &json!({"password": "a password of mine 1"})).await.expect(403);
    by_key("PUT", "/admins/robot", &json!({"filters": {"allow_api_key_auth": true}})).await.expect(403);
    by_key("PUT", "/admin/changepwd", &json!({"current_password": "a", "new_password": "b"})).await.expect(403);
    by_key("POST", "/admin/totp/generate", &json!({})).await.expect(403);
    world.b(&full, "PUT", "/admins/robot", &json!({"filters": {"allow_api_key_auth": true}})).await.expect(200);
}

#[tokio::test]
async fn somebody_with_every_permission_always_stays() {
    let world = World::start().await;
    let full = world.first_admin().await;
    let manager = world.made_admin("manager", &["*"]).await;
    // neither itself …
    let own = world.b(&full, "DELETE", "/admins/admin", &NONE).await.expect(400);
    assert!(own.text("/message").contains("cannot delete itself"), "{}", own.body);
    world.b(&full, "PUT", "/admins/admin", &json!({"status": 0})).await.expect(400);
    world.b(&full, "PUT", "/admins/admin", &json!({"permissions": ["view_users"]})).await.expect(400);
    // … nor the last one
    world.b(&manager, "PUT", "/admins/admin", &json!({"permissions": ["manage_admins"]})).await.expect(200);
    let last =
        world.b(&manager, "PUT", "/admins/manager", &json!({"permissions": ["manage_admins"]})).await.expect(409);
    assert!(last.text("/message").contains("last admin"), "{}", last.body);
    world.b(&manager, "GET", "/admins", &NONE).await.expect(200);
    world.b(&manager, "PUT", "/admins/admin", &json!({"permissions": ["*"]})).await.expect(200);
    // of two who take it from each other at the same time, one stays
    for _ in 0..4 {
        let (one, two) = (world.first_admin().await, world.admin_token("manager", PASSWORD).await);
        let less = json!({"permissions": ["manage_admins"]});
        let (a, b) = futures_util::future::join(
            world.b(&one, "PUT", "/admins/manager", &less),
            world.b(&two, "PUT", "/admins/admin", &less),
        )
        .await;
        let mut left = Vec::new();
        for name in ["admin", "manager"] {
            if world.records.admin(name).await.unwrap().unwrap().value.is_full() {
                left.push(name);
            }
        }
        assert!(!left.is_empty(), "{} {}", a.body, b.body);
        if left.len() == 1 {
            let password =
                if left[0] == "admin" { world.secrets.admin_password.to_string() } else { PASSWORD.to_owned() };
            let token = world.admin_token(left[0], &password).await;
            for name in ["admin", "manager"] {
                world.b(&token, "PUT", &format!("/admins/{name}"), &json!({"permissions": ["*"]})).await.expect(200);
            }
        }
    }
}

#[tokio::test]
async fn an_admin_sees_and_changes_its_own_profile() {
    let world = World::start().await;
    let token = world.made_admin("ana", &["view_conns"]).await;
    world
        .b(&token, "PUT", "/admin/profile", &json!({"email": "ana@example.com", "description": "Ana"}))
        .await
        .expect(200);
    let profile = world.b(&token, "GET", "/admin/profile", &NONE).await.expect(200);
    assert_eq!(profile.body, json!({"email": "ana@example.com", "description": "Ana", "allow_api_key_auth": false}));
    world.b(&token, "PUT", "/admin/profile", &json!({"permissions": ["*"]})).await.expect(400);
    world.b(&token, "PUT", "/admin/profile", &json!({"allow_api_key_auth": true})).await.expect(200);
    assert_eq!(world.b(&token, "GET", "/admin/profile", &NONE).await.body["allow_api_key_auth"], true);
}

#[tokio::test]
async fn who_must_change_its_password_may_do_nothing_else() {
    let world = World::start().await;
    let full = world.first_admin().await;
    world.made_admin("ana", &["view_conns"]).await;
    let first = json!({"filters": {"require_password_change": true}});
    world.b(&full, "PUT", "/admins/ana", &first).await.expect(200);
    let token = world.admin_token("ana", PASSWORD).await;
    world.b(&token, "GET", "/connections", &NONE).await.expect(403);
    let change = json!({"current_password": PASSWORD, "new_password": "my very own password 1"});
    world.b(&token, "PUT", "/admin/changepwd", &change).await.expect(200);
    let token = world.admin_token("ana", "my very own password 1").await;
    world.b(&token, "GET", "/connections", &NONE).await.expect(200);
}

#[tokio::test]
async fn an_admins_key_may_what_the_admin_may_now() {
    let world = World::start().await;
    let full = world.first_admin().await;
    world.made_admin("ana", &["view_conns", "view_users"]).await;
    let new = json!({"Name": "k", "Expiration": "30d", "OwnerType": "admin", "OwnerId": "ana"}).to_string();
    world.admin("POST", "/api-keys", &new).await.expect(400);
    let allow = |allow: bool| json!({"filters": {"allow_api_key_auth": allow}});
    world.b(&full, "PUT", "/admins/ana", &allow(true)).await.expect(200);
    let key = world.admin("POST", "/api-keys", &new).await.expect(201).text("/Key");
    let call =
        async |path: &str| send(&world.router, "GET", path, "", &[("x-sftpgo-api-key", &key)]).await.status.as_u16();
    assert_eq!((call("/api/v2/connections").await, call("/api/v2/defender/hosts").await), (200, 403));
    assert_eq!(call(&world.path("/users")).await, 200);
    world.b(&full, "PUT", "/admins/ana", &json!({"permissions": ["view_defender"]})).await.expect(200);
    assert_eq!((call("/api/v2/connections").await, call("/api/v2/defender/hosts").await), (403, 200));
    for (change, back) in [
        (json!({"status": 0}), json!({"status": 1})),
        (allow(false), allow(true)),
        (json!({"filters": {"allow_list": ["192.0.2.1"]}}), json!({"filters": {"allow_list": []}})),
    ] {
        world.b(&full, "PUT", "/admins/ana", &change).await.expect(200);
        assert_eq!(call("/api/v2/defender/hosts").await, 401, "{change}");
        world.b(&full, "PUT", "/admins/ana", &back).await.expect(200);
        assert_eq!(call("/api/v2/defender/hosts").await, 200, "{back}");
    }
    // it does not edit the admin that it acts as, nor outlive it, nor act as a later one of that name
    world.b(&full, "PUT", "/admins/ana", &json!({"permissions": ["*"]})).await.expect(200);
    let own = json!({"description": "x"}).to_string();
    send(&world.router, "PUT", "/api/v2/admins/ana", &own, &[("x-sftpgo-api-key", &key)]).await.expect(403);
    world.b(&full, "DELETE", "/admins/ana", &NONE).await.expect(200);
    assert_eq!(call("/api/v2/connections").await, 401);
    world.made_admin("ana", &["*"]).await;
    world.b(&full, "PUT", "/admins/ana", &allow(true)).await.expect(200);
    assert_eq!(call("/api/v2/connections").await, 401);
    sign_in(&world.router, "/api/v2/token", "ana", PASSWORD, None).await.expect(200);
}
