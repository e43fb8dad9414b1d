//! What files do, seen through one session.

use crate::world::{WHOLE, World, content, get, names, path, put, send};
use app::vfs::{EntryKind, WriteMode};
use bytes::Bytes;
use domain::access::Level;
use domain::file_error::FileErrorKind::{
    AlreadyExists, BadRequest, Changed, FolderNotEmpty, IsAFolder, NoSuchFile, NotAFolder, PermissionDenied,
    Unsupported,
};

const MIB: usize = 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_size_class_come_back_as_sent() {
    let world = World::with_budget(512).await;
    let ana = world.session(Level::Full);
    let sizes = [0, 1, 262_144, 262_145, 8 * MIB, 8 * MIB + 1, 21 * MIB + 7];
    for size in sizes {
        let name = format!("/{size}");
        put(&ana, &name, &content(size), WHOLE).await.unwrap();
        assert_eq!(ana.stat(&path(&name)).await.unwrap().bytes, size as u64);
        assert!(get(&ana, &name).await.unwrap() == content(size), "{size} bytes differ");
    }
    let total: usize = sizes.iter().sum();
    let usage = world.usage().await;
    assert_eq!((usage.bytes, usage.files), (total as i64, sizes.len() as i64));
    assert_eq!(world.keys().await.len(), sizes.len());
    let announced = world.announced().await;
    assert_eq!(announced.iter().filter(|text| text.starts_with("file.created /home/ana/")).count(), sizes.len());
    assert_eq!(announced.iter().filter(|text| text.starts_with("file.downloaded /home/ana/")).count(), sizes.len());
    assert!(announced.contains(&"file.created /home/ana/262145 262145".to_owned()), "{announced:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_visible_before_close_and_nothing_stays_after_an_abort() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    for size in [100, 20 * MIB] {
        let mut upload = ana.open_write(&path("/a"), WHOLE).await.unwrap();
        send(&mut upload, &content(size)).await.unwrap();
        assert_eq!(world.session(Level::Full).stat(&path("/a")).await.unwrap_err().kind(), NoSuchFile);
        assert_eq!(names(&ana, "/").await.unwrap(), [] as [&str; 0]);
        upload.abort().await;
        assert_eq!(ana.stat(&path("/a")).await.unwrap_err().kind(), NoSuchFile);
        let mut dropped = ana.open_write(&path("/a"), WHOLE).await.unwrap();
        send(&mut dropped, &content(size)).await.unwrap();
        drop(dropped);
        assert_eq!(world.keys().await, []);
    }
    assert_eq!(world.announced().await, [] as [String; 0]);
    assert_eq!(world.usage().await.files, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn overwriting_replaces_whole_files_and_counts_the_difference() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    for size in [10, 9 * MIB, 3] {
        put(&ana, "/a", &content(size), WHOLE).await.unwrap();
        assert!(get(&ana, "/a").await.unwrap() == content(size));
        let usage = world.usage().await;
        assert_eq!((usage.bytes, usage.files), (size as i64, 1));
    }
    assert_eq!(world.keys().await, [("home/ana/a".to_owned(), 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_uploads_to_one_name_are_both_counted_right() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    let uploads = (0..20).map(|at| {
        let ana = ana.clone();
        tokio::spawn(async move { put(&ana, "/same", &content(1000 + at), WHOLE).await })
    });
    let results = futures_util::future::join_all(uploads).await;
    let done = results.into_iter().filter(|result| *result.as_ref().unwrap() == Ok(())).count();
    // each round of each upload loses to at most one other
    assert!(done >= 8, "only {done} of 20 uploads to one name succeeded");
    let keys = world.keys().await;
    let usage = world.usage().await;
    assert_eq!(keys.len(), 1);
    assert_eq!((usage.bytes, usage.files), (keys[0].1, 1));
    assert_eq!(world.announced().await.len(), done);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_take_a_file_away_one_succeeds_and_it_is_counted_once() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    for round in 0..5 {
        put(&ana, "/a", &content(100), WHOLE).await.unwrap();
        let deletes = (0..6).map(|at| {
            let ana = ana.clone();
            tokio::spawn(async move {
                let gone = if at % 2 == 0 {
                    ana.delete_file(&path("/a")).await
                } else {
                    ana.rename(&path("/a"), &path(&format!("/b{round}-{at}")), false).await
                };
                gone.map_err(|error| error.kind())
            })
        });
        let results = futures_util::future::join_all(deletes).await;
        let results: Vec<_> = results.into_iter().map(|result| result.unwrap()).collect();
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        assert!(results.iter().all(|result| matches!(result, Ok(()) | Err(NoSuchFile))), "{results:?}");
    }
    let keys = world.keys().await;
    let usage = world.usage().await;
    assert_eq!((usage.bytes, usage.files), (100 * keys.len() as i64, keys.len() as i64));
    assert_eq!(world.announced().await.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn open_modes() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    let no_truncate = WriteMode { truncate: false, ..WHOLE };
    let exclusive = WriteMode { exclusive: true, ..WHOLE };
    let existing = WriteMode { create: false, ..WHOLE };
    assert_eq!(put(&ana, "/a", &content(5), existing).await, Err(NoSuchFile));
    put(&ana, "/a", &content(500), exclusive).await.unwrap();
    assert_eq!(put(&ana, "/a", &content(5), exclusive).await, Err(AlreadyExists));
    put(&ana, "/a", &content(600), existing).await.unwrap();
    // scp: no TRUNC, then the whole file again
    put(&ana, "/a", &content(700), no_truncate).await.unwrap();
    // a client that patches the head of a file must not cut its tail
    assert_eq!(put(&ana, "/a", &content(5), no_truncate).await, Err(Unsupported));
    assert!(get(&ana, "/a").await.unwrap() == content(700));
    // shorter, but the client says so
    let mut upload = ana.open_write(&path("/a"), no_truncate).await.unwrap();
    send(&mut upload, &content(6)).await.unwrap();
    upload.set_bytes(6).await.unwrap();
    upload.finish().await.unwrap();
    assert_eq!(get(&ana, "/a").await.unwrap().len(), 6);
    // opened and closed: nothing changes
    ana.open_write(&path("/a"), no_truncate).await.unwrap().finish().await.unwrap();
    assert_eq!(get(&ana, "/a").await.unwrap().len(), 6);
    // a gap
    let mut upload = ana.open_write(&path("/gap"), WHOLE).await.unwrap();
    upload.write(10, Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(upload.finish().await.unwrap_err().kind(), Unsupported);
    assert_eq!(world.keys().await, [("home/ana/a".to_owned(), 6)]);
    assert_eq!(world.usage().await.bytes, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn permissions_hold_for_every_operation() {
    let world = World::start().await;
    let full = world.session(Level::Full);
    put(&full, "/a", &content(5), WHOLE).await.unwrap();
    full.make_folder(&path("/d")).await.unwrap();
    let read = world.session(Level::ReadOnly);
    assert_eq!(get(&read, "/a").await.unwrap().len(), 5);
    assert_eq!(names(&read, "/").await.unwrap(), ["a", "d"]);
    assert_eq!(put(&read, "/b", &content(5), WHOLE).await, Err(PermissionDenied));
    assert_eq!(read.delete_file(&path("/a")).await.unwrap_err().kind(), PermissionDenied);
    assert_eq!(read.delete_folder(&path("/d")).await.unwrap_err().kind(), PermissionDenied);
    assert_eq!(read.make_folder(&path("/e")).await.unwrap_err().kind(), PermissionDenied);
    assert_eq!(read.rename(&path("/a"), &path("/b"), true).await.unwrap_err().kind(), PermissionDenied);
    let write = world.session(Level::WriteOnly);
    assert_eq!(get(&write, "/a").await, Err(PermissionDenied));
    put(&write, "/b", &content(5), WHOLE).await.unwrap();
    assert_eq!(put(&write, "/b", &content(6), WHOLE).await, Err(PermissionDenied));
    assert_eq!(get(&full, "/b").await.unwrap().len(), 5);
    let no_delete = world.session(Level::ReadWriteNoDelete);
    put(&no_delete, "/b", &content(7), WHOLE).await.unwrap();
    assert_eq!(no_delete.delete_file(&path("/b")).await.unwrap_err().kind(), PermissionDenied);
    no_delete.rename(&path("/b"), &path("/c"), false).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn folders() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    // the home exists though nothing is in it
    assert_eq!(names(&ana, "/").await.unwrap(), [] as [&str; 0]);
    assert_eq!(ana.stat(&path("/")).await.unwrap().kind, EntryKind::Folder);
    assert_eq!(names(&ana, "/d").await, Err(NoSuchFile));
    ana.make_folder(&path("/d")).await.unwrap();
    assert_eq!(ana.make_folder(&path("/d")).await.unwrap_err().kind(), AlreadyExists);
    assert_eq!(names(&ana, "/d").await.unwrap(), [] as [&str; 0]);
    assert_eq!(ana.stat(&path("/d")).await.unwrap().kind, EntryKind::Folder);
    assert_eq!(put(&ana, "/", &content(1), WHOLE).await, Err(IsAFolder));
    assert_eq!(get(&ana, "/d").await, Err(IsAFolder));
    assert_eq!(ana.delete_file(&path("/d")).await.unwrap_err().kind(), IsAFolder);
    put(&ana, "/d/f", &content(1), WHOLE).await.unwrap();
    assert_eq!(names(&ana, "/d/f").await, Err(NotAFolder));
    assert_eq!(ana.make_folder(&path("/d/f")).await.unwrap_err().kind(), AlreadyExists);
    assert_eq!(ana.delete_folder(&path("/d")).await.unwrap_err().kind(), FolderNotEmpty);
    assert_eq!(ana.delete_folder(&path("/d/f")).await.unwrap_err().kind(), NotAFolder);
    ana.delete_file(&path("/d/f")).await.unwrap();
    ana.delete_folder(&path("/d")).await.unwrap();
    assert_eq!(ana.delete_folder(&path("/d")).await.unwrap_err().kind(), NoSuchFile);
    assert_eq!(ana.delete_folder(&path("/")).await.unwrap_err().kind(), PermissionDenied);
    assert_eq!(world.keys().await, []);
    let usage = world.usage().await;
    assert_eq!((usage.bytes, usage.files), (0, 0));
    assert_eq!(
        world.announced().await,
        [
            "file.created /home/ana/d/",
            "file.created /home/ana/d/f 1",
            "file.deleted /home/ana/d/f",
            "file.deleted /home/ana/d/"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn renames() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    put(&ana, "/a", &content(5), WHOLE).await.unwrap();
    put(&ana, "/b", &content(9), WHOLE).await.unwrap();
    assert_eq!(ana.rename(&path("/a"), &path("/b"), false).await.unwrap_err().kind(), AlreadyExists);
    assert_eq!(ana.rename(&path("/x"), &path("/y"), false).await.unwrap_err().kind(), NoSuchFile);
    ana.rename(&path("/a"), &path("/b"), true).await.unwrap();
    assert_eq!(get(&ana, "/b").await.unwrap().len(), 5);
    assert_eq!(get(&ana, "/a").await, Err(NoSuchFile));
    let usage = world.usage().await;
    assert_eq!((usage.bytes, usage.files), (5, 1));
    ana.make_folder(&path("/d")).await.unwrap();
    ana.make_folder(&path("/d/empty")).await.unwrap();
    put(&ana, "/d/ä b+%41", &content(3), WHOLE).await.unwrap();
    put(&ana, "/d/e/f", &content(4), WHOLE).await.unwrap();
    assert_eq!(ana.rename(&path("/b"), &path("/d"), true).await.unwrap_err().kind(), AlreadyExists);
    assert_eq!(ana.rename(&path("/d"), &path("/d/x"), false).await.unwrap_err().kind(), BadRequest);
    ana.rename(&path("/d"), &path("/n"), false).await.unwrap();
    assert_eq!(names(&ana, "/n").await.unwrap(), ["e", "empty", "ä b+%41"]);
    assert_eq!(get(&ana, "/n/e/f").await.unwrap().len(), 4);
    assert_eq!(names(&ana, "/").await.unwrap(), ["b", "n"]);
    let usage = world.usage().await;
    assert_eq!((usage.bytes, usage.files), (12, 3));
    assert_eq!(world.keys().await.len(), 5);
    let announced = world.announced().await;
    assert!(announced.contains(&"file.renamed /home/ana/a -> /home/ana/b 5".to_owned()), "{announced:?}");
    assert!(announced.contains(&"file.renamed /home/ana/d -> /home/ana/n/".to_owned()), "{announced:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chroot_below_the_root_shows_only_the_way_there() {
    let world = World::start().await;
    let home = world.session(Level::Full);
    put(&home, "/f", &content(1), WHOLE).await.unwrap();
    let ana = world.session_at(Level::Full, "/ventas");
    assert_eq!(names(&ana, "/").await.unwrap(), ["ventas"]);
    assert_eq!(names(&ana, "/ventas").await.unwrap(), ["f"]);
    assert_eq!(get(&ana, "/ventas/../ventas/f").await.unwrap().len(), 1);
    assert_eq!(get(&ana, "/f").await, Err(NoSuchFile));
    assert_eq!(put(&ana, "/g", &content(1), WHOLE).await, Err(NoSuchFile));
    assert_eq!(names(&ana, "/home").await, Err(NoSuchFile));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_of_many_pages_is_whole() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    let uploads = (0..2345).map(|at| {
        let ana = ana.clone();
        async move { put(&ana, &format!("/many/{at:05}"), &content(at % 7), WHOLE).await.unwrap() }
    });
    use futures_util::StreamExt as _;
    futures_util::stream::iter(uploads).buffer_unordered(32).collect::<Vec<_>>().await;
    let listed = names(&ana, "/many").await.unwrap();
    assert_eq!(listed, (0..2345).map(|at| format!("{at:05}")).collect::<Vec<_>>());
    assert_eq!(world.usage().await.files, 2345);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_replaced_while_it_is_read_is_an_error_and_not_a_mix() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    put(&ana, "/a", &content(40 * MIB), WHOLE).await.unwrap();
    let download = ana.open_read(&path("/a")).await.unwrap();
    download.read(0, 1000).await.unwrap();
    put(&ana, "/a", &Bytes::from(vec![7; 40 * MIB]), WHOLE).await.unwrap();
    let end = 40 * MIB as u64 - 1000;
    assert_eq!(download.read(end, 1000).await.unwrap_err().kind(), Changed);
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_in_any_order_answer_what_is_there() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    let bytes = content(12 * MIB);
    put(&ana, "/a", &bytes, WHOLE).await.unwrap();
    let download = ana.open_read(&path("/a")).await.unwrap();
    let reads = (0..400usize).map(|at| {
        let (download, bytes) = (download.clone(), bytes.clone());
        tokio::spawn(async move {
            let offset = if at % 3 == 0 { at * 30_000 } else { (at * 7_919_317) % (12 * MIB) };
            let chunks = download.read(offset as u64, 32_768).await.unwrap();
            let end = (offset + 32_768).min(bytes.len());
            assert!(chunks.concat() == bytes[offset..end], "read at {offset}");
        })
    });
    for read in reads.collect::<Vec<_>>() {
        read.await.unwrap();
    }
    assert!(download.read(12 * MIB as u64, 10).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_pause_and_idle_writers_keep_no_upload_waiting() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    put(&ana, "/big", &content(60 * MIB), WHOLE).await.unwrap();
    let mut paused = Vec::new();
    for _ in 0..8 {
        let download = ana.open_read(&path("/big")).await.unwrap();
        for at in 0..160 {
            download.read(at * 200_000, 200_000).await.unwrap();
        }
        paused.push(download);
    }
    let mut idle = Vec::new();
    for at in 0..60 {
        idle.push(ana.open_write(&path(&format!("/idle-{at}")), WHOLE).await.unwrap());
    }
    let before = std::time::Instant::now();
    put(&ana, "/new", &content(20 * MIB), WHOLE).await.unwrap();
    assert!(before.elapsed().as_secs() < 20, "the upload waited for {:?}", before.elapsed());
    // and those who paused go on
    for download in paused {
        let chunks = download.read(160 * 200_000, 200_000).await.unwrap();
        assert!(chunks.concat() == content(60 * MIB)[160 * 200_000..161 * 200_000]);
    }
    assert_eq!(ana.open_write(&path("/x"), WHOLE).await.map(drop).map_err(|error| error.kind()), Ok(()));
    let mut more: Vec<_> = Vec::new();
    let refused = loop {
        match ana.open_write(&path("/x"), WHOLE).await {
            Ok(upload) => more.push(upload),
            Err(error) => break error,
        }
    };
    assert!(refused.message().contains("64 files"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_large_uploads_finish_inside_the_smallest_budget() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    let uploads = (0..40).map(|at| {
        let ana = ana.clone();
        tokio::spawn(async move { put(&ana, &format!("/{at}"), &content(9 * MIB + at), WHOLE).await })
    });
    for upload in futures_util::future::join_all(uploads).await {
        upload.unwrap().unwrap();
    }
    assert_eq!(world.keys().await.len(), 40);
}
