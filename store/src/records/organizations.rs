//! Organizations.

use super::{RecordError, Records, Versioned};
use crate::table;
use domain::id::OrganizationId;
use domain::organization::Organization;

impl Records {
    /// An organization. One consistent read.
    pub async fn organization(&self, id: &OrganizationId) -> Result<Option<Versioned<Organization>>, RecordError> {
        self.get(table::organization(id)).await
    }

    /// Changes an organization's settings. Answers the new revision.
    pub async fn save_organization(&self, organization: &Organization, read: u64) -> Result<u64, RecordError> {
        self.put(&table::organization(&organization.id), Some(read), organization).await
    }
}
