//! Listings: pages, delimiters, many keys, version 1.

use crate::objects::decoded;
use crate::support::{BUCKET, World, code, in_both};
use aws_sdk_s3::types::EncodingType;
use std::collections::BTreeSet;

in_both!(ten_thousand_keys, delimiters, version_1, url_encoding);

async fn fill(world: &World, keys: Vec<String>) {
    let mut waiting = tokio::task::JoinSet::new();
    for key in keys {
        if waiting.len() >= 32 {
            waiting.join_next().await.unwrap().unwrap();
        }
        let client = world.s3.clone();
        waiting.spawn(async move {
            client.put_object().bucket(BUCKET).key(key).send().await.unwrap();
        });
    }
    while let Some(done) = waiting.join_next().await {
        done.unwrap();
    }
}

async fn ten_thousand_keys(world: World) {
    fill(&world, (0..10_000).map(|number| format!("deep/{number:05}")).chain(["z".to_owned()]).collect()).await;
    let started = std::time::Instant::now();
    let mut pages = world.s3.list_objects_v2().bucket(BUCKET).prefix("deep/").into_paginator().send();
    let (mut keys, mut count) = (Vec::new(), 0);
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        count += 1;
        keys.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
    }
    assert_eq!((count, keys.len()), (10, 10_000));
    assert!(keys.is_sorted());
    println!("10,000 keys in 10 pages: {:?}", started.elapsed());
    // seeks past the folder, not through it
    let started = std::time::Instant::now();
    let top = world.s3.list_objects_v2().bucket(BUCKET).delimiter("/").send().await.unwrap();
    println!("one page of folders: {:?}", started.elapsed());
    assert_eq!(top.common_prefixes()[0].prefix(), Some("deep/"));
    assert_eq!(top.contents()[0].key(), Some("z"));
    assert_eq!(top.key_count(), Some(2));
}

async fn delimiters(world: World) {
    let keys = ["a", "a/1", "a/2/x", "a/2/y", "b", "b/", "c/1", "c/2", "d", "e//f", "e//g"];
    fill(&world, keys.map(str::to_owned).to_vec()).await;
    for limit in 1..=9 {
        let mut pages =
            world.s3.list_objects_v2().bucket(BUCKET).delimiter("/").max_keys(limit).into_paginator().send();
        let (mut found, mut prefixes) = (Vec::new(), Vec::new());
        while let Some(page) = pages.next().await {
            let page = page.unwrap();
            assert!(page.key_count().unwrap() <= limit);
            found.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
            prefixes.extend(page.common_prefixes().iter().map(|prefix| prefix.prefix().unwrap().to_owned()));
        }
        assert_eq!(found, ["a", "b", "d"], "pages of {limit}");
        assert_eq!(prefixes, ["a/", "b/", "c/", "e/"], "pages of {limit}");
    }
    let inner = world.s3.list_objects_v2().bucket(BUCKET).prefix("a/").delimiter("/").send().await.unwrap();
    assert_eq!(inner.contents()[0].key(), Some("a/1"));
    assert_eq!(inner.common_prefixes()[0].prefix(), Some("a/2/"));
    let marker = world.s3.list_objects_v2().bucket(BUCKET).prefix("b/").delimiter("/").send().await.unwrap();
    assert_eq!(marker.contents()[0].key(), Some("b/"));
    let after = world.s3.list_objects_v2().bucket(BUCKET).start_after("c/1").send().await.unwrap();
    assert_eq!(after.contents()[0].key(), Some("c/2"));
    let none = world.s3.list_objects_v2().bucket(BUCKET).max_keys(0).send().await.unwrap();
    assert_eq!((none.key_count(), none.is_truncated()), (Some(0), Some(false)));
    let wrong = world.s3.list_objects_v2().bucket(BUCKET).continuation_token("zz").send().await;
    assert_eq!(code(wrong), "InvalidArgument");
}

async fn version_1(world: World) {
    fill(&world, ["a/1", "a/2", "b", "c", "d/1"].map(str::to_owned).to_vec()).await;
    let first = world.s3.list_objects().bucket(BUCKET).delimiter("/").max_keys(2).send().await.unwrap();
    assert_eq!(first.common_prefixes()[0].prefix(), Some("a/"));
    assert_eq!(first.contents()[0].key(), Some("b"));
    assert_eq!((first.is_truncated(), first.next_marker()), (Some(true), Some("b")));
    let rest = world.s3.list_objects().bucket(BUCKET).delimiter("/").marker("b").send().await.unwrap();
    assert_eq!(rest.contents()[0].key(), Some("c"));
    assert_eq!(rest.common_prefixes()[0].prefix(), Some("d/"));
    let folder = world.s3.list_objects().bucket(BUCKET).delimiter("/").marker("a/").max_keys(1).send().await.unwrap();
    assert_eq!(folder.contents()[0].key(), Some("b"), "a marker that is a common prefix is past all of it");
    let plain = world.s3.list_objects().bucket(BUCKET).max_keys(1).send().await.unwrap();
    assert_eq!((plain.is_truncated(), plain.next_marker()), (Some(true), None));
}

async fn url_encoding(world: World) {
    let keys = ["x/\u{7f}\u{1}", "x/a b", "x/a+b", "x/ü", "x/%41", "x\n/deep"];
    fill(&world, keys.map(str::to_owned).to_vec()).await;
    let list = world.s3.list_objects_v2().bucket(BUCKET).encoding_type(EncodingType::Url).send().await.unwrap();
    let listed: BTreeSet<String> = list.contents().iter().map(|object| decoded(object.key().unwrap())).collect();
    assert_eq!(listed, keys.iter().map(|key| (*key).to_owned()).collect());
    let list = world.s3.list_objects_v2().bucket(BUCKET).encoding_type(EncodingType::Url).delimiter("/");
    let list = list.send().await.unwrap();
    let prefixes: Vec<String> = list.common_prefixes().iter().map(|prefix| decoded(prefix.prefix().unwrap())).collect();
    assert_eq!(prefixes, ["x\n/", "x/"]);
}
