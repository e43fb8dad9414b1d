//! Planned faults: each happens, is counted, and is what the SDKs expect.

use crate::smoke::table;
use crate::support::{BUCKET, World, code, s3};
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::primitives::ByteStream;
use offline_aws::{DynamoDbFaults, FaultPlan, S3Faults, SqsFaults};
use std::time::{Duration, Instant};

fn in_s3(s3: S3Faults) -> FaultPlan {
    FaultPlan { seed: 1, s3, ..FaultPlan::default() }
}

#[tokio::test]
async fn latency() {
    let world = World::memory().await;
    world.put("k", "x").await;
    world.aws.faults().set(in_s3(S3Faults { latency_ms: 80, ..S3Faults::default() }));
    let started = Instant::now();
    world.get("k").await;
    assert!(started.elapsed() >= Duration::from_millis(80));
    assert_eq!(world.aws.faults().counters().s3.delayed, 1);
}

#[tokio::test]
async fn errors_are_retried_by_the_sdk() {
    let world = World::memory().await;
    let patient = s3(&world.aws, |config| {
        let retries = RetryConfig::standard().with_max_attempts(12).with_initial_backoff(Duration::from_millis(1));
        config.retry_config(retries.with_max_backoff(Duration::from_millis(20)))
    });
    world.aws.faults().set(in_s3(S3Faults { error_rate: 0.4, ..S3Faults::default() }));
    for number in 0..20 {
        let body = ByteStream::from(vec![1; 500_000]);
        patient.put_object().bucket(BUCKET).key(number.to_string()).body(body).send().await.unwrap();
    }
    let counted = world.aws.faults().counters().s3;
    assert!(counted.errors > 0);
    assert_eq!(counted.requests, 1 + 20 + counted.errors);
    // large bodies get the answer and not a broken pipe
    world.aws.faults().set(in_s3(S3Faults { error_rate: 1.0, ..S3Faults::default() }));
    let big = world.once().put_object().bucket(BUCKET).key("big").body(vec![1; 30_000_000].into()).send().await;
    assert_eq!(code(big), "SlowDown");
}

#[tokio::test]
async fn the_same_seed_fails_the_same_requests() {
    let world = World::memory().await;
    let mut runs = Vec::new();
    for seed in [5, 5, 6] {
        world.aws.faults().set(FaultPlan { seed, ..in_s3(S3Faults { error_rate: 0.5, ..S3Faults::default() }) });
        let client = world.once();
        let mut run = Vec::new();
        for _ in 0..32 {
            run.push(client.head_bucket().bucket(BUCKET).send().await.is_ok());
        }
        runs.push(run);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn a_lost_answer_has_happened() {
    let world = World::memory().await;
    world.aws.faults().set(in_s3(S3Faults { lost_answer_rate: 1.0, ..S3Faults::default() }));
    let client = world.once();
    let mut answered = 0;
    for key in ["a", "b"] {
        let lost = client.put_object().bucket(BUCKET).key(key).body(ByteStream::from_static(b"x")).send().await;
        // one is cut, one is answered with 500
        answered += usize::from(lost.unwrap_err().raw_response().is_some());
    }
    assert_eq!(answered, 1);
    world.aws.faults().set(FaultPlan::default());
    assert_eq!(world.get("a").await, b"x");
    assert_eq!(world.get("b").await, b"x");
    assert_eq!(world.aws.faults().counters().s3.lost_answers, 2);
}

#[tokio::test]
async fn bandwidth_is_limited_in_both_directions() {
    let world = World::memory().await;
    let body = vec![1; 8 * 1024 * 1024];
    let started = Instant::now();
    world.put("k", body.clone()).await;
    let free = started.elapsed();
    world.aws.faults().set(in_s3(S3Faults { bandwidth_mib_s: Some(16.0), ..S3Faults::default() }));
    let started = Instant::now();
    world.put("k", body.clone()).await;
    let up = started.elapsed();
    let started = Instant::now();
    assert_eq!(world.get("k").await.len(), body.len());
    let down = started.elapsed();
    // half a second is the ideal; the buffers of the sockets pass more at once
    assert!(up >= Duration::from_millis(300), "up {up:?}, free {free:?}");
    assert!(down >= Duration::from_millis(300), "down {down:?}");
}

#[tokio::test]
async fn down_and_up_again() {
    let world = World::memory().await;
    world.aws.faults().set(in_s3(S3Faults { down: true, ..S3Faults::default() }));
    let failed = world.once().head_bucket().bucket(BUCKET).send().await.unwrap_err();
    assert!(failed.raw_response().is_none());
    assert!(world.aws.faults().counters().s3.refused >= 1);
    // the others are up
    world.sqs.list_queues().send().await.unwrap();
    world.aws.faults().set(FaultPlan::default());
    world.s3.head_bucket().bucket(BUCKET).send().await.unwrap();
}

#[tokio::test]
async fn conflicts() {
    let world = World::memory().await;
    table(&world, "items").await;
    world.aws.faults().set(FaultPlan {
        s3: S3Faults { conflict_rate: 1.0, ..S3Faults::default() },
        dynamodb: DynamoDbFaults { conflict_rate: 1.0, ..DynamoDbFaults::default() },
        ..FaultPlan::default()
    });
    let client = world.once();
    let put = || client.put_object().bucket(BUCKET).key("k").body(ByteStream::from_static(b"x"));
    assert_eq!(code(put().if_none_match("*").send().await), "ConditionalRequestConflict");
    put().send().await.unwrap();
    let item = || Put::builder().table_name("items").item("pk", AttributeValue::S("a".into())).build().unwrap();
    let transaction = world.dynamodb.transact_write_items();
    let transaction = transaction.transact_items(TransactWriteItem::builder().put(item()).build());
    let canceled = transaction.send().await.unwrap_err().into_service_error();
    assert!(canceled.is_transaction_canceled_exception());
    let put = world.dynamodb.put_item().table_name("items").item("pk", AttributeValue::S("a".into())).send().await;
    assert!(put.unwrap_err().into_service_error().is_transaction_conflict_exception());
    let counters = world.aws.faults().counters();
    assert_eq!(counters.s3.conflicts, 1);
    assert!(counters.dynamodb.conflicts >= 2);
}

#[tokio::test]
async fn stale_reads() {
    let world = World::memory().await;
    table(&world, "items").await;
    let faults = DynamoDbFaults { stale_read_rate: 1.0, ..DynamoDbFaults::default() };
    world.aws.faults().set(FaultPlan { dynamodb: faults, ..FaultPlan::default() });
    let get = || world.dynamodb.get_item().table_name("items").key("pk", AttributeValue::S("a".into()));
    assert!(get().send().await.unwrap().item().is_none());
    world.dynamodb.put_item().table_name("items").item("pk", AttributeValue::S("a".into())).send().await.unwrap();
    assert!(get().send().await.unwrap().item().is_none());
    assert!(get().consistent_read(true).send().await.unwrap().item().is_some());
    assert_eq!(world.aws.faults().counters().dynamodb.stale_reads, 1);
}

#[tokio::test]
async fn duplicates_and_throttling() {
    let world = World::memory().await;
    let url = world.sqs.create_queue().queue_name("q").send().await.unwrap().queue_url.unwrap();
    let faults = SqsFaults { duplicate_rate: 1.0, ..SqsFaults::default() };
    world.aws.faults().set(FaultPlan { sqs: faults, ..FaultPlan::default() });
    world.sqs.send_message().queue_url(&url).message_body("m").send().await.unwrap();
    let got = world.sqs.receive_message().queue_url(&url).max_number_of_messages(10).send().await.unwrap();
    assert_eq!(got.messages().len(), 2);
    assert_eq!(got.messages()[0].message_id(), got.messages()[1].message_id());

    let faults = DynamoDbFaults { error_rate: 1.0, ..DynamoDbFaults::default() };
    let sqs = SqsFaults { error_rate: 1.0, ..SqsFaults::default() };
    world.aws.faults().set(FaultPlan { dynamodb: faults, sqs, ..FaultPlan::default() });
    let throttled = world.dynamodb.list_tables().send().await;
    assert_eq!(code(throttled), "ThrottlingException");
    assert_eq!(code(world.sqs.list_queues().send().await), "ThrottlingException");
}

#[tokio::test]
async fn control_pages() {
    let world = World::memory().await;
    let client = reqwest::Client::new();
    let url = |page: &str| format!("{}/_offline/{page}", world.aws.endpoint());
    assert_eq!(client.get(url("health")).send().await.unwrap().status(), 200);
    let set = client.put(url("faults")).body(r#"{"seed":3,"s3":{"latency_ms":5}}"#).send().await.unwrap();
    assert_eq!(set.status(), 200);
    assert_eq!(
        world.aws.faults().get(),
        FaultPlan { seed: 3, ..in_s3(S3Faults { latency_ms: 5, ..S3Faults::default() }) }
    );
    let shown = client.get(url("faults")).send().await.unwrap().text().await.unwrap();
    assert_eq!(serde_json::from_str::<FaultPlan>(&shown).unwrap(), world.aws.faults().get());
    assert_eq!(client.put(url("faults")).body(r#"{"s4":{}}"#).send().await.unwrap().status(), 400);
    assert_eq!(client.get(url("other")).send().await.unwrap().status(), 404);
    world.put("k", "four").await;
    let stats = world.stats().await;
    assert_eq!(stats["s3"]["objects"], 1);
    assert_eq!(stats["s3"]["bytes"], 4);
    assert!(FaultPlan::shaped().s3.latency_ms == 30);
}
