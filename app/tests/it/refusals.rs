//! What did not happen is announced too.

use crate::world::{WHOLE, World, content, path, put};
use domain::access::Level;
use domain::event::Topic;
use domain::quota::Quota;

#[tokio::test]
async fn refusals_and_failed_uploads_say_why() {
    let world = World::start().await;
    let reader = world.session(Level::ReadOnly);
    assert!(reader.open_write(&path("/a"), WHOLE).await.is_err());
    assert!(reader.delete_file(&path("/b")).await.is_err());
    assert!(reader.make_folder(&path("/c")).await.is_err());
    assert!(reader.rename(&path("/d"), &path("/e"), false).await.is_err());
    // what is not there is no refusal
    assert!(reader.open_read(&path("/f")).await.is_err());
    let small = world.session_within(Quota { bytes: 10, files: 0 });
    assert!(put(&small, "/g", &content(9), WHOLE).await.is_ok());
    let mut upload = small.open_write(&path("/h"), WHOLE).await.unwrap();
    assert!(upload.write(0, content(11)).await.is_err());
    assert!(upload.finish().await.is_err());
    let told: Vec<_> = world
        .events()
        .await
        .into_iter()
        .map(|event| (event.topic, event.file.unwrap().path.to_string(), event.reason))
        .collect();
    let refused = |at: &str| (Topic::AccessDenied, format!("/home/ana{at}"));
    let (what, why): (Vec<_>, Vec<_>) = told.into_iter().map(|(topic, path, reason)| ((topic, path), reason)).unzip();
    let expected = [
        refused("/a"),
        refused("/b"),
        refused("/c"),
        refused("/d"),
        (Topic::FileCreated, "/home/ana/g".into()),
        (Topic::UploadFailed, "/home/ana/h".into()),
    ];
    assert_eq!(what, expected);
    assert_eq!(why[5].as_deref(), Some("the quota of 10 bytes would be exceeded"));
    assert!(why[..4].iter().all(Option::is_some), "{why:?}");
}

#[tokio::test]
async fn a_client_that_asks_again_and_again_is_not_news() {
    let world = World::start().await;
    let reader = world.session(Level::ReadOnly);
    for at in 0..150 {
        assert!(reader.delete_file(&path(&format!("/{at}"))).await.is_err());
    }
    assert_eq!(world.events().await.len(), 100);
}
