//! Renames of folders and of files that are too large for one copy: what a crash leaves of them, and how they end.

use crate::world::{WHOLE, World, content, get, names, path, put};
use domain::access::Level;
use domain::event::{Actor, ActorKind, Event, FileSubject, Topic};
use domain::file_error::FileErrorKind::{AlreadyExists, Changed, InvalidPath, NoSuchFile, TooLarge};
use domain::id::OperationId;
use domain::intent::{Change, Intent, Seen};
use domain::path::ObjectKey;
use domain::quota::{Counted, Quota};
use domain::time::Timestamp;
use std::time::Duration;
use store::clock;
use store::intents::LEASE_MILLIS;
use store::objects::Precondition;

const MIB: usize = 1024 * 1024;

fn folder_key(world: &World, at: &str) -> ObjectKey {
    let file = world.key(at);
    ObjectKey::from_record(&world.organization, format!("{}/", file.as_str())).unwrap()
}

/// The job of a node that began to rename a folder.
fn job(world: &World, from: &str, to: &str) -> Intent {
    let operation = OperationId::from_random([7; 16]);
    let subject = |at: &str| FileSubject { path: path(&format!("/home/ana{at}")), folder: true, size: None };
    let event = Event {
        id: operation.to_string(),
        topic: Topic::FileRenamed,
        created_at: clock::now(),
        organization: world.organization.clone(),
        actor: Actor { kind: ActorKind::User, id: "ana".into() },
        origin: None,
        file: Some(subject(to)),
        reason: None,
        api_key: None,
        changed: None,
        previous: Some(subject(from)),
        user_agent: None,
    };
    Intent {
        change: Change::RenameFolder { from: folder_key(world, from).as_str().to_owned(), counted: Counted::default() },
        event: Some(event),
        ..intent(world, operation, folder_key(world, to).as_str(), Change::MakeFolder)
    }
}

fn intent(world: &World, operation: OperationId, key: &str, change: Change) -> Intent {
    Intent {
        operation,
        organization: world.organization.clone(),
        credential: world.credential.clone(),
        key: key.to_owned(),
        counted: Counted::default(),
        change,
        event: None,
        seen: None,
        made_bytes: None,
        upload: None,
        appends: false,
    }
}

/// A time at which a lease that begins is over by now.
fn long_ago() -> Timestamp {
    clock::now().plus_millis(-LEASE_MILLIS - 1000)
}

async fn seen(world: &World, key: &ObjectKey) -> Seen {
    let info = world.objects.head_recorded(key).await.unwrap().unwrap();
    Seen { etag: info.etag.as_str().into(), bytes: info.bytes, modified: info.modified, operation: info.operation }
}

/// What a node leaves that dies in the middle of a rename of `/d` to `/n`: `copied` is in both, `moved` is only in the new
/// folder, the others are only in the old one.
async fn half_renamed(world: &World) {
    let ana = world.session(Level::Full);
    ana.make_folder(&path("/d")).await.unwrap();
    ana.make_folder(&path("/d/empty")).await.unwrap();
    for (name, size) in [("/d/copied", 10), ("/d/left", 20), ("/d/deep/ä b", 30), ("/n/moved", 40)] {
        put(&ana, name, &content(size), WHOLE).await.unwrap();
    }
    ana.set_modified(&path("/d/left"), Timestamp::from_millis(1_000_000_000_000)).await.unwrap();
    let (from, to) = (world.key("/d/copied"), world.key("/n/copied"));
    let operation = OperationId::from_random([8; 16]);
    let source = seen(world, &from).await;
    let change = Change::RenameTo { from: from.as_str().to_owned(), source, counted: Counted::default() };
    let stores = &world.stores;
    assert!(stores.intents.record(&intent(world, operation.clone(), to.as_str(), change), long_ago()).await.unwrap());
    let info = world.objects.head_recorded(&from).await.unwrap().unwrap();
    world.objects.copy_recorded(&from, &info, &to, &Precondition::Absent, &operation).await.unwrap();
    world.announced().await;
}

async fn is_finished(world: &World) {
    let ana = world.session(Level::Full);
    assert_eq!(names(&ana, "/n").await.unwrap(), ["copied", "deep", "empty", "left", "moved"]);
    assert_eq!(names(&ana, "/d").await, Err(NoSuchFile));
    for (name, size) in [("/n/copied", 10), ("/n/left", 20), ("/n/deep/ä b", 30), ("/n/moved", 40)] {
        assert!(get(&ana, name).await.unwrap() == content(size), "{name}");
    }
    let time = ana.stat(&path("/n/left")).await.unwrap().modified;
    assert_eq!(time.millis(), 1_000_000_000_000);
    let usage = world.usage().await;
    assert_eq!((usage.bytes, usage.files), (100, 4));
    let mut announced = world.announced().await;
    announced.retain(|text| !text.starts_with("file.downloaded"));
    assert_eq!(announced, ["file.renamed /home/ana/d -> /home/ana/n/"]);
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_whose_rename_was_cut_off_is_moved_by_the_sweep() {
    let world = World::start().await;
    half_renamed(&world).await;
    world.stores.intents.record(&job(&world, "/d", "/n"), long_ago()).await.unwrap();
    // in whatever order the sweep finds the job and the one object that was on its way
    let mut now = clock::now();
    for _ in 0..3 {
        world.sweep().round(now).await;
        now = now.plus_millis(2 * LEASE_MILLIS);
    }
    assert_eq!(world.sweep().round(now).await, Default::default());
    is_finished(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_attempt_finishes_a_rename_that_was_cut_off() {
    let world = World::start().await;
    half_renamed(&world).await;
    let ana = world.session(Level::Full);
    let (from, to) = (path("/d"), path("/n"));
    let job = job(&world, "/d", "/n");
    // as long as its node may live, it is left alone
    world.stores.intents.record(&job, clock::now()).await.unwrap();
    let refused = ana.rename(&from, &to, false).await.unwrap_err();
    assert_eq!(refused.kind(), Changed, "{refused}");
    assert_eq!(names(&ana, "/d").await.unwrap(), ["copied", "deep", "empty", "left"]);
    world.stores.intents.record(&job, long_ago()).await.unwrap();
    // the object that was on its way has an intent of its own, which is not this one's to finish
    let refused = ana.rename(&from, &to, false).await.unwrap_err();
    assert_eq!(refused.kind(), Changed, "{refused}");
    assert_eq!(names(&ana, "/d").await.unwrap(), ["copied"]);
    world.sweep().round(clock::now()).await;
    world.stores.intents.record(&job, long_ago()).await.unwrap();
    // all is there by now
    assert_eq!(ana.rename(&from, &to, false).await.unwrap_err().kind(), NoSuchFile);
    world.sweep().round(clock::now()).await;
    is_finished(&world).await;
    // and another name that exists is another matter
    put(&ana, "/e/x", &content(1), WHOLE).await.unwrap();
    assert_eq!(ana.rename(&path("/e"), &to, false).await.unwrap_err().kind(), AlreadyExists);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_after_a_rename_that_was_cut_off_stays() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    put(&ana, "/d/a", &content(10), WHOLE).await.unwrap();
    put(&ana, "/d/b", &content(20), WHOLE).await.unwrap();
    let job = job(&world, "/d", "/n");
    // S3 tells whole seconds: what comes later is to be of a later one
    while clock::now().seconds() <= job.event.as_ref().unwrap().created_at.seconds() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    put(&ana, "/d/a", &content(11), WHOLE).await.unwrap();
    put(&ana, "/d/new", &content(30), WHOLE).await.unwrap();
    put(&ana, "/n/b", &content(21), WHOLE).await.unwrap();
    world.stores.intents.record(&job, long_ago()).await.unwrap();
    assert_eq!(world.sweep().round(clock::now()).await.settled, 1);
    assert_eq!(names(&ana, "/d").await.unwrap(), ["a", "b", "new"]);
    assert_eq!(get(&ana, "/n/b").await.unwrap(), content(21));
    let usage = world.usage().await;
    assert_eq!((usage.bytes, usage.files), (11 + 20 + 30 + 21, 4));
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_of_a_folder_that_fails_takes_its_copies_back() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    let deep = format!("/d/{}", vec!["x".repeat(200); 4].join("/"));
    put(&ana, "/d/a", &content(5), WHOLE).await.unwrap();
    put(&ana, &deep, &content(6), WHOLE).await.unwrap();
    ana.set_modified(&path("/d/a"), Timestamp::from_millis(1_000_000_000_000)).await.unwrap();
    world.announced().await;
    // one of the new names would be too long
    let to = format!("/{}", "n".repeat(200));
    assert_eq!(ana.rename(&path("/d"), &path(&to), false).await.unwrap_err().kind(), InvalidPath);
    assert_eq!(names(&ana, &to).await, Err(NoSuchFile));
    assert_eq!(get(&ana, "/d/a").await.unwrap(), content(5));
    assert_eq!(get(&ana, &deep).await.unwrap(), content(6));
    let mut announced = world.announced().await;
    announced.retain(|text| !text.starts_with("file.downloaded"));
    assert_eq!(announced, [] as [String; 0]);
    let usage = world.usage().await;
    assert_eq!((usage.bytes, usage.files), (11, 2));
    world.nothing_left().await;
    // and it can be tried again
    ana.rename(&path("/d"), &path("/n"), false).await.unwrap();
    assert_eq!(ana.stat(&path("/n/a")).await.unwrap().modified.millis(), 1_000_000_000_000);
    // a folder is not replaced by a folder
    ana.make_folder(&path("/other")).await.unwrap();
    assert_eq!(ana.rename(&path("/n"), &path("/other"), true).await.unwrap_err().kind(), AlreadyExists);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_too_large_for_one_copy_is_copied_in_parts() {
    // one copy takes 50 MiB here, and a part 10
    let world = World::copying(10 << 20).await;
    let ana = world.session(Level::Full);
    let whole = content(51 * MIB);
    put(&ana, "/d/a", &whole, WHOLE).await.unwrap();
    put(&ana, "/b", &content(5), WHOLE).await.unwrap();
    let arrived = world.objects.head_recorded(&world.key("/d/a")).await.unwrap().unwrap().arrived;
    ana.set_modified(&path("/d/a"), Timestamp::from_millis(1_000_000_000_000)).await.unwrap();
    ana.rename(&path("/d/a"), &path("/b"), true).await.unwrap();
    ana.make_folder(&path("/e")).await.unwrap();
    ana.rename(&path("/b"), &path("/e/c"), false).await.unwrap();
    ana.rename(&path("/e"), &path("/f"), false).await.unwrap();
    let made = world.objects.head_recorded(&world.key("/f/c")).await.unwrap().unwrap();
    assert!(made.etag.as_str().ends_with("-6\""), "{made:?}");
    assert_eq!(made.arrived.seconds(), arrived.seconds());
    assert_eq!(ana.stat(&path("/f/c")).await.unwrap().modified.millis(), 1_000_000_000_000);
    assert!(get(&ana, "/f/c").await.unwrap() == whole);
    let usage = world.usage().await;
    assert_eq!((usage.bytes, usage.files), (whole.len() as i64, 1));
    assert_eq!(world.keys().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parts_of_a_copy_whose_node_died_are_ended() {
    let world = World::keeping().await;
    let ana = world.session(Level::Full);
    put(&ana, "/a", &content(9 * MIB), WHOLE).await.unwrap();
    world.announced().await;
    let (from, to) = (world.key("/a"), world.key("/b"));
    let operation = OperationId::from_random([8; 16]);
    let info = world.objects.head_recorded(&from).await.unwrap().unwrap();
    let upload = world.objects.begin_copy(to.clone(), &operation, &info).await.unwrap();
    let change = Change::RenameTo {
        from: from.as_str().to_owned(),
        source: seen(&world, &from).await,
        counted: Counted::default(),
    };
    let rename = Intent {
        upload: Some(upload.id().to_owned()),
        appends: true,
        ..intent(&world, operation, to.as_str(), change)
    };
    world.stores.intents.record(&rename, long_ago()).await.unwrap();
    assert_eq!(world.sweep().round(clock::now()).await.dropped, 1);
    assert_eq!(names(&ana, "/").await.unwrap(), ["a"]);
    world.nothing_left().await;
    // and the file can be renamed
    ana.rename(&path("/a"), &path("/b"), false).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_with_too_many_objects_is_not_renamed() {
    const MOST: usize = 3;
    let world = World::start().await;
    let node = world.another_node(9).with_folders_of(MOST);
    let ana = world.session_on(&node, Quota::default());
    // the folder's own marker is one of them
    ana.make_folder(&path("/d")).await.unwrap();
    for name in ["a", "b/c"] {
        put(&ana, &format!("/d/{name}"), &content(5), WHOLE).await.unwrap();
    }
    ana.rename(&path("/d"), &path("/e"), false).await.unwrap();
    put(&ana, "/e/one-more", &content(5), WHOLE).await.unwrap();
    let refused = ana.rename(&path("/e"), &path("/f"), false).await.unwrap_err();
    assert!(refused.kind() == TooLarge && refused.message().contains("more than 3 files"), "{refused}");
    assert_eq!((names(&ana, "/").await.unwrap(), names(&ana, "/e").await.unwrap().len()), (vec!["e".to_owned()], 3));
    assert!(node.settled(Duration::from_secs(20)).await);
    world.nothing_left().await;
    // what is within the limit can be taken out of it
    ana.rename(&path("/e/b"), &path("/b"), false).await.unwrap();
    ana.rename(&path("/e"), &path("/f"), false).await.unwrap();
    assert!(node.settled(Duration::from_secs(20)).await);
}
