//! SQS standard queues.

use crate::support::{World, code, in_both, sqs};
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use std::time::{Duration, Instant};

in_both!(visibility, redrive, long_poll_wakes, delays, batches, limits, attributes, message_attributes, missing_queues,);

async fn queue(world: &World, name: &str, attributes: &[(QueueAttributeName, &str)]) -> String {
    let mut create = world.sqs.create_queue().queue_name(name);
    for (name, value) in attributes {
        create = create.attributes(name.clone(), *value);
    }
    create.send().await.unwrap().queue_url.unwrap()
}

async fn send(world: &World, url: &str, body: &str) {
    world.sqs.send_message().queue_url(url).message_body(body).send().await.unwrap();
}

async fn counts(world: &World, url: &str) -> (String, String, String) {
    let attributes = world.sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
    let attributes = attributes.send().await.unwrap().attributes.unwrap();
    (
        attributes[&QueueAttributeName::ApproximateNumberOfMessages].clone(),
        attributes[&QueueAttributeName::ApproximateNumberOfMessagesNotVisible].clone(),
        attributes[&QueueAttributeName::ApproximateNumberOfMessagesDelayed].clone(),
    )
}

fn three(visible: u8, hidden: u8, delayed: u8) -> (String, String, String) {
    (visible.to_string(), hidden.to_string(), delayed.to_string())
}

async fn visibility(world: World) {
    let url = queue(&world, "q", &[]).await;
    send(&world, &url, "m").await;
    let receive = || {
        let receive = world.sqs.receive_message().queue_url(&url);
        receive.message_system_attribute_names(MessageSystemAttributeName::All)
    };
    // a timeout of 0 leaves it visible
    let first = receive().visibility_timeout(0).send().await.unwrap();
    assert_eq!(first.messages().len(), 1);
    let second = receive().send().await.unwrap();
    let message = &second.messages()[0];
    assert_eq!(message.md5_of_body(), Some("6f8f57715090da2632453988d9a1501b"));
    assert_eq!(message.attributes().unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount], "2");
    assert!(message.attributes().unwrap().contains_key(&MessageSystemAttributeName::SentTimestamp));
    assert!(receive().send().await.unwrap().messages().is_empty());
    assert_eq!(counts(&world, &url).await, three(0, 1, 0));
    let change = |seconds: i32| {
        let handle = message.receipt_handle().unwrap();
        world.sqs.change_message_visibility().queue_url(&url).receipt_handle(handle).visibility_timeout(seconds)
    };
    change(100).send().await.unwrap();
    change(0).send().await.unwrap();
    assert!(change(5).send().await.unwrap_err().into_service_error().is_message_not_inflight());
    let third = receive().send().await.unwrap();
    let delete = |handle: &str| world.sqs.delete_message().queue_url(&url).receipt_handle(handle).send();
    delete(message.receipt_handle().unwrap()).await.unwrap();
    assert_eq!(counts(&world, &url).await, three(0, 1, 0), "an outdated handle deletes nothing");
    delete(third.messages()[0].receipt_handle().unwrap()).await.unwrap();
    assert_eq!(counts(&world, &url).await, three(0, 0, 0));
    assert!(delete("nonsense").await.unwrap_err().into_service_error().is_receipt_handle_is_invalid());
    // it comes back by itself, and a waiting receiver gets it at that moment
    send(&world, &url, "again").await;
    receive().visibility_timeout(1).send().await.unwrap();
    let started = Instant::now();
    let back = receive().wait_time_seconds(10).send().await.unwrap();
    assert_eq!(back.messages()[0].body(), Some("again"));
    assert!(started.elapsed() < Duration::from_secs(4));
}

async fn redrive(world: World) {
    let dead = queue(&world, "dead", &[]).await;
    let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":"2"}"#;
    let url = queue(&world, "q", &[(QueueAttributeName::RedrivePolicy, policy)]).await;
    send(&world, &url, "poison").await;
    for _ in 0..2 {
        let got = world.sqs.receive_message().queue_url(&url).visibility_timeout(0).send().await.unwrap();
        assert_eq!(got.messages().len(), 1);
    }
    let waiting = {
        let (client, dead) = (world.sqs.clone(), dead.clone());
        tokio::spawn(
            async move { client.receive_message().queue_url(dead).wait_time_seconds(10).send().await.unwrap() },
        )
    };
    assert!(world.sqs.receive_message().queue_url(&url).send().await.unwrap().messages().is_empty());
    assert_eq!(waiting.await.unwrap().messages()[0].body(), Some("poison"));
    assert_eq!(counts(&world, &url).await, three(0, 0, 0));
}

async fn long_poll_wakes(world: World) {
    let url = queue(&world, "q", &[(QueueAttributeName::ReceiveMessageWaitTimeSeconds, "10")]).await;
    let started = Instant::now();
    let waiting = {
        let (client, url) = (world.sqs.clone(), url.clone());
        tokio::spawn(async move { client.receive_message().queue_url(url).send().await.unwrap() })
    };
    // the send waits until the receiver's request has arrived
    while world.aws.faults().counters().sqs.requests < 2 {
        tokio::task::yield_now().await;
    }
    send(&world, &url, "wake").await;
    assert_eq!(waiting.await.unwrap().messages()[0].body(), Some("wake"));
    assert!(started.elapsed() < Duration::from_secs(5));
    let none = world.sqs.receive_message().queue_url(&url).wait_time_seconds(1).send().await.unwrap();
    assert!(none.messages().is_empty());
}

async fn delays(world: World) {
    let url = queue(&world, "q", &[(QueueAttributeName::DelaySeconds, "1")]).await;
    send(&world, &url, "later").await;
    assert_eq!(counts(&world, &url).await, three(0, 0, 1));
    let now = world.sqs.send_message().queue_url(&url).message_body("now").delay_seconds(0).send().await;
    now.unwrap();
    let receive = || world.sqs.receive_message().queue_url(&url).wait_time_seconds(10).send();
    assert_eq!(receive().await.unwrap().messages()[0].body(), Some("now"));
    assert_eq!(receive().await.unwrap().messages()[0].body(), Some("later"));
}

fn entry(id: &str, body: impl Into<String>) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap()
}

async fn batches(world: World) {
    let url = queue(&world, "q", &[]).await;
    let entries = (0..10).map(|number| entry(&format!("e{number}"), format!("m{number}"))).collect();
    let sent = world.sqs.send_message_batch().queue_url(&url).set_entries(Some(entries)).send().await.unwrap();
    assert_eq!((sent.successful().len(), sent.failed().len()), (10, 0));
    let got = world.sqs.receive_message().queue_url(&url).max_number_of_messages(10).send().await.unwrap();
    assert_eq!(got.messages().len(), 10);
    let mut delete = world.sqs.delete_message_batch().queue_url(&url);
    for (number, message) in got.messages().iter().enumerate() {
        let entry = DeleteMessageBatchRequestEntry::builder().id(number.to_string());
        delete = delete.entries(entry.receipt_handle(message.receipt_handle().unwrap()).build().unwrap());
    }
    assert_eq!(delete.send().await.unwrap().successful().len(), 10);
    assert_eq!(counts(&world, &url).await, three(0, 0, 0));
    let twice = world.sqs.send_message_batch().queue_url(&url).entries(entry("a", "1")).entries(entry("a", "2"));
    assert!(twice.send().await.unwrap_err().into_service_error().is_batch_entry_ids_not_distinct());
    let many = (0..11).map(|number| entry(&number.to_string(), "m")).collect();
    let many = world.sqs.send_message_batch().queue_url(&url).set_entries(Some(many)).send().await.unwrap_err();
    assert!(many.into_service_error().is_too_many_entries_in_batch_request());
    let mixed = world.sqs.send_message_batch().queue_url(&url).entries(entry("a", "1")).entries(entry("b", "\u{1}"));
    let mixed = mixed.send().await.unwrap();
    assert_eq!((mixed.successful().len(), mixed.failed()[0].id()), (1, "b"));
}

async fn limits(world: World) {
    const MIB: usize = 1024 * 1024;
    let url = queue(&world, "q", &[]).await;
    send(&world, &url, &"x".repeat(MIB)).await;
    let over = world.sqs.send_message().queue_url(&url).message_body("x".repeat(MIB + 1)).send().await;
    assert_eq!(code(over), "InvalidParameterValue");
    let batch = world.sqs.send_message_batch().queue_url(&url);
    let batch = batch.entries(entry("a", "x".repeat(MIB / 2))).entries(entry("b", "x".repeat(MIB / 2 + 1)));
    assert!(batch.send().await.unwrap_err().into_service_error().is_batch_request_too_long());
    let eleven = world.sqs.receive_message().queue_url(&url).max_number_of_messages(11).send().await;
    assert_eq!(code(eleven), "InvalidParameterValue");
}

async fn attributes(world: World) {
    let url = queue(&world, "q", &[(QueueAttributeName::VisibilityTimeout, "7")]).await;
    assert_eq!(queue(&world, "q", &[]).await, url);
    assert_eq!(queue(&world, "q", &[(QueueAttributeName::VisibilityTimeout, "7")]).await, url);
    let other = world.sqs.create_queue().queue_name("q").attributes(QueueAttributeName::VisibilityTimeout, "8");
    assert!(other.send().await.unwrap_err().into_service_error().is_queue_name_exists());
    let set = world.sqs.set_queue_attributes().queue_url(&url).attributes(QueueAttributeName::VisibilityTimeout, "9");
    set.send().await.unwrap();
    let wrong =
        world.sqs.set_queue_attributes().queue_url(&url).attributes(QueueAttributeName::VisibilityTimeout, "-1");
    assert!(wrong.send().await.unwrap_err().into_service_error().is_invalid_attribute_value());
    let get = world.sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::VisibilityTimeout);
    let get = get.attribute_names(QueueAttributeName::QueueArn).send().await.unwrap().attributes.unwrap();
    assert_eq!(get.len(), 2);
    assert_eq!(get[&QueueAttributeName::VisibilityTimeout], "9");
    assert_eq!(get[&QueueAttributeName::QueueArn], "arn:aws:sqs:us-east-1:000000000000:q");
    queue(&world, "r", &[]).await;
    let list = world.sqs.list_queues().queue_name_prefix("r").send().await.unwrap();
    assert_eq!(list.queue_urls(), [format!("{}/000000000000/r", world.aws.endpoint())]);
    send(&world, &url, "m").await;
    world.sqs.purge_queue().queue_url(&url).send().await.unwrap();
    assert_eq!(counts(&world, &url).await, three(0, 0, 0));
}

async fn message_attributes(world: World) {
    let url = queue(&world, "q", &[]).await;
    let value = MessageAttributeValue::builder().data_type("String").string_value("v").build().unwrap();
    let binary = MessageAttributeValue::builder().data_type("Binary").binary_value(vec![1, 2].into()).build().unwrap();
    let send = world.sqs.send_message().queue_url(&url).message_body("m");
    let sent = send.message_attributes("a", value).message_attributes("b", binary).send().await.unwrap();
    assert!(sent.md5_of_message_attributes().is_some());
    let got = world.sqs.receive_message().queue_url(&url).message_attribute_names("All").send().await.unwrap();
    let attributes = got.messages()[0].message_attributes().unwrap();
    assert_eq!(attributes["a"].string_value(), Some("v"));
    assert_eq!(attributes["b"].binary_value().unwrap().as_ref(), [1, 2]);
    assert_eq!(got.messages()[0].md5_of_message_attributes(), sent.md5_of_message_attributes());
}

async fn missing_queues(world: World) {
    let missing = world.sqs.get_queue_url().queue_name("none").send().await.unwrap_err();
    assert!(missing.into_service_error().is_queue_does_not_exist());
    let url = queue(&world, "q", &[]).await;
    let waiting = {
        let (client, url) = (sqs(&world.aws), url.clone());
        tokio::spawn(async move { client.receive_message().queue_url(url).wait_time_seconds(15).send().await })
    };
    while world.aws.faults().counters().sqs.requests < 3 {
        tokio::task::yield_now().await;
    }
    world.sqs.delete_queue().queue_url(&url).send().await.unwrap();
    assert!(waiting.await.unwrap().unwrap_err().into_service_error().is_queue_does_not_exist());
}
