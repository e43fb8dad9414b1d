//! Writing on behind a file that is there.

use crate::world::{WHOLE, World, content, get, path, put, send, send_from};
use app::vfs::{FileSession, Upload, WriteMode};
use bytes::Bytes;
use domain::access::Level;
use domain::file_error::FileErrorKind::{self, Changed, NoSuchFile, PermissionDenied};
use offline_aws::FaultPlan;
use store::clock;
use store::intents::LEASE_MILLIS;

const MIB: usize = 1024 * 1024;
/// As OpenSSH's `reput` and curl's `-a` open a file.
const APPEND: WriteMode = WriteMode { create: true, exclusive: false, truncate: false, append: true };
/// As WinSCP and lftp do; they begin to write at the old size.
const RESUME: WriteMode = WriteMode { append: false, ..APPEND };

/// Opens a file that has the first `from` bytes of `whole`, and sends the rest.
async fn begun(session: &FileSession, at: &str, mode: WriteMode, whole: &Bytes, from: usize) -> Upload {
    let mut upload = session.open_write(&path(at), mode).await.unwrap();
    assert_eq!(upload.bytes(), from as u64, "the size before the first write");
    send_from(&mut upload, whole, from).await.unwrap();
    upload
}

async fn append(session: &FileSession, at: &str, whole: &Bytes, from: usize) -> Result<(), FileErrorKind> {
    let upload = begun(session, at, RESUME, whole, from).await;
    upload.finish().await.map_err(|error| error.kind())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_on_behind_its_end() {
    // 25 MiB are three parts for S3 to copy
    let world = World::copying(10 << 20).await;
    let ana = world.session(Level::Full);
    let mut total = 0;
    let sizes =
        [(1, 7), (262_144, 1), (300_000, 300_000), (5 * MIB - 1, 9 * MIB), (5 * MIB, 3), (25 * MIB + 1, 9 * MIB)];
    for (before, more) in sizes {
        let whole = content(before + more);
        for (kind, mode) in [("a", APPEND), ("r", RESUME)] {
            let name = format!("/{kind}-{before}");
            put(&ana, &name, &whole.slice(..before), WHOLE).await.unwrap();
            begun(&ana, &name, mode, &whole, before).await.finish().await.unwrap();
            assert_eq!(ana.stat(&path(&name)).await.unwrap().bytes, whole.len() as u64);
            assert!(get(&ana, &name).await.unwrap() == whole, "{name} and {more} bytes");
            total += whole.len();
        }
    }
    let usage = world.usage().await;
    assert_eq!((usage.bytes, usage.files), (total as i64, 2 * sizes.len() as i64));
    assert_eq!(world.keys().await.len(), 2 * sizes.len());
    let announced = world.announced().await;
    assert!(announced.contains(&"file.created /home/ana/r-1 8".to_owned()), "{announced:?}");
    assert_eq!(announced.iter().filter(|text| text.starts_with("file.created")).count(), 4 * sizes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_append_every_write_goes_to_the_end() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    for before in [None, Some(0), Some(5), Some(6 * MIB)] {
        let start = content(before.unwrap_or(0));
        if before.is_some() {
            put(&ana, "/log", &start, WHOLE).await.unwrap();
        }
        let mut upload = ana.open_write(&path("/log"), APPEND).await.unwrap();
        // clients that append send offsets of their own, or none
        for (offset, line) in [(0, "one"), (0, "two"), (77, "three")] {
            upload.write(offset, Bytes::from(line)).await.unwrap();
        }
        upload.finish().await.unwrap();
        assert!(get(&ana, "/log").await.unwrap() == [&start[..], b"onetwothree"].concat());
    }
    // with TRUNC nothing of the old file stays
    put(&ana, "/log", &content(3), WriteMode { truncate: true, ..APPEND }).await.unwrap();
    assert_eq!(get(&ana, "/log").await.unwrap(), content(3));
    // nothing is written, and nothing changes
    let events = world.announced().await.len();
    ana.open_write(&path("/log"), APPEND).await.unwrap().finish().await.unwrap();
    assert_eq!((get(&ana, "/log").await.unwrap().len(), events), (3, 8 + 5));
    assert_eq!(world.announced().await, ["file.downloaded /home/ana/log 3"]);
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_somebody_has_changed_meanwhile_is_not_appended_to() {
    let world = World::start().await;
    let (ana, ben) = (world.session(Level::Full), world.session(Level::Full));
    for before in [100, 300_000, 6 * MIB] {
        let whole = content(before + 9);
        for early in [true, false] {
            put(&ana, "/a", &whole.slice(..before), WHOLE).await.unwrap();
            // replaced before the first write, or after the last
            let mut upload = ana.open_write(&path("/a"), RESUME).await.unwrap();
            let mut written = Ok(());
            if early {
                put(&ben, "/a", &content(33), WHOLE).await.unwrap();
                written = send_from(&mut upload, &whole, before).await;
            } else {
                send_from(&mut upload, &whole, before).await.unwrap();
                put(&ben, "/a", &content(33), WHOLE).await.unwrap();
            }
            assert!(matches!(written, Ok(()) | Err(Changed)), "{written:?}");
            assert_eq!(upload.finish().await.unwrap_err().kind(), Changed, "{before} bytes, early: {early}");
            assert_eq!(get(&ben, "/a").await.unwrap(), content(33));
        }
        // deleted meanwhile; and one that appears while another is begun by APPEND
        put(&ana, "/a", &whole.slice(..before), WHOLE).await.unwrap();
        let upload = begun(&ana, "/a", RESUME, &whole, before).await;
        ben.delete_file(&path("/a")).await.unwrap();
        assert_eq!(upload.finish().await.unwrap_err().kind(), Changed);
        assert_eq!(get(&ana, "/a").await, Err(NoSuchFile));
        let mut upload = ana.open_write(&path("/a"), APPEND).await.unwrap();
        send(&mut upload, &whole).await.unwrap();
        put(&ben, "/a", &content(33), WHOLE).await.unwrap();
        assert_eq!(upload.finish().await.unwrap_err().kind(), Changed);
        assert_eq!(get(&ana, "/a").await.unwrap(), content(33));
    }
    assert_eq!(world.keys().await, [("home/ana/a".to_owned(), 33)]);
    let usage = world.usage().await;
    assert_eq!((usage.bytes, usage.files), (33, 1));
    let appended = world.announced().await.into_iter().filter(|text| text.ends_with(" 300009"));
    assert_eq!(appended.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_replaced_may_not_be_appended_to() {
    let world = World::start().await;
    put(&world.session(Level::Full), "/a", &content(5), WHOLE).await.unwrap();
    let write = world.session(Level::WriteOnly);
    for mode in [APPEND, RESUME] {
        let refused = write.open_write(&path("/a"), mode).await.map(drop).map_err(|error| error.kind());
        assert_eq!(refused, Err(PermissionDenied));
    }
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_append_leaves_the_file_as_it_was() {
    let world = World::keeping().await;
    let ana = world.session(Level::Full);
    let whole = content(40 * MIB);
    put(&ana, "/a", &whole.slice(..6 * MIB), WHOLE).await.unwrap();
    for end in ["interrupted", "aborted"] {
        let upload = begun(&ana, "/a", RESUME, &whole, 6 * MIB).await;
        if end == "interrupted" {
            upload.interrupt().await;
        } else {
            upload.abort().await;
        }
        let again = world.session(Level::Full);
        assert_eq!(again.stat(&path("/a")).await.unwrap().bytes, 6 * MIB as u64);
        assert!(get(&again, "/a").await.unwrap() == whole.slice(..6 * MIB), "it can be read, too");
        world.nothing_left().await;
    }
    append(&ana, "/a", &whole, 6 * MIB).await.unwrap();
    assert!(get(&ana, "/a").await.unwrap() == whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_whose_node_died_leaves_the_file_as_it_was() {
    let world = World::keeping().await;
    let ana = world.session(Level::Full);
    let whole = content(40 * MIB);
    put(&ana, "/a", &whole.slice(..6 * MIB), WHOLE).await.unwrap();
    let upload = begun(&ana, "/a", RESUME, &whole, 6 * MIB).await;
    let (s3, bucket) = (&world.aws.s3, &world.aws.settings.bucket);
    while s3.list_multipart_uploads().bucket(bucket).send().await.unwrap().uploads().is_empty() {
        tokio::task::yield_now().await;
    }
    // the dead node does nothing more
    std::mem::forget(upload);
    let mut swept = world.sweep().round(clock::now().plus_millis(LEASE_MILLIS + 1000)).await;
    for _ in 0..100 {
        if swept.dropped > 0 {
            break;
        }
        swept = world.sweep().round(clock::now().plus_millis(LEASE_MILLIS + 1000)).await;
    }
    assert_eq!((swept.settled, swept.dropped, swept.failed), (0, 1, 0));
    world.sweep().abort_orphans(clock::now().plus_millis(1000), clock::now()).await.unwrap();
    let again = world.session(Level::Full);
    assert!(get(&again, "/a").await.unwrap() == whole.slice(..6 * MIB));
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_while_aws_misbehaves_are_whole_and_counted_once() {
    let world = World::with_budget(256).await;
    let ana = world.session(Level::Full);
    let mut plan = FaultPlan { seed: 3, ..FaultPlan::default() };
    (plan.s3.error_rate, plan.s3.lost_answer_rate, plan.s3.conflict_rate) = (0.1, 0.1, 0.1);
    (plan.dynamodb.error_rate, plan.dynamodb.lost_answer_rate) = (0.05, 0.05);
    world.offline.faults().set(plan);
    let appends = (0..24usize).map(|at| {
        let ana = ana.clone();
        tokio::spawn(async move {
            let (name, before) = (format!("/{at}"), [700, 400_000, 6 * MIB][at % 3] + at);
            let whole = content(before + 1000);
            put(&ana, &name, &whole.slice(..before), WHOLE).await.unwrap();
            append(&ana, &name, &whole, before).await.unwrap();
            (name, whole)
        })
    });
    let done = futures_util::future::join_all(appends).await;
    world.offline.faults().set(FaultPlan::default());
    let (mut bytes, mut files) = (0, 0);
    for one in done {
        let (name, whole) = one.unwrap();
        assert!(get(&ana, &name).await.unwrap() == whole, "{name}");
        (bytes, files) = (bytes + whole.len() as i64, files + 1);
    }
    world.sweep().round(clock::now().plus_millis(LEASE_MILLIS + 1)).await;
    world.sweep().abort_orphans(clock::now().plus_millis(1000), clock::now()).await.unwrap();
    assert_eq!(world.keys().await.len(), 24);
    let usage = world.usage().await;
    assert_eq!((usage.bytes, usage.files), (bytes, files));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_appends_finish_inside_the_smallest_budget() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    let appends = (0..40).map(|at| {
        let ana = ana.clone();
        tokio::spawn(async move {
            let (name, before) = (format!("/{at}"), if at % 2 == 0 { 400_000 } else { 6 * MIB });
            let whole = content(before + 9 * MIB + at);
            put(&ana, &name, &whole.slice(..before), WHOLE).await?;
            append(&ana, &name, &whole, before).await
        })
    });
    for one in futures_util::future::join_all(appends).await {
        one.unwrap().unwrap();
    }
    assert_eq!(world.keys().await.len(), 40);
}
