//! Reading a whole partition, or a part of it, page by page.

use crate::item::Item;
use crate::patience::patiently;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::query::QueryError;
use aws_sdk_dynamodb::types::AttributeValue;

/// The items of a partition whose sort keys begin with `prefix`, consistent; after `most` of them no further page is read.
pub(crate) async fn all_of(
    client: &aws_sdk_dynamodb::Client,
    table: &str,
    (partition, prefix): (String, &str),
    most: usize,
) -> Result<Vec<Item>, SdkError<QueryError>> {
    let mut request = client
        .query()
        .table_name(table)
        .consistent_read(true)
        .expression_attribute_values(":pk", AttributeValue::S(partition));
    request = if prefix.is_empty() {
        request.key_condition_expression("pk = :pk")
    } else {
        request
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":prefix", AttributeValue::S(prefix.to_owned()))
    };
    let mut found = Vec::new();
    let mut from = None;
    loop {
        let page = request.clone().set_exclusive_start_key(from.take());
        let answer = patiently(|| page.clone().send()).await?;
        found.extend(answer.items.unwrap_or_default());
        match answer.last_evaluated_key {
            Some(next) if found.len() < most => from = Some(next),
            _ => return Ok(found),
        }
    }
}
