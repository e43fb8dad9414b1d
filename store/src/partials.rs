//! Uploads whose connection broke ([`domain::partial`]), in DynamoDB.
//!
//! Keys: `pk = PARTIAL#<organization>`, `sk = <credential>#<hash of the object key>` (a sort key is too short for a whole
//! one). One write when a connection breaks, one when somebody goes on; a session reads those of its credential
//! when it looks at names, housekeeping those of an organization when it finds old multipart uploads.

use crate::aws::Aws;
use crate::patience::{conditionally, patiently};
use crate::queries::all_of;
use crate::table::{self, PK, SK, TTL, VERSION};
use aws_sdk_dynamodb::error::{DisplayErrorContext, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use domain::id::{CredentialId, OrganizationId};
use domain::partial::PartialUpload;
use std::collections::HashMap;

/// How many of one credential, or of one organization, are looked at: a credential that has more sees some of them as
/// if they were not there, and may send those files again.
const MOST: usize = 2_000;

/// How long DynamoDB keeps a record after its end, in seconds: until then housekeeping ends what it names.
const GRACE_SECONDS: i64 = 7 * 24 * 3600;

/// The records.
#[derive(Clone)]
pub struct Partials {
    dynamodb: aws_sdk_dynamodb::Client,
    table: String,
}

/// Why a record could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum PartialError {
    /// DynamoDB did not answer, or refused.
    #[error("the records of interrupted uploads cannot be used: {0}")]
    Unavailable(String),
    /// A record that this version cannot read.
    #[error("the record of an interrupted upload cannot be read: {0}")]
    Unreadable(String),
}

impl<E, R> From<SdkError<E, R>> for PartialError
where
    E: std::error::Error + 'static,
    R: std::fmt::Debug,
{
    fn from(error: SdkError<E, R>) -> Self {
        Self::Unavailable(DisplayErrorContext(&error).to_string())
    }
}

impl Partials {
    /// In the table of the settings.
    pub fn new(aws: &Aws) -> Self {
        Self { dynamodb: aws.dynamodb.clone(), table: aws.settings.table.clone() }
    }

    /// Keeps one. Answers another that was kept for the same name before, which is now nobody's.
    pub async fn put(&self, partial: &PartialUpload) -> Result<Option<PartialUpload>, PartialError> {
        let request = self
            .dynamodb
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item(partial)?))
            .return_values(ReturnValue::AllOld);
        let answer = patiently(|| request.clone().send()).await?;
        let before = answer.attributes().map(read).transpose()?;
        Ok(before.filter(|before| before.upload != partial.upload))
    }

    /// Keeps one unless another is kept for the same name; whether it is kept now.
    pub async fn put_if_none(&self, partial: &PartialUpload) -> Result<bool, PartialError> {
        let request = self
            .dynamodb
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item(partial)?))
            .condition_expression("attribute_not_exists(pk) OR #upload = :upload")
            .expression_attribute_names("#upload", "upload")
            .expression_attribute_values(":upload", AttributeValue::S(partial.upload.clone()));
        Ok(conditionally(|| request.clone().send()).await?)
    }

    /// What is kept for one name.
    pub async fn get(
        &self,
        organization: &OrganizationId,
        credential: &CredentialId,
        key: &str,
    ) -> Result<Option<PartialUpload>, PartialError> {
        let request = self.dynamodb.get_item().table_name(&self.table).consistent_read(true).set_key(Some(item_key(
            organization,
            credential,
            key,
        )));
        let answer = patiently(|| request.clone().send()).await?;
        answer.item().map(read).transpose()
    }

    /// Takes one out, to go on with it or to end it: of several who try, one succeeds. `false`: it is gone, or another one, or
    /// it was ours and DynamoDB's answer got lost; then nobody has it, and housekeeping ends the parts by their age.
    pub async fn take(&self, partial: &PartialUpload) -> Result<bool, PartialError> {
        let request = self
            .dynamodb
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(item_key(&partial.organization, &partial.credential, &partial.key)))
            .condition_expression("#upload = :upload")
            .expression_attribute_names("#upload", "upload")
            .expression_attribute_values(":upload", AttributeValue::S(partial.upload.clone()));
        Ok(conditionally(|| request.clone().send()).await?)
    }

    /// Those of a credential.
    pub async fn of_credential(
        &self,
        organization: &OrganizationId,
        credential: &CredentialId,
    ) -> Result<Vec<PartialUpload>, PartialError> {
        self.query(organization, &table::partials_of(credential)).await
    }

    /// Those of an organization.
    pub async fn of_organization(&self, organization: &OrganizationId) -> Result<Vec<PartialUpload>, PartialError> {
        self.query(organization, "").await
    }

    async fn query(&self, organization: &OrganizationId, prefix: &str) -> Result<Vec<PartialUpload>, PartialError> {
        let items = all_of(&self.dynamodb, &self.table, (table::partials(organization), prefix), MOST).await?;
        items.iter().map(read).collect()
    }
}

fn item_key(organization: &OrganizationId, credential: &CredentialId, key: &str) -> HashMap<String, AttributeValue> {
    let key = table::partial(organization, credential, key);
    HashMap::from([(PK.to_owned(), AttributeValue::S(key.pk)), (SK.to_owned(), AttributeValue::S(key.sk))])
}

fn item(partial: &PartialUpload) -> Result<HashMap<String, AttributeValue>, PartialError> {
    let body = serde_json::to_string(partial).map_err(|error| PartialError::Unreadable(error.to_string()))?;
    let mut item = item_key(&partial.organization, &partial.credential, &partial.key);
    item.insert(VERSION.to_owned(), AttributeValue::N("1".to_owned()));
    item.insert("partial".to_owned(), AttributeValue::S(body));
    item.insert("upload".to_owned(), AttributeValue::S(partial.upload.clone()));
    let ttl = partial.until.seconds().saturating_add(GRACE_SECONDS);
    item.insert(TTL.to_owned(), AttributeValue::N(ttl.to_string()));
    Ok(item)
}

fn read(item: &HashMap<String, AttributeValue>) -> Result<PartialUpload, PartialError> {
    let text = item.get("partial").and_then(|value| value.as_s().ok());
    let text = text.ok_or_else(|| PartialError::Unreadable("partial is missing".to_owned()))?;
    serde_json::from_str(text).map_err(|error| PartialError::Unreadable(error.to_string()))
}
