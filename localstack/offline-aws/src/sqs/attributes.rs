//! Queue attributes: names, ranges, defaults.

use super::error::{Outcome, SqsError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The attributes somebody set, as strings the way the API has them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Attributes(pub(super) BTreeMap<String, String>);

/// Name, default, smallest and largest value.
const NUMBERS: [(&str, i64, i64, i64); 5] = [
    ("DelaySeconds", 0, 0, 900),
    ("MaximumMessageSize", MAX_MESSAGE, 1024, MAX_MESSAGE),
    ("MessageRetentionPeriod", 345_600, 60, 1_209_600),
    ("ReceiveMessageWaitTimeSeconds", 0, 0, 20),
    ("VisibilityTimeout", 30, 0, 43_200),
];

/// 1 MiB for a message and for a whole batch, since August 2025.
pub(super) const MAX_MESSAGE: i64 = 1024 * 1024;

/// Stored and given back, without effect here.
const IGNORED: [&str; 6] = [
    "Policy",
    "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
    "SqsManagedSseEnabled",
    "RedriveAllowPolicy",
    "ContentBasedDeduplication",
];

/// Where a message goes after too many receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Redrive {
    pub(super) queue: String,
    pub(super) max_receives: i64,
}

impl Attributes {
    /// Checks what a client wants to set.
    pub(super) fn parse(given: BTreeMap<String, String>) -> Outcome<Self> {
        for (name, value) in &given {
            if let Some((_, _, low, high)) = NUMBERS.iter().find(|(known, ..)| known == name) {
                if !value.parse::<i64>().is_ok_and(|value| (*low..=*high).contains(&value)) {
                    return Err(SqsError::invalid_attribute(format!("Invalid value for the parameter {name}.")));
                }
            } else if name == "RedrivePolicy" {
                if !value.is_empty() {
                    parse_redrive(value)?;
                }
            } else if name == "FifoQueue" {
                return Err(SqsError::invalid_attribute("Only standard queues are supported offline."));
            } else if !IGNORED.contains(&name.as_str()) {
                return Err(SqsError::new(
                    "InvalidAttributeName",
                    "InvalidAttributeName",
                    format!("Unknown Attribute {name}."),
                ));
            }
        }
        Ok(Self(given))
    }

    fn number(&self, name: &str) -> i64 {
        let set = self.0.get(name).and_then(|value| value.parse().ok());
        set.or_else(|| NUMBERS.iter().find(|(known, ..)| *known == name).map(|(_, default, ..)| *default)).unwrap_or(0)
    }

    pub(super) fn delay_s(&self) -> i64 {
        self.number("DelaySeconds")
    }

    pub(super) fn visibility_s(&self) -> i64 {
        self.number("VisibilityTimeout")
    }

    pub(super) fn wait_s(&self) -> i64 {
        self.number("ReceiveMessageWaitTimeSeconds")
    }

    pub(super) fn max_size(&self) -> i64 {
        self.number("MaximumMessageSize")
    }

    pub(super) fn retention_s(&self) -> i64 {
        self.number("MessageRetentionPeriod")
    }

    pub(super) fn redrive(&self) -> Option<Redrive> {
        self.0.get("RedrivePolicy").filter(|policy| !policy.is_empty()).and_then(|policy| parse_redrive(policy).ok())
    }

    /// Everything `GetQueueAttributes` shows that is not counted: what was set, over the defaults.
    pub(super) fn shown(&self) -> BTreeMap<String, String> {
        let mut shown: BTreeMap<String, String> =
            NUMBERS.iter().map(|(name, default, ..)| ((*name).to_owned(), default.to_string())).collect();
        shown.extend(self.0.iter().filter(|(_, value)| !value.is_empty()).map(|(n, v)| (n.clone(), v.clone())));
        shown
    }
}

fn parse_redrive(policy: &str) -> Outcome<Redrive> {
    let invalid = || SqsError::invalid_attribute("Value for parameter RedrivePolicy is invalid.");
    let policy: serde_json::Value = serde_json::from_str(policy).map_err(|_| invalid())?;
    let target = policy.get("deadLetterTargetArn").and_then(|arn| arn.as_str()).ok_or_else(invalid)?;
    let count = policy.get("maxReceiveCount").ok_or_else(invalid)?;
    // clients send it as a number and as a string
    let count = count.as_i64().or_else(|| count.as_str()?.parse().ok()).filter(|count| (1..=1000).contains(count));
    let queue = target.rsplit(':').next().filter(|queue| !queue.is_empty()).ok_or_else(invalid)?;
    Ok(Redrive { queue: queue.to_owned(), max_receives: count.ok_or_else(invalid)? })
}
