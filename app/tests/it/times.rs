//! Times that clients set.

use crate::world::{WHOLE, World, content, get, path, put, send};
use app::vfs::{EntryKind, FileSession, WriteMode};
use domain::access::Level;
use domain::file_error::FileErrorKind::{NoSuchFile, PermissionDenied};
use domain::time::Timestamp;
use futures_util::StreamExt as _;
use offline_aws::FaultPlan;
use std::collections::BTreeMap;
use store::clock;
use store::intents::LEASE_MILLIS;

const MIB: usize = 1024 * 1024;

/// A time that no upload of today has.
fn then(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_000_000_000_000 + seconds * 1000)
}

async fn set(session: &FileSession, at: &str, time: Timestamp) {
    session.set_modified(&path(at), time).await.unwrap();
}

async fn time(session: &FileSession, at: &str) -> Timestamp {
    session.stat(&path(at)).await.unwrap().modified
}

/// All names of a folder with their times.
async fn times(session: &FileSession, at: &str) -> BTreeMap<String, Timestamp> {
    let mut listing = session.list(&path(at)).await.unwrap();
    let mut times = BTreeMap::new();
    while let Some(page) = listing.next_page().await.unwrap() {
        times.extend(page.into_iter().map(|entry| (entry.name, entry.modified)));
    }
    times
}

/// How many records of times there are, when all is settled.
async fn records(world: &World) -> usize {
    world.nothing_left().await;
    let items = world.aws.dynamodb.scan().table_name(&world.aws.settings.table).send().await.unwrap();
    items.items().iter().filter(|item| item["pk"].as_s().unwrap().starts_with("META#")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_a_client_sets_is_shown_by_stat_listing_and_download() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    // after CLOSE, before CLOSE on the handle, and before CLOSE by its path
    put(&ana, "/after", &content(5), WHOLE).await.unwrap();
    set(&ana, "/after", then(1)).await;
    for (name, size) in [("/small", 5), ("/large", 9 * MIB)] {
        let mut upload = ana.open_write(&path(name), WHOLE).await.unwrap();
        send(&mut upload, &content(size)).await.unwrap();
        upload.set_modified(then(2)).unwrap();
        upload.finish().await.unwrap();
    }
    let mut upload = ana.open_write(&path("/path"), WHOLE).await.unwrap();
    send(&mut upload, &content(5)).await.unwrap();
    set(&ana, "/path", then(3)).await;
    upload.finish().await.unwrap();
    put(&ana, "/never", &content(5), WHOLE).await.unwrap();
    ana.make_folder(&path("/folder")).await.unwrap();
    for (session, when) in [(ana.clone(), "now"), (world.session(Level::ReadOnly), "in another session")] {
        let mut listed = times(&session, "/").await;
        for (name, expected) in [("after", then(1)), ("small", then(2)), ("large", then(2)), ("path", then(3))] {
            assert_eq!(time(&session, name).await, expected, "{name}, {when}");
            assert_eq!(listed.remove(name), Some(expected), "{name}, {when}");
            let download = session.open_read(&path(name)).await.unwrap();
            assert_eq!(download.entry().modified, expected, "{name}, {when}");
        }
        assert!(listed.values().all(|time| clock::now().seconds() - time.seconds() < 600), "{listed:?}");
        assert_eq!(listed.len(), 2);
    }
    // the last one counts, also one that lies before 1970 or far ahead
    for seconds in [7, -1_500_000_000, 90_000_000_000] {
        set(&ana, "/after", then(seconds)).await;
        assert_eq!(time(&ana, "/after").await, then(seconds));
    }
    assert_eq!(records(&world).await, 4);
    assert!(get(&ana, "/after").await.unwrap() == content(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_is_of_one_version_and_goes_with_it() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    let before = clock::now().seconds();
    // overwritten, with other bytes and with the same
    for size in [6, 5] {
        put(&ana, "/a", &content(5), WHOLE).await.unwrap();
        set(&ana, "/a", then(1)).await;
        put(&ana, "/a", &content(size), WHOLE).await.unwrap();
        let same_second = size == 5 && time(&ana, "/a").await == then(1);
        assert_eq!(records(&world).await, 0, "what is settled has no record");
        assert!(time(&ana, "/a").await.seconds() >= before, "same second: {same_second}");
    }
    // deleted, and there again
    set(&ana, "/a", then(2)).await;
    assert_eq!(records(&world).await, 1);
    ana.delete_file(&path("/a")).await.unwrap();
    assert_eq!(records(&world).await, 0);
    put(&ana, "/a", &content(5), WHOLE).await.unwrap();
    assert!(time(&ana, "/a").await.seconds() >= before);
    // an upload that fails takes its time with it
    set(&ana, "/a", then(3)).await;
    let mut upload = ana.open_write(&path("/a"), WHOLE).await.unwrap();
    send(&mut upload, &content(9)).await.unwrap();
    set(&ana, "/a", then(4)).await;
    upload.abort().await;
    assert_eq!(time(&ana, "/a").await, then(3));
    // opened, given a time and closed: the file has it
    let mut upload = ana.open_write(&path("/a"), WriteMode { truncate: false, ..WHOLE }).await.unwrap();
    upload.set_modified(then(5)).unwrap();
    upload.finish().await.unwrap();
    assert_eq!(time(&ana, "/a").await, then(5));
    assert_eq!(records(&world).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn renames_take_times_along() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    for name in ["/a", "/b", "/d/x", "/d/e/y"] {
        put(&ana, name, &content(5), WHOLE).await.unwrap();
    }
    put(&ana, "/d/none", &content(5), WHOLE).await.unwrap();
    for (name, seconds) in [("/a", 1), ("/b", 2), ("/d/x", 3), ("/d/e/y", 4)] {
        set(&ana, name, then(seconds)).await;
    }
    let arrived = world.objects.head_recorded(&world.key("/a")).await.unwrap().unwrap().arrived;
    ana.rename(&path("/a"), &path("/c"), false).await.unwrap();
    assert_eq!(time(&ana, "/c").await, then(1));
    ana.rename(&path("/c"), &path("/b"), true).await.unwrap();
    assert_eq!(time(&ana, "/b").await, then(1), "and not that of the file it replaces");
    ana.rename(&path("/d"), &path("/n"), false).await.unwrap();
    assert_eq!((time(&ana, "/n/x").await, time(&ana, "/n/e/y").await), (then(3), then(4)));
    assert_eq!(times(&ana, "/n").await["x"], then(3));
    assert!(time(&ana, "/n/none").await > then(100));
    assert_eq!(records(&world).await, 3);
    // when it came is another matter, and stays
    let moved = world.objects.head_recorded(&world.key("/b")).await.unwrap().unwrap();
    assert_eq!(moved.arrived.seconds(), arrived.seconds());
    assert_eq!(
        world.stores.times.get(&world.organization, world.key("/b").as_str()).await.unwrap().unwrap().arrived,
        arrived
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_set_times() {
    let world = World::start().await;
    let full = world.session(Level::Full);
    put(&full, "/a", &content(5), WHOLE).await.unwrap();
    let refused = async |session: &FileSession, at: &str| {
        session.set_modified(&path(at), then(1)).await.map_err(|error| error.kind())
    };
    assert_eq!(refused(&world.session(Level::ReadOnly), "/a").await, Err(PermissionDenied));
    // who may upload and not overwrite: those that it has just sent
    let write = world.session(Level::WriteOnly);
    assert_eq!(refused(&write, "/a").await, Err(PermissionDenied));
    put(&write, "/mine", &content(5), WHOLE).await.unwrap();
    assert_eq!(refused(&write, "/mine").await, Ok(()));
    assert_eq!(time(&full, "/mine").await, then(1));
    assert_eq!(refused(&world.session(Level::WriteOnly), "/mine").await, Err(PermissionDenied));
    assert_eq!(refused(&world.session(Level::ReadWriteNoDelete), "/a").await, Ok(()));
    // folders have none, and what is not there has none
    full.make_folder(&path("/d")).await.unwrap();
    for folder in ["/", "/d"] {
        assert_eq!(refused(&full, folder).await, Ok(()));
        assert_eq!(full.stat(&path(folder)).await.unwrap().kind, EntryKind::Folder);
    }
    assert_eq!(refused(&full, "/none").await, Err(NoSuchFile));
    assert_eq!(records(&world).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_listing_shows_every_time() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    // more than a page of names and several of records; some folders between them
    let files: Vec<String> = (0..1500).map(|at| format!("/many/{}{at:04}", ["a", "b-", "ü "][at % 3])).collect();
    let puts = files.iter().enumerate().map(|(at, name)| {
        let ana = ana.clone();
        async move {
            put(&ana, name, &content(at % 5), WHOLE).await.unwrap();
            if at % 4 != 0 {
                set(&ana, name, then(at as i64)).await;
            }
            if at % 100 == 0 {
                ana.make_folder(&path(&format!("/many/b-{at:04}-folder"))).await.unwrap();
            }
        }
    });
    futures_util::stream::iter(puts).buffer_unordered(32).collect::<Vec<_>>().await;
    let listed = times(&ana, "/many").await;
    assert_eq!(listed.len(), 1515);
    for (at, name) in files.iter().enumerate() {
        let shown = listed[name.strip_prefix("/many/").unwrap()];
        assert_eq!(shown == then(at as i64), at % 4 != 0, "{name}: {shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_removes_old_records_of_files_that_were_taken_from_outside() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    for name in ["/a", "/b", "/c", "/z"] {
        put(&ana, name, &content(5), WHOLE).await.unwrap();
        set(&ana, name, then(1)).await;
    }
    let times_of = &world.stores.times;
    for name in ["/a", "/c", "/z"] {
        let key = world.key(name);
        // as if it was noted two days ago
        let mut kept = times_of.get(&world.organization, key.as_str()).await.unwrap().unwrap();
        kept.kept_at = clock::now().plus_millis(-2 * 24 * 3_600_000);
        times_of.put(&world.organization, &key, &kept).await.unwrap();
    }
    for name in ["/b", "/c", "/z"] {
        let key = world.key(name);
        world.aws.s3.delete_object().bucket(&world.aws.settings.bucket).key(key.as_str()).send().await.unwrap();
    }
    assert_eq!(times(&ana, "/").await.into_iter().collect::<Vec<_>>(), [("a".to_owned(), then(1))]);
    // that of `b` is too young to be told from one whose file comes right now
    assert_eq!(records(&world).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_dynamodb_files_are_shown_with_the_time_of_s3() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    put(&ana, "/a", &content(5), WHOLE).await.unwrap();
    set(&ana, "/a", then(1)).await;
    world.nothing_left().await;
    let mut plan = FaultPlan::default();
    plan.dynamodb.down = true;
    world.offline.faults().set(plan);
    assert!(time(&ana, "/a").await > then(100));
    assert_eq!(times(&ana, "/").await.len(), 1);
    assert_eq!(get(&ana, "/a").await.unwrap(), content(5));
    world.offline.faults().set(FaultPlan::default());
    assert_eq!(time(&ana, "/a").await, then(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn times_survive_while_aws_misbehaves() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    let mut plan = FaultPlan { seed: 11, ..FaultPlan::default() };
    (plan.s3.error_rate, plan.s3.lost_answer_rate) = (0.1, 0.1);
    (plan.dynamodb.error_rate, plan.dynamodb.lost_answer_rate) = (0.1, 0.1);
    world.offline.faults().set(plan);
    let files = (0..30).map(|at| {
        let ana = ana.clone();
        tokio::spawn(async move {
            let name = format!("/{at}");
            let mut upload = ana.open_write(&path(&name), WHOLE).await.unwrap();
            send(&mut upload, &content(1000 + at)).await.unwrap();
            upload.set_modified(then(at as i64)).unwrap();
            upload.finish().await.unwrap();
            if at % 2 == 0 {
                ana.rename(&path(&name), &path(&format!("/moved-{at}")), false).await.unwrap();
            }
            if at % 3 == 0 {
                let name = if at % 2 == 0 { format!("/moved-{at}") } else { name };
                set(&ana, &name, then(1000 + at as i64)).await;
            }
        })
    });
    for file in futures_util::future::join_all(files).await {
        file.unwrap();
    }
    world.offline.faults().set(FaultPlan::default());
    let listed = times(&ana, "/").await;
    for at in 0..30i64 {
        let name = if at % 2 == 0 { format!("moved-{at}") } else { at.to_string() };
        assert_eq!(listed[&name], then(if at % 3 == 0 { 1000 + at } else { at }), "{name}");
    }
    world.vfs.settled(std::time::Duration::from_secs(20)).await;
    world.sweep().round(clock::now().plus_millis(LEASE_MILLIS + 1)).await;
    assert_eq!(records(&world).await, 30);
}
