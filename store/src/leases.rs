//! Leases of what is left of a quota ([`domain::quota`]), in the usage record that they are about: settling counts an upload and
//! takes it off its node's lease in one write.
//!
//! Each node's lease is two numbers of that record. Whoever takes more names the record's `lease_rev`, so that two nodes
//! cannot take the same rest; everything else that changes the record leaves the sum of usage and leases as it is or smaller.

use crate::aws::Aws;
use crate::item::{Item, key_attributes, number, optional_number};
use crate::patience::{conditionally, patiently};
use crate::records::RecordError;
use crate::scans::once;
use crate::table;
use aws_sdk_dynamodb::types::{AttributeValue, Update};
use domain::id::{NodeId, OrganizationId, uuid_text};
use domain::quota::{Amount, Holder};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const BYTES: &str = "lease_bytes@";
const FILES: &str = "lease_files@";
const REV: &str = "lease_rev";
const BY: &str = "lease_by";

/// The leases. Cheap to clone.
#[derive(Clone)]
pub struct Leases {
    client: aws_sdk_dynamodb::Client,
    table: String,
    owed: Arc<Mutex<Vec<Owed>>>,
}

/// What is to be taken off a lease of this process when the sweep has counted what it was reserved for.
pub struct Owed {
    organization: OrganizationId,
    less: Leased,
    since: Instant,
}

/// What is owed of an account within this time is one entry, so that there are few.
const TOGETHER: Duration = Duration::from_secs(60);

/// A part of a node's lease, as an operation uses it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    /// Of whose quota.
    pub holder: Holder,
    /// Whose lease.
    pub node: NodeId,
    /// How much of it.
    pub amount: Amount,
}

/// What a usage record says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounted {
    /// What is stored, as counted.
    pub stored: Amount,
    /// Leases by node.
    pub nodes: BTreeMap<NodeId, Amount>,
    rev: u64,
    /// Who took last.
    by: Option<String>,
}

impl Leases {
    /// In the table of the settings.
    pub fn new(aws: &Aws) -> Self {
        Self { client: aws.dynamodb.clone(), table: aws.settings.table.clone(), owed: Arc::default() }
    }

    /// Notes what is left to the sweep to count, which does not know of the lease.
    pub fn owe(&self, organization: &OrganizationId, less: &Leased) {
        if less.amount.is_zero() {
            return;
        }
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |one: &&mut Owed| {
            let whose = one.organization == *organization && one.less.holder == less.holder;
            whose && one.less.node == less.node && one.since.elapsed() < TOGETHER
        };
        match owed.iter_mut().find(same) {
            Some(same) => (same.since, same.less.amount) = (Instant::now(), same.less.amount.plus(less.amount)),
            None => owed.push(Owed { organization: organization.clone(), less: less.clone(), since: Instant::now() }),
        }
    }

    /// Takes off what has been owed for at least `after`; what cannot be taken off now stays owed.
    pub async fn pay(&self, after: Duration) {
        let due: Vec<Owed> = {
            let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
            owed.extract_if(.., |owed| owed.since.elapsed() >= after).collect()
        };
        for one in due {
            if self.give_back(&one.organization, &one.less).await.is_err() {
                self.owed.lock().unwrap_or_else(PoisonError::into_inner).push(one);
            }
        }
    }

    /// Usage and leases.
    pub async fn get(&self, organization: &OrganizationId, holder: &Holder) -> Result<Accounted, RecordError> {
        let key = table::usage(organization, holder);
        let request =
            self.client.get_item().table_name(&self.table).consistent_read(true).set_key(Some(key_attributes(key)));
        let answer = patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        Ok(answer.item.map_or_else(Accounted::default, |item| read(&item)))
    }

    /// Adds to a node's lease and forgets those of nodes that are gone, if nobody has taken anything since `read`.
    pub async fn take(
        &self,
        organization: &OrganizationId,
        more: &Leased,
        gone: &BTreeSet<NodeId>,
        read: &Accounted,
    ) -> Result<bool, RecordError> {
        let token = uuid_text(crate::clock::random());
        let mut request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key_attributes(table::usage(organization, &more.holder))))
            .expression_attribute_names("#rev", REV)
            .expression_attribute_names("#bytes", format!("{BYTES}{}", more.node))
            .expression_attribute_names("#files", format!("{FILES}{}", more.node))
            .expression_attribute_names("#by", BY)
            .expression_attribute_values(":by", AttributeValue::S(token.clone()))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":rev", number(read.rev))
            .expression_attribute_values(":v", number(1))
            .expression_attribute_values(":bytes", number(more.amount.bytes))
            .expression_attribute_values(":files", number(more.amount.files));
        let condition = if read.rev == 0 { "attribute_not_exists(#rev) OR #rev = :rev" } else { "#rev = :rev" };
        let mut expression = "SET v = :v, #by = :by ADD #rev :one, #bytes :bytes, #files :files".to_owned();
        let mut places = Vec::new();
        for (at, node) in gone.iter().enumerate() {
            request = request
                .expression_attribute_names(format!("#gone_bytes{at}"), format!("{BYTES}{node}"))
                .expression_attribute_names(format!("#gone_files{at}"), format!("{FILES}{node}"));
            places.push(format!("#gone_bytes{at}, #gone_files{at}"));
        }
        if !places.is_empty() {
            expression.push_str(" REMOVE ");
            expression.push_str(&places.join(", "));
        }
        let request = request.update_expression(expression).condition_expression(condition);
        if conditionally(|| request.clone().send()).await.map_err(RecordError::unavailable)? {
            return Ok(true);
        }
        // somebody was faster, or we were, and the answer got lost. (If others came after that, it stays ours unknowingly, and
        // goes when this node ends.)
        Ok(self.get(organization, &more.holder).await?.by.is_some_and(|by| by == token))
    }

    /// Takes off a node's lease, once: an ADD that is sent again after a lost answer would do it twice, so it is a transaction,
    /// which DynamoDB knows by its token for ten minutes.
    pub async fn give_back(&self, organization: &OrganizationId, less: &Leased) -> Result<(), RecordError> {
        let key = key_attributes(table::usage(organization, &less.holder));
        let less = Less::of(&less.node, less.amount);
        let mut update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key))
            .update_expression(format!("ADD {}", less.expression))
            .condition_expression("attribute_exists(pk)");
        for (name, value) in less.names {
            update = update.expression_attribute_names(name, value);
        }
        for (name, value) in less.values {
            update = update.expression_attribute_values(name, value);
        }
        // if there is nothing that it could be taken off, that is all right
        once(&self.client, update.build().map_err(RecordError::internal)?).await.map(|_| ())
    }
}

/// How an ADD expression takes off a lease.
pub(crate) struct Less {
    /// Its part of the expression.
    pub(crate) expression: &'static str,
    /// The names in it.
    pub(crate) names: [(&'static str, String); 2],
    /// The values in it.
    pub(crate) values: [(&'static str, AttributeValue); 2],
}

impl Less {
    pub(crate) fn of(node: &NodeId, amount: Amount) -> Self {
        let negative = |amount: u64| number(-i64::try_from(amount).unwrap_or(i64::MAX));
        Self {
            expression: "#lease_bytes :less_bytes, #lease_files :less_files",
            names: [("#lease_bytes", format!("{BYTES}{node}")), ("#lease_files", format!("{FILES}{node}"))],
            values: [(":less_bytes", negative(amount.bytes)), (":less_files", negative(amount.files))],
        }
    }
}

fn read(item: &Item) -> Accounted {
    // a negative number is a lease that was forgotten before the last of it was used
    let mut accounted = Accounted {
        stored: Amount {
            bytes: optional_number(item, "bytes").unwrap_or(0),
            files: optional_number(item, "files").unwrap_or(0),
        },
        nodes: BTreeMap::new(),
        rev: optional_number(item, REV).unwrap_or(0),
        by: item.get(BY).and_then(|by| by.as_s().ok()).cloned(),
    };
    for name in item.keys() {
        if let Some(Ok(node)) = name.strip_prefix(BYTES).map(NodeId::parse) {
            accounted.nodes.entry(node).or_default().bytes = optional_number(item, name).unwrap_or(0);
        }
        if let Some(Ok(node)) = name.strip_prefix(FILES).map(NodeId::parse) {
            accounted.nodes.entry(node).or_default().files = optional_number(item, name).unwrap_or(0);
        }
    }
    accounted
}
