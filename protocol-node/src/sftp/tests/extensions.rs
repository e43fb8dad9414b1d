//! What is offered beside the draft.

use super::{CREATE, Client, READ, fields};
use crate::doubles::{KNOWN_MD5, Vfs};

#[tokio::test]
async fn hashes_are_answered_in_the_form_of_each_extension() {
    let vfs = Vfs::default();
    vfs.put("/a", vec![b'x'; 1000]);
    let mut client = Client::new(&vfs).await;
    let handle = client.open("/a", READ).await;
    let check = |name: &str, algorithms: &str, offset, length, block| {
        let what = fields().string(name).string(if name == "check-file-name" { &b"/a"[..] } else { &handle[..] });
        what.string(algorithms).u64(offset).u64(length).u32(block)
    };
    // `head -c 1000 /dev/zero | tr '\\0' x | sha256sum`
    let sha256 = [0x44, 0xf8, 0x35, 0x44];
    let answer = client.call(200, check("check-file-name", "whirlpool,sha256,md5", 0, 0, 0)).await;
    assert_eq!((answer[0], answer[1..5].to_vec(), &answer[5..11]), (201, vec![0, 0, 0, 6], &b"sha256"[..]));
    assert_eq!((answer.len(), &answer[11..15]), (11 + 32, &sha256[..]));
    let by_handle = client.call(200, check("check-file-handle", "sha256", 0, 0, 0)).await;
    assert_eq!(by_handle, answer);
    let echoed = client.call(200, check("check-file", "sha256", 0, 1000, 0)).await;
    assert_eq!(echoed[1..], [&[0, 0, 0, 10][..], b"check-file", &answer[1..]].concat());
    // a hash for each block, the last one shorter
    let blocks = client.call(200, check("check-file-handle", "md5", 0, 0, 256)).await;
    assert_eq!(blocks.len(), 1 + 4 + 3 + 4 * 16);
    assert_eq!(blocks[8..24], blocks[24..40]);
    assert_ne!(blocks[40..56], blocks[56..72]);
    let last = client.call(200, check("check-file-handle", "md5", 768, 500, 0)).await;
    assert_eq!(last[8..], blocks[56..]);
    for (algorithms, block, code) in [("crc32", 0, 8), ("md5", 255, 8)] {
        let (refused, _) = client.status(200, check("check-file-handle", algorithms, 0, 0, block)).await;
        assert_eq!(refused, code, "{algorithms} {block}");
    }
    // md5-hash, with and without a quick check of the beginning
    let md5 = |quick: &[u8]| fields().string("md5-hash").string("/a").u64(768).u64(0).string(quick);
    let answer = client.call(200, md5(b"")).await;
    assert_eq!(answer[1..], [&[0, 0, 0, 8][..], b"md5-hash", &[0, 0, 0, 16], &blocks[56..]].concat());
    assert_eq!(client.call(200, md5(&blocks[56..])).await, answer);
    assert_eq!(client.call(200, md5(&[7; 16])).await[13..], [0; 4]);
    let (refused, _) = client.status(200, fields().string("md5-hash").string("/none").u64(0).u64(0).string("")).await;
    assert_eq!(refused, 2);
}

#[tokio::test]
async fn bytes_are_copied_between_handles_and_a_disk_is_shown() {
    let vfs = Vfs::default();
    vfs.put("/a", "0123456789");
    let mut client = Client::new(&vfs).await;
    let (from, to) = (client.open("/a", READ).await, client.open("/b", CREATE).await);
    let copy =
        |offset, length, at| fields().string("copy-data").string(&from).u64(offset).u64(length).string(&to).u64(at);
    assert_eq!(client.status(200, copy(2, 3, 0)).await.0, 0);
    assert_eq!(client.status(200, copy(0, 0, 3)).await.0, 0);
    assert_eq!(client.status(200, copy(8, 5, 13)).await.0, 1, "there was less");
    let wrong = fields().string("copy-data").string(&to).u64(0).u64(0).string(&from).u64(0);
    assert_eq!(client.status(200, wrong).await.0, 4);
    assert_eq!(client.status(4, fields().string(&to)).await.0, 0);
    assert_eq!(vfs.get("/b").unwrap(), "234012345678989");
    let disk = client.call(200, fields().string("statvfs@openssh.com").string("/a")).await;
    assert_eq!((disk[0], disk.len()), (201, 1 + 88));
    let field = |at: usize| u64::from_be_bytes(disk[1 + 8 * at..9 + 8 * at].try_into().unwrap());
    // 10,000 bytes are three blocks
    assert_eq!((field(1), field(2) - field(3), field(5) - field(6)), (4096, 3, 3));
    assert_eq!(client.status(200, fields().string("statvfs@openssh.com").string("/none")).await.0, 2);
}

#[tokio::test]
async fn what_is_read_for_a_hash_has_a_limit_and_what_s3_knows_has_none() {
    const LIMIT: u64 = 256 << 20;
    let vfs = Vfs::default();
    vfs.put("/huge", "");
    vfs.put("/huge-known", "");
    let mut client = Client::new(&vfs).await;
    let check = |path: &str, algorithm: &str, length, block| {
        let what = fields().string("check-file-name").string(path).string(algorithm);
        what.u64(7).u64(length).u32(block)
    };
    for (path, algorithm, length, block) in [
        ("/huge", "sha256", 0, 0),
        ("/huge", "md5", LIMIT + 1, 0),
        ("/huge", "md5", LIMIT + 1, 1 << 20),
        ("/huge-known", "md5", LIMIT + 1, 0),
        ("/huge-known", "sha1", 0, 0),
    ] {
        let (code, text) = client.status(200, check(path, algorithm, length, block)).await;
        assert!(code == 8 && text.contains("at most 256 MiB"), "{path} {algorithm} {length} {block}: {code} {text}");
    }
    assert_eq!(client.call(200, check("/huge", "md5", 1 << 20, 0)).await[0], 201);
    // just as much is read: `head -c 268435456 /dev/zero | sha1sum`
    let whole = client.call(200, check("/huge", "sha1", LIMIT, 0)).await;
    assert_eq!((whole[0], &whole[9..13]), (201, &[0x7b, 0x91, 0xdb, 0xdc][..]));
    // of a file as a whole
    let known = fields().string("md5-hash").string("/huge-known").u64(0).u64(0).string("");
    assert_eq!(client.call(200, known).await[17..], KNOWN_MD5);
    assert_eq!(vfs.closed.lock().unwrap().len(), 0, "it is no download");
}

#[tokio::test]
async fn a_hash_by_handle_is_of_the_version_that_is_there_now() {
    let vfs = Vfs::default();
    vfs.put("/a", "earlier");
    let mut client = Client::new(&vfs).await;
    let handle = client.open("/a", READ).await;
    let by_handle = || fields().string("check-file-handle").string(&handle).string("sha256").u64(0).u64(0).u32(0);
    let earlier = client.call(200, by_handle()).await;
    vfs.put("/a", "later, and longer");
    let by_name = fields().string("check-file-name").string("/a").string("sha256").u64(0).u64(0).u32(0);
    let now = client.call(200, by_name).await;
    assert_ne!(now, earlier);
    assert_eq!(client.call(200, by_handle()).await, now);
    // with the file goes its hash, though the handle reads on
    assert_eq!(client.status(13, fields().string("/a")).await.0, 0);
    assert_eq!(client.status(200, by_handle()).await.0, 2);
    assert_eq!(client.call(5, fields().string(&handle).u64(0).u32(9)).await[5..], *b"earlier");
}
