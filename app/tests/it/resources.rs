//! Queues that an earlier version has made.

use crate::world::World;

#[tokio::test]
async fn a_queue_that_was_made_otherwise_is_brought_in_line_and_keeps_its_messages() {
    let world = World::start().await;
    let sqs = &world.aws.sqs;
    let made = sqs.create_queue().queue_name("old").attributes("VisibilityTimeout".into(), "7").send().await.unwrap();
    let url = made.queue_url.unwrap();
    sqs.send_message().queue_url(&url).message_body("kept").send().await.unwrap();
    assert_eq!(store::resources::make_queue(&world.aws, "old").await.unwrap(), url);
    let asked = sqs.get_queue_attributes().queue_url(&url).attribute_names("All".into()).send().await.unwrap();
    let now = |name: &str| asked.attributes().unwrap()[&name.into()].clone();
    assert_eq!(now("VisibilityTimeout"), "60");
    let redrive: serde_json::Value = serde_json::from_str(&now("RedrivePolicy")).unwrap();
    assert_eq!(redrive["maxReceiveCount"], 100);
    let received = sqs.receive_message().queue_url(&url).send().await.unwrap();
    assert_eq!(received.messages()[0].body(), Some("kept"));
}
