//! A small file's PUT begins while its intent is being recorded. That its bytes stay until then is shown beside them.

use crate::world::{WHOLE, World, content, path};
use domain::access::Level;
use offline_aws::{DynamoDbFaults, FaultPlan, S3Faults};
use std::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn s3_and_dynamodb_are_waited_for_at_the_same_time() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    let dynamodb = DynamoDbFaults { latency_ms: 1500, ..DynamoDbFaults::default() };
    let s3 = S3Faults { latency_ms: 1500, ..S3Faults::default() };
    world.offline.faults().set(FaultPlan { dynamodb, s3, ..FaultPlan::default() });
    let begun = Instant::now();
    let mut upload = ana.open_write(&path("/small"), WHOLE).await.unwrap();
    upload.write(0, content(4096)).await.unwrap();
    upload.finish().await.unwrap();
    let took = begun.elapsed();
    assert!((1500..2700).contains(&took.as_millis()), "{took:?}: one after the other is 3 s");
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
