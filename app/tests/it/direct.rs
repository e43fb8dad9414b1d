//! Uploads whose parts go straight to S3: what a crash, a lost answer or somebody else leaves of them.

use crate::world::{WHOLE, World, content, get, path, put};
use app::vfs::FileSession;
use bytes::Bytes;
use domain::access::Level;
use domain::direct_upload::{DirectUpload, OPEN_MILLIS};
use domain::file_error::FileErrorKind;
use offline_aws::FaultPlan;
use store::clock;

const MIB: usize = 1024 * 1024;

/// An upload of which S3 has every part.
async fn sent(world: &World, session: &FileSession, at: &str, content: &Bytes) -> DirectUpload {
    let direct = session.begin_direct(&path(at), content.len() as u64, None).await.unwrap();
    for number in 1..=direct.parts() {
        let from = (number as usize - 1) * direct.part_bytes.get() as usize;
        let part = content.slice(from..content.len().min(from + direct.part_bytes.get() as usize));
        let upload = world.aws.s3.upload_part().bucket("towpath-files").key(&direct.key).upload_id(&direct.upload);
        upload.part_number(number as i32).body(part.into()).send().await.unwrap();
    }
    direct
}

#[tokio::test(flavor = "multi_thread")]
async fn housekeeping_leaves_it_alone_for_a_day() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    let direct = sent(&world, &ana, "/a", &content(9 * MIB)).await;
    let now = clock::now();
    let (later, soon) = (now.plus_millis(OPEN_MILLIS + 1000), now.plus_millis(1000));
    assert_eq!(world.sweep().abort_orphans(soon, now).await.unwrap(), 0);
    assert_eq!(ana.direct_received(&direct).await.unwrap(), [1, 2]);
    assert_eq!(world.sweep().abort_orphans(soon, later).await.unwrap(), 1);
    for error in [
        ana.direct_upload(&direct.id).await.unwrap_err(),
        ana.finish_direct(&direct).await.unwrap_err(),
        ana.abort_direct(&direct).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), FileErrorKind::NoSuchFile);
    }
    assert!(world.keys().await.is_empty());
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_before_the_end_leaves_parts_that_end_by_their_age() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    let direct = sent(&world, &ana, "/a", &content(9 * MIB)).await;
    // it had taken the record, and came no further
    assert!(world.resuming.direct.take(&direct).await.unwrap());
    assert_eq!(ana.finish_direct(&direct).await.unwrap_err().kind(), FileErrorKind::NoSuchFile);
    assert_eq!(world.sweep().abort_orphans(clock::now().plus_millis(1000), clock::now()).await.unwrap(), 1);
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_gets_lost_is_no_failure_and_is_counted_once() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    let whole = content(17 * MIB);
    let direct = sent(&world, &ana, "/a", &whole).await;
    let mut plan = FaultPlan::default();
    plan.s3.lost_answer_rate = 0.6;
    world.offline.faults().set(plan);
    ana.finish_direct(&direct).await.unwrap();
    world.offline.faults().set(FaultPlan::default());
    assert!(get(&ana, "/a").await.unwrap() == whole);
    let usage = world.usage().await;
    assert_eq!((usage.bytes, usage.files), (whole.len() as i64, 1));
    let announced = world.announced().await;
    assert_eq!(announced.iter().filter(|text| text.starts_with("file.created")).count(), 1, "{announced:?}");
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_replaces_what_is_there_when_it_is_complete_and_counts_the_difference() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    let whole = content(9 * MIB);
    let direct = sent(&world, &ana, "/a", &whole).await;
    // written after it was begun, which does not matter: the last one wins
    put(&ana, "/a", &content(100), WHOLE).await.unwrap();
    ana.finish_direct(&direct).await.unwrap();
    assert!(get(&ana, "/a").await.unwrap() == whole);
    let usage = world.usage().await;
    assert_eq!((usage.bytes, usage.files), (whole.len() as i64, 1));
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_are_asked_again_at_the_end() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    let direct = sent(&world, &ana, "/a", &content(MIB)).await;
    let less = world.session(Level::ReadOnly);
    for error in [
        less.finish_direct(&direct).await.unwrap_err(),
        less.abort_direct(&direct).await.unwrap_err(),
        less.direct_addresses(&direct, 1).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), FileErrorKind::PermissionDenied);
    }
    // one that may not replace, of a name that is taken meanwhile
    put(&ana, "/a", &content(5), WHOLE).await.unwrap();
    let writer = world.session(Level::WriteOnly);
    assert_eq!(writer.finish_direct(&direct).await.unwrap_err().kind(), FileErrorKind::PermissionDenied);
    assert!(get(&ana, "/a").await.unwrap() == content(5));
    // it is still there for who may
    ana.abort_direct(&direct).await.unwrap();
    world.nothing_left().await;
}
