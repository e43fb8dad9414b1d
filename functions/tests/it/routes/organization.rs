use crate::support::World;
use serde_json::json;

#[tokio::test]
async fn settings_are_read_and_changed_in_part() {
    let world = World::start().await;
    let read = world.call("GET", "", "").await.expect(200);
    assert_eq!(read.body["Settings"]["Network"]["InboundRules"].as_array().unwrap().len(), 2);
    assert_eq!(read.body["RateLimit"], json!({"DefaultRequests": 1000, "Rules": []}));
    assert_eq!(read.body["PasswordReadable"], "24h");
    let same = world.call("PATCH", "", &read.body.to_string()).await.expect(200);
    assert_eq!(same.body, read.body);
    let changed = world.call("PATCH", "", r#"{"Name":"New","PasswordPolicy":{"RequireDigit":true}}"#).await.expect(200);
    let mut expected = read.body.clone();
    expected["Name"] = json!("New");
    expected["PasswordPolicy"]["RequireDigit"] = json!(true);
    expected["UpdatedAt"] = changed.body["UpdatedAt"].clone();
    assert_eq!(changed.body, expected);
    world.call("POST", "/users", r#"{"Password":"no digits in here"}"#).await.expect(400);
    for bad in [
        r#"{"PasswordPolicy":{"MinLength":3}}"#,
        r#"{"PasswordPolicy":{"X":1}}"#,
        r#"{"RateLimit":{"DefaultRequests":0}}"#,
    ] {
        world.call("PATCH", "", bad).await.expect(400);
    }
}
