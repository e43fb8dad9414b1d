//! CopyObject: conditions on both ends, ETags, shared bytes.

use crate::support::{BUCKET, World, code, in_both, status};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, MetadataDirective};

in_both!(conditions, bytes_are_shared, a_copy_of_a_multipart_object);

async fn conditions(world: World) {
    let source = world.put("source", "s").await;
    let target = world.put("target", "t").await;
    let copy = || world.s3.copy_object().bucket(BUCKET).key("target").copy_source("bucket/source");
    assert_eq!(code(copy().copy_source_if_match("\"x\"").send().await), "PreconditionFailed");
    assert_eq!(code(copy().copy_source_if_none_match(&source).send().await), "PreconditionFailed");
    assert_eq!(code(copy().if_none_match("*").send().await), "PreconditionFailed");
    assert_eq!(code(copy().if_match("\"x\"").send().await), "PreconditionFailed");
    assert_eq!(world.get("target").await, b"t");
    copy().copy_source_if_match(&source).if_match(&target).send().await.unwrap();
    assert_eq!(world.get("target").await, b"s");
    let fresh = world.s3.copy_object().bucket(BUCKET).key("fresh").copy_source("bucket/source");
    fresh.if_none_match("*").send().await.unwrap();
    let missing = world.s3.copy_object().bucket(BUCKET).key("x").copy_source("bucket/none").send().await;
    assert_eq!(status(missing), 404);
    let itself = world.s3.copy_object().bucket(BUCKET).key("source").copy_source("bucket/source");
    assert_eq!(code(itself.clone().send().await), "InvalidRequest");
    itself.metadata_directive(MetadataDirective::Replace).content_type("a/b").send().await.unwrap();
    assert_eq!(world.get("source").await, b"s");
}

async fn bytes_are_shared(world: World) {
    world.put("a b/ü", vec![3; 1_000_000]).await;
    let copy =
        world.s3.copy_object().bucket(BUCKET).key("copy").copy_source("bucket/a%20b/%C3%BC").send().await.unwrap();
    assert!(copy.copy_object_result().unwrap().checksum_crc32().is_some());
    assert_eq!(world.stats().await["s3"]["blobs"], 1);
    world.s3.delete_object().bucket(BUCKET).key("a b/ü").send().await.unwrap();
    assert_eq!(world.get("copy").await, vec![3; 1_000_000]);
    world.s3.delete_object().bucket(BUCKET).key("copy").send().await.unwrap();
    assert_eq!(world.stats().await["s3"]["blobs"], 0);
}

async fn a_copy_of_a_multipart_object(world: World) {
    let s3 = &world.s3;
    let id = s3.create_multipart_upload().bucket(BUCKET).key("k").send().await.unwrap().upload_id.unwrap();
    let part = s3.upload_part().bucket(BUCKET).key("k").upload_id(&id).part_number(1).body(b"hello".to_vec().into());
    let part = part.send().await.unwrap();
    let named = CompletedPart::builder().part_number(1).e_tag(part.e_tag().unwrap());
    let named = named.set_checksum_crc32(part.checksum_crc32().map(str::to_owned)).build();
    let upload = CompletedMultipartUpload::builder().parts(named).build();
    let done = s3.complete_multipart_upload().bucket(BUCKET).key("k").upload_id(&id).multipart_upload(upload);
    assert!(done.send().await.unwrap().e_tag().unwrap().ends_with("-1\""));
    let copy = s3.copy_object().bucket(BUCKET).key("copy").copy_source("bucket/k").send().await.unwrap();
    let etag = copy.copy_object_result().unwrap().e_tag();
    assert_eq!(etag, Some("\"5d41402abc4b2a76b9719d911017c592\""), "the MD5 of the bytes, as S3 computes for a copy");
}
