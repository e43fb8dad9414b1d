//! What the first start creates, in one transaction: all of it or nothing.

use super::{RecordError, Records};
use crate::table;
use domain::admin::Admin;
use domain::api_key::{ApiKey, ApiKeyId, KeyHash};
use domain::credential::Credential;
use domain::id::{CredentialId, OrganizationId};
use domain::organization::Organization;
use domain::sealed::Sealed;
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What was created. No Debug output: it may hold sealed secrets.
#[derive(Clone, Serialize, Deserialize)]
pub struct BootstrapRecord {
    /// The reserved organization.
    pub operator: OrganizationId,
    /// The first tenant.
    pub organization: OrganizationId,
    /// Its root credential.
    pub credential: CredentialId,
    /// Its site-wide key.
    #[serde(default)]
    pub api_key: Option<ApiKeyId>,
    /// The secrets, for development only: production shows them once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Sealed>,
    /// When.
    pub created_at: Timestamp,
}

/// Everything that is created.
pub struct Bootstrap<'a> {
    /// The record of it.
    pub record: &'a BootstrapRecord,
    /// The operator's and the first tenant.
    pub organizations: [&'a Organization; 2],
    /// One admin of each.
    pub admins: [&'a Admin; 2],
    /// The root credential.
    pub credential: &'a Credential,
    /// The site-wide key, if there is one.
    pub api_key: Option<(&'a ApiKey, KeyHash)>,
}

impl Records {
    /// What was created at the first start, if there was one.
    pub async fn bootstrap_record(&self) -> Result<Option<BootstrapRecord>, RecordError> {
        Ok(self.get(table::bootstrap()).await?.map(|found| found.value))
    }

    /// Creates everything. [`RecordError::Conflict`]: somebody else was first.
    pub async fn create_bootstrap(&self, all: Bootstrap<'_>) -> Result<(), RecordError> {
        let mut writes = vec![self.put_in(&table::bootstrap(), None, all.record)?];
        for organization in all.organizations {
            writes.push(self.put_in(&table::organization(&organization.id), None, organization)?);
        }
        for admin in all.admins {
            writes.extend(self.create_admin_writes(admin, domain::organization::DEFAULT_REQUESTS)?);
        }
        writes.extend(self.create_credential_writes(all.credential)?);
        if let Some((key, hash)) = all.api_key {
            let limit = domain::organization::DEFAULT_REQUESTS;
            writes.extend(self.create_api_key_writes(key, hash, limit)?);
        }
        self.transact(writes).await
    }
}
