//! Making the table, for development and tests.

use super::{PK, SK, SWEEP_AT, SWEEP_INDEX, SWEEP_SHARD, TTL};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
};
use std::time::Duration;

/// Why the table could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateTableError {
    /// The request failed.
    #[error("the table could not be created: {0}")]
    Aws(String),
    /// It did not become usable in time.
    #[error("the table did not become active within 30 seconds")]
    NotActive,
}

/// Creates the table for development and tests, and waits until it can be used; does nothing if it exists. In
/// production the template creates it.
pub async fn create_table(client: &Client, table: &str) -> Result<(), CreateTableError> {
    let failed = |error: String| CreateTableError::Aws(error);
    let attribute = |name: &str, kind| {
        let built = AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build();
        built.map_err(|error| failed(error.to_string()))
    };
    let element = |name: &str, kind| {
        let built = KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
        built.map_err(|error| failed(error.to_string()))
    };
    let sweep = GlobalSecondaryIndex::builder()
        .index_name(SWEEP_INDEX)
        .key_schema(element(SWEEP_SHARD, KeyType::Hash)?)
        .key_schema(element(SWEEP_AT, KeyType::Range)?)
        .projection(Projection::builder().projection_type(ProjectionType::All).build())
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let request = client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute(PK, ScalarAttributeType::S)?)
        .attribute_definitions(attribute(SK, ScalarAttributeType::S)?)
        .attribute_definitions(attribute(SWEEP_SHARD, ScalarAttributeType::S)?)
        .attribute_definitions(attribute(SWEEP_AT, ScalarAttributeType::N)?)
        .key_schema(element(PK, KeyType::Hash)?)
        .key_schema(element(SK, KeyType::Range)?)
        .global_secondary_indexes(sweep);
    if let Err(error) = request.send().await
        && !error.as_service_error().is_some_and(|error| error.is_resource_in_use_exception())
    {
        return Err(failed(aws_smithy_types::error::display::DisplayErrorContext(error).to_string()));
    }
    for _ in 0..300 {
        let answer = client.describe_table().table_name(table).send().await;
        let status = answer.ok().and_then(|answer| answer.table).and_then(|table| table.table_status);
        if status == Some(TableStatus::Active) {
            return expire_items(client, table).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(CreateTableError::NotActive)
}

/// Lets DynamoDB delete items whose `ttl` has passed, some time later.
async fn expire_items(client: &Client, table: &str) -> Result<(), CreateTableError> {
    let failed = |error: String| CreateTableError::Aws(error);
    let built = TimeToLiveSpecification::builder().enabled(true).attribute_name(TTL).build();
    let specification = built.map_err(|error| failed(error.to_string()))?;
    let described = client.describe_time_to_live().table_name(table).send().await;
    let status = described.ok().and_then(|answer| answer.time_to_live_description?.time_to_live_status);
    if status == Some(TimeToLiveStatus::Enabled) {
        return Ok(());
    }
    let request = client.update_time_to_live().table_name(table).time_to_live_specification(specification);
    let answer = request.send().await;
    answer.map(|_| ()).map_err(|error| failed(aws_smithy_types::error::display::DisplayErrorContext(error).to_string()))
}
