//! Checksums are verified before anything changes, kept, and given back.

use crate::support::{BUCKET, World, code, in_both, s3, status};
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, ChecksumType};

in_both!(wrong_ones_change_nothing, kept_and_returned, wrong_trailer);

async fn wrong_ones_change_nothing(world: World) {
    world.put("k", "old").await;
    let put = || world.s3.put_object().bucket(BUCKET).key("k").body(ByteStream::from_static(b"new"));
    assert_eq!(code(put().checksum_crc32("AAAAAA==").send().await), "BadDigest");
    assert_eq!(code(put().checksum_crc32_c("AAAAAA==").send().await), "BadDigest");
    assert_eq!(code(put().checksum_crc64_nvme("AAAAAAAAAAA=").send().await), "BadDigest");
    assert_eq!(code(put().checksum_sha1("AAAAAAAAAAAAAAAAAAAAAAAAAAA=").send().await), "BadDigest");
    let sha = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert_eq!(code(put().checksum_sha256(sha).send().await), "BadDigest");
    assert_eq!(code(put().content_md5("AAAAAAAAAAAAAAAAAAAAAA==").send().await), "BadDigest");
    assert_eq!(code(put().content_md5("not base64").send().await), "InvalidDigest");
    assert_eq!(world.get("k").await, b"old");
    // nothing is left behind
    assert_eq!(world.stats().await["s3"]["blobs"], 1);
}

async fn kept_and_returned(world: World) {
    for algorithm in [
        ChecksumAlgorithm::Crc32,
        ChecksumAlgorithm::Crc32C,
        ChecksumAlgorithm::Crc64Nvme,
        ChecksumAlgorithm::Sha1,
        ChecksumAlgorithm::Sha256,
    ] {
        let put = world.s3.put_object().bucket(BUCKET).key("k").checksum_algorithm(algorithm.clone());
        put.body(ByteStream::from_static(b"123456789")).send().await.unwrap();
        let head = world.s3.head_object().bucket(BUCKET).key("k").checksum_mode(ChecksumMode::Enabled);
        let head = head.send().await.unwrap();
        let (value, expected) = match algorithm {
            ChecksumAlgorithm::Crc32 => (head.checksum_crc32(), "y/Q5Jg=="),
            ChecksumAlgorithm::Crc32C => (head.checksum_crc32_c(), "4waSgw=="),
            ChecksumAlgorithm::Crc64Nvme => (head.checksum_crc64_nvme(), "rosUhgp5mIg="),
            ChecksumAlgorithm::Sha1 => (head.checksum_sha1(), "98O8HYCOBHMq32eZZczDTKeuNEE="),
            _ => (head.checksum_sha256(), "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
        };
        assert_eq!(value, Some(expected), "{algorithm:?}");
        assert_eq!(head.checksum_type(), Some(&ChecksumType::FullObject));
        assert_eq!(world.get("k").await, b"123456789");
    }
    let quiet = s3(&world.aws, |config| {
        config
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
    });
    quiet.put_object().bucket(BUCKET).key("plain").body(ByteStream::from_static(b"x")).send().await.unwrap();
    let head = quiet.head_object().bucket(BUCKET).key("plain").send().await.unwrap();
    assert_eq!(head.checksum_crc64_nvme(), None, "only on demand");
    let head = quiet.head_object().bucket(BUCKET).key("plain").checksum_mode(ChecksumMode::Enabled).send().await;
    assert!(head.unwrap().checksum_crc64_nvme().is_some(), "S3 adds one of its own");
}

/// A stream sends its checksum after the body; the SDK computes it, so a body that is not what was announced is what we
/// can get wrong from here.
async fn wrong_trailer(world: World) {
    world.put("k", "old").await;
    let url = format!("{}/{BUCKET}/k", world.aws.endpoint());
    let presigned = world
        .s3
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .checksum_crc32("AAAAAA==")
        .presigned(aws_sdk_s3::presigning::PresigningConfig::expires_in(std::time::Duration::from_secs(60)).unwrap())
        .await
        .unwrap();
    assert!(presigned.uri().starts_with(&url));
    let mut request = reqwest::Client::new().put(presigned.uri()).body("new");
    for (name, value) in presigned.headers() {
        request = request.header(name, value);
    }
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 400);
    assert!(answer.text().await.unwrap().contains("BadDigest"));
    assert_eq!(world.get("k").await, b"old");

    // a good trailer, through a stream with a known length
    let data = vec![5u8; 3_000_000];
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &data).unwrap();
    let body = ByteStream::from_path(file.path()).await.unwrap();
    world.s3.put_object().bucket(BUCKET).key("k").body(body).send().await.unwrap();
    assert_eq!(world.get("k").await, data);
    let head = world.s3.head_object().bucket(BUCKET).key("k").checksum_mode(ChecksumMode::Enabled);
    let head = head.send().await.unwrap();
    assert!(head.checksum_crc32().is_some());
    assert_eq!(head.content_encoding(), None, "aws-chunked is not part of the object");
    assert_eq!(status(world.s3.head_object().bucket("missing").key("k").send().await), 404);
}
