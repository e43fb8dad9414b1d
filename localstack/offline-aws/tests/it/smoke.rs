//! The three services answer, and a folder is found again.

use crate::support::{BUCKET, World, in_both};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

in_both!(three_services, multipart);

pub(crate) async fn table(world: &World, name: &str) {
    world
        .dynamodb
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash).build().unwrap())
        .attribute_definitions(
            AttributeDefinition::builder().attribute_name("pk").attribute_type(ScalarAttributeType::S).build().unwrap(),
        )
        .send()
        .await
        .unwrap();
}

async fn three_services(world: World) {
    table(&world, "items").await;
    let put = world.dynamodb.put_item().table_name("items").item("pk", AttributeValue::S("a".into()));
    put.item("n", AttributeValue::N("1".into())).send().await.unwrap();
    let found = world.dynamodb.get_item().table_name("items").key("pk", AttributeValue::S("a".into()));
    assert_eq!(found.send().await.unwrap().item().unwrap()["n"].as_n().unwrap(), "1");

    let body = ByteStream::from_static(b"hello");
    let put = world.s3.put_object().bucket(BUCKET).key("a/b").metadata("who", "me").content_type("text/plain");
    let put = put.body(body).send().await.unwrap();
    assert_eq!(put.e_tag(), Some("\"5d41402abc4b2a76b9719d911017c592\""));
    let got = world.s3.get_object().bucket(BUCKET).key("a/b").send().await.unwrap();
    assert_eq!(got.content_type(), Some("text/plain"));
    assert_eq!(got.metadata().unwrap()["who"], "me");
    assert_eq!(got.body.collect().await.unwrap().into_bytes(), "hello");
    let head = world.s3.head_object().bucket(BUCKET).key("a/b").send().await.unwrap();
    assert_eq!(head.content_length(), Some(5));
    let list = world.s3.list_objects_v2().bucket(BUCKET).delimiter("/").send().await.unwrap();
    assert_eq!(list.common_prefixes()[0].prefix(), Some("a/"));
    world.s3.copy_object().bucket(BUCKET).key("c").copy_source("bucket/a/b").send().await.unwrap();
    world.s3.delete_object().bucket(BUCKET).key("a/b").send().await.unwrap();
    let gone = world.s3.head_object().bucket(BUCKET).key("a/b").send().await.unwrap_err();
    assert!(gone.into_service_error().is_not_found());
    let copy = world.s3.get_object().bucket(BUCKET).key("c").send().await.unwrap();
    assert_eq!(copy.body.collect().await.unwrap().into_bytes(), "hello");

    let url = world.sqs.create_queue().queue_name("q").send().await.unwrap().queue_url.unwrap();
    assert_eq!(url, format!("{}/000000000000/q", world.aws.endpoint()));
    world.sqs.send_message().queue_url(&url).message_body("hi").send().await.unwrap();
    let got = world.sqs.receive_message().queue_url(&url).wait_time_seconds(5).send().await.unwrap();
    assert_eq!(got.messages()[0].body(), Some("hi"));
    world.aws.stop().await;
}

async fn multipart(world: World) {
    let s3 = &world.s3;
    let created = s3.create_multipart_upload().bucket(BUCKET).key("big").send().await.unwrap();
    let id = created.upload_id().unwrap();
    let mut parts = Vec::new();
    for (number, byte, len) in [(1, b'a', 5 * 1024 * 1024), (2, b'b', 3_000_000)] {
        let part = s3.upload_part().bucket(BUCKET).key("big").upload_id(id).part_number(number);
        let part = part.body(ByteStream::from(vec![byte; len])).send().await.unwrap();
        parts.push(
            CompletedPart::builder()
                .part_number(number)
                .e_tag(part.e_tag().unwrap())
                .set_checksum_crc32(part.checksum_crc32().map(str::to_owned))
                .build(),
        );
    }
    let upload = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let done = s3.complete_multipart_upload().bucket(BUCKET).key("big").upload_id(id).multipart_upload(upload);
    assert!(done.send().await.unwrap().e_tag().unwrap().ends_with("-2\""));
    let range = s3.get_object().bucket(BUCKET).key("big").range("bytes=5242879-5242880").send().await.unwrap();
    assert_eq!(range.content_range(), Some("bytes 5242879-5242880/8242880"));
    assert_eq!(range.body.collect().await.unwrap().into_bytes(), "ab");
}

#[tokio::test]
async fn a_folder_is_found_again() {
    let world = World::folder().await;
    table(&world, "items").await;
    let url = world.sqs.create_queue().queue_name("q").send().await.unwrap().queue_url.unwrap();
    world.sqs.send_message().queue_url(&url).message_body("hi").send().await.unwrap();
    let body = ByteStream::from(vec![7; 3_000_000]);
    world.s3.put_object().bucket(BUCKET).key("k").body(body).send().await.unwrap();
    let world = world.restart().await;
    assert_eq!(world.dynamodb.list_tables().send().await.unwrap().table_names(), ["items"]);
    let url = world.sqs.get_queue_url().queue_name("q").send().await.unwrap().queue_url.unwrap();
    let got = world.sqs.receive_message().queue_url(&url).send().await.unwrap();
    assert_eq!(got.messages()[0].body(), Some("hi"));
    let got = world.s3.get_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().into_bytes(), vec![7; 3_000_000]);
}
