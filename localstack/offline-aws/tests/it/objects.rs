//! Single objects: ranges, headers, odd keys, owners, buckets.

use crate::support::{BUCKET, World, code, in_both, s3, status};
use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::MetadataDirective;
use std::time::Duration;

in_both!(ranges, headers, empty_objects, odd_keys, owners, buckets, old_readers, signatures);

async fn ranges(world: World) {
    let data: Vec<u8> = (0..3_000_000u32).map(|number| (number % 251) as u8).collect();
    world.put("k", data.clone()).await;
    for (range, expected) in [
        ("bytes=0-0", &data[..1]),
        ("bytes=524287-1048577", &data[524_287..1_048_578]),
        ("bytes=2999999-", &data[2_999_999..]),
        ("bytes=-5", &data[2_999_995..]),
        ("bytes=2999990-9999999", &data[2_999_990..]),
    ] {
        let got = world.s3.get_object().bucket(BUCKET).key("k").range(range).send().await.unwrap();
        assert!(got.content_range().is_some(), "{range}");
        assert_eq!(got.body.collect().await.unwrap().to_vec(), expected, "{range}");
    }
    let past = world.s3.get_object().bucket(BUCKET).key("k").range("bytes=3000000-").send().await;
    assert_eq!(code(past), "InvalidRange");
    assert_eq!(world.get("k").await, data);
}

async fn headers(world: World) {
    let put = world.s3.put_object().bucket(BUCKET).key("k").body(ByteStream::from_static(b"x"));
    put.content_type("text/x")
        .cache_control("no-store")
        .content_disposition("inline")
        .content_encoding("gzip")
        .content_language("de")
        .metadata("one", "1")
        .send()
        .await
        .unwrap();
    let head = world.s3.head_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(head.content_type(), Some("text/x"));
    assert_eq!(head.cache_control(), Some("no-store"));
    assert_eq!(head.content_disposition(), Some("inline"));
    assert_eq!(head.content_encoding(), Some("gzip"));
    assert_eq!(head.content_language(), Some("de"));
    assert_eq!(head.metadata().unwrap()["one"], "1");
    assert!(head.last_modified().is_some());
    let got = world.s3.get_object().bucket(BUCKET).key("k").response_content_type("a/b");
    let got = got.response_content_disposition("attachment; filename=\"x\"").send().await.unwrap();
    assert_eq!(got.content_type(), Some("a/b"));
    assert_eq!(got.content_disposition(), Some("attachment; filename=\"x\""));
    let copy = world.s3.copy_object().bucket(BUCKET).key("k").copy_source("bucket/k");
    copy.metadata_directive(MetadataDirective::Replace).metadata("two", "2").send().await.unwrap();
    let head = world.s3.head_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(head.metadata().unwrap().get("one"), None);
    assert_eq!(head.metadata().unwrap()["two"], "2");
    assert_eq!(head.content_type(), Some("binary/octet-stream"));
}

async fn empty_objects(world: World) {
    let etag = world.put("empty", "").await;
    assert_eq!(etag, "\"d41d8cd98f00b204e9800998ecf8427e\"");
    world.put("next", "x").await;
    assert_eq!(world.get("empty").await, b"");
    world.s3.copy_object().bucket(BUCKET).key("copy").copy_source("bucket/empty").send().await.unwrap();
    assert_eq!(world.get("copy").await, b"");
    let range = world.s3.get_object().bucket(BUCKET).key("empty").range("bytes=0-").send().await;
    assert_eq!(code(range), "InvalidRange");
}

async fn odd_keys(world: World) {
    let long = "x".repeat(1024);
    let keys = [
        "ab",
        "ab/c",
        "ef",
        "ef/c",
        "d/",
        "d/x",
        "/lead",
        "k//dbl",
        "./dot",
        "../up",
        "a/../b",
        "ü€😀",
        "a b+c%20",
        "q?x=1&y",
        "#h",
        "tab\there",
        "\u{1}ctl",
        "~'()*!@$,;:=",
        &long,
    ];
    for key in keys {
        world.put(key, key).await;
    }
    for key in keys {
        assert_eq!(world.get(key).await, key.as_bytes(), "{key:?}");
    }
    let list = world.s3.list_objects_v2().bucket(BUCKET).encoding_type(aws_sdk_s3::types::EncodingType::Url);
    let list = list.send().await.unwrap();
    let mut listed: Vec<String> = list.contents().iter().map(|object| decoded(object.key().unwrap())).collect();
    let mut expected: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    expected.sort();
    assert_eq!(listed, expected, "in key order");
    for key in listed.drain(..) {
        world.s3.delete_object().bucket(BUCKET).key(key).send().await.unwrap();
    }
    assert_eq!(world.stats().await["s3"]["blobs"], 0);
    let too_long =
        world.s3.put_object().bucket(BUCKET).key("x".repeat(1025)).body(vec![1; 100_000].into()).send().await;
    assert_eq!(code(too_long), "KeyTooLongError");
}

/// What a client does with `encoding-type=url`.
pub(crate) fn decoded(shown: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = shown.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digits = [*high, *low];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
                rest = tail;
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).unwrap()
}

async fn owners(world: World) {
    world.put("k", "x").await;
    let get = |owner: &str| world.s3.get_object().bucket(BUCKET).key("k").expected_bucket_owner(owner).send();
    get("000000000000").await.unwrap();
    assert_eq!(code(get("111111111111").await), "AccessDenied");
    let put = world.s3.put_object().bucket(BUCKET).key("k").expected_bucket_owner("111111111111");
    assert_eq!(code(put.body(vec![1; 2_000_000].into()).send().await), "AccessDenied");
    assert_eq!(world.get("k").await, b"x");
}

async fn buckets(world: World) {
    let s3 = &world.s3;
    assert_eq!(status(s3.head_bucket().bucket("none").send().await), 404);
    let missing = s3.put_object().bucket("none").key("k").body(vec![1; 5_000_000].into()).send().await;
    assert_eq!(code(missing), "NoSuchBucket");
    assert_eq!(code(s3.list_objects_v2().bucket("none").send().await), "NoSuchBucket");
    assert_eq!(code(s3.get_object().bucket("none").key("k").send().await), "NoSuchBucket");
    assert_eq!(code(s3.get_object().bucket(BUCKET).key("k").send().await), "NoSuchKey");
    s3.create_bucket().bucket("other").send().await.unwrap();
    s3.create_bucket().bucket("other").send().await.unwrap();
    s3.head_bucket().bucket("other").send().await.unwrap();
    let names = s3.list_buckets().send().await.unwrap();
    let names: Vec<_> = names.buckets().iter().filter_map(|bucket| bucket.name()).collect();
    assert_eq!(names, [BUCKET, "other"]);
    world.put("k", "x").await;
    assert_eq!(code(s3.delete_bucket().bucket(BUCKET).send().await), "BucketNotEmpty");
    s3.delete_bucket().bucket("other").send().await.unwrap();
    assert_eq!(status(s3.head_bucket().bucket("other").send().await), 404);
}

async fn old_readers(world: World) {
    // larger than what the sockets buffer, so that most of it is read after the replacement
    const LEN: usize = 24 * 1024 * 1024;
    world.put("k", vec![1; LEN]).await;
    let got = world.s3.get_object().bucket(BUCKET).key("k").send().await.unwrap();
    let mut body = got.body;
    assert!(body.next().await.unwrap().unwrap().iter().all(|byte| *byte == 1));
    world.put("k", vec![2; 10]).await;
    world.s3.delete_object().bucket(BUCKET).key("k").send().await.unwrap();
    let rest = body.collect().await.unwrap().to_vec();
    assert!(rest.len() > LEN / 2 && rest.iter().all(|byte| *byte == 1));
}

async fn signatures(world: World) {
    world.put("k", "secret").await;
    let unsigned = reqwest::get(format!("{}/{BUCKET}/k", world.aws.endpoint())).await.unwrap();
    assert_eq!(unsigned.status(), 403);
    let wrong =
        s3(&world.aws, |config| config.credentials_provider(Credentials::new("test", "wrong", None, None, "static")));
    assert_eq!(code(wrong.get_object().bucket(BUCKET).key("k").send().await), "SignatureDoesNotMatch");
    let soon = PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
    let url = world.s3.get_object().bucket(BUCKET).key("k").presigned(soon).await.unwrap();
    assert_eq!(reqwest::get(url.uri()).await.unwrap().text().await.unwrap(), "secret");
    assert_eq!(reqwest::get(url.uri().replace("/k?", "/l?")).await.unwrap().status(), 403);
}
