//! Uploads that go straight to S3 ([`domain::direct_upload`]), in DynamoDB.
//!
//! Keys: `pk = UPLOAD#<organization>`, `sk = <credential>#<id>`. Whoever completes or ends one takes its record out by a
//! conditional delete, which one of several succeeds in.

use crate::aws::Aws;
use crate::item::{Item, key_attributes, number};
use crate::patience::{conditionally, patiently};
use crate::queries::all_of;
use crate::records::RecordError;
use crate::table::{self, TTL, VERSION};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::direct_upload::{DirectUpload, MAX_OPEN, MAX_OPEN_OF_LINKS};
use domain::id::{CredentialId, OrganizationId};
use domain::time::Timestamp;

/// How many of an organization housekeeping looks at: 25 credentials are at their limit before that, without share links.
const MOST: usize = 25 * MAX_OPEN;

/// How long DynamoDB keeps a record after its end, in seconds: until then housekeeping ends what it names.
const GRACE_SECONDS: i64 = 7 * 24 * 3600;

const BODY: &str = "direct_upload";
const UPLOAD: &str = "upload";

/// The records. Cheap to clone.
#[derive(Clone)]
pub struct DirectUploads {
    dynamodb: aws_sdk_dynamodb::Client,
    table: String,
}

impl DirectUploads {
    /// In the table of the settings.
    pub fn new(aws: &Aws) -> Self {
        Self { dynamodb: aws.dynamodb.clone(), table: aws.settings.table.clone() }
    }

    /// Records one.
    pub async fn put(&self, direct: &DirectUpload) -> Result<(), RecordError> {
        let mut item = key_attributes(table::direct_upload(&direct.organization, &direct.credential, &direct.id));
        let body = serde_json::to_string(direct).map_err(RecordError::internal)?;
        item.insert(VERSION.to_owned(), number(1));
        item.insert(BODY.to_owned(), AttributeValue::S(body));
        item.insert(UPLOAD.to_owned(), AttributeValue::S(direct.upload.clone()));
        item.insert(TTL.to_owned(), number(direct.until.seconds().saturating_add(GRACE_SECONDS)));
        let request = self.dynamodb.put_item().table_name(&self.table).set_item(Some(item));
        patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        Ok(())
    }

    /// One of a credential, if it is open at `now`.
    pub async fn get(
        &self,
        organization: &OrganizationId,
        credential: &CredentialId,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<DirectUpload>, RecordError> {
        let key = key_attributes(table::direct_upload(organization, credential, id));
        let request = self.dynamodb.get_item().table_name(&self.table).consistent_read(true).set_key(Some(key));
        let answer = patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        let found = answer.item().map(read).transpose()?;
        Ok(found.filter(|direct| now < direct.until))
    }

    /// Takes one out, to complete or to end it: of several who try, one succeeds.
    pub async fn take(&self, direct: &DirectUpload) -> Result<bool, RecordError> {
        let key = table::direct_upload(&direct.organization, &direct.credential, &direct.id);
        let request = self
            .dynamodb
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key_attributes(key)))
            .condition_expression("#upload = :upload")
            .expression_attribute_names("#upload", UPLOAD)
            .expression_attribute_values(":upload", AttributeValue::S(direct.upload.clone()));
        conditionally(|| request.clone().send()).await.map_err(RecordError::unavailable)
    }

    /// Those that a credential has open.
    pub async fn of_credential(
        &self,
        organization: &OrganizationId,
        credential: &CredentialId,
        now: Timestamp,
    ) -> Result<Vec<DirectUpload>, RecordError> {
        let prefix = table::direct_upload(organization, credential, "").sk;
        let mut found = self.query(organization, &prefix, 2 * (MAX_OPEN + MAX_OPEN_OF_LINKS)).await?;
        found.retain(|direct| now < direct.until);
        Ok(found)
    }

    /// Those of an organization, also such that nobody may complete any more.
    pub async fn of_organization(&self, organization: &OrganizationId) -> Result<Vec<DirectUpload>, RecordError> {
        self.query(organization, "", MOST).await
    }

    async fn query(
        &self,
        organization: &OrganizationId,
        prefix: &str,
        most: usize,
    ) -> Result<Vec<DirectUpload>, RecordError> {
        let partition = table::direct_uploads(organization);
        let items = all_of(&self.dynamodb, &self.table, (partition, prefix), most).await;
        items.map_err(RecordError::unavailable)?.iter().map(read).collect()
    }
}

fn read(item: &Item) -> Result<DirectUpload, RecordError> {
    let text = item.get(BODY).and_then(|value| value.as_s().ok());
    let text = text.ok_or_else(|| RecordError::internal("the record of an upload has no body"))?;
    serde_json::from_str(text).map_err(RecordError::internal)
}
