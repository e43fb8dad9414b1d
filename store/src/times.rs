//! Times that clients have set ([`domain::kept_time`]), in DynamoDB.
//!
//! Keys: `pk = META#<organization>#<key of the folder>`, `sk = <name>`, so that those of a folder lie together in the order
//! of S3's listings. One write when a client sets a time, one read when somebody looks at a file, one query beside a listing
//! (for every thousand records or part of it); records of versions that are gone are removed when that is settled.

use crate::aws::Aws;
use crate::patience::{conditionally, patiently};
use crate::table::{self, PK, SK, VERSION};
use aws_sdk_dynamodb::error::{DisplayErrorContext, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::id::OrganizationId;
use domain::kept_time::KeptTime;
use domain::path::ObjectKey;
use domain::time::Timestamp;
use std::collections::HashMap;

/// How many records one query brings at most.
const PAGE: i32 = 500;

/// The records.
#[derive(Clone)]
pub struct Times {
    dynamodb: aws_sdk_dynamodb::Client,
    table: String,
}

/// Why a record could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum TimesError {
    /// DynamoDB did not answer, or refused.
    #[error("the times of files cannot be used: {0}")]
    Unavailable(String),
    /// A record that this version cannot read.
    #[error("the time of a file cannot be read: {0} is missing")]
    Unreadable(&'static str),
}

impl<E, R> From<SdkError<E, R>> for TimesError
where
    E: std::error::Error + 'static,
    R: std::fmt::Debug,
{
    fn from(error: SdkError<E, R>) -> Self {
        Self::Unavailable(DisplayErrorContext(&error).to_string())
    }
}

/// Some of a folder's records, in the order of their names.
#[derive(Debug, Default)]
pub struct TimesPage {
    /// Name and record.
    pub records: Vec<(String, KeptTime)>,
    /// The name behind which the next page begins; `None` after the last.
    pub next: Option<String>,
}

impl Times {
    /// In the table of the settings.
    pub fn new(aws: &Aws) -> Self {
        Self { dynamodb: aws.dynamodb.clone(), table: aws.settings.table.clone() }
    }

    /// Keeps the time of a file, in the place of another.
    pub async fn put(&self, organization: &OrganizationId, key: &ObjectKey, kept: &KeptTime) -> Result<(), TimesError> {
        let request = self.dynamodb.put_item().table_name(&self.table).set_item(Some(item(organization, key, kept)));
        patiently(|| request.clone().send()).await?;
        Ok(())
    }

    /// What is kept for a name; nothing for the marker of a folder.
    pub async fn get(&self, organization: &OrganizationId, key: &str) -> Result<Option<KeptTime>, TimesError> {
        if key.ends_with('/') {
            return Ok(None);
        }
        let request = self
            .dynamodb
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .set_key(Some(item_key(organization, key)));
        let answer = patiently(|| request.clone().send()).await?;
        answer.item().map(read).transpose()
    }

    /// Forgets what is kept for a version that is gone.
    pub async fn forget(&self, organization: &OrganizationId, key: &str, version: &str) -> Result<(), TimesError> {
        // most files have none, and a read costs a fifth of a write
        if self.get(organization, key).await?.is_none_or(|kept| kept.version != version) {
            return Ok(());
        }
        let request = self
            .dynamodb
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(item_key(organization, key)))
            .condition_expression("#version = :version")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":version", AttributeValue::S(version.to_owned()));
        conditionally(|| request.clone().send()).await?;
        Ok(())
    }

    /// Those of the files directly in a folder, from the name behind `after` on.
    pub async fn page(
        &self,
        organization: &OrganizationId,
        folder: &ObjectKey,
        after: Option<&str>,
    ) -> Result<TimesPage, TimesError> {
        let from = after.map(|name| {
            let pk = table::times_of(organization, folder.as_str());
            HashMap::from([(PK.to_owned(), AttributeValue::S(pk)), (SK.to_owned(), AttributeValue::S(name.to_owned()))])
        });
        let request = self
            .dynamodb
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(table::times_of(organization, folder.as_str())))
            .set_exclusive_start_key(from)
            .limit(PAGE);
        let answer = patiently(|| request.clone().send()).await?;
        let mut page = TimesPage::default();
        for item in answer.items() {
            let name = item.get(SK).and_then(|name| name.as_s().ok()).ok_or(TimesError::Unreadable("the name"))?;
            page.records.push((name.clone(), read(item)?));
        }
        let next = answer.last_evaluated_key().and_then(|key| key.get(SK)).and_then(|name| name.as_s().ok());
        page.next = next.cloned();
        Ok(page)
    }
}

fn item_key(organization: &OrganizationId, key: &str) -> HashMap<String, AttributeValue> {
    let key = table::time(organization, key);
    HashMap::from([(PK.to_owned(), AttributeValue::S(key.pk)), (SK.to_owned(), AttributeValue::S(key.sk))])
}

fn item(organization: &OrganizationId, key: &ObjectKey, kept: &KeptTime) -> HashMap<String, AttributeValue> {
    let number = |time: Timestamp| AttributeValue::N(time.millis().to_string());
    let mut item = item_key(organization, key.as_str());
    item.insert(VERSION.to_owned(), AttributeValue::N("1".to_owned()));
    item.insert("etag".to_owned(), AttributeValue::S(kept.etag.clone()));
    item.insert("written".to_owned(), number(kept.written));
    item.insert("version".to_owned(), AttributeValue::S(kept.version.clone()));
    item.insert("modified".to_owned(), number(kept.modified));
    item.insert("arrived".to_owned(), number(kept.arrived));
    item.insert("kept_at".to_owned(), number(kept.kept_at));
    item
}

fn read(item: &HashMap<String, AttributeValue>) -> Result<KeptTime, TimesError> {
    let text = |name: &'static str| {
        item.get(name).and_then(|value| value.as_s().ok()).cloned().ok_or(TimesError::Unreadable(name))
    };
    let time = |name: &'static str| {
        let millis = item.get(name).and_then(|value| value.as_n().ok()?.parse().ok());
        millis.map(Timestamp::from_millis).ok_or(TimesError::Unreadable(name))
    };
    Ok(KeptTime {
        etag: text("etag")?,
        written: time("written")?,
        version: text("version")?,
        modified: time("modified")?,
        arrived: time("arrived")?,
        kept_at: time("kept_at")?,
    })
}
