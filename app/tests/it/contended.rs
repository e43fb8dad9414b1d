//! Names that others overwrite all the time.

use crate::world::{WHOLE, World, content, path, put};
use domain::access::Level;
use domain::id::CredentialId;
use offline_aws::FaultPlan;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How many others there are: enough that a handful of rounds is regularly not enough.
const OTHERS: u8 = 6;

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_name_that_others_replace_all_the_time_gets_through() {
    let world = World::with_budget(256).await;
    let ana = world.session(Level::Full);
    let mut plan = FaultPlan::default();
    // the time between a look and the change, in which others come first
    plan.dynamodb.latency_ms = 3;
    world.offline.faults().set(plan);
    put(&ana, "/a", &content(1), WHOLE).await.unwrap();
    let end = Arc::new(AtomicBool::new(false));
    let others: Vec<_> = (0..OTHERS)
        .map(|at| {
            let (ben, end) = (world.session_of(CredentialId::from_random([at + 20; 15])), Arc::clone(&end));
            tokio::spawn(async move {
                let mut sizes = (at as usize..10_000).step_by(OTHERS.into());
                while !end.load(Ordering::Relaxed) {
                    put(&ben, "/a", &content(sizes.next().unwrap()), WHOLE).await.unwrap();
                }
            })
        })
        .collect();
    for at in 0..6 {
        ana.delete_file(&path("/a")).await.unwrap();
        put(&ana, "/a", &content(20_000 + at), WHOLE).await.unwrap();
    }
    end.store(true, Ordering::Relaxed);
    for other in others {
        other.await.unwrap();
    }
    world.offline.faults().set(FaultPlan::default());
    world.events().await;
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_takes_away_only_what_it_has_seen() {
    let world = World::start().await;
    let (ana, ben) = (world.session(Level::Full), world.session(Level::Full));
    let counters = || world.offline.faults().counters();
    // who replaces the file does so in the table as well, or in the bucket alone
    for direct in [false, true] {
        put(&ana, "/a", &content(5), WHOLE).await.unwrap();
        assert_eq!(world.announced().await.len(), 1);
        // between its look and its request to S3 the delete waits for DynamoDB
        let mut plan = FaultPlan::default();
        plan.dynamodb.latency_ms = 2000;
        world.offline.faults().set(plan);
        let (looks, waits) = (counters().s3.requests, counters().dynamodb.delayed);
        let deleting = tokio::spawn({
            let ana = ana.clone();
            async move { ana.delete_file(&path("/a")).await }
        });
        while counters().s3.requests == looks || counters().dynamodb.delayed == waits {
            tokio::task::yield_now().await;
        }
        world.offline.faults().set(FaultPlan::default());
        let mut expected = vec!["file.deleted /home/ana/a"];
        if direct {
            let (s3, bucket) = (&world.aws.s3, &world.aws.settings.bucket);
            let newer = s3.put_object().bucket(bucket).key(world.key("/a").as_str()).body(content(7).to_vec().into());
            newer.send().await.unwrap();
        } else {
            put(&ben, "/a", &content(7), WHOLE).await.unwrap();
            expected.push("file.created /home/ana/a 7");
        }
        let before = counters().s3.requests;
        deleting.await.unwrap().unwrap();
        let requests = counters().s3.requests - before;
        if direct {
            assert_eq!(requests, 3, "a refused request, another look, and the request that took it away");
        } else {
            assert!(
                (2..=3).contains(&requests),
                "{requests}; the table tells that it was replaced, when it is settled"
            );
            // whoever takes one version away for another counts the wrong one
            let usage = world.usage().await;
            assert_eq!((usage.bytes, usage.files), (0, 0));
        }
        assert_eq!(world.keys().await, []);
        let mut announced = world.announced().await;
        announced.sort_by_key(|text| !text.starts_with("file.deleted"));
        assert_eq!(announced, expected);
    }
}
