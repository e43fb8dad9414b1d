//! An object beyond 5 GiB, S3's limit for one PUT and one copy. Writes 5 GiB to the disk and reads them four times, so it is not part of
//! every run: `make test-full`.

use crate::support::{BUCKET, World, code};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

const PART: usize = 64 << 20;
const PARTS: usize = 81;
const TAIL: usize = 12_345;
const WHOLE: u64 = (PART * PARTS + TAIL) as u64;

/// Part `number`, which tells where it is.
fn content(number: usize) -> Bytes {
    let bytes = if number <= PARTS { PART } else { TAIL };
    let mut content = Vec::with_capacity(bytes + 8);
    let mut word = (number as u64) << 40;
    while content.len() < bytes {
        content.extend_from_slice(&word.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
        word += 1;
    }
    content.truncate(bytes);
    content.into()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes 5 GiB: make test-full"]
async fn an_object_beyond_five_gibibytes() {
    let world = World::folder().await;
    let s3 = &world.s3;
    let created = s3.create_multipart_upload().bucket(BUCKET).key("large").send().await.unwrap();
    let id = created.upload_id().unwrap();
    let sent = stream::iter(1..=PARTS + 1).map(|number| async move {
        let part = s3.upload_part().bucket(BUCKET).key("large").upload_id(id).part_number(number as i32);
        let part = part.body(content(number).into()).customize().disable_payload_signing().send().await?;
        let built = CompletedPart::builder().part_number(number as i32).e_tag(part.e_tag().unwrap());
        Ok::<_, Box<dyn std::error::Error>>(built.set_checksum_crc32(part.checksum_crc32().map(str::to_owned)).build())
    });
    let parts: Vec<CompletedPart> = sent.buffered(4).try_collect().await.unwrap();
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let done = s3.complete_multipart_upload().bucket(BUCKET).key("large").upload_id(id).multipart_upload(parts);
    let done = done.send().await.unwrap();
    assert!(done.e_tag().unwrap().ends_with("-82\""), "{:?}", done.e_tag());
    let head = s3.head_object().bucket(BUCKET).key("large").send().await.unwrap();
    assert_eq!(head.content_length(), Some(WHOLE as i64));

    // one copy is refused, copies of parts are not
    let refused = s3.copy_object().bucket(BUCKET).key("copy").copy_source(format!("{BUCKET}/large")).send().await;
    assert_eq!(code(refused), "InvalidRequest");
    let created = s3.create_multipart_upload().bucket(BUCKET).key("copy").send().await.unwrap();
    let id = created.upload_id().unwrap();
    let (half, mut parts) = (WHOLE / 2, Vec::new());
    for (number, range) in [(1, (0, half - 1)), (2, (half, WHOLE - 1))] {
        let part = s3.upload_part_copy().bucket(BUCKET).key("copy").upload_id(id).part_number(number);
        let part = part.copy_source(format!("{BUCKET}/large"));
        let part = part.copy_source_range(format!("bytes={}-{}", range.0, range.1)).send().await.unwrap();
        let result = part.copy_part_result().unwrap();
        let built = CompletedPart::builder().part_number(number).e_tag(result.e_tag().unwrap());
        parts.push(built.set_checksum_crc32(result.checksum_crc32().map(str::to_owned)).build());
    }
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    s3.complete_multipart_upload()
        .bucket(BUCKET)
        .key("copy")
        .upload_id(id)
        .multipart_upload(parts)
        .send()
        .await
        .unwrap();

    for key in ["large", "copy"] {
        let mut body = s3.get_object().bucket(BUCKET).key(key).send().await.unwrap().body;
        let (mut number, mut rest) = (1, content(1));
        while let Some(mut chunk) = body.try_next().await.unwrap() {
            while !chunk.is_empty() {
                if rest.is_empty() {
                    number += 1;
                    rest = content(number);
                }
                let both = chunk.len().min(rest.len());
                assert!(chunk.split_to(both) == rest.split_to(both), "{key} differs in part {number}");
            }
        }
        assert_eq!((number, rest.len()), (PARTS + 1, 0), "{key} is too short");
    }
}
