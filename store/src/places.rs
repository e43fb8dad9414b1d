//! How many sessions a credential has, node by node, for credentials that may have only so many.
//!
//! Each node writes its own number, always the whole: what a failed write left behind is put right by the next. Who adds a
//! session names the revision that it has read, so that two nodes cannot both take the last place.

use crate::aws::Aws;
use crate::item::{decode, encode, key_attributes, number, on_revision};
use crate::patience::{conditionally, patiently};
use crate::records::RecordError;
use crate::table::{self, REV};
use domain::id::{CredentialId, NodeId, OrganizationId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The numbers. Cheap to clone.
#[derive(Clone)]
pub struct Places {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

/// A credential's numbers as they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Sessions by node. Nodes that are dead are still in it.
    pub nodes: BTreeMap<NodeId, u32>,
}

impl Places {
    /// In the table of the settings.
    pub fn new(aws: &Aws) -> Self {
        Self { client: aws.dynamodb.clone(), table: aws.settings.table.clone() }
    }

    /// The numbers, and their revision for [`Places::put`].
    pub async fn get(
        &self,
        organization: &OrganizationId,
        credential: &CredentialId,
    ) -> Result<(Taken, Option<u64>), RecordError> {
        let key = table::places(organization, credential);
        let request =
            self.client.get_item().table_name(&self.table).consistent_read(true).set_key(Some(key_attributes(key)));
        let answer = patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        match answer.item {
            None => Ok((Taken::default(), None)),
            Some(item) => decode(item).map(|read| (read.value, Some(read.rev))),
        }
    }

    /// Writes the numbers over the revision that was read. `false`: somebody else was faster (or it was ourselves, and the
    /// answer got lost).
    pub async fn put(
        &self,
        organization: &OrganizationId,
        credential: &CredentialId,
        taken: &Taken,
        read: Option<u64>,
    ) -> Result<bool, RecordError> {
        let item =
            encode(&table::places(organization, credential), read.map_or(1, |rev| rev.saturating_add(1)), taken)?;
        let request = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let request = on_revision(request, read);
        conditionally(|| request.clone().send()).await.map_err(RecordError::unavailable)
    }

    /// Writes one node's number, whatever the others have.
    pub async fn set(
        &self,
        organization: &OrganizationId,
        credential: &CredentialId,
        node: &NodeId,
        sessions: u32,
    ) -> Result<(), RecordError> {
        let key = table::places(organization, credential);
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key_attributes(key)))
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#rev", REV)
            .expression_attribute_names("#nodes", "nodes")
            .expression_attribute_names("#node", node.as_str())
            .expression_attribute_values(":one", number(1));
        let request = if sessions == 0 {
            request.update_expression("REMOVE #nodes.#node ADD #rev :one")
        } else {
            request
                .update_expression("SET #nodes.#node = :sessions ADD #rev :one")
                .expression_attribute_values(":sessions", number(sessions))
        };
        // without the item nobody has a number
        conditionally(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        Ok(())
    }
}
