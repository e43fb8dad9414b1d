//! What was asked with API keys, for people who look. Beside the requests, and not of their work: what cannot be written is lost.

use super::{RecordError, Records};
use crate::item::{encode, number};
use crate::table::{self, TTL};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use domain::api_key::{ApiKeyId, KeyRequest, MAX_REQUESTS, slot};
use futures_util::FutureExt as _;

/// How long a request is kept.
const KEPT_MILLIS: i64 = 30 * 24 * 3600 * 1000;

impl Records {
    /// Notes a key's n-th request, in the place of an older one.
    pub async fn note_key_request(&self, id: &ApiKeyId, n: u64, request: &KeyRequest) -> Result<(), RecordError> {
        let mut item = encode(&table::key_request(id, slot(n)), 1, request)?;
        item.insert(TTL.to_owned(), number(request.at.plus_millis(KEPT_MILLIS).seconds()));
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            // one that comes late is older than what has its place
            .condition_expression("attribute_not_exists(pk) OR #at <= :at")
            .expression_attribute_names("#at", "at")
            .expression_attribute_values(":at", number(request.at.millis()));
        match put.send().boxed().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
                Ok(())
            }
            Err(error) => Err(RecordError::unavailable(error)),
        }
    }

    /// What was asked with a key, the latest first.
    pub async fn key_requests(&self, id: &ApiKeyId) -> Result<Vec<KeyRequest>, RecordError> {
        let most = u16::try_from(MAX_REQUESTS).unwrap_or(u16::MAX);
        let page = self.query(table::key_requests(id), "", None, most).await?;
        let mut found: Vec<KeyRequest> = page.records.into_iter().map(|found| found.value).collect();
        found.sort_by_key(|request: &KeyRequest| std::cmp::Reverse(request.at));
        let oldest = crate::clock::now().plus_millis(-KEPT_MILLIS);
        found.retain(|request| request.at > oldest);
        Ok(found)
    }
}
