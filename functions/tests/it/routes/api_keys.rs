use crate::support::{World, send};
use serde_json::json;

#[tokio::test]
async fn an_admin_makes_keys_and_a_key_cannot() {
    let world = World::start().await;
    let refused = world.call("POST", "/api-keys", r#"{"Name":"ci"}"#).await.expect(403);
    assert_eq!(refused.body["error"]["details"]["required"], "an admin with *");
    let made = world
        .admin(
            "POST",
            "/api-keys",
            r#"{"Name":"ci","Permissions":["read:admin"],"Expiration":"30d","AllowedIps":["0.0.0.0/0"]}"#,
        )
        .await
        .expect(201);
    let key = made.text("/Key");
    assert!(key.starts_with(&made.text("/Prefix")));
    let (id, users) = (format!("/api-keys/{}", made.text("/Id")), world.path("/users"));
    let headers = [("x-api-key", key.as_str())];
    send(&world.router, "GET", &users, "", &headers).await.expect(200);
    let refused = send(&world.router, "POST", &users, "", &headers).await.expect(403);
    assert_eq!(refused.body["error"]["details"], json!({"required": "write:admin", "granted": "read:admin"}));
    let shown = world.call("GET", &id, "").await.expect(200);
    assert!(shown.body.get("Key").is_none() && shown.body["LastUsedAt"].is_i64(), "{}", shown.body);
    assert_eq!(world.call("GET", "/api-keys", "").await.expect(200).body.as_array().unwrap().len(), 2);
    // rights, state and expiry count from the next request on
    world.admin("PATCH", &id, r#"{"Permissions":null}"#).await.expect(200);
    send(&world.router, "POST", &users, "", &headers).await.expect(201);
    for change in [
        r#"{"State":"inactive"}"#,
        r#"{"State":"active","ExpiresAt":1000000000}"#,
        r#"{"ExpiresAt":null,"AllowedIps":["192.0.2.7"]}"#,
    ] {
        world.admin("PATCH", &id, change).await.expect(200);
        send(&world.router, "GET", &users, "", &headers).await.expect(401);
    }
    world.admin("PATCH", &id, r#"{"AllowedIps":[]}"#).await.expect(200);
    send(&world.router, "GET", &users, "", &headers).await.expect(200);
    world.admin("DELETE", &id, "").await.expect(200);
    send(&world.router, "GET", &users, "", &headers).await.expect(401);
    world.admin("GET", &id, "").await.expect(404);
}

#[tokio::test]
async fn what_a_key_must_have() {
    let world = World::start().await;
    for bad in [
        "{}",
        r#"{"Name":"x","Permissions":["everything"]}"#,
        r#"{"Name":"x","Expiration":"2d"}"#,
        r#"{"Name":"x","Expiration":1000000000}"#,
        r#"{"Name":"x","OwnerType":"admin"}"#,
        r#"{"Name":"x","OwnerType":"admin","OwnerId":"operator"}"#,
        r#"{"Name":"x","AllowedIps":["x"]}"#,
    ] {
        world.admin("POST", "/api-keys", bad).await.expect(400);
    }
    let user = world.admin("POST", "/users", "").await.expect(201).text("/Id");
    let owned = json!({"Name": "x", "OwnerType": "credential", "OwnerId": user}).to_string();
    world.admin("POST", "/api-keys", &owned).await.expect(400);
    world.call("PATCH", &format!("/users/{user}"), r#"{"AllowApiKeyAuth":true}"#).await.expect(403);
    world.admin("PATCH", &format!("/users/{user}"), r#"{"AllowApiKeyAuth":true}"#).await.expect(200);
    let made = world.admin("POST", "/api-keys", &owned).await.expect(201);
    assert_eq!((made.text("/Kind"), made.body["Scope"].clone()), ("user".into(), json!(2)));
    let key = made.text("/Key");
    send(&world.router, "GET", &world.path("/users"), "", &[("x-api-key", &key)]).await.expect(403);
}
