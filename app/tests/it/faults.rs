//! The same operations while AWS misbehaves: what is acknowledged is there, and is counted and announced.

use crate::world::{WHOLE, World, content, get, path, put, send};
use domain::access::Level;
use domain::file_error::FileErrorKind;
use futures_util::StreamExt as _;
use offline_aws::FaultPlan;
use std::collections::BTreeMap;
use std::time::Duration;
use store::clock;
use store::intents::LEASE_MILLIS;

#[tokio::test(flavor = "multi_thread")]
async fn errors_lost_answers_and_conflicts_lose_and_miscount_nothing() {
    let world = World::with_budget(256).await;
    let ana = world.session(Level::Full);
    let mut plan = FaultPlan { seed: 7, ..FaultPlan::default() };
    (plan.s3.error_rate, plan.s3.lost_answer_rate, plan.s3.conflict_rate) = (0.1, 0.05, 0.05);
    (plan.dynamodb.error_rate, plan.dynamodb.lost_answer_rate, plan.dynamodb.conflict_rate) = (0.05, 0.05, 0.05);
    (plan.sqs.error_rate, plan.sqs.lost_answer_rate, plan.sqs.duplicate_rate) = (0.1, 0.05, 0.1);
    world.offline.faults().set(plan);
    let rounds = (0..60usize).map(|at| {
        let ana = ana.clone();
        async move {
            let name = format!("/{at}");
            let size = if at % 10 == 0 { 9 << 20 } else { at * 1000 };
            put(&ana, &name, &content(size), WHOLE).await.map_err(|kind| (at, "put", kind))?;
            match at % 4 {
                0 => Ok::<_, (usize, &str, FileErrorKind)>(Some((name, size))),
                1 => {
                    put(&ana, &name, &content(size + 5), WHOLE).await.map_err(|kind| (at, "overwrite", kind))?;
                    Ok(Some((name, size + 5)))
                }
                2 => {
                    let moved = format!("/moved-{at}");
                    let renamed = ana.rename(&path(&name), &path(&moved), false).await;
                    renamed.map_err(|error| (at, "rename", error.kind()))?;
                    Ok(Some((moved, size)))
                }
                _ => {
                    ana.delete_file(&path(&name)).await.map_err(|error| (at, "delete", error.kind()))?;
                    Ok(None)
                }
            }
        }
    });
    let results: Vec<_> = futures_util::stream::iter(rounds).buffer_unordered(8).collect().await;
    world.offline.faults().set(FaultPlan::default());
    let mut expected = BTreeMap::new();
    for result in results {
        match result {
            Ok(Some((name, size))) => expected.insert(name, size),
            Ok(None) => None,
            Err(failed) => panic!("a retry could have saved this: {failed:?}"),
        };
    }
    for (name, size) in &expected {
        assert!(get(&ana, name).await.unwrap() == content(*size), "{name}");
    }
    // what the settler gave up on is for the sweep
    let events = world.events().await;
    world.sweep().round(clock::now().plus_millis(LEASE_MILLIS + 1)).await;
    world.sweep().abort_orphans(clock::now().plus_millis(1000), clock::now()).await.unwrap();
    let keys: BTreeMap<String, usize> =
        world.keys().await.into_iter().map(|(key, size)| (key.replace("home/ana", ""), size as usize)).collect();
    assert_eq!(keys, expected);
    let usage = world.usage().await;
    assert_eq!((usage.bytes, usage.files), (expected.values().sum::<usize>() as i64, expected.len() as i64));
    let mut announced: Vec<_> = events.into_iter().chain(world.events().await).map(|event| event.id).collect();
    announced.sort();
    announced.dedup();
    let downloads = expected.len();
    assert_eq!(announced.len(), 60 + 45 + downloads, "60 uploads, 45 further operations, {downloads} downloads");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_answer_got_lost_and_that_was_replaced_at_once_is_acknowledged() {
    const BYTES: usize = 100_000;
    let world = World::start().await;
    let (ana, ben) = (world.session(Level::Full), world.session(Level::Full));
    let mut upload = ana.open_write(&path("/a"), WHOLE).await.unwrap();
    send(&mut upload, &content(BYTES)).await.unwrap();
    let mut plan = FaultPlan::default();
    plan.s3.lost_answer_rate = 1.0;
    world.offline.faults().set(plan);
    let finishing = tokio::spawn(upload.finish());
    // by then the pauses between its tries are long enough for somebody else to come in between
    while world.offline.faults().counters().s3.lost_answers < 9 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.offline.faults().set(FaultPlan::default());
    put(&ben, "/a", &content(7), WHOLE).await.unwrap();
    finishing.await.unwrap().unwrap();
    assert!(get(&ana, "/a").await.unwrap() == content(7), "it must not be sent over the newer file again");
    let mut announced = world.announced().await;
    announced.retain(|text| text.starts_with("file.created"));
    announced.sort();
    assert_eq!(announced, ["file.created /home/ana/a 100000", "file.created /home/ana/a 7"]);
    let usage = world.usage().await;
    assert_eq!((usage.bytes, usage.files), (7, 1));
    assert_eq!(world.keys().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_answer_got_lost_and_that_was_replaced_by_the_same_bytes_is_announced_once() {
    const BYTES: usize = 1000;
    // whether the same bytes were there before, so that nobody's condition tells the versions apart; and whether who
    // replaces them writes to the bucket directly
    for (before, direct) in [(false, false), (true, false), (false, true), (true, true)] {
        let world = World::start().await;
        let (ana, ben) = (world.session(Level::Full), world.session(Level::Full));
        let bytes = content(BYTES);
        if before {
            put(&ana, "/a", &bytes, WHOLE).await.unwrap();
        }
        world.announced().await;
        let mut theirs = ben.open_write(&path("/a"), WHOLE).await.unwrap();
        send(&mut theirs, &bytes).await.unwrap();
        let mut upload = ana.open_write(&path("/a"), WHOLE).await.unwrap();
        send(&mut upload, &bytes).await.unwrap();
        let mut plan = FaultPlan::default();
        plan.s3.lost_answer_rate = 1.0;
        world.offline.faults().set(plan);
        let finishing = tokio::spawn(upload.finish());
        while world.offline.faults().counters().s3.lost_answers < 9 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.offline.faults().set(FaultPlan::default());
        if direct {
            let (s3, bucket) = (&world.aws.s3, &world.aws.settings.bucket);
            let newer = s3.put_object().bucket(bucket).key(world.key("/a").as_str()).body(bytes.to_vec().into());
            newer.send().await.unwrap();
            theirs.abort().await;
        } else {
            theirs.finish().await.unwrap();
        }
        finishing.await.unwrap().unwrap();
        // what was settled is marked before the sweep looks at what was left
        let mut announced = world.announced().await;
        world.sweep().round(clock::now().plus_millis(LEASE_MILLIS + 1)).await;
        announced.extend(world.announced().await);
        let uploads = if direct { 1 } else { 2 };
        assert_eq!(announced, vec!["file.created /home/ana/a 1000"; uploads], "before: {before}, direct: {direct}");
        if !direct {
            let usage = world.usage().await;
            assert_eq!((usage.bytes, usage.files), (BYTES as i64, 1), "before: {before}");
        }
        assert_eq!(world.keys().await.len(), 1);
    }
}
