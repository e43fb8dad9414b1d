//! What a crash leaves, and how the sweep ends it.

use crate::world::{WHOLE, World, content, get, path, put, send};
use app::settler::{Done, Settler};
use app::vfs::WriteMode;
use domain::access::Level;
use domain::event::{Actor, ActorKind, Event, FileSubject, Topic};
use domain::id::OperationId;
use domain::intent::{Change, Intent, Seen, UsageChange};
use domain::path::ObjectKey;
use domain::quota::Counted;
use offline_aws::FaultPlan;
use store::clock;
use store::intents::LEASE_MILLIS;

fn key(world: &World, at: &str) -> ObjectKey {
    world.key(at)
}

fn intent(world: &World, at: &str, operation: OperationId, change: Change, seen: Option<Seen>) -> Intent {
    let file = FileSubject { path: path(&format!("/home/ana{at}")), folder: false, size: None };
    let event = Event {
        id: operation.to_string(),
        topic: if change == Change::Delete { Topic::FileDeleted } else { Topic::FileCreated },
        created_at: clock::now(),
        organization: world.organization.clone(),
        actor: Actor { kind: ActorKind::User, id: "ana".into() },
        origin: None,
        file: Some(file),
        reason: None,
        api_key: None,
        changed: None,
        previous: None,
        user_agent: None,
    };
    Intent {
        operation,
        organization: world.organization.clone(),
        credential: world.credential.clone(),
        key: key(world, at).as_str().to_owned(),
        counted: Counted::default(),
        change,
        event: Some(event),
        seen,
        made_bytes: None,
        upload: None,
        appends: false,
    }
}

async fn seen(world: &World, at: &str) -> Seen {
    let info = world.objects.head_recorded(&key(world, at)).await.unwrap().unwrap();
    Seen { etag: info.etag.as_str().into(), bytes: info.bytes, modified: info.modified, operation: info.operation }
}

/// An intent whose operation died so long ago that the sweep may take it.
async fn abandoned(world: &World, intent: &Intent) {
    let long_ago = clock::now().plus_millis(-LEASE_MILLIS - 1000);
    world.stores.intents.record(intent, long_ago).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_visible_and_not_settled_is_counted_and_announced_once() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    put(&ana, "/a", &content(77), WHOLE).await.unwrap();
    assert_eq!(world.announced().await.len(), 1);
    let operation = seen(&world, "/a").await.operation.unwrap();
    // as if the node had died between S3's answer and the settling: the count of before is taken back
    let again = intent(&world, "/a", operation, Change::Upload, None);
    abandoned(&world, &again).await;
    let first = world.sweep().round(clock::now()).await;
    assert_eq!((first.settled, first.dropped, first.failed), (1, 0, 0));
    assert_eq!(world.announced().await, ["file.created /home/ana/a 77"]);
    let usage = world.usage().await;
    assert_eq!((usage.bytes, usage.files), (2 * 77, 2));
    assert_eq!(world.sweep().round(clock::now()).await, Default::default());
    assert_eq!(world.keys().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_never_became_visible_is_dropped() {
    let world = World::start().await;
    abandoned(&world, &intent(&world, "/a", OperationId::from_random([1; 16]), Change::Upload, None)).await;
    let swept = world.sweep().round(clock::now()).await;
    assert_eq!((swept.settled, swept.dropped, swept.failed), (0, 1, 0));
    assert_eq!(world.announced().await, [] as [String; 0]);
    assert_eq!(world.keys().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_lives_is_left_alone() {
    let world = World::start().await;
    let living = intent(&world, "/a", OperationId::from_random([1; 16]), Change::Upload, None);
    world.stores.intents.record(&living, clock::now()).await.unwrap();
    assert_eq!(world.sweep().round(clock::now()).await, Default::default());
    world.stores.intents.drop(&living).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_outlives_its_lease_is_counted_and_announced_once() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    let mut upload = ana.open_write(&path("/a"), WHOLE).await.unwrap();
    send(&mut upload, &content(10)).await.unwrap();
    let recorded =
        async || world.stores.intents.on_key(&world.organization, key(&world, "/a").as_str()).await.unwrap().len() == 1;
    while !recorded().await {
        tokio::task::yield_now().await;
    }
    // its node is cut off from DynamoDB for too long, and another one sweeps
    assert_eq!(world.sweep().round(clock::now().plus_millis(LEASE_MILLIS + 1)).await.dropped, 1);
    assert_eq!(world.sweep().round(clock::now().plus_millis(3 * LEASE_MILLIS)).await, Default::default());
    upload.finish().await.unwrap();
    assert_eq!(world.announced().await, ["file.created /home/ana/a 10"]);
    let usage = world.usage().await;
    assert_eq!((usage.bytes, usage.files), (10, 1));
    assert_eq!(world.keys().await, [("home/ana/a".to_owned(), 10)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_replaced_before_it_was_settled_is_still_announced() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    put(&ana, "/a", &content(10), WHOLE).await.unwrap();
    let first = seen(&world, "/a").await;
    world.announced().await;
    // its node died before settling; the intent stands
    abandoned(&world, &intent(&world, "/a", first.operation.clone().unwrap(), Change::Upload, None)).await;
    // somebody else replaces the file: the evidence in S3 is gone, the mark is not
    put(&ana, "/a", &content(30), WHOLE).await.unwrap();
    world.announced().await;
    let swept = world.sweep().round(clock::now()).await;
    assert_eq!((swept.settled, swept.dropped), (1, 0));
    assert_eq!(world.announced().await, ["file.created /home/ana/a 10"]);
    world.keys().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overwrite_with_the_same_content_leaves_evidence_before_it_is_acknowledged() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    put(&ana, "/a", &content(10), WHOLE).await.unwrap();
    world.announced().await;
    let first = seen(&world, "/a").await;
    // nothing is settled from here on
    let mut plan = FaultPlan::default();
    plan.sqs.down = true;
    world.offline.faults().set(plan);
    put(&ana, "/a", &content(10), WHOLE).await.unwrap();
    let second = seen(&world, "/a").await;
    assert_eq!(first.etag, second.etag);
    // who saw the first takes the second away, as S3 cannot tell them apart
    world.objects.delete_recorded(&key(&world, "/a"), &store::objects::ETag::new(first.etag)).await.unwrap();
    let intents = world.stores.intents.on_key(&world.organization, key(&world, "/a").as_str()).await.unwrap();
    assert_eq!((intents.len(), intents[0].made_bytes), (1, Some(10)));
    world.offline.faults().set(FaultPlan::default());
    assert_eq!(world.announced().await, ["file.created /home/ana/a 10"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_whose_source_was_replaced_before_it_was_finished_made_a_second_file() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    put(&ana, "/a", &content(10), WHOLE).await.unwrap();
    world.announced().await;
    let source = seen(&world, "/a").await;
    // the copy, and then its node dies
    put(&ana, "/b", &content(10), WHOLE).await.unwrap();
    let copy = seen(&world, "/b").await.operation.unwrap();
    world.announced().await;
    let counted = world.usage().await;
    let change = Change::RenameTo { from: key(&world, "/a").as_str().into(), source, counted: Counted::default() };
    let mut rename = intent(&world, "/b", copy, change, None);
    if let Some(event) = &mut rename.event {
        (event.topic, event.previous) = (Topic::FileRenamed, event.file.clone());
        event.file.as_mut().unwrap().size = Some(10);
    }
    abandoned(&world, &rename).await;
    put(&ana, "/a", &content(30), WHOLE).await.unwrap();
    world.announced().await;
    assert_eq!(world.sweep().round(clock::now()).await.settled, 1);
    assert_eq!(world.announced().await, ["file.created /home/ana/b 10"]);
    // 20 more bytes of the overwrite; the copy is counted as a file of its own
    let usage = world.usage().await;
    assert_eq!((usage.bytes - counted.bytes, usage.files - counted.files), (20 + 10, 1));
    assert_eq!(world.keys().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_of_a_rename_that_the_sweep_finishes_is_still_counted_and_announced() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    put(&ana, "/a", &content(10), WHOLE).await.unwrap();
    put(&ana, "/b", &content(10), WHOLE).await.unwrap();
    world.announced().await;
    let (source, copy) = (seen(&world, "/a").await, seen(&world, "/b").await.operation.unwrap());
    let change = Change::RenameTo {
        from: key(&world, "/a").as_str().into(),
        source: source.clone(),
        counted: Counted::default(),
    };
    // both nodes died: that of the upload before it settled, that of the rename before its mark
    let upload = intent(&world, "/a", source.operation.unwrap(), Change::Upload, None);
    world.stores.intents.record(&upload, clock::now()).await.unwrap();
    abandoned(&world, &intent(&world, "/b", copy, change, None)).await;
    assert_eq!(world.sweep().round(clock::now()).await.settled, 1);
    world.announced().await;
    let later = clock::now().plus_millis(LEASE_MILLIS + 1);
    assert_eq!((world.sweep().round(later).await.settled, world.announced().await.len()), (1, 1));
    assert_eq!(world.keys().await, [("home/ana/b".to_owned(), 10)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_happened_is_announced_and_one_that_did_not_is_dropped() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    put(&ana, "/a", &content(10), WHOLE).await.unwrap();
    world.announced().await;
    let there = seen(&world, "/a").await;
    let delete = intent(&world, "/a", OperationId::from_random([1; 16]), Change::Delete, Some(there.clone()));
    abandoned(&world, &delete).await;
    assert_eq!(world.sweep().round(clock::now()).await.dropped, 1);
    abandoned(&world, &delete).await;
    let etag = store::objects::ETag::new(there.etag);
    world.objects.delete_recorded(&key(&world, "/a"), &etag).await.unwrap();
    assert_eq!(world.sweep().round(clock::now()).await.settled, 1);
    assert_eq!(world.announced().await, ["file.deleted /home/ana/a"]);
    let usage = world.usage().await;
    assert_eq!((usage.bytes, usage.files), (0, 0));
    world.keys().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_did_not_happen_before_the_file_was_replaced_is_dropped() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    put(&ana, "/a", &content(10), WHOLE).await.unwrap();
    let there = seen(&world, "/a").await;
    // its node dies before it deletes
    abandoned(&world, &intent(&world, "/a", OperationId::from_random([1; 16]), Change::Delete, Some(there))).await;
    put(&ana, "/a", &content(30), WHOLE).await.unwrap();
    world.vfs.settled(std::time::Duration::from_secs(20)).await;
    assert_eq!(world.sweep().round(clock::now()).await.dropped, 1);
    assert_eq!(world.announced().await, ["file.created /home/ana/a 10", "file.created /home/ana/a 30"]);
    let usage = world.usage().await;
    assert_eq!((usage.bytes, usage.files), (30, 1));
    world.keys().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_that_was_cut_between_copy_and_delete_is_finished() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    put(&ana, "/a", &content(10), WHOLE).await.unwrap();
    // the copy, as a second file made by the operation
    put(&ana, "/b", &content(10), WHOLE).await.unwrap();
    world.announced().await;
    let copy = seen(&world, "/b").await.operation.unwrap();
    let change = Change::RenameTo {
        from: key(&world, "/a").as_str().into(),
        source: seen(&world, "/a").await,
        counted: Counted::default(),
    };
    abandoned(&world, &intent(&world, "/b", copy, change, None)).await;
    assert_eq!(world.sweep().round(clock::now()).await.settled, 1);
    assert_eq!(world.keys().await, [("home/ana/b".to_owned(), 10)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parts_of_a_node_that_died_are_kept_or_ended() {
    for (world, kept) in [(World::keeping().await, true), (World::start().await, false)] {
        let ana = world.session(Level::Full);
        let mut upload = ana.open_write(&path("/a"), WHOLE).await.unwrap();
        send(&mut upload, &content(30 << 20)).await.unwrap();
        // its node dies: the intent stays, with the multipart upload that it names
        let operation = living_upload(&world).await;
        let mut swept = world.sweep().round(clock::now()).await;
        assert_eq!(swept, Default::default(), "it lives");
        swept = world.sweep().round(clock::now().plus_millis(LEASE_MILLIS + 60_000)).await;
        assert_eq!((swept.settled, swept.dropped, swept.failed), (0, 1, 0));
        // the dead node does nothing more
        std::mem::forget(upload);
        let again = world.session(Level::Full);
        if !kept {
            assert!(again.stat(&path("/a")).await.is_err());
            world.keys().await;
            continue;
        }
        let bytes = again.stat(&path("/a")).await.unwrap().bytes;
        assert_eq!(bytes, 16 << 20, "S3 has 24 MiB, the last part of them does not count");
        let whole = content(30 << 20);
        let resume = WriteMode { truncate: false, ..WHOLE };
        let mut upload = again.open_write(&path("/a"), resume).await.unwrap();
        upload.write(bytes, whole.slice(16 << 20..)).await.unwrap();
        upload.finish().await.unwrap();
        assert!(get(&again, "/a").await.unwrap() == whole);
        assert_eq!(seen(&world, "/a").await.operation.unwrap().to_string(), operation);
        world.keys().await;
    }
}

/// Waits until the one intent names its multipart upload and S3 has three parts; answers the operation.
async fn living_upload(world: &World) -> String {
    let (s3, bucket) = (&world.aws.s3, &world.aws.settings.bucket);
    for _ in 0..1000 {
        let items = world.aws.dynamodb.scan().table_name(&world.aws.settings.table).send().await.unwrap();
        let intent = items.items().iter().find(|item| item["pk"].as_s().unwrap().starts_with("INTENT#"));
        let intent: Option<Intent> = intent.map(|item| serde_json::from_str(item["intent"].as_s().unwrap()).unwrap());
        if let Some(Intent { upload: Some(upload), operation, key, .. }) = intent {
            let parts = s3.list_parts().bucket(bucket).key(key).upload_id(upload).send().await.unwrap();
            if parts.parts().len() == 3 {
                return operation.to_string();
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the intent does not name its upload");
}

/// A file of 10 bytes, counted, and two operations that both saw it and both succeeded at S3, where they believe that they took
/// it away: an upload of `made` bytes, and a delete. To be settled in some order.
struct BothTookIt {
    world: World,
    settler: Settler,
    upload: Done,
    delete: Done,
}

impl BothTookIt {
    async fn with_upload_of(made: u64) -> Self {
        let world = World::start().await;
        put(&world.session(Level::Full), "/a", &content(10), WHOLE).await.unwrap();
        assert_eq!((world.usage().await.bytes, world.usage().await.files), (10, 1));
        let first = seen(&world, "/a").await;
        let [upload, delete] = [(1, Change::Upload), (2, Change::Delete)].map(|(number, change)| {
            intent(&world, "/a", OperationId::from_random([number; 16]), change, Some(first.clone()))
        });
        world.stores.intents.record(&delete, clock::now()).await.unwrap();
        world.stores.intents.record(&upload, clock::now()).await.unwrap();
        let upload = Done::of(upload, UsageChange::written(made, Some(&first)));
        let delete = Done::of(delete, UsageChange::removed(&first));
        Self { settler: Settler::start(world.stores.clone()), world, upload, delete }
    }

    /// Settles them, one after the other or at once, and answers the usage.
    async fn settled(self, delete_first: bool, at_once: bool) -> (i64, i64) {
        let Self { world, settler, upload, delete } = self;
        let wait = async || assert!(settler.settled(std::time::Duration::from_secs(20)).await);
        for done in if delete_first { [delete, upload] } else { [upload, delete] } {
            settler.hand_over(done).await;
            if !at_once {
                wait().await;
            }
        }
        wait().await;
        let usage = world.usage().await;
        (usage.bytes, usage.files)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_two_operations_took_away_is_counted_once() {
    // the replacement was deleted by a third, so the delete found nothing, which S3 calls a success
    for (delete_first, at_once) in [(false, false), (true, false), (false, true), (true, true)] {
        let usage = BothTookIt::with_upload_of(30).await.settled(delete_first, at_once).await;
        assert_eq!(usage, (30, 1), "delete first: {delete_first}, at once: {at_once}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_the_same_bytes_are_counted_whatever_their_order() {
    // S3 cannot tell the replacement from the first, so the delete took the replacement away
    for (delete_first, at_once) in [(false, false), (true, false), (false, true), (true, true)] {
        let usage = BothTookIt::with_upload_of(10).await.settled(delete_first, at_once).await;
        assert_eq!(usage, (0, 0), "delete first: {delete_first}, at once: {at_once}");
    }
}
