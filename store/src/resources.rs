//! Making the table, the bucket and the queues, as the deployment's template does on AWS; for `make dev` and tests. What
//! exists already is left as it is.

use crate::aws::Aws;
use crate::intents::SWEEP_INDEX;
use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType,
};
use aws_sdk_sqs::types::QueueAttributeName;

/// A message that was received this often without being deleted goes to the dead-letter queue.
const MAX_RECEIVES: u32 = 10;
/// A webhook attempt lasts at most 10 s, a batch of them at most half a minute.
const VISIBILITY_SECONDS: u32 = 60;

/// Why a resource could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the {what} could not be made: {reason}")]
pub struct ResourceError {
    what: String,
    reason: String,
}

fn failed(what: &str, error: &(dyn std::error::Error + 'static)) -> ResourceError {
    ResourceError {
        what: what.to_owned(),
        reason: DisplayErrorContext(error).to_string(),
    }
}

/// The bucket of the settings.
pub async fn make_bucket(aws: &Aws) -> Result<(), ResourceError> {
    let bucket = &aws.settings.bucket;
    match aws.s3.create_bucket().bucket(bucket).send().await {
        Ok(_) => Ok(()),
        Err(error) => match error.as_service_error() {
            Some(service) if service.is_bucket_already_owned_by_you() || service.is_bucket_already_exists() => Ok(()),
            _ => Err(failed(&format!("bucket {bucket}"), &error)),
        },
    }
}

/// The table of the settings, with its index.
pub async fn make_table(aws: &Aws) -> Result<(), ResourceError> {
    let table = &aws.settings.table;
    let what = format!("table {table}");
    let broken = |error: aws_sdk_dynamodb::error::BuildError| failed(&what, &error);
    let attribute = |name: &str, kind| {
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(kind)
            .build()
            .map_err(broken)
    };
    let key = |name: &str, kind| {
        KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind)
            .build()
            .map_err(broken)
    };
    let sweep = GlobalSecondaryIndex::builder()
        .index_name(SWEEP_INDEX)
        .key_schema(key("sweep_shard", KeyType::Hash)?)
        .key_schema(key("sweep_at", KeyType::Range)?)
        .projection(Projection::builder().projection_type(ProjectionType::All).build())
        .build()
        .map_err(broken)?;
    let made = aws
        .dynamodb
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("pk", ScalarAttributeType::S)?)
        .attribute_definitions(attribute("sk", ScalarAttributeType::S)?)
        .attribute_definitions(attribute("sweep_shard", ScalarAttributeType::S)?)
        .attribute_definitions(attribute("sweep_at", ScalarAttributeType::N)?)
        .key_schema(key("pk", KeyType::Hash)?)
        .key_schema(key("sk", KeyType::Range)?)
        .global_secondary_indexes(sweep)
        .send()
        .await;
    match made {
        Ok(_) => Ok(()),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(|service| service.is_resource_in_use_exception()) =>
        {
            Ok(())
        }
        Err(error) => Err(failed(&what, &error)),
    }
}

/// A queue of this name and its dead-letter queue; answers the queue's URL.
pub async fn make_queue(aws: &Aws, name: &str) -> Result<String, ResourceError> {
    let dead = format!("{name}-dead");
    let dead_url = queue(aws, &dead, None).await?;
    let attributes = aws
        .sqs
        .get_queue_attributes()
        .queue_url(dead_url)
        .attribute_names(QueueAttributeName::QueueArn)
        .send()
        .await
        .map_err(|error| failed(&format!("queue {dead}"), &error))?;
    let arn = attributes
        .attributes()
        .and_then(|all| all.get(&QueueAttributeName::QueueArn))
        .cloned();
    let redrive = serde_json::json!({ "deadLetterTargetArn": arn, "maxReceiveCount": MAX_RECEIVES }).to_string();
    queue(aws, name, Some(redrive)).await
}

async fn queue(aws: &Aws, name: &str, redrive: Option<String>) -> Result<String, ResourceError> {
    let what = format!("queue {name}");
    let mut request = aws
        .sqs
        .create_queue()
        .queue_name(name)
        .attributes(QueueAttributeName::VisibilityTimeout, VISIBILITY_SECONDS.to_string());
    if let Some(redrive) = redrive {
        request = request.attributes(QueueAttributeName::RedrivePolicy, redrive);
    }
    let made = request.send().await.map_err(|error| failed(&what, &error))?;
    made.queue_url.ok_or_else(|| ResourceError {
        what,
        reason: "no URL was answered".to_owned(),
    })
}
