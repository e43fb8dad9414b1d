//! Uploads whose parts go straight to S3.

use super::{MIB, content, put_part, send_parts};
use crate::support::World;
use serde_json::{Value, json};

#[tokio::test]
async fn an_upload_session_becomes_a_file_when_all_parts_are_there() {
    let world = World::start().await;
    let user = world.files_of("partner-one", json!({})).await;
    let content = content(17 * MIB + 5);
    let session = user.begin("big.bin", content.len()).await.expect(201).body;
    assert_eq!((&session["part_count"], &session["part_size"]), (&json!(3), &json!(8 * MIB)));
    assert_eq!(session["path"], "/big.bin");
    let id = session["id"].as_str().unwrap().to_owned();
    let one = format!("/upload-sessions/{id}");

    // a part has the length that was signed
    let first = &session["parts"][0];
    assert_ne!(put_part(first, content[..8 * MIB - 1].to_vec()).await, 200);
    assert_ne!(put_part(first, content[..8 * MIB + 1].to_vec()).await, 200);
    send_parts(&session, &content, &[2]).await;
    let early = user.call("POST", &format!("{one}/complete"), Value::Null).await.expect(400);
    assert!(early.text("/message").contains("2 of 3 parts"), "{}", early.body);
    assert!(user.names("").await.is_empty(), "nothing is visible yet");
    let again = user.call("GET", &format!("{one}?part=2"), Value::Null).await.expect(200).body;
    assert_eq!((&again["received"], &again["parts"][0]["number"]), (&json!([1, 3]), &json!(2)));
    send_parts(&again, &content, &[3]).await;

    // nobody else can see, complete or end it
    let other = world.files_of("partner-two", json!({"HomeDirectory": "/home/partner-one"})).await;
    for (method, rest) in [("GET", one.clone()), ("POST", format!("{one}/complete")), ("DELETE", one.clone())] {
        other.call(method, &rest, Value::Null).await.expect(404);
    }

    // of several who complete it, one does
    let complete = format!("{one}/complete");
    let both = tokio::join!(
        user.call("POST", &complete, Value::Null),
        user.call("POST", &complete, Value::Null),
        user.call("POST", &complete, Value::Null)
    );
    let mut statuses = [both.0.status, both.1.status, both.2.status].map(|status| status.as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 404, 404]);
    assert_eq!(user.get("big.bin").await.unwrap().1, content);
    user.counted((i64::try_from(content.len()).unwrap(), 1)).await;
    user.call("GET", &one, Value::Null).await.expect(404);

    // one that is thrown away leaves nothing
    let session = user.begin("gone.bin", 9 * MIB).await.expect(201).body;
    let one = format!("/upload-sessions/{}", session["id"].as_str().unwrap());
    assert_eq!(put_part(&session["parts"][0], vec![0; 8 * MIB]).await, 200);
    user.call("DELETE", &one, Value::Null).await.expect(200);
    user.call("DELETE", &one, Value::Null).await.expect(404);
    assert_ne!(put_part(&session["parts"][1], vec![0; MIB]).await, 200);
    let open = world.aws.s3.list_multipart_uploads().bucket("files").send().await.unwrap();
    assert!(open.uploads().is_empty());
}

#[tokio::test]
async fn an_empty_file_and_one_that_is_replaced_by_sessions() {
    let world = World::start().await;
    let user = world.files_of("partner-one", json!({})).await;
    for bytes in [0, 5, 0, 9 * MIB] {
        let content = content(bytes);
        let session = user.begin("same", bytes).await.expect(201).body;
        send_parts(&session, &content, &[]).await;
        let id = session["id"].as_str().unwrap();
        user.call("POST", &format!("/upload-sessions/{id}/complete"), Value::Null).await.expect(201);
        assert_eq!(user.get("same").await.unwrap().1, content);
        user.counted((i64::try_from(bytes).unwrap(), 1)).await;
    }
}

#[tokio::test]
async fn many_open_sessions_are_too_many() {
    let world = World::start().await;
    let user = world.files_of("partner-one", json!({})).await;
    for at in 0..domain::direct_upload::MAX_OPEN {
        user.begin(&format!("f{at}"), 1).await.expect(201);
    }
    let refused = user.begin("one-more", 1).await.expect(503);
    assert!(refused.text("/message").contains("200 uploads"), "{}", refused.body);
    let other = world.files_of("partner-two", json!({})).await;
    other.begin("f", 1).await.expect(201);
}
