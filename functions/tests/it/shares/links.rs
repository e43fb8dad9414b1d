//! `/portal-links`.

use super::{folder, path_of};
use crate::support::World;
use serde_json::{Value, json};

#[tokio::test]
async fn a_link_is_made_read_changed_and_deleted() {
    let world = World::start().await;
    // the example of the documentation
    let wanted = json!({
        "Path": "/shared-folder/", "Permission": "read-write", "ExpiresAt": 1_739_120_350_624_i64, "AccessLimit": 100,
        "Password": "SecureP@ss123", "Notes": "Q1 marketing materials", "Type": "share",
    });
    let made = world.call("POST", "/portal-links", &wanted.to_string()).await.expect(201);
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(&made.body[name], value, "{name}");
    }
    let all = [
        "Id",
        "Url",
        "Path",
        "Paths",
        "Permission",
        "State",
        "Type",
        "ExpiresAt",
        "AccessLimit",
        "AccessCount",
        "AllowFrom",
        "Password",
        "Notes",
        "CreatedBy",
        "OrganizationId",
        "CreatedAt",
        "UpdatedAt",
    ];
    let mut keys: Vec<&str> = made.body.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = all.to_vec();
    keys.sort_unstable();
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!((&made.body["AccessCount"], &made.body["State"]), (&json!(0), &json!("active")));
    assert_eq!(made.body["CreatedBy"]["Type"], "Admin");
    assert_eq!(made.body["OrganizationId"], world.organization.as_str());
    let id = made.text("/Id");
    let secret = path_of(&made.body).strip_prefix("/s/").unwrap().to_owned();
    assert!(secret.len() >= 22 && !secret.contains(&id), "{secret}");
    let at = format!("/portal-links/{id}");
    let read = world.call("GET", &at, "").await.expect(200);
    assert_eq!(read.body, made.body);
    assert_eq!(world.call("GET", "/portal-links", "").await.expect(200).body, json!([made.body]));

    // only what is given changes, and an object may be sent back as it was read
    let change = json!({"Permission": "read-only", "AccessLimit": 200, "Notes": null});
    let changed = world.call("PATCH", &at, &change.to_string()).await.expect(200);
    assert_eq!((&changed.body["Notes"], &changed.body["AccessLimit"]), (&Value::Null, &json!(200)));
    assert_eq!((&changed.body["Password"], &changed.body["Url"]), (&json!("SecureP@ss123"), &made.body["Url"]));
    let same = world.call("PATCH", &at, &changed.body.to_string()).await.expect(200);
    assert_eq!(same.body, changed.body);
    let stale = [("if-match", made.header("etag"))];
    assert_ne!(made.header("etag"), changed.header("etag"));
    world.call_with("PATCH", &at, "{}", &stale).await.expect(412);
    world.call_with("DELETE", &at, "", &stale).await.expect(412);
    let fresh = [("if-match", changed.header("etag"))];
    let open = world.call_with("PATCH", &at, r#"{"Password":null,"ExpiresAt":null}"#, &fresh).await.expect(200);
    assert_eq!((&open.body["Password"], &open.body["ExpiresAt"]), (&Value::Null, &Value::Null));

    let deleted = world.call("DELETE", &at, "").await.expect(200);
    assert_eq!(deleted.body, open.body);
    world.call("GET", &at, "").await.expect(404);
    world.call("DELETE", &at, "").await.expect(404);
    assert_eq!(world.call("GET", "/portal-links", "").await.expect(200).body, json!([]));
}

#[tokio::test]
async fn a_file_has_its_name_in_the_address() {
    let world = World::start().await;
    let made = world.call("POST", "/portal-links", r#"{"Path":"/a/Übersicht \"1\".pdf"}"#).await.expect(201).body;
    let address = made["Url"].as_str().unwrap();
    assert!(address.ends_with("/%C3%9Cbersicht%20%221%22.pdf"), "{address}");
    assert_eq!(made["Permission"], "read-only");
    for permission in ["read-write", "write-only", "read-write-no-delete"] {
        let body = json!({"Path": "/a/x.pdf", "Permission": permission}).to_string();
        let refused = world.call("POST", "/portal-links", &body).await.expect(400);
        assert_eq!(refused.body["error"]["details"][0]["field"], "Permission");
    }
}

#[tokio::test]
async fn everything_that_is_wrong_is_named() {
    let world = World::start().await;
    let bad = json!({
        "Path": "relative", "Permission": "full", "ExpiresAt": "soon", "AccessLimit": -1, "Password": 7, "Notes": 1,
        "Type": "portal", "State": "off", "AllowFrom": ["nowhere"], "Other": 1,
    });
    let refused = world.call("POST", "/portal-links", &bad.to_string()).await.expect(400);
    let mut fields: Vec<&str> =
        refused.body["error"]["details"].as_array().unwrap().iter().map(|one| one["field"].as_str().unwrap()).collect();
    fields.sort_unstable();
    let mut expected: Vec<&str> = bad.as_object().unwrap().keys().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(fields, expected);
    let field = |answer: crate::support::Answer| answer.expect(400).text("/error/details/0/field");
    assert_eq!(field(world.call("POST", "/portal-links", "{}").await), "Path");
    assert_eq!(field(world.call("POST", "/portal-links", r#"{"Path":"/a/../b/"}"#).await), "Path");
    // the organization's policy for passwords
    assert_eq!(field(world.call("POST", "/portal-links", r#"{"Path":"/a/","Password":"short"}"#).await), "Password");
    assert_eq!(world.call("GET", "/portal-links", "").await.expect(200).body, json!([]));
}

#[tokio::test]
async fn the_organization_may_demand_passwords_and_an_end() {
    let world = World::start().await;
    world.call("PATCH", "", r#"{"SharePolicy":{"PasswordRequired":true,"MaxDays":2}}"#).await.expect(200);
    let refused = world.call("POST", "/portal-links", r#"{"Path":"/a/"}"#).await.expect(400);
    assert_eq!(refused.text("/error/details/0/field"), "Password");
    let with_password = json!({"Path": "/a/", "Password": "a long password 1"});
    let refused = world.call("POST", "/portal-links", &with_password.to_string()).await.expect(400);
    assert_eq!(refused.text("/error/details/0/field"), "ExpiresAt");
    let tomorrow = store::clock::now().plus_millis(24 * 3600 * 1000).millis();
    let fine = json!({"Path": "/a/", "Password": "a long password 1", "ExpiresAt": tomorrow});
    world.call("POST", "/portal-links", &fine.to_string()).await.expect(201);
}

#[tokio::test]
async fn a_link_from_before_the_policy_can_be_switched_off_and_not_opened_wider() {
    let world = World::start().await;
    let (link, _) = world.link(json!({"Path": "/a/"})).await;
    world.call("PATCH", "", r#"{"SharePolicy":{"PasswordRequired":true}}"#).await.expect(200);
    let at = format!("/portal-links/{}", link["Id"].as_str().unwrap());
    world.patch_link(&link, json!({"Notes": "from before"})).await;
    let wider = world.call("PATCH", &at, r#"{"Permission":"read-write"}"#).await.expect(400);
    assert_eq!(wider.text("/error/details/0/field"), "Password");
    world.patch_link(&link, json!({"State": "inactive"})).await;
    let again = world.call("PATCH", &at, r#"{"State":"active"}"#).await.expect(400);
    assert_eq!(again.text("/error/details/0/field"), "Password");
    world.patch_link(&link, json!({"State": "active", "Password": "a long password 1"})).await;
}

#[tokio::test]
async fn what_opens_a_link_is_no_name_for_it() {
    let world = World::start().await;
    let (_, path) = world.link(folder("/a/")).await;
    let secret = path.strip_prefix("/s/").unwrap();
    for method in ["GET", "PATCH", "DELETE"] {
        world.call(method, &format!("/portal-links/{secret}"), "{}").await.expect(404);
    }
}

#[tokio::test]
async fn the_same_request_twice_makes_one_link_and_keeps_no_secret() {
    let world = World::start().await;
    let body = json!({"Path": "/a/", "Password": "a long password 1"}).to_string();
    let once = [("idempotency-key", "k1")];
    let first = world.call_with("POST", "/portal-links", &body, &once).await.expect(201);
    let again = world.call_with("POST", "/portal-links", &body, &once).await.expect(201);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(first.body["Id"], again.body["Id"]);
    assert_eq!((&again.body["Url"], &again.body["Password"]), (&Value::Null, &Value::Null));
    assert_eq!(again.header("towpath-left-out"), "Password, Url");
    assert_eq!(world.call("GET", "/portal-links", "").await.expect(200).body.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn pages_and_other_organizations() {
    let world = World::start().await;
    for at in 0..5 {
        world.link(folder(&format!("/f{at}/"))).await;
    }
    let mut found = Vec::new();
    let mut next = Some("/portal-links?Limit=2".to_owned());
    while let Some(rest) = next {
        let page = world.call("GET", &rest, "").await.expect(200);
        found.extend(page.body.as_array().unwrap().clone());
        let link = page.header("link").split(['<', '>']).nth(1).map(str::to_owned);
        next = link.map(|link| link.strip_prefix(&world.path("")).unwrap().to_owned());
    }
    assert_eq!(found.len(), 5);
    // nothing of it is there for anybody else
    let stranger = format!("/organizations/{}/portal-links/{}", world.organization, found[0]["Id"].as_str().unwrap());
    let router = world.stranger();
    crate::support::send(&router, "GET", &stranger, "", &[]).await.expect(404);
}

#[tokio::test]
async fn nobody_makes_links_without_the_right_to() {
    let world = World::start().await;
    let (link, _) = world.link(folder("/a/")).await;
    let token = world.made_admin("helper", &["view_users", "edit_users"]).await;
    let path = world.path("/portal-links");
    for (method, path) in
        [("GET", path.clone()), ("POST", path.clone()), ("DELETE", format!("{path}/{}", link["Id"].as_str().unwrap()))]
    {
        let refused = crate::rest::with(&world.router, &token, method, &path, r#"{"Path":"/b/"}"#).await.expect(403);
        assert_eq!(refused.text("/error/details/required"), "manage_system");
    }
}

/// What a secret's look-up finds in the table holds it nowhere in the clear.
#[tokio::test]
async fn the_table_holds_neither_secret_nor_password() {
    let world = World::start().await;
    let (link, path) = world.link(json!({"Path": "/a/", "Password": "a long password 1"})).await;
    let secret = path.strip_prefix("/s/").unwrap();
    let items = world.aws.dynamodb.scan().table_name("towpath").send().await.unwrap().items.unwrap();
    let text = format!("{items:?}");
    assert!(text.contains(link["Id"].as_str().unwrap()));
    assert!(!text.contains(secret) && !text.contains("a long password 1"));
}
