//! Sentences of docs/SEMANTICS.md that nothing else shows.

use crate::world::{WHOLE, World, content, get, names, path, put, send};
use app::vfs::{EntryKind, WriteMode};
use bytes::Bytes;
use domain::access::{Level, Permissions, Verb, Verbs};
use domain::file_error::FileErrorKind::{
    AlreadyExists, Changed, NoSuchFile, PermissionDenied, TooLarge, Unavailable, Unsupported,
};
use domain::time::Timestamp;
use domain::upload::MAX_FILE_BYTES;
use offline_aws::FaultPlan;
use std::time::Duration;
use store::clock;
use store::intents::LEASE_MILLIS;

#[tokio::test(flavor = "multi_thread")]
async fn names_differ_if_their_bytes_differ() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    // composed and decomposed
    let all = ["/a", "/A", "/\u{e4}", "/a\u{308}"];
    for (at, name) in all.iter().enumerate() {
        put(&ana, name, &content(at + 1), WHOLE).await.unwrap();
    }
    for (at, name) in all.iter().enumerate() {
        assert_eq!(get(&ana, name).await.unwrap().len(), at + 1, "{name}");
    }
    assert_eq!(names(&ana, "/").await.unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_home_stays_and_a_session_starts_at_the_root() {
    let world = World::start().await;
    for mount in ["/", "/ventas"] {
        let ana = world.session_at(Level::Full, mount);
        assert!(ana.login_folder().is_root());
        let (home, inside) = (path(mount), path(&format!("{mount}/x")));
        put(&ana, &format!("{mount}/f"), &content(1), WHOLE).await.unwrap();
        for (from, to) in [(&home, &inside), (&path(&format!("{mount}/f")), &home)] {
            assert_eq!(ana.rename(from, to, true).await.unwrap_err().kind(), PermissionDenied, "{from} to {to}");
        }
        assert_eq!(ana.delete_folder(&home).await.unwrap_err().kind(), PermissionDenied);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_that_replaces_needs_the_right_to_overwrite() {
    let world = World::start().await;
    let full = world.session(Level::Full);
    put(&full, "/a", &content(1), WHOLE).await.unwrap();
    put(&full, "/b", &content(2), WHOLE).await.unwrap();
    let verbs = Verbs::of(&[Verb::List, Verb::Download, Verb::Upload, Verb::RenameFiles]);
    let ana = world.session_with(Permissions::everywhere(verbs));
    assert_eq!(ana.rename(&path("/a"), &path("/b"), true).await.unwrap_err().kind(), PermissionDenied);
    assert_eq!(get(&ana, "/b").await.unwrap().len(), 2);
    ana.rename(&path("/a"), &path("/c"), true).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_may_be_a_file_and_a_folder() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    put(&ana, "/a", &content(1), WHOLE).await.unwrap();
    put(&ana, "/a/b", &content(2), WHOLE).await.unwrap();
    assert_eq!((get(&ana, "/a").await.unwrap().len(), get(&ana, "/a/b").await.unwrap().len()), (1, 2));
    ana.make_folder(&path("/d")).await.unwrap();
    put(&ana, "/d", &content(3), WHOLE).await.unwrap();
    assert_eq!((get(&ana, "/d").await.unwrap().len(), names(&ana, "/d").await.unwrap().len()), (3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_close_refuses() {
    let world = World::start().await;
    let (ana, ben) = (world.session(Level::Full), world.session(Level::Full));
    // EXCL, and the name is taken after OPEN
    for size in [5, 9 << 20] {
        let mut upload = ana.open_write(&path("/a"), WriteMode { exclusive: true, ..WHOLE }).await.unwrap();
        send(&mut upload, &content(size)).await.unwrap();
        put(&ben, "/a", &content(3), WHOLE).await.unwrap();
        assert_eq!(upload.finish().await.unwrap_err().kind(), AlreadyExists);
        assert_eq!(get(&ana, "/a").await.unwrap().len(), 3);
        ana.delete_file(&path("/a")).await.unwrap();
    }
    // another size than was set
    let mut upload = ana.open_write(&path("/b"), WHOLE).await.unwrap();
    send(&mut upload, &content(5)).await.unwrap();
    upload.set_bytes(6).await.unwrap();
    assert_eq!(upload.finish().await.unwrap_err().kind(), Unsupported);
    // more than a file can have
    let mut upload = ana.open_write(&path("/b"), WHOLE).await.unwrap();
    let refused = upload.write(MAX_FILE_BYTES, Bytes::from_static(b"x")).await.unwrap_err();
    assert!(refused.kind() == TooLarge && refused.message().contains("588 GiB"), "{refused}");
    upload.abort().await;
    assert_eq!(world.keys().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_and_closing_announces_nothing() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    put(&ana, "/a", &content(5), WHOLE).await.unwrap();
    world.announced().await;
    let opened = ana.open_write(&path("/a"), WriteMode { truncate: false, ..WHOLE }).await.unwrap();
    opened.finish().await.unwrap();
    // a download of which nothing was read, and one whose connection drops
    ana.open_read(&path("/a")).await.unwrap().close().await;
    let dropped = ana.open_read(&path("/a")).await.unwrap();
    dropped.read(0, 5).await.unwrap();
    drop(dropped);
    assert_eq!(world.announced().await, [] as [String; 0]);
    // one of which a part was read is announced with its whole size
    let part = ana.open_read(&path("/a")).await.unwrap();
    part.read(0, 2).await.unwrap();
    part.close().await;
    assert_eq!(world.announced().await, ["file.downloaded /home/ana/a 5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_stand_before_folders_in_the_order_of_their_bytes() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    for name in ["/b", "/a/x", "/Z", "/ä", "/c/y", "/a b"] {
        put(&ana, name, &content(1), WHOLE).await.unwrap();
    }
    let mut listing = ana.list(&path("/")).await.unwrap();
    let page = listing.next_page().await.unwrap().unwrap();
    let listed: Vec<&str> = page.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(listed, ["Z", "a b", "b", "ä", "a", "c"]);
    assert!(page[4..].iter().all(|entry| entry.kind == EntryKind::Folder));
    assert!(listing.next_page().await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_into_the_bucket_directly_is_a_file_like_any_other() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    let (s3, bucket) = (&world.aws.s3, &world.aws.settings.bucket);
    let put = s3.put_object().bucket(bucket).key(world.key("/direct").as_str());
    put.body(content(300_000).to_vec().into()).send().await.unwrap();
    assert_eq!(names(&ana, "/").await.unwrap(), ["direct"]);
    assert!(get(&ana, "/direct").await.unwrap() == content(300_000));
    ana.rename(&path("/direct"), &path("/moved"), false).await.unwrap();
    ana.delete_file(&path("/moved")).await.unwrap();
    // bytes are gone at once
    assert_eq!(world.keys().await, []);
    assert_eq!(get(&ana, "/moved").await, Err(NoSuchFile));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_known_only_by_its_files_goes_with_the_last_of_them() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    put(&ana, "/d/a", &content(1), WHOLE).await.unwrap();
    put(&ana, "/d/b", &content(1), WHOLE).await.unwrap();
    ana.delete_file(&path("/d/a")).await.unwrap();
    assert_eq!(ana.stat(&path("/d")).await.unwrap().kind, EntryKind::Folder);
    ana.delete_file(&path("/d/b")).await.unwrap();
    assert_eq!(ana.stat(&path("/d")).await.unwrap_err().kind(), NoSuchFile);
    assert_eq!(names(&ana, "/").await.unwrap(), [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_goes_on_when_its_client_goes_away() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    put(&ana, "/a", &content(5), WHOLE).await.unwrap();
    put(&ana, "/d/x", &content(6), WHOLE).await.unwrap();
    world.nothing_left().await;
    let mut plan = FaultPlan::default();
    plan.dynamodb.latency_ms = 200;
    world.offline.faults().set(plan);
    for (from, to) in [("/a", "/b"), ("/d", "/e")] {
        let (from, to) = (path(from), path(to));
        let waited = tokio::time::timeout(Duration::from_millis(50), ana.rename(&from, &to, false)).await;
        assert!(waited.is_err(), "it should take longer");
    }
    world.nothing_left().await;
    world.offline.faults().set(FaultPlan::default());
    assert_eq!(names(&ana, "/").await.unwrap(), ["b", "e"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_replaced_while_it_is_renamed_is_kept() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    put(&ana, "/a", &content(5), WHOLE).await.unwrap();
    // taking the time along gives the moment between copy and delete that is needed here
    ana.set_modified(&path("/a"), Timestamp::from_millis(1_000_000_000_000)).await.unwrap();
    world.announced().await;
    let mut plan = FaultPlan::default();
    plan.dynamodb.latency_ms = 1500;
    world.offline.faults().set(plan);
    let renaming = tokio::spawn({
        let ana = ana.clone();
        async move { ana.rename(&path("/a"), &path("/b"), false).await }
    });
    while world.objects.head_recorded(&world.key("/b")).await.unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (s3, bucket) = (&world.aws.s3, &world.aws.settings.bucket);
    let newer = s3.put_object().bucket(bucket).key(world.key("/a").as_str()).body(content(9).to_vec().into());
    newer.send().await.unwrap();
    let refused = renaming.await.unwrap().unwrap_err();
    assert!(refused.kind() == Changed && refused.message().contains("kept its own"), "{refused}");
    world.offline.faults().set(FaultPlan::default());
    assert_eq!((get(&ana, "/a").await.unwrap().len(), get(&ana, "/b").await.unwrap().len()), (9, 5));
    let announced = world.announced().await;
    assert_eq!(announced[0], "file.created /home/ana/b 5");
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_a_folder_is_copied_before_anything_is_deleted() {
    const FILES: usize = 40;
    let world = World::start().await;
    let ana = world.session(Level::Full);
    for at in 0..FILES {
        put(&ana, &format!("/d/{at}"), &content(at), WHOLE).await.unwrap();
    }
    world.nothing_left().await;
    let mut plan = FaultPlan::default();
    plan.s3.latency_ms = 50;
    world.offline.faults().set(plan);
    let renaming = tokio::spawn({
        let ana = ana.clone();
        async move { ana.rename(&path("/d"), &path("/n"), false).await }
    });
    let (s3, bucket) = (&world.aws.s3, &world.aws.settings.bucket);
    let count = async |at: &str| {
        let prefix = format!("{}/", world.key(at).as_str());
        s3.list_objects_v2().bucket(bucket).prefix(prefix).send().await.unwrap().contents().len()
    };
    loop {
        // the old folder first: what is gone there was in the new one before
        let (old, new) = (count("/d").await, count("/n").await);
        assert!(old == FILES || new == FILES, "{old} are left and {new} copied");
        if old == 0 {
            break;
        }
    }
    renaming.await.unwrap().unwrap();
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_names_of_a_listing_do_not_wait_for_the_last() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    let (s3, bucket) = (&world.aws.s3, &world.aws.settings.bucket);
    for at in 0..1001 {
        let key = format!("{}{at:04}", world.key("/d/x").as_str());
        s3.put_object().bucket(bucket).key(key).send().await.unwrap();
    }
    let mut listing = ana.list(&path("/d")).await.unwrap();
    let mut plan = FaultPlan::default();
    plan.s3.down = true;
    world.offline.faults().set(plan);
    assert_eq!(listing.next_page().await.unwrap().unwrap().len(), 1000);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes two minutes: make test-full"]
async fn a_failure_of_the_storage_comes_with_close_and_sending_again_is_safe() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    let mut upload = ana.open_write(&path("/a"), WHOLE).await.unwrap();
    let mut plan = FaultPlan::default();
    plan.s3.down = true;
    world.offline.faults().set(plan);
    send(&mut upload, &content(100_000)).await.unwrap();
    assert_eq!(upload.finish().await.unwrap_err().kind(), Unavailable);
    world.offline.faults().set(FaultPlan::default());
    assert_eq!(get(&ana, "/a").await, Err(NoSuchFile));
    put(&ana, "/a", &content(100_000), WHOLE).await.unwrap();
    world.sweep().round(clock::now().plus_millis(2 * LEASE_MILLIS)).await;
    assert_eq!(world.keys().await.len(), 1);
    let usage = world.usage().await;
    assert_eq!((usage.bytes, usage.files), (100_000, 1));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute: make test-full"]
async fn an_upload_that_gets_no_memory_fails_and_says_so() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    // eight that hold a part of 8 MiB each, which is all there is
    let mut holding = Vec::new();
    for at in 0..8 {
        let mut upload = ana.open_write(&path(&format!("/{at}")), WHOLE).await.unwrap();
        send(&mut upload, &content(400_000)).await.unwrap();
        holding.push(upload);
    }
    let begun = std::time::Instant::now();
    assert_eq!(put(&ana, "/one-more", &content(400_000), WHOLE).await, Err(Unavailable));
    assert!((50..120).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    // small ones pass all the same
    put(&ana, "/small", &content(1000), WHOLE).await.unwrap();
    for upload in holding {
        upload.finish().await.unwrap();
    }
    put(&ana, "/one-more", &content(400_000), WHOLE).await.unwrap();
    assert_eq!(world.keys().await.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes two minutes: make test-full"]
async fn close_fails_if_the_time_cannot_be_kept() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    let mut upload = ana.open_write(&path("/a"), WHOLE).await.unwrap();
    send(&mut upload, &content(10)).await.unwrap();
    upload.set_modified(Timestamp::from_millis(1_000_000_000_000)).unwrap();
    let intents = &world.stores.intents;
    while intents.on_key(&world.organization, world.key("/a").as_str()).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let mut plan = FaultPlan::default();
    plan.dynamodb.down = true;
    world.offline.faults().set(plan);
    let refused = upload.finish().await.unwrap_err();
    assert!(refused.kind() == Unavailable && refused.message().contains("time"), "{refused}");
    let refused = ana.set_modified(&path("/a"), Timestamp::from_millis(7)).await.unwrap_err();
    assert_eq!(refused.kind(), Unavailable);
    world.offline.faults().set(FaultPlan::default());
    assert_eq!(get(&ana, "/a").await.unwrap(), content(10));
    ana.set_modified(&path("/a"), Timestamp::from_millis(1_000_000_000_000)).await.unwrap();
}
