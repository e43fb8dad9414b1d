//! What a batch does to each holder's usage, in one update.

use super::{Attempt, Settled};
use crate::item::{key_attributes, number, text};
use crate::leases::Less;
use crate::scans::{self, LOG};
use crate::table;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Update};
use domain::id::{NodeId, OrganizationId};
use domain::intent::UsageChange;
use domain::quota::{Amount, Holder};
use std::collections::BTreeMap;

/// What a batch does to one holder's usage.
#[derive(Default)]
pub(super) struct Sum {
    change: UsageChange,
    /// Of one node: all that a node settles is its own, and what others left has no lease any more.
    leased: Option<(NodeId, Amount)>,
    /// At which keys. What only moves files about is noted all the same, where they are.
    at: Vec<(String, UsageChange)>,
}

/// By holder, those for whom something is to be written.
pub(super) fn sums(operations: &[Settled]) -> BTreeMap<Holder, Sum> {
    let mut sums = BTreeMap::<Holder, Sum>::new();
    for one in operations {
        for delta in one.deltas.iter().filter(|delta| delta.change != UsageChange::default()) {
            for holder in &delta.holders {
                let sum = sums.entry(holder.clone()).or_default();
                sum.change = sum.change.plus(delta.change);
                sum.at.push((delta.key.clone(), delta.change));
            }
        }
        for leased in &one.leased {
            let lease = &mut sums.entry(leased.holder.clone()).or_default().leased;
            let before = lease.take().map_or(Amount::default(), |(_, amount)| amount);
            *lease = Some((leased.node.clone(), before.plus(leased.amount)));
        }
    }
    sums
}

impl Sum {
    /// Adds to the holder's usage, takes off its lease, and notes what was added if its files are being recounted.
    pub(super) fn update(
        &self,
        update: UpdateBuilder,
        (organization, holder): (&OrganizationId, &Holder),
        attempt: &Attempt,
    ) -> Result<Update, BuildError> {
        let mut update = update
            .set_key(Some(key_attributes(table::usage(organization, holder))))
            .expression_attribute_values(":v", number(1))
            .expression_attribute_values(":at", number(attempt.at.millis()))
            .expression_attribute_values(":bytes", number(self.change.bytes))
            .expression_attribute_values(":files", number(self.change.files));
        let mut set = "SET v = :v, updated_at = :at".to_owned();
        let mut add = "ADD bytes :bytes, files :files".to_owned();
        if let Some((node, amount)) = &self.leased {
            let less = Less::of(node, *amount);
            add = format!("{add}, {}", less.expression);
            for (name, value) in less.names {
                update = update.expression_attribute_names(name, value);
            }
            for (name, value) in less.values {
                update = update.expression_attribute_values(name, value);
            }
        }
        let condition = if attempt.recounted.contains(holder) {
            set = format!("{set}, {LOG} = list_append({LOG}, :noted)");
            let notes = self.at.iter().map(|(key, change)| text(scans::note(key, *change)));
            update = update
                .expression_attribute_values(":noted", AttributeValue::L(notes.collect()))
                .expression_attribute_values(":most", number(scans::MOST_NOTES));
            scans::NOTES
        } else {
            scans::NONE
        };
        update.update_expression(format!("{set} {add}")).condition_expression(condition).build()
    }
}
