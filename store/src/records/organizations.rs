//! Organizations. Those of a deployment stand in a list of their own, beside the two that its first start made.

use super::{RecordError, Records, Versioned};
use crate::item::{key_attributes, optional_number, text};
use crate::table;
use aws_sdk_dynamodb::types::TransactWriteItem;
use domain::admin::Admin;
use domain::credential::Credential;
use domain::id::OrganizationId;
use domain::organization::Organization;
use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Ids that are read at a time.
const PAGE: u16 = 1000;

/// An organization in the list: the id is in the key.
#[derive(Deserialize)]
struct Listed {
    sk: String,
}

#[derive(Serialize)]
struct Empty {}

impl Records {
    /// An organization. One consistent read.
    pub async fn organization(&self, id: &OrganizationId) -> Result<Option<Versioned<Organization>>, RecordError> {
        self.get(table::organization(id)).await
    }

    /// Changes an organization's settings. Answers the new revision.
    pub async fn save_organization(&self, organization: &Organization, read: u64) -> Result<u64, RecordError> {
        self.put(&table::organization(&organization.id), Some(read), organization).await
    }

    /// The ids of all organizations, in order. One Query, and the record of the first start.
    pub async fn organization_ids(&self) -> Result<BTreeSet<OrganizationId>, RecordError> {
        let first = self.bootstrap_record().await?;
        let mut ids: BTreeSet<OrganizationId> =
            first.into_iter().flat_map(|first| [first.operator, first.organization]).collect();
        let mut after: Option<String> = None;
        loop {
            let partition = table::ORGANIZATIONS.to_owned();
            let page = self.query::<Listed>(partition, "", after.as_deref(), PAGE).await?;
            for listed in page.records {
                ids.insert(OrganizationId::parse(&listed.value.sk).map_err(RecordError::internal)?);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(ids),
            }
        }
    }

    /// Adds an organization with its first admin and its root credential. [`RecordError::Conflict`]: a name is taken.
    pub async fn create_organization(
        &self,
        organization: &Organization,
        admin: &Admin,
        root: &Credential,
    ) -> Result<(), RecordError> {
        let mut writes = vec![
            self.put_in(&table::organization(&organization.id), None, organization)?,
            self.put_in(&table::listed_organization(&organization.id), None, &Empty {})?,
        ];
        writes.extend(self.create_admin_writes(admin, organization.default_requests)?);
        writes.extend(self.create_credential_writes(root)?);
        self.transact(writes).await
    }

    /// Deletes an organization with these admins and its root credential: all of it or nothing.
    pub async fn delete_organization(
        &self,
        old: &Versioned<Organization>,
        admins: &[Versioned<Admin>],
        root: Option<&Versioned<Credential>>,
    ) -> Result<(), RecordError> {
        let id = &old.value.id;
        let mut writes: Vec<TransactWriteItem> = vec![
            self.delete_in(table::organization(id), Some(old.rev))?,
            self.delete_in(table::listed_organization(id), None)?,
            self.delete_in(table::full_admins(id), None)?,
        ];
        for admin in admins {
            writes.extend(self.delete_admin_writes(admin)?);
        }
        if let Some(root) = root {
            writes.extend(self.delete_credential_writes(root).await?);
        }
        self.transact(writes).await
    }

    /// Whether any files are counted for an organization's credentials, also for those that are gone.
    pub async fn counts_files(&self, organization: &OrganizationId) -> Result<bool, RecordError> {
        let mut start = None;
        loop {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression("#pk = :pk")
                .expression_attribute_names("#pk", table::PK)
                .expression_attribute_values(":pk", text(table::usage_partition(organization)))
                .set_exclusive_start_key(start.map(key_attributes))
                .send()
                .boxed()
                .await
                .map_err(RecordError::unavailable)?;
            let counted = |item: &crate::item::Item| {
                ["bytes", "files"].iter().any(|name| optional_number(item, name).is_some_and(|number| number > 0))
            };
            if answer.items().iter().any(counted) {
                return Ok(true);
            }
            let next = answer.last_evaluated_key.as_ref().and_then(crate::item::sort_key).map(str::to_owned);
            match next {
                Some(sk) => start = Some(table::Key { pk: table::usage_partition(organization), sk }),
                None => return Ok(false),
            }
        }
    }
}
