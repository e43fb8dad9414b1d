//! What holders' files take, as it is counted.

use super::{SettleError, Settling};
use crate::item::{Item, key_attributes, sort_key, text};
use crate::table::{self, FOLDER_USAGE};
use aws_sdk_dynamodb::error::DisplayErrorContext;
use domain::folder::FolderName;
use domain::id::OrganizationId;
use domain::quota::Holder;
use domain::time::Timestamp;
use futures_util::FutureExt as _;
use std::collections::BTreeMap;

/// What a holder's files take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes.
    pub bytes: i64,
    /// Files.
    pub files: i64,
    /// When that last changed.
    pub updated_at: Timestamp,
}

impl Default for Usage {
    fn default() -> Self {
        Self { bytes: 0, files: 0, updated_at: Timestamp::from_millis(0) }
    }
}

impl Settling {
    /// What a holder's files take, as counted, and when that last changed.
    pub async fn usage(&self, organization: &OrganizationId, holder: &Holder) -> Result<Usage, SettleError> {
        let key = key_attributes(table::usage(organization, holder));
        let request =
            self.dynamodb.get_item().table_name(&self.table).consistent_read(true).set_key(Some(key)).send().boxed();
        let answer =
            request.await.map_err(|error| SettleError::Unavailable(DisplayErrorContext(&error).to_string()))?;
        Ok(answer.item.as_ref().map_or_else(Usage::default, Usage::read))
    }

    /// The same for all virtual folders of an organization that have any: one Query.
    pub async fn usage_of_folders(
        &self,
        organization: &OrganizationId,
    ) -> Result<BTreeMap<FolderName, Usage>, SettleError> {
        let mut pages = self
            .dynamodb
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", text(table::usage_partition(organization)))
            .expression_attribute_values(":prefix", text(FOLDER_USAGE))
            .into_paginator()
            .items()
            .send();
        let mut found = BTreeMap::new();
        while let Some(item) = pages.next().boxed().await {
            let item = item.map_err(|error| SettleError::Unavailable(DisplayErrorContext(&error).to_string()))?;
            let name = sort_key(&item).and_then(|sk| FolderName::parse(sk.strip_prefix(FOLDER_USAGE)?).ok());
            found.extend(name.map(|name| (name, Usage::read(&item))));
        }
        Ok(found)
    }
}

impl Usage {
    fn read(item: &Item) -> Self {
        let number = |name: &str| item.get(name).and_then(|value| value.as_n().ok()?.parse::<i64>().ok()).unwrap_or(0);
        Self {
            bytes: number("bytes"),
            files: number("files"),
            updated_at: Timestamp::from_millis(number("updated_at")),
        }
    }
}
