//! `/api/v2/user/shares`.

use super::{HTML, folder};
use crate::support::World;
use serde_json::{Value, json};

const PASSWORD: &str = "a long password 1";

impl World {
    /// A credential with these fields, and its token.
    async fn owner(&self, name: &str, fields: Value) -> (String, String) {
        let mut body = json!({"UserName": name, "Password": PASSWORD, "Permission": "full"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let id = self.call("POST", "/users", &body.to_string()).await.expect(201).text("/Id");
        (id, self.user_token(name, PASSWORD).await)
    }

    /// A share of a credential: what its address holds.
    async fn share(&self, token: &str, fields: Value) -> String {
        let made = self.b(token, "POST", "/user/shares", &fields).await.expect(201);
        let id = made.header("x-object-id").to_owned();
        assert_eq!(made.header("location"), format!("/api/v2/user/shares/{id}"));
        id
    }
}

#[tokio::test]
async fn a_share_in_sftpgos_words() {
    let world = World::start().await;
    let (_, token) = world.owner("partner-one", json!({})).await;
    world.file("home/partner-one/docs/a.txt", b"a").await;
    let wanted = json!({
        "name": "Docs", "description": "for you", "scope": 1, "paths": ["/docs"], "password": PASSWORD, "max_tokens": 7,
        "expires_at": 4_102_444_800_000_i64, "allow_from": ["203.0.113.0/24"],
    });
    let id = world.share(&token, wanted.clone()).await;
    let read = world.b(&token, "GET", &format!("/user/shares/{id}"), &Value::Null).await.expect(200).body;
    for (name, value) in wanted.as_object().unwrap() {
        let expected = if name == "password" { &json!("[**redacted**]") } else { value };
        assert_eq!(&read[name], expected, "{name}");
    }
    assert_eq!((&read["id"], &read["username"], &read["used_tokens"]), (&json!(id), &json!("partner-one"), &json!(0)));
    assert_eq!(world.b(&token, "GET", "/user/shares", &Value::Null).await.expect(200).body, json!([read]));

    // the other dialect shows the same link, in the organization's tree
    let there = world.call("GET", "/portal-links", "").await.expect(200).body[0].clone();
    assert_eq!((&there["Path"], &there["Notes"]), (&json!("/home/partner-one/docs"), &json!("for you")));
    assert_eq!(there["Url"], json!(format!("https://api.example.com/s/{id}")));
    assert_eq!(there["CreatedBy"]["PrincipalName"], "partner-one");
    world.patch_link(&there, json!({"Notes": "changed there"})).await;
    let read = world.b(&token, "GET", &format!("/user/shares/{id}"), &Value::Null).await.expect(200).body;
    assert_eq!(read["description"], "changed there");

    // a PUT of what was read keeps the password
    world.b(&token, "PUT", &format!("/user/shares/{id}"), &read).await.expect(200);
    world.visit("GET", &format!("/s/{id}/"), &[], b"").await.expect(401);
    let change = json!({"scope": 3, "paths": ["/docs"], "password": "", "max_tokens": 0});
    world.b(&token, "PUT", &format!("/user/shares/{id}"), &change).await.expect(200);
    let page = world.visit("GET", &format!("/s/{id}/"), &[HTML], b"").await.expect(200);
    assert!(page.text().contains("a.txt"));
    world.b(&token, "DELETE", &format!("/user/shares/{id}"), &Value::Null).await.expect(200);
    world.b(&token, "GET", &format!("/user/shares/{id}"), &Value::Null).await.expect(404);
    world.visit("GET", &format!("/s/{id}/"), &[HTML], b"").await.expect(404);
}

#[tokio::test]
async fn only_who_may_share_shares_and_only_its_own() {
    let world = World::start().await;
    let (_, reader) = world.owner("partner-one", json!({"Permission": "read-write"})).await;
    let wanted = json!({"scope": 1, "paths": ["/"], "name": "n"});
    let refused = world.b(&reader, "POST", "/user/shares", &wanted).await.expect(403);
    assert!(refused.text("/message").contains('*'), "{}", refused.body);
    let (_, token) = world.owner("partner-two", json!({})).await;
    let id = world.share(&token, wanted.clone()).await;
    let (_, other) = world.owner("partner-three", json!({})).await;
    for method in ["GET", "PUT", "DELETE"] {
        world.b(&other, method, &format!("/user/shares/{id}"), &wanted).await.expect(404);
    }
    assert_eq!(world.b(&other, "GET", "/user/shares", &Value::Null).await.expect(200).body, json!([]));
    for bad in [
        json!({"scope": 4, "paths": ["/"]}),
        json!({"scope": 1, "paths": []}),
        json!({"paths": ["/"]}),
        json!({"scope": 1}),
        json!({"scope": 2, "paths": ["/a/", "/b/"]}),
        json!({"scope": 1, "paths": ["/"], "password": "short"}),
        json!({"scope": 1, "paths": ["/"], "allow_from": ["x"]}),
    ] {
        world.b(&token, "POST", "/user/shares", &bad).await.expect(400);
    }
    // with `ChrootDirectory` there is nothing above the home to share
    let (_, mounted) = world.owner("partner-four", json!({"ChrootDirectory": "/in"})).await;
    world.b(&mounted, "POST", "/user/shares", &wanted).await.expect(400);
    world.share(&mounted, json!({"scope": 1, "paths": ["/in"]})).await;
}

#[tokio::test]
async fn a_link_does_nothing_that_its_owner_may_not_do_now() {
    let world = World::start().await;
    let (owner, token) = world.owner("partner-one", json!({})).await;
    world.file("home/partner-one/docs/a.txt", b"a").await;
    let id = world.share(&token, json!({"scope": 3, "paths": ["/docs/"]})).await;
    let page = format!("/s/{id}/");
    let at = format!("/users/{owner}");
    world.visit("GET", &page, &[HTML], b"").await.expect(200);
    for (change, back) in [
        (json!({"Permission": "read-write"}), json!({"Permission": "full"})),
        (json!({"State": "inactive"}), json!({"State": "active"})),
        (json!({"Expiration": 1_000_000_000}), json!({"Expiration": null})),
        (json!({"HomeDirectory": "/elsewhere"}), json!({"HomeDirectory": "/home/partner-one"})),
    ] {
        world.call("PATCH", &at, &change.to_string()).await.expect(200);
        world.visit("GET", &page, &[HTML], b"").await.expect(404);
        world.visit("PUT", &format!("{page}x.txt"), &[], b"x").await.expect(404);
        world.call("PATCH", &at, &back.to_string()).await.expect(200);
        world.visit("GET", &page, &[HTML], b"").await.expect(200);
    }
    world.call("DELETE", &at, "").await.expect(200);
    world.visit("GET", &page, &[HTML], b"").await.expect(404);
    assert_eq!(world.call("GET", "/portal-links", "").await.expect(200).body, json!([]), "its links go with it");
}

#[tokio::test]
async fn a_share_of_several_paths_and_of_a_file() {
    let world = World::start().await;
    let (_, token) = world.owner("partner-one", json!({})).await;
    for (path, content) in [("a/x.txt", "1"), ("b/x.txt", "2"), ("b/in/deep.txt", "3"), ("b/secret.txt", "4")] {
        world.file(&format!("home/partner-one/{path}"), content.as_bytes()).await;
    }
    let id = world.share(&token, json!({"scope": 1, "paths": ["/a/x.txt", "/b/x.txt", "/b/in"]})).await;
    let page = world.visit("GET", &format!("/s/{id}/"), &[HTML], b"").await.expect(200).text();
    for name in ["x.txt", "x (2).txt", "in"] {
        assert!(page.contains(&format!("<bdi>{name}</bdi>")), "{name}");
    }
    assert!(!page.contains("secret"));
    let second = world.visit("GET", &format!("/s/{id}/x%20%282%29.txt"), &[], b"").await.expect(302);
    assert_eq!(second.followed().await.1, b"2");
    let deep = world.visit("GET", &format!("/s/{id}/in/deep.txt"), &[], b"").await.expect(302);
    assert_eq!(deep.followed().await.1, b"3");
    for outside in ["b/secret.txt", "in/../secret.txt", "in/%2e%2e/secret.txt", "a/x.txt", "secret.txt"] {
        world.visit("GET", &format!("/s/{id}/{outside}"), &[], b"").await.expect(404);
    }
    // nobody said that this is a file
    let id = world.share(&token, json!({"scope": 1, "paths": ["/a/x.txt"]})).await;
    let page = world.visit("GET", &format!("/s/{id}"), &[HTML], b"").await.expect(200).text();
    assert!(page.contains("x.txt") && page.contains("?download=1"));
    assert_eq!(world.visit("GET", &format!("/s/{id}"), &[], b"").await.expect(302).followed().await.1, b"1");
}

#[tokio::test]
async fn the_root_credential_sees_the_links_of_the_organization() {
    let world = World::start().await;
    let (_, path) = world.link(folder("/a/")).await;
    let token = world.user_token("root-user-name", &world.secrets.password).await;
    let seen = world.b(&token, "GET", "/user/shares", &Value::Null).await.expect(200).body;
    assert_eq!((&seen[0]["paths"], &seen[0]["id"]), (&json!(["/a"]), &json!(path.strip_prefix("/s/").unwrap())));
    let at = format!("/user/shares/{}", seen[0]["id"].as_str().unwrap());
    world.b(&token, "PUT", &at, &json!({"paths": ["/b"]})).await.expect(400);
    world.b(&token, "PUT", &at, &json!({"description": "seen"})).await.expect(200);
    // what was read can be put back
    let read = world.b(&token, "GET", &at, &Value::Null).await.expect(200).body;
    world.b(&token, "PUT", &at, &read).await.expect(200);
    assert_eq!(world.b(&token, "GET", &at, &Value::Null).await.expect(200).body["paths"], read["paths"]);
    world.b(&token, "DELETE", &at, &Value::Null).await.expect(200);
}
