//! If-Match and If-None-Match on reads, writes and deletes.

use crate::support::{BUCKET, World, code, in_both, status};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};

in_both!(reads, writes, deletes, one_winner, concurrent_writes_stay_whole);

async fn reads(world: World) {
    let etag = world.put("k", "x").await;
    let get = || world.s3.get_object().bucket(BUCKET).key("k");
    get().if_match(&etag).send().await.unwrap();
    get().if_match("*").send().await.unwrap();
    get().if_none_match("\"other\"").send().await.unwrap();
    assert_eq!(status(get().if_match("\"other\"").send().await), 412);
    assert_eq!(status(get().if_none_match(&etag).send().await), 304);
    let head = || world.s3.head_object().bucket(BUCKET).key("k");
    assert_eq!(status(head().if_match("\"other\"").send().await), 412);
    assert_eq!(status(head().if_none_match(&etag).send().await), 304);
}

async fn writes(world: World) {
    let put = |body: &'static str| {
        world.s3.put_object().bucket(BUCKET).key("k").body(ByteStream::from_static(body.as_bytes()))
    };
    assert_eq!(status(put("x").if_match("\"none\"").send().await), 404);
    let first = put("one").if_none_match("*").send().await.unwrap();
    assert_eq!(code(put("two").if_none_match("*").send().await), "PreconditionFailed");
    assert_eq!(world.get("k").await, b"one");
    assert_eq!(code(put("two").if_match("\"other\"").send().await), "PreconditionFailed");
    put("two").if_match(first.e_tag().unwrap()).send().await.unwrap();
    assert_eq!(world.get("k").await, b"two");
}

async fn deletes(world: World) {
    let etag = world.put("k", "x").await;
    let delete = || world.s3.delete_object().bucket(BUCKET).key("k");
    assert_eq!(code(delete().if_match("\"other\"").send().await), "PreconditionFailed");
    assert_eq!(world.get("k").await, b"x");
    delete().if_match(&etag).send().await.unwrap();
    assert_eq!(status(world.s3.head_object().bucket(BUCKET).key("k").send().await), 404);
    delete().send().await.unwrap();

    world.put("a", "1").await;
    let b = world.put("b", "2").await;
    let identifier = |key: &str, etag: &str| ObjectIdentifier::builder().key(key).e_tag(etag).build().unwrap();
    let delete = Delete::builder().objects(identifier("a", "\"other\"")).objects(identifier("b", &b)).build().unwrap();
    let done = world.s3.delete_objects().bucket(BUCKET).delete(delete).send().await.unwrap();
    assert_eq!(done.errors()[0].code(), Some("PreconditionFailed"));
    assert_eq!(done.deleted()[0].key(), Some("b"));
    assert_eq!(world.get("a").await, b"1");
}

async fn one_winner(world: World) {
    let tries = (0..20).map(|number| {
        let client = world.once();
        tokio::spawn(async move {
            let body = ByteStream::from(format!("{number}").repeat(10_000).into_bytes());
            client
                .put_object()
                .bucket(BUCKET)
                .key("k")
                .if_none_match("*")
                .body(body)
                .send()
                .await
                .map_err(|error| error.raw_response().map(|response| response.status().as_u16()))
        })
    });
    let mut winners = 0;
    for attempt in tries.collect::<Vec<_>>() {
        match attempt.await.unwrap() {
            Ok(_) => winners += 1,
            Err(status) => assert_eq!(status, Some(412)),
        }
    }
    assert_eq!(winners, 1);
}

async fn concurrent_writes_stay_whole(world: World) {
    const LEN: usize = 700_000;
    world.put("k", vec![0; LEN]).await;
    let tasks = (1..=16u8).map(|byte| {
        let client = world.s3.clone();
        tokio::spawn(async move {
            client.put_object().bucket(BUCKET).key("k").body(vec![byte; LEN].into()).send().await.unwrap();
            let got = client.get_object().bucket(BUCKET).key("k").send().await.unwrap();
            let body = got.body.collect().await.unwrap().to_vec();
            assert_eq!(body.len(), LEN);
            assert!(body.iter().all(|other| *other == body[0]), "bytes of two writers");
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(world.stats().await["s3"]["blobs"], 1);
}
