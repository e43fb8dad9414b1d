//! Rate limits by route and by address.

use crate::rest::at;
use crate::support::{World, send};
use domain::rate::Minute;
use serde_json::{Value, json};

/// Until the next minute is far enough away for what follows.
async fn within_a_minute() {
    let left = || {
        let now = store::clock::now();
        Minute::of(now).end_seconds() - now.seconds()
    };
    while left() < 8 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

fn rules(rules: Value) -> String {
    json!({"RateLimit": {"Rules": rules}}).to_string()
}

#[tokio::test]
async fn a_route_has_a_limit_of_its_own_for_each_caller() {
    let world = World::start().await;
    let token = world.first_admin().await;
    let rule = json!({"Id": "r1", "Method": "GET", "Route": "/api/v2/users/{username}", "Requests": 2});
    let set = world.call("PATCH", "", &rules(json!([rule]))).await.expect(200);
    let expected = json!({"DefaultRequests": 1000, "Rules": [{"Id": "r1", "Method": "GET",
        "Route": "/api/v2/users/{username}", "Source": null, "Per": "Caller", "Requests": 2}]});
    assert_eq!(set.body["RateLimit"], expected);
    // as it was read
    world.call("PATCH", "", &set.body.to_string()).await.expect(200);
    within_a_minute().await;
    let one = "/api/v2/users/root-user-name";
    for name in ["root-user-name", "nobody"] {
        let status = world.own("GET", &format!("/api/v2/users/{name}"), "").await.status.as_u16();
        assert!([200, 404].contains(&status));
    }
    let refused = world.own("GET", one, "").await.expect(429);
    assert_eq!(refused.header("x-ratelimit-limit"), "2");
    let key = world.secrets.api_key.to_string();
    let head = send(&world.router, "HEAD", one, "", &[("x-api-key", &key)]).await;
    assert_eq!(head.status.as_u16(), 429);
    assert_eq!(refused.header("x-retry-in"), format!("{}s", refused.header("retry-after")));
    // other routes, methods and callers go on, and are counted as ever
    assert_eq!(world.own("GET", "/api/v2/users", "").await.expect(200).header("x-ratelimit-limit"), "1000");
    world.own("PUT", one, "{}").await.expect(200);
    world.b(&token, "GET", "/users/root-user-name", &Value::Null).await.expect(200);
    world.call("PATCH", "", &rules(json!([]))).await.expect(200);
    world.own("GET", one, "").await.expect(200);
}

#[tokio::test]
async fn addresses_have_limits_whoever_asks() {
    let world = World::start().await;
    let token = world.first_admin().await;
    let rule = json!({"Source": "203.0.113.0/24", "Per": "Address", "Requests": 2});
    world.call("PATCH", "", &rules(json!([rule]))).await.expect(200);
    within_a_minute().await;
    let key = world.secrets.api_key.to_string();
    let bearer = format!("Bearer {token}");
    let ask = async |ip: &str, header: (&str, &str)| {
        send(&at(&world, ip), "POST", &world.path("/users"), "", &[header]).await.status.as_u16()
    };
    let (by_key, by_token) = (("x-api-key", key.as_str()), ("authorization", bearer.as_str()));
    assert_eq!(ask("203.0.113.1", by_key).await, 201);
    assert_eq!(ask("203.0.113.1", by_token).await, 201);
    assert_eq!(ask("203.0.113.1", by_key).await, 429);
    assert_eq!(ask("203.0.113.1", by_token).await, 429);
    assert_eq!((ask("203.0.113.2", by_key).await, ask("198.51.100.1", by_key).await), (201, 201));
    // what was refused has had no effect
    let users = world.call("GET", "/users", "").await.expect(200);
    assert_eq!(users.body.as_array().unwrap().len(), 5);
    // another organization's requests are its own
    let operator = world.admin_token("operator", &world.secrets.operator_password).await;
    let bearer = format!("Bearer {operator}");
    let headers = [("authorization", bearer.as_str())];
    send(&at(&world, "203.0.113.1"), "GET", "/api/v2/users", "", &headers).await.expect(200);
}

#[tokio::test]
async fn what_is_no_rule() {
    let world = World::start().await;
    for (bad, field) in [
        (json!([{}]), "Requests"),
        (json!([{"Requests": 0}]), "Requests"),
        (json!([{"Requests": 1, "Route": "users"}]), "Route"),
        (json!([{"Requests": 1, "Route": "/a/*/b"}]), "Route"),
        (json!([{"Requests": 1, "Method": "LIST"}]), "Method"),
        (json!([{"Requests": 1, "Source": "home"}]), "Source"),
        (json!([{"Requests": 1, "Per": "Planet"}]), "Per"),
        (json!([{"Requests": 1, "Id": "a#b"}]), "Id"),
        (json!([{"Requests": 1, "More": 1}]), "More"),
        (json!({}), ""),
        (Value::Array(vec![json!({"Requests": 1}); 21]), ""),
    ] {
        let refused = world.call("PATCH", "", &rules(bad.clone())).await.expect(400);
        let named = refused.text("/error/details/0/field");
        let expected = if field.is_empty() { "RateLimit.Rules".into() } else { format!("RateLimit.Rules[0].{field}") };
        assert_eq!(named, expected, "{bad}");
    }
}
