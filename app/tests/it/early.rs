//! A small file's PUT begins while its intent is being recorded, and shows nothing before that is durable.

use crate::world::{WHOLE, World, content, path};
use domain::access::Level;
use offline_aws::{DynamoDbFaults, FaultPlan, S3Faults};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn s3_and_dynamodb_are_waited_for_at_the_same_time_and_the_file_comes_last() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    let dynamodb = DynamoDbFaults { latency_ms: 900, ..DynamoDbFaults::default() };
    let s3 = S3Faults { latency_ms: 300, ..S3Faults::default() };
    world.offline.faults().set(FaultPlan { dynamodb, s3, ..FaultPlan::default() });
    let begun = Instant::now();
    let mut upload = ana.open_write(&path("/small"), WHOLE).await.unwrap();
    upload.write(0, content(4096)).await.unwrap();
    let finishing = tokio::spawn(upload.finish());
    // the intent is on its way, and so is the PUT
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(world.offline.faults().counters().s3.requests >= 1, "the PUT has not begun");
    let bucket = &world.aws.settings.bucket;
    let key = format!("{}/files/home/ana/small", world.organization);
    assert!(world.aws.s3.head_object().bucket(bucket).key(&key).send().await.is_err(), "visible without an intent");
    assert!(begun.elapsed() < Duration::from_millis(2000));
    finishing.await.unwrap().unwrap();
    let took = begun.elapsed();
    assert!((900..1150).contains(&took.as_millis()), "{took:?}: one after the other is 1.2 s");
    world.offline.faults().set(FaultPlan::default());
    assert_eq!(world.keys().await, [("home/ana/small".to_owned(), 4096)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_that_takes_longer_than_s3_would_wait_is_waited_for_alone() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    let dynamodb = DynamoDbFaults { latency_ms: 2500, ..DynamoDbFaults::default() };
    world.offline.faults().set(FaultPlan { dynamodb, ..FaultPlan::default() });
    let mut upload = ana.open_write(&path("/small"), WHOLE).await.unwrap();
    upload.write(0, content(4096)).await.unwrap();
    upload.finish().await.unwrap();
    world.offline.faults().set(FaultPlan::default());
    assert_eq!(world.keys().await, [("home/ana/small".to_owned(), 4096)]);
    assert_eq!(world.announced().await.len(), 1);
}
