//! Making the bucket and the queues, as the deployment's template does on AWS; for `make dev` and tests. What exists
//! already is left as it is, but for queues, which get the attributes that they would be made with. The table is made by [`crate::table::create_table`].

use crate::aws::Aws;
use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_sdk_sqs::types::QueueAttributeName;
use std::collections::HashMap;

/// A message that was received this often without being deleted goes to the dead-letter queue. Each time keeps it away for
/// [`VISIBILITY_SECONDS`], so an outage of what deliveries need may last for more than an hour and a half before somebody has to
/// send its events back from there.
const MAX_RECEIVES: u32 = 100;
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
    ResourceError { what: what.to_owned(), reason: DisplayErrorContext(error).to_string() }
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
    let arn = attributes.attributes().and_then(|all| all.get(&QueueAttributeName::QueueArn)).cloned();
    let redrive = serde_json::json!({ "deadLetterTargetArn": arn, "maxReceiveCount": MAX_RECEIVES }).to_string();
    queue(aws, name, Some(redrive)).await
}

async fn queue(aws: &Aws, name: &str, redrive: Option<String>) -> Result<String, ResourceError> {
    let what = format!("queue {name}");
    let no_url = || ResourceError { what: what.clone(), reason: "no URL was answered".to_owned() };
    let mut attributes = HashMap::from([(QueueAttributeName::VisibilityTimeout, VISIBILITY_SECONDS.to_string())]);
    attributes.extend(redrive.map(|redrive| (QueueAttributeName::RedrivePolicy, redrive)));
    match aws.sqs.create_queue().queue_name(name).set_attributes(Some(attributes.clone())).send().await {
        Ok(made) => made.queue_url.ok_or_else(no_url),
        // made by an earlier version, with other attributes
        Err(error) if error.as_service_error().is_some_and(|service| service.is_queue_name_exists()) => {
            let found = aws.sqs.get_queue_url().queue_name(name).send().await.map_err(|error| failed(&what, &error))?;
            let url = found.queue_url.ok_or_else(no_url)?;
            let setting = aws.sqs.set_queue_attributes().queue_url(&url).set_attributes(Some(attributes));
            setting.send().await.map_err(|error| failed(&what, &error))?;
            Ok(url)
        }
        Err(error) => Err(failed(&what, &error)),
    }
}
