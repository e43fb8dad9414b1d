//! Uploads whose connection broke: what stays of them, who sees it, and how they go on.

use crate::world::{WHOLE, World, content, get, names, path, put, send, send_from};
use app::vfs::{FileSession, WriteMode};
use bytes::Bytes;
use domain::access::Level;
use domain::file_error::FileErrorKind;
use domain::id::CredentialId;
use store::clock;

const MIB: usize = 1024 * 1024;
/// As OpenSSH's `reput` opens a file.
const REPUT: WriteMode = WriteMode { create: true, exclusive: false, truncate: false, append: true };
/// As lftp and WinSCP do.
const RESUME: WriteMode = WriteMode { append: false, ..REPUT };
/// As curl does.
const CURL: WriteMode = WriteMode { create: false, ..RESUME };

/// Sends the first `sent` bytes and goes away.
async fn interrupted(session: &FileSession, at: &str, content: &Bytes, sent: usize) {
    let mut upload = session.open_write(&path(at), WHOLE).await.unwrap();
    send(&mut upload, &content.slice(..sent)).await.unwrap();
    upload.interrupt().await;
}

async fn size(session: &FileSession, at: &str) -> Result<u64, FileErrorKind> {
    session.stat(&path(at)).await.map(|entry| entry.bytes).map_err(|error| error.kind())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_upload_goes_on_where_its_parts_end() {
    let world = World::keeping().await;
    let whole = content(30 * MIB);
    for (name, mode) in [("/reput", REPUT), ("/lftp", RESUME), ("/curl", CURL)] {
        interrupted(&world.session(Level::Full), name, &whole, 20 * MIB).await;
        // a client that reconnects
        let ana = world.session(Level::Full);
        assert_eq!(size(&ana, name).await, Ok(16 * MIB as u64), "{name}");
        let mut upload = ana.open_write(&path(name), mode).await.unwrap();
        send_from(&mut upload, &whole, 16 * MIB).await.unwrap();
        assert_eq!(size(&ana, name).await, Ok(whole.len() as u64), "while it is under way");
        upload.finish().await.unwrap();
        assert_eq!(size(&ana, name).await, Ok(whole.len() as u64));
        assert!(get(&ana, name).await.unwrap() == whole, "{name}");
    }
    let announced = world.announced().await;
    let uploads: Vec<&String> = announced.iter().filter(|text| text.starts_with("file.created")).collect();
    assert_eq!(uploads.len(), 3, "{announced:?}");
    let usage = world.usage().await;
    assert_eq!((usage.bytes, usage.files), (3 * whole.len() as i64, 3));
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_may_be_interrupted_again_and_again() {
    let world = World::keeping().await;
    let whole = content(50 * MIB);
    interrupted(&world.session(Level::Full), "/a", &whole, 10 * MIB).await;
    for (from, until) in [(8, 20), (16, 17), (16, 45)] {
        let ana = world.session(Level::Full);
        assert_eq!(size(&ana, "/a").await, Ok((from * MIB) as u64));
        let mut upload = ana.open_write(&path("/a"), RESUME).await.unwrap();
        send_from(&mut upload, &whole.slice(..until * MIB), from * MIB).await.unwrap();
        upload.interrupt().await;
    }
    let ana = world.session(Level::Full);
    let mut upload = ana.open_write(&path("/a"), RESUME).await.unwrap();
    send_from(&mut upload, &whole, 40 * MIB).await.unwrap();
    upload.finish().await.unwrap();
    assert!(get(&ana, "/a").await.unwrap() == whole);
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_its_credential_sees_it_and_nobody_reads_it() {
    let world = World::keeping().await;
    interrupted(&world.session(Level::Full), "/a", &content(20 * MIB), 20 * MIB).await;
    let ana = world.session(Level::Full);
    assert_eq!(names(&ana, "/").await.unwrap(), ["a"]);
    assert_eq!(get(&ana, "/a").await, Err(FileErrorKind::PermissionDenied));
    let renamed = ana.rename(&path("/a"), &path("/b"), false).await;
    assert_eq!(renamed.map_err(|error| error.kind()), Err(FileErrorKind::PermissionDenied));
    let ben = world.session_of(CredentialId::from_random([9; 15]));
    assert_eq!(names(&ben, "/").await.unwrap(), [] as [&str; 0]);
    assert_eq!(size(&ben, "/a").await, Err(FileErrorKind::NoSuchFile));
    assert_eq!(get(&ben, "/a").await, Err(FileErrorKind::NoSuchFile));
    // another's upload of the name has nothing to do with it
    put(&ben, "/a", &content(5), RESUME).await.unwrap();
    assert_eq!(size(&ben, "/a").await, Ok(5));
    // who has it deletes both: it, and the file behind its name
    let ana = world.session(Level::Full);
    ana.delete_file(&path("/a")).await.unwrap();
    assert_eq!(size(&ana, "/a").await, Err(FileErrorKind::NoSuchFile));
    assert_eq!(world.announced().await, ["file.created /home/ana/a 5", "file.deleted /home/ana/a"]);
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_upload_takes_its_place() {
    let world = World::keeping().await;
    let whole = content(20 * MIB);
    // with TRUNC; writing from the start; and by deleting it first
    for mode in [WHOLE, RESUME] {
        interrupted(&world.session(Level::Full), "/a", &whole, 20 * MIB).await;
        let ana = world.session(Level::Full);
        assert_eq!(size(&ana, "/a").await, Ok(16 * MIB as u64));
        put(&ana, "/a", &content(7), mode).await.unwrap();
        assert_eq!(size(&ana, "/a").await, Ok(7));
        assert_eq!(get(&ana, "/a").await.unwrap(), content(7));
        ana.delete_file(&path("/a")).await.unwrap();
        world.nothing_left().await;
    }
    interrupted(&world.session(Level::Full), "/a", &whole, 20 * MIB).await;
    // one that was interrupted later counts
    interrupted(&world.session(Level::Full), "/a", &whole, 10 * MIB).await;
    let ana = world.session(Level::Full);
    assert_eq!(size(&ana, "/a").await, Ok(8 * MIB as u64));
    ana.delete_file(&path("/a")).await.unwrap();
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_file_stays_for_everybody_else_until_the_upload_is_whole() {
    let world = World::keeping().await;
    let ben = world.session_of(CredentialId::from_random([9; 15]));
    put(&ben, "/a", &content(99), WHOLE).await.unwrap();
    let whole = content(20 * MIB);
    // S3 tells whole seconds: the interruption is to be of a later one
    let written = ben.stat(&path("/a")).await.unwrap().modified;
    later_than(written).await;
    interrupted(&world.session(Level::Full), "/a", &whole, 20 * MIB).await;
    let ana = world.session(Level::Full);
    assert_eq!(size(&ana, "/a").await, Ok(16 * MIB as u64));
    assert_eq!(names(&ana, "/").await.unwrap(), ["a"]);
    assert_eq!(get(&ben, "/a").await.unwrap(), content(99));
    let mut upload = ana.open_write(&path("/a"), RESUME).await.unwrap();
    send_from(&mut upload, &whole, 16 * MIB).await.unwrap();
    upload.finish().await.unwrap();
    assert!(get(&ben, "/a").await.unwrap() == whole);
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_file_of_somebody_else_takes_its_place() {
    let world = World::keeping().await;
    let whole = content(20 * MIB);
    interrupted(&world.session(Level::Full), "/a", &whole, 20 * MIB).await;
    // S3 tells whole seconds: the file is to be of a later one
    let kept = world.session(Level::Full).stat(&path("/a")).await.unwrap().modified;
    later_than(kept).await;
    put(&world.session_of(CredentialId::from_random([9; 15])), "/a", &content(99), WHOLE).await.unwrap();
    let ana = world.session(Level::Full);
    assert_eq!(size(&ana, "/a").await, Ok(99));
    assert!(get(&ana, "/a").await.unwrap() == content(99));
    assert_eq!(names(&ana, "/").await.unwrap(), ["a"]);
    // and nothing is put behind it
    let mut upload = ana.open_write(&path("/a"), RESUME).await.unwrap();
    upload.write(16 * MIB as u64, whole.slice(16 * MIB..)).await.unwrap_err();
    upload.abort().await;
    let now = clock::now();
    let after = now.plus_millis(25 * 3_600_000);
    assert_eq!(world.sweep().abort_orphans(now.plus_millis(1000), after).await.unwrap(), 1);
    world.nothing_left().await;
}

/// Waits for the next second.
async fn later_than(time: domain::time::Timestamp) {
    while clock::now().seconds() <= time.seconds() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_elsewhere_and_a_second_session_are_refused() {
    let world = World::keeping().await;
    let whole = content(20 * MIB);
    interrupted(&world.session(Level::Full), "/a", &whole, 20 * MIB).await;
    let ana = world.session(Level::Full);
    let mut upload = ana.open_write(&path("/a"), RESUME).await.unwrap();
    let refused = upload.write(5, Bytes::from_static(b"x")).await.unwrap_err();
    assert_eq!(refused.kind(), FileErrorKind::Unsupported);
    assert!(refused.message().contains(&(16 * MIB).to_string()), "{refused}");
    upload.abort().await;
    // opened and closed, or given up, it is as before
    ana.open_write(&path("/a"), RESUME).await.unwrap().finish().await.unwrap();
    ana.open_write(&path("/a"), RESUME).await.unwrap().interrupt().await;
    assert_eq!(size(&world.session(Level::Full), "/a").await, Ok(16 * MIB as u64));
    // of two sessions that go on one succeeds
    let mut first = ana.open_write(&path("/a"), RESUME).await.unwrap();
    let mut second = world.session(Level::Full).open_write(&path("/a"), RESUME).await.unwrap();
    first.write(16 * MIB as u64, whole.slice(16 * MIB..)).await.unwrap();
    let refused = second.write(16 * MIB as u64, whole.slice(16 * MIB..)).await.unwrap_err();
    assert_eq!(refused.kind(), FileErrorKind::Changed);
    second.abort().await;
    first.finish().await.unwrap();
    assert!(get(&ana, "/a").await.unwrap() == whole);
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_goes_on_with_ends_with_its_time() {
    let world = World::keeping().await;
    interrupted(&world.session(Level::Full), "/a", &content(20 * MIB), 20 * MIB).await;
    let now = clock::now();
    let (hour, day) = (3_600_000, 24 * 3_600_000);
    assert_eq!(world.sweep().abort_orphans(now.plus_millis(1000), now).await.unwrap(), 0);
    assert_eq!(world.sweep().abort_orphans(now.plus_millis(1000), now.plus_millis(day - hour)).await.unwrap(), 0);
    assert_eq!(world.sweep().abort_orphans(now.plus_millis(1000), now.plus_millis(day + hour)).await.unwrap(), 1);
    assert_eq!(size(&world.session(Level::Full), "/a").await, Err(FileErrorKind::NoSuchFile));
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn small_and_aborted_and_failed_uploads_leave_nothing() {
    let world = World::keeping().await;
    let ana = world.session(Level::Full);
    interrupted(&ana, "/small", &content(MIB), MIB).await;
    let mut upload = ana.open_write(&path("/aborted"), WHOLE).await.unwrap();
    send(&mut upload, &content(20 * MIB)).await.unwrap();
    upload.abort().await;
    let mut upload = ana.open_write(&path("/failed"), WHOLE).await.unwrap();
    send(&mut upload, &content(20 * MIB)).await.unwrap();
    assert!(upload.write(0, Bytes::from_static(b"again")).await.is_err());
    upload.interrupt().await;
    assert_eq!(names(&world.session(Level::Full), "/").await.unwrap(), [] as [&str; 0]);
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_nothing_is_kept() {
    let world = World::start().await;
    interrupted(&world.session(Level::Full), "/a", &content(20 * MIB), 20 * MIB).await;
    let ana = world.session(Level::Full);
    assert_eq!(size(&ana, "/a").await, Err(FileErrorKind::NoSuchFile));
    world.nothing_left().await;
}
