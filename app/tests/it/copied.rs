//! Bytes that are copied from one file to another (`copy-data`).

use crate::world::{WHOLE, World, content, get, path, put};
use bytes::Bytes;
use domain::access::Level;
use domain::file_error::FileErrorKind::Changed;

const MIB: usize = 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_file_or_of_part_of_it_is_what_it_was() {
    // 25 MiB are three parts for S3 to copy
    let world = World::copying(10 << 20).await;
    let ana = world.session(Level::Full);
    let whole = content(25 * MIB + 3);
    put(&ana, "/a", &whole, WHOLE).await.unwrap();
    let from = ana.open_read(&path("/a")).await.unwrap();
    let end = whole.len();
    for range in [0..end, 0..0, 0..5 * MIB, 7..6 * MIB, 100..300_000, end - 5..end] {
        let mut upload = ana.open_write(&path("/b"), WHOLE).await.unwrap();
        upload.copy_from(&from, range.start as u64..range.end as u64, 0).await.unwrap();
        assert_eq!(upload.bytes(), range.len() as u64);
        upload.write(range.len() as u64, Bytes::from_static(b"behind")).await.unwrap();
        upload.finish().await.unwrap();
        assert!(get(&ana, "/b").await.unwrap() == [&whole[range.clone()], b"behind"].concat(), "{range:?}");
    }
    // behind something, and in several pieces
    let mut upload = ana.open_write(&path("/c"), WHOLE).await.unwrap();
    upload.write(0, Bytes::from_static(b"before")).await.unwrap();
    upload.copy_from(&from, 0..6 << 20, 6).await.unwrap();
    upload.copy_from(&from, 6 << 20..7 << 20, 6 + (6 << 20)).await.unwrap();
    upload.finish().await.unwrap();
    assert!(get(&ana, "/c").await.unwrap() == [b"before", &whole[..7 * MIB]].concat());
    world.nothing_left().await;
    let usage = world.usage().await;
    assert_eq!((usage.bytes, usage.files), ((end + 5 + 6 + 6 + 7 * MIB) as i64, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_replaced_while_it_is_copied_is_an_error_and_not_a_mix() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    for size in [300_000, 6 * MIB] {
        put(&ana, "/a", &content(size), WHOLE).await.unwrap();
        let from = ana.open_read(&path("/a")).await.unwrap();
        put(&ana, "/a", &content(size + 1), WHOLE).await.unwrap();
        let mut upload = ana.open_write(&path("/b"), WHOLE).await.unwrap();
        let copied = upload.copy_from(&from, 0..size as u64, 0).await.map_err(|error| error.kind());
        assert!(matches!(copied, Ok(()) | Err(Changed)), "{copied:?}");
        let finished = if copied.is_ok() {
            upload.finish().await
        } else {
            upload.abort().await;
            continue;
        };
        assert_eq!(finished.unwrap_err().kind(), Changed);
    }
    assert_eq!(world.keys().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_upload_that_began_with_a_copy_goes_on() {
    let world = World::keeping().await;
    let ana = world.session(Level::Full);
    let whole = content(40 * MIB);
    put(&ana, "/a", &whole.slice(..6 * MIB), WHOLE).await.unwrap();
    let from = ana.open_read(&path("/a")).await.unwrap();
    let mut upload = ana.open_write(&path("/b"), WHOLE).await.unwrap();
    upload.copy_from(&from, 0..6 << 20, 0).await.unwrap();
    upload.write(6 << 20, whole.slice(6 * MIB..20 * MIB)).await.unwrap();
    upload.interrupt().await;
    let again = world.session(Level::Full);
    let kept = again.stat(&path("/b")).await.unwrap().bytes;
    // the copy, and the one part of 8 MiB behind it that was full
    assert_eq!(kept, 14 << 20);
    let mut upload = again.open_write(&path("/b"), domain_mode()).await.unwrap();
    upload.write(kept, whole.slice(14 * MIB..)).await.unwrap();
    upload.finish().await.unwrap();
    assert!(get(&again, "/b").await.unwrap() == whole);
    world.nothing_left().await;
}

/// As lftp and WinSCP go on.
fn domain_mode() -> app::vfs::WriteMode {
    app::vfs::WriteMode { truncate: false, ..WHOLE }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_is_told_and_the_hash_that_s3_knows() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    put(&ana, "/small", &Bytes::from_static(b"hello"), WHOLE).await.unwrap();
    put(&ana, "/large", &content(9 * MIB), WHOLE).await.unwrap();
    world.nothing_left().await;
    let space = ana.space(&path("/")).await.unwrap();
    assert_eq!((space.used_bytes, space.used_files), (5 + 9 * MIB as u64, 2));
    let md5 = async |name: &str| ana.open_read(&path(name)).await.unwrap().md5();
    assert_eq!(md5("/small").await.unwrap()[..4], [0x5d, 0x41, 0x40, 0x2a]);
    assert_eq!(md5("/large").await, None);
}
