//! Multipart uploads and everything that can be wrong with them.

use crate::support::{BUCKET, World, code, in_both, s3, status};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart};

const MIN: usize = 5 * 1024 * 1024;

in_both!(
    etags_and_content,
    wrong_completions,
    conditions,
    repeated_completion,
    checksums,
    listings,
    aborts,
    copied_parts,
    replaced_parts,
);

async fn create(client: &Client, key: &str) -> String {
    client.create_multipart_upload().bucket(BUCKET).key(key).send().await.unwrap().upload_id.unwrap()
}

async fn part(client: &Client, key: &str, id: &str, number: i32, body: Vec<u8>) -> CompletedPart {
    let part = client.upload_part().bucket(BUCKET).key(key).upload_id(id).part_number(number).body(body.into());
    let part = part.send().await.unwrap();
    CompletedPart::builder()
        .part_number(number)
        .e_tag(part.e_tag().unwrap())
        .set_checksum_crc32(part.checksum_crc32().map(str::to_owned))
        .set_checksum_crc64_nvme(part.checksum_crc64_nvme().map(str::to_owned))
        .set_checksum_sha256(part.checksum_sha256().map(str::to_owned))
        .build()
}

fn complete(
    client: &Client,
    key: &str,
    id: &str,
    parts: impl IntoIterator<Item = CompletedPart>,
) -> aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder {
    let upload = CompletedMultipartUpload::builder().set_parts(Some(parts.into_iter().collect())).build();
    client.complete_multipart_upload().bucket(BUCKET).key(key).upload_id(id).multipart_upload(upload)
}

async fn etags_and_content(world: World) {
    use md5::{Digest as _, Md5};
    let id = create(&world.s3, "k").await;
    // numbers may have gaps, and the order of uploading does not matter
    let last = part(&world.s3, "k", &id, 9, b"tail".to_vec()).await;
    let first = part(&world.s3, "k", &id, 2, vec![7; MIN]).await;
    let done = complete(&world.s3, "k", &id, [first, last]).send().await.unwrap();
    let joined = [Md5::digest(vec![7; MIN]).as_slice(), Md5::digest(b"tail").as_slice()].concat();
    let expected = format!("\"{}-2\"", hex::encode(Md5::digest(joined)));
    assert_eq!(done.e_tag(), Some(expected.as_str()));
    let head = world.s3.head_object().bucket(BUCKET).key("k").part_number(2).send().await.unwrap();
    assert_eq!((head.parts_count(), head.content_length()), (Some(2), Some(4)));
    let content = world.get("k").await;
    assert_eq!(content.len(), MIN + 4);
    assert!(content.ends_with(b"\x07tail"));
    let stats = world.stats().await;
    assert_eq!(stats["s3"]["open_multipart_uploads"], 0);
    assert_eq!(stats["s3"]["blobs"], 2);
}

async fn wrong_completions(world: World) {
    let s3 = &world.s3;
    let id = create(s3, "k").await;
    let small = part(s3, "k", &id, 1, vec![1; 1000]).await;
    let last = part(s3, "k", &id, 2, vec![2; 1000]).await;
    let run = |parts: Vec<CompletedPart>| complete(s3, "k", &id, parts).send();
    assert_eq!(code(run(vec![small.clone(), last.clone()]).await), "EntityTooSmall");
    assert_eq!(code(run(vec![last.clone(), small.clone()]).await), "InvalidPartOrder");
    assert_eq!(code(run(vec![small.clone(), small.clone()]).await), "InvalidPartOrder");
    let unknown = CompletedPart::builder().part_number(3).e_tag(small.e_tag().unwrap()).build();
    assert_eq!(code(run(vec![unknown]).await), "InvalidPart");
    let wrong = CompletedPart::builder().part_number(1).e_tag("\"0123\"").build();
    assert_eq!(code(run(vec![wrong]).await), "InvalidPart");
    assert_eq!(code(run(vec![]).await), "MalformedXML");
    assert_eq!(code(complete(s3, "k", "none", [small.clone()]).send().await), "NoSuchUpload");
    assert_eq!(code(complete(s3, "other", &id, [small.clone()]).send().await), "NoSuchUpload");
    assert_eq!(status(s3.head_object().bucket(BUCKET).key("k").send().await), 404);
    run(vec![small]).await.unwrap();
    assert_eq!(world.get("k").await, vec![1; 1000]);
    assert_eq!(world.stats().await["s3"]["blobs"], 1, "the part that was left out is gone");
    let late = s3.upload_part().bucket(BUCKET).key("k").upload_id(&id).part_number(1).body(vec![1].into()).send();
    assert_eq!(code(late.await), "NoSuchUpload");
    let number = s3.upload_part().bucket(BUCKET).key("k").upload_id(&id).part_number(10_001).body(vec![1].into());
    assert_eq!(code(number.send().await), "InvalidArgument");
}

async fn conditions(world: World) {
    let s3 = &world.s3;
    let etag = world.put("k", "old").await;
    let id = create(s3, "k").await;
    let one = part(s3, "k", &id, 1, b"new".to_vec()).await;
    let run = || complete(s3, "k", &id, [one.clone()]);
    assert_eq!(code(run().if_none_match("*").send().await), "PreconditionFailed");
    assert_eq!(code(run().if_match("\"other\"").send().await), "PreconditionFailed");
    assert_eq!(world.get("k").await, b"old");
    run().if_match(etag).send().await.unwrap();
    assert_eq!(world.get("k").await, b"new");
    let id = create(s3, "fresh").await;
    let one = part(s3, "fresh", &id, 1, b"new".to_vec()).await;
    assert_eq!(status(complete(s3, "fresh", &id, [one.clone()]).if_match("\"x\"").send().await), 404);
    complete(s3, "fresh", &id, [one]).if_none_match("*").send().await.unwrap();
}

async fn repeated_completion(world: World) {
    let id = create(&world.s3, "k").await;
    let one = part(&world.s3, "k", &id, 1, b"new".to_vec()).await;
    let first = complete(&world.s3, "k", &id, [one.clone()]).if_none_match("*").send().await.unwrap();
    let again = complete(&world.s3, "k", &id, [one.clone()]).if_none_match("*").send().await.unwrap();
    assert_eq!(first.e_tag(), again.e_tag());
    world.put("k", "newer").await;
    complete(&world.s3, "k", &id, [one]).send().await.unwrap();
    assert_eq!(world.get("k").await, b"newer", "a repeated completion changes nothing");
}

async fn checksums(world: World) {
    let quiet = s3(&world.aws, |config| config.request_checksum_calculation(RequestChecksumCalculation::WhenRequired));
    // composite
    let created = quiet.create_multipart_upload().bucket(BUCKET).key("k");
    let created = created.checksum_algorithm(ChecksumAlgorithm::Sha256).send().await.unwrap();
    assert_eq!(created.checksum_type(), Some(&ChecksumType::Composite));
    let id = created.upload_id().unwrap();
    let upload = |number: i32, algorithm, body: &[u8]| {
        let part = quiet.upload_part().bucket(BUCKET).key("k").upload_id(id).part_number(number);
        part.checksum_algorithm(algorithm).body(body.to_vec().into()).send()
    };
    let one = upload(1, ChecksumAlgorithm::Sha256, b"x").await.unwrap();
    let other = quiet.upload_part().bucket(BUCKET).key("k").upload_id(id).part_number(1);
    let other = other.checksum_crc32("jNxOrQ==").body(b"x".to_vec().into()).send().await;
    assert_eq!(code(other), "InvalidRequest");
    let without = CompletedPart::builder().part_number(1).e_tag(one.e_tag().unwrap());
    assert_eq!(code(complete(&quiet, "k", id, [without.clone().build()]).send().await), "InvalidRequest");
    let wrong = without.clone().checksum_sha256("AAAA").build();
    assert_eq!(code(complete(&quiet, "k", id, [wrong]).send().await), "InvalidPart");
    let right = without.checksum_sha256(one.checksum_sha256().unwrap()).build();
    let done = complete(&quiet, "k", id, [right]).send().await.unwrap();
    assert!(done.checksum_sha256().unwrap().ends_with("-1"));
    let head = quiet.head_object().bucket(BUCKET).key("k").checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(head.checksum_type(), Some(&ChecksumType::Composite));
    // the whole object's, put together from the parts
    let created = quiet.create_multipart_upload().bucket(BUCKET).key("whole");
    let created = created.checksum_algorithm(ChecksumAlgorithm::Crc32).checksum_type(ChecksumType::FullObject);
    let id = created.send().await.unwrap().upload_id.unwrap();
    let parts = [part(&quiet, "whole", &id, 1, vec![1; MIN]).await, part(&quiet, "whole", &id, 2, vec![2; 10]).await];
    let run = || complete(&quiet, "whole", &id, parts.clone());
    assert_eq!(code(run().checksum_crc32("AAAAAA==").send().await), "BadDigest");
    assert_eq!(code(run().mpu_object_size(3).send().await), "InvalidRequest");
    let done = run().send().await.unwrap();
    let body = [vec![1; MIN], vec![2; 10]].concat();
    let put = world.s3.put_object().bucket(BUCKET).key("same").checksum_algorithm(ChecksumAlgorithm::Crc32);
    let single = put.body(body.into()).send().await.unwrap();
    assert_eq!(done.checksum_crc32(), single.checksum_crc32());
    // the SDK verifies it on the way back
    let got = world.s3.get_object().bucket(BUCKET).key("whole").checksum_mode(ChecksumMode::Enabled).send().await;
    assert_eq!(got.unwrap().body.collect().await.unwrap().to_vec().len(), MIN + 10);
    let bad = quiet.upload_part().bucket(BUCKET).key("whole").upload_id("none").part_number(1);
    assert_eq!(code(bad.body(vec![1; 6_000_000].into()).send().await), "NoSuchUpload");
}

async fn listings(world: World) {
    let s3 = &world.s3;
    let ids = [create(s3, "a/1").await, create(s3, "a/1").await, create(s3, "a/2").await, create(s3, "b").await];
    let all = s3.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    let keys: Vec<_> = all.uploads().iter().filter_map(|upload| upload.key()).collect();
    assert_eq!(keys, ["a/1", "a/1", "a/2", "b"]);
    let mut seen = Vec::new();
    let (mut key, mut id) = (None, None);
    loop {
        let page =
            s3.list_multipart_uploads().bucket(BUCKET).max_uploads(1).set_key_marker(key).set_upload_id_marker(id);
        let page = page.send().await.unwrap();
        seen.extend(page.uploads().iter().map(|upload| upload.upload_id().unwrap().to_owned()));
        if page.is_truncated() != Some(true) {
            break;
        }
        (key, id) = (page.next_key_marker, page.next_upload_id_marker);
    }
    seen.sort();
    let mut expected = ids.to_vec();
    expected.sort();
    assert_eq!(seen, expected);
    let folders = s3.list_multipart_uploads().bucket(BUCKET).delimiter("/").send().await.unwrap();
    assert_eq!(folders.common_prefixes()[0].prefix(), Some("a/"));
    assert_eq!(folders.uploads().len(), 1);

    for number in [1, 2, 3] {
        part(s3, "b", &ids[3], number, vec![1; 10]).await;
    }
    let first = s3.list_parts().bucket(BUCKET).key("b").upload_id(&ids[3]).max_parts(2).send().await.unwrap();
    assert_eq!((first.parts().len(), first.next_part_number_marker()), (2, Some("2")));
    let rest = s3.list_parts().bucket(BUCKET).key("b").upload_id(&ids[3]).part_number_marker("2").send().await.unwrap();
    assert_eq!((rest.parts().len(), rest.is_truncated()), (1, Some(false)));
    assert_eq!(rest.parts()[0].size(), Some(10));
}

async fn aborts(world: World) {
    let id = create(&world.s3, "k").await;
    part(&world.s3, "k", &id, 1, vec![1; 1000]).await;
    world.s3.abort_multipart_upload().bucket(BUCKET).key("k").upload_id(&id).send().await.unwrap();
    let gone = world.s3.list_parts().bucket(BUCKET).key("k").upload_id(&id).send().await;
    assert_eq!(code(gone), "NoSuchUpload");
    let again = world.s3.abort_multipart_upload().bucket(BUCKET).key("k").upload_id(&id).send().await;
    assert_eq!(code(again), "NoSuchUpload");
    assert_eq!(world.stats().await["s3"]["blobs"], 0);
}

async fn copied_parts(world: World) {
    let s3 = &world.s3;
    let data: Vec<u8> = (0..MIN as u32 + 100).map(|number| (number % 239) as u8).collect();
    let etag = world.put("source", data.clone()).await;
    let id = create(s3, "k").await;
    let copy = |number: i32| {
        let copy = s3.upload_part_copy().bucket(BUCKET).key("k").upload_id(&id).part_number(number);
        copy.copy_source("bucket/source")
    };
    let first = copy(1).copy_source_if_match(&etag).send().await.unwrap().copy_part_result.unwrap();
    assert_eq!(first.e_tag(), Some(etag.as_str()));
    let second = copy(2).copy_source_range("bytes=10-19").send().await.unwrap().copy_part_result.unwrap();
    assert_eq!(code(copy(3).copy_source_range("bytes=0-99999999").send().await), "InvalidArgument");
    assert_eq!(code(copy(3).copy_source_if_match("\"x\"").send().await), "PreconditionFailed");
    world.put("small", vec![7; MIN]).await;
    let small = s3.upload_part_copy().bucket(BUCKET).key("k").upload_id(&id).part_number(3).copy_source("bucket/small");
    assert_eq!(code(small.clone().copy_source_range("bytes=0-9").send().await), "InvalidRequest");
    small.send().await.unwrap();
    world.s3.delete_object().bucket(BUCKET).key("small").send().await.unwrap();
    assert_eq!(code(copy(4).copy_source("bucket/none").send().await), "NoSuchKey");
    world.s3.delete_object().bucket(BUCKET).key("source").send().await.unwrap();
    let named = |number, result: &aws_sdk_s3::types::CopyPartResult| {
        CompletedPart::builder()
            .part_number(number)
            .e_tag(result.e_tag().unwrap())
            .set_checksum_crc32(result.checksum_crc32().map(str::to_owned))
            .build()
    };
    complete(s3, "k", &id, [named(1, &first), named(2, &second)]).send().await.unwrap();
    assert_eq!(world.get("k").await, [&data[..], &data[10..20]].concat());
    // both parts refer to the one blob
    assert_eq!(world.stats().await["s3"]["blobs"], 1);
    world.s3.delete_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(world.stats().await["s3"]["blobs"], 0);
}

async fn replaced_parts(world: World) {
    let id = create(&world.s3, "k").await;
    let old = part(&world.s3, "k", &id, 1, b"old".to_vec()).await;
    let new = part(&world.s3, "k", &id, 1, b"new".to_vec()).await;
    assert_eq!(code(complete(&world.s3, "k", &id, [old]).send().await), "InvalidPart");
    complete(&world.s3, "k", &id, [new]).send().await.unwrap();
    assert_eq!(world.get("k").await, b"new");
}
