use crate::support::World;
use serde_json::json;

#[tokio::test]
async fn a_webhooks_secret_is_shown_when_it_is_made_and_never_again() {
    let world = World::start().await;
    let body = r#"{"Alias":"A","Url":"https://example.com/hook","AuthorizationHeader":"Bearer 1"}"#;
    let made = world.call("POST", "/webhooks", body).await.expect(201);
    let secret = made.text("/Secret");
    assert!(secret.starts_with("whsec_"));
    assert_eq!(made.body["Topics"], json!(["file.created", "file.deleted", "file.downloaded"]));
    let path = format!("/webhooks/{}", made.text("/Id"));
    let read = world.call("GET", &path, "").await.expect(200);
    let mut expected = made.body.clone();
    expected["Secret"] = json!("");
    assert_eq!(read.body, expected);
    assert_eq!(world.call("GET", "/webhooks", "").await.expect(200).body, json!([expected]));
    let same = world.call("PATCH", &path, &made.body.to_string()).await.expect(200);
    assert_eq!(same.body, expected);
    let rotated = world.call("POST", &format!("{path}/secret-rotations"), "").await.expect(200);
    assert!(rotated.text("/Secret").starts_with("whsec_") && rotated.text("/Secret") != secret);
    let paused = world.call("PATCH", &path, r#"{"State":"paused","Topics":["file.renamed"]}"#).await.expect(200);
    assert_eq!((paused.text("/State"), paused.body["Topics"].clone()), ("paused".into(), json!(["file.renamed"])));
    world.call("DELETE", &path, "").await.expect(200);
    for rest in ["", "/ping", "/secret-rotations"] {
        let method = if rest.is_empty() { "GET" } else { "POST" };
        world.call(method, &format!("{path}{rest}"), "").await.expect(404);
    }
}

#[tokio::test]
async fn targets_and_topics_are_checked() {
    let world = World::start().await;
    for bad in [
        "{}",
        r#"{"Url":"http://example.com"}"#,
        r#"{"Url":"https://10.0.0.1"}"#,
        r#"{"Url":"https://a:b@example.com"}"#,
        r#"{"Url":"https://example.com","Topics":["nope"]}"#,
        r#"{"Url":"https://example.com","AuthorizationHeader":"a\nb"}"#,
        r#"{"Url":"https://example.com","Type":"email"}"#,
        r#"{"Url":"https://example.com","Filter":[{"Field":"Size","Operator":"Is","Value":"1"}]}"#,
        r#"{"Url":"https://example.com","Filter":[{"Field":"Path","Operator":"Matches","Value":"("}]}"#,
        r#"{"Url":"https://example.com","Filter":[{"Field":"Path","Operator":"Is"}]}"#,
    ] {
        let answer = world.call("POST", "/webhooks", bad).await.expect(400);
        assert_eq!(answer.body["error"]["code"], "VALIDATION_FAILED");
    }
}
