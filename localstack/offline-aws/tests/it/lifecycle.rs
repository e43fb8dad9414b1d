//! Starting, stopping, isolation, and what survives.

use crate::support::{BUCKET, World, s3};
use aws_sdk_s3::primitives::ByteStream;
use offline_aws::{OfflineAws, Options, StartError, Storage};
use std::time::Instant;

#[tokio::test]
async fn two_instances_know_nothing_of_each_other() {
    let (one, two) = (World::memory().await, World::memory().await);
    one.put("k", "one").await;
    two.put("k", "two").await;
    assert_eq!(one.get("k").await, b"one");
    assert_eq!(two.get("k").await, b"two");
    one.sqs.create_queue().queue_name("q").send().await.unwrap();
    assert!(two.sqs.get_queue_url().queue_name("q").send().await.is_err());
}

#[tokio::test]
async fn only_loopback() {
    let options = Options { bind: "0.0.0.0:0".parse().unwrap(), ..Options::default() };
    let error = OfflineAws::start(options).await.unwrap_err();
    assert!(matches!(error, StartError::NotLoopback { .. }));
    assert!(error.to_string().contains("0.0.0.0:0"));
}

#[tokio::test]
async fn a_taken_port_and_a_taken_folder_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::Folder(folder.path().to_owned());
    let first = OfflineAws::start(Options { storage: storage.clone(), ..Options::default() }).await.unwrap();
    let again = OfflineAws::start(Options { bind: first.address(), ..Options::default() }).await.unwrap_err();
    assert!(matches!(again, StartError::PortTaken { .. }));
    assert!(again.to_string().contains(&first.address().port().to_string()), "{again}");
    let again = OfflineAws::start(Options { storage, ..Options::default() }).await.unwrap_err();
    assert!(matches!(again, StartError::Storage { .. }));
    assert!(again.to_string().contains(&folder.path().display().to_string()), "{again}");
}

#[tokio::test]
async fn a_start_takes_milliseconds() {
    let started = Instant::now();
    let mut running = Vec::new();
    for _ in 0..20 {
        running.push(OfflineAws::start(Options::default()).await.unwrap());
    }
    let each = started.elapsed() / 20;
    println!("a start in memory: {each:?}");
    assert!(each.as_millis() < 250, "{each:?}");
}

#[tokio::test]
async fn uploads_and_leftovers_across_a_restart() {
    let world = World::folder().await;
    let id = world.s3.create_multipart_upload().bucket(BUCKET).key("k").send().await.unwrap().upload_id.unwrap();
    let part = world.s3.upload_part().bucket(BUCKET).key("k").upload_id(&id).part_number(1);
    let part = part.body(ByteStream::from_static(b"part")).send().await.unwrap();
    let stray = {
        let blobs = world.path().join("s3/blobs/00");
        let stray = blobs.join("7fffffffffffff00");
        std::fs::write(&stray, "left by a crash").unwrap();
        stray
    };
    let world = world.restart().await;
    assert!(!stray.exists());
    let parts = world.s3.list_parts().bucket(BUCKET).key("k").upload_id(&id).send().await.unwrap();
    assert_eq!(parts.parts()[0].e_tag(), part.e_tag());
}

#[tokio::test]
async fn dropping_ends_open_connections() {
    let world = World::memory().await;
    let client = s3(&world.aws, |config| config.retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled()));
    world.put("k", vec![1; 30_000_000]).await;
    let got = client.get_object().bucket(BUCKET).key("k").send().await.unwrap();
    drop(world);
    assert!(got.body.collect().await.is_err());
    assert!(client.head_bucket().bucket(BUCKET).send().await.is_err());
}
