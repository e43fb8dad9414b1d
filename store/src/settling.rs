//! Counting: usage records, changed in one transaction with the intents that it settles, so that an operation is counted
//! once, whoever settles it and however often. A version that goes is counted once as well: S3 answers a conditional delete of
//! a missing object with success, so an overwrite and a delete may both believe that they took it away. The record of the
//! version (`GONE#…`) says who has counted it; the other counts without it.
//!
//! Keys: `pk = USAGE#<organization>`, `sk` names the holder. One settled operation costs two shares of a transaction, and
//! two more for each version that it took away; many operations of one organization share the usage records' writes.
//!
//! While a holder's files are recounted ([`crate::scans`]), what is counted is also noted in its usage record, so that the recount
//! does not lose it. Nobody knows beforehand: a transaction says that there is no recount, and is made again if there is.

use crate::aws::Aws;
use crate::clock;
use crate::intents::{claim_ttl, item_key};
use crate::item::{Item, key_attributes, number, sort_key, text};
use crate::leases::{Leased, Less};
use crate::patience::patiently;
use crate::scans::{self, LOG, Scans};
use crate::table::{self, FOLDER_USAGE, PK, SK, TTL, VERSION};
use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, TransactWriteItem, Update};
use domain::folder::FolderName;
use domain::id::{NodeId, OperationId, OrganizationId, uuid_text};
use domain::intent::{Delta, UsageChange};
use domain::quota::{Amount, Holder};
use domain::time::Timestamp;
use futures_util::FutureExt as _;
use std::collections::{BTreeMap, BTreeSet};

/// How many operations one transaction settles at most: DynamoDB takes 100 items, ten are usage records, and an
/// operation has up to three: its intent, and for a rename the versions at both names.
pub const BATCH: usize = 30;
/// How many usage records one transaction changes at most. An operation has up to five: the organization's, its credential's, and
/// two folders'.
pub const HOLDERS: usize = 10;

/// One operation that happened.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The key of the intent.
    pub key: String,
    /// The operation.
    pub operation: OperationId,
    /// What it changed, if nobody else counts what it took away.
    pub deltas: Vec<Delta>,
    /// What it took away.
    pub taken: Vec<Taken>,
    /// What it uses up of leases of quotas.
    pub leased: Vec<Leased>,
}

impl Settled {
    /// Whose usage it changes.
    pub fn holders(&self) -> impl Iterator<Item = &Holder> {
        let changed = self.deltas.iter().flat_map(|delta| &delta.holders);
        changed.chain(self.leased.iter().map(|leased| &leased.holder))
    }

    /// Counts without what was taken from here, which somebody else has counted.
    pub fn without(&mut self, taken: &Taken) {
        if let Some(delta) = self.deltas.iter_mut().find(|delta| delta.key == taken.key) {
            delta.change = delta.change.minus(taken.part);
        }
    }
}

/// A version that is gone.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Where it was.
    pub key: String,
    /// Its name, as [`domain::intent::Seen::version`].
    pub version: String,
    /// How it went.
    pub how: Gone,
    /// Its part in the operation's change.
    pub part: UsageChange,
}

/// How a version went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// A conditional write put another one in its place, so it was there, or one with the same bytes: S3 names versions
    /// by their bytes.
    Replaced {
        /// The size of the other one.
        made_bytes: u64,
    },
    /// A conditional delete succeeded, which it also does where nothing was.
    Removed,
}

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

/// One try to count a batch, which may be sent several times. Without it a batch that was counted, and whose answer got lost,
/// would look like one that somebody else has settled, and its lease would be given back a second time. DynamoDB remembers an
/// attempt for ten minutes.
#[derive(Clone, Debug)]
pub struct Attempt {
    token: String,
    at: Timestamp,
    /// Whose files are being recounted.
    recounted: BTreeSet<Holder>,
}

impl Attempt {
    /// A new one.
    pub fn new() -> Self {
        Self { token: uuid_text(clock::random()), at: clock::now(), recounted: BTreeSet::new() }
    }

    /// A new one after this, which was found to be wrong about recounts.
    #[must_use]
    pub fn corrected(&self, recounts: Vec<(Holder, bool)>) -> Self {
        let mut recounted = self.recounted.clone();
        for (holder, is_recounted) in recounts {
            if is_recounted {
                recounted.insert(holder);
            } else {
                recounted.remove(&holder);
            }
        }
        Self { recounted, ..Self::new() }
    }
}

impl Default for Attempt {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a batch was not counted.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// These (by place in the batch) have no intent any more: somebody else settled them. Nothing was counted.
    #[error("{} operations are settled already", .0.len())]
    SettledAlready(Vec<usize>),
    /// These versions (by operation and place among what it took away) were counted by somebody else. Nothing was counted.
    #[error("{} versions are counted already", .0.len())]
    CountedAlready(Vec<(usize, usize)>),
    /// The files of these are being recounted now, or not any more: try again with [`Attempt::corrected`]. Nothing was counted.
    #[error("{} recounts have begun or ended", .0.len())]
    Recounts(Vec<(Holder, bool)>),
    /// Another transaction had its hands on the same records; try again.
    #[error("another transaction was faster")]
    Conflict,
    /// DynamoDB did not answer, or refused.
    #[error("usage could not be counted: {0}")]
    Unavailable(String),
}

/// The records.
#[derive(Clone)]
pub struct Settling {
    dynamodb: aws_sdk_dynamodb::Client,
    table: String,
    scans: Scans,
}

impl Settling {
    /// In the table of the settings.
    pub fn new(aws: &Aws) -> Self {
        Self { dynamodb: aws.dynamodb.clone(), table: aws.settings.table.clone(), scans: Scans::new(aws) }
    }

    /// Counts up to [`BATCH`] operations of one organization, of up to [`HOLDERS`] holders, and removes their intents: all, or
    /// none. No version may be in it twice. The same `attempt` with the same operations happens once, though its answer gets lost.
    pub async fn settle(
        &self,
        organization: &OrganizationId,
        operations: &[Settled],
        attempt: &Attempt,
    ) -> Result<(), SettleError> {
        let now = attempt.at;
        let broken = |error: aws_sdk_dynamodb::error::BuildError| SettleError::Unavailable(error.to_string());
        let mut items = Vec::with_capacity(operations.len() * 3 + HOLDERS);
        for one in operations {
            let delete = Delete::builder()
                .table_name(&self.table)
                .set_key(Some(item_key(organization, &one.key, &one.operation)))
                .condition_expression("attribute_exists(pk)")
                .build()
                .map_err(broken)?;
            items.push(TransactWriteItem::builder().delete(delete).build());
        }
        let mut places = Vec::new();
        for (at, one) in operations.iter().enumerate() {
            for (place, taken) in one.taken.iter().enumerate() {
                let counting = self.counting(organization, &one.operation, taken, now).map_err(broken)?;
                items.push(TransactWriteItem::builder().update(counting).build());
                places.push((at, place));
            }
        }
        let usages = items.len();
        let counted: Vec<(Holder, Sum)> = sums(operations).into_iter().filter(|(_, sum)| !sum.is_zero()).collect();
        for (holder, sum) in &counted {
            let update = self.usage_update(organization, holder, sum, attempt).map_err(broken)?;
            items.push(TransactWriteItem::builder().update(update).build());
        }
        let request = self.dynamodb.transact_write_items().set_transact_items(Some(items));
        let answer = request.client_request_token(&attempt.token).send().boxed().await;
        let Err(error) = answer else {
            return Ok(());
        };
        if let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) = error.as_service_error() {
            let reasons = canceled.cancellation_reasons();
            let failed = |at: &usize| reasons.get(*at).and_then(|one| one.code()) == Some("ConditionalCheckFailed");
            let gone: Vec<usize> = (0..operations.len()).filter(failed).collect();
            if !gone.is_empty() {
                return Err(SettleError::SettledAlready(gone));
            }
            let again = (operations.len()..).zip(places).filter(|(at, _)| failed(at)).map(|(_, place)| place);
            let again: Vec<_> = again.collect();
            if !again.is_empty() {
                return Err(SettleError::CountedAlready(again));
            }
            let wrong: Vec<Holder> =
                (usages..).zip(counted).filter(|(at, _)| failed(at)).map(|(_, (holder, _))| holder).collect();
            return Err(match wrong.is_empty() {
                true => SettleError::Conflict,
                false => SettleError::Recounts(self.recounts(organization, wrong).await?),
            });
        }
        Err(SettleError::Unavailable(DisplayErrorContext(&error).to_string()))
    }

    /// Adds to a holder's usage, takes off its leases, and notes what was added if its files are being recounted.
    fn usage_update(
        &self,
        organization: &OrganizationId,
        holder: &Holder,
        sum: &Sum,
        attempt: &Attempt,
    ) -> Result<Update, aws_sdk_dynamodb::error::BuildError> {
        let mut update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key_attributes(table::usage(organization, holder))))
            .expression_attribute_values(":v", number(1))
            .expression_attribute_values(":at", number(attempt.at.millis()))
            .expression_attribute_values(":bytes", number(sum.change.bytes))
            .expression_attribute_values(":files", number(sum.change.files));
        let mut set = "SET v = :v, updated_at = :at".to_owned();
        let mut add = "ADD bytes :bytes, files :files".to_owned();
        for (at, (node, amount)) in sum.leased.iter().enumerate() {
            let less = Less::of(node, *amount);
            for (part, value) in [(format!("bytes{at}"), &less.values[0]), (format!("files{at}"), &less.values[1])] {
                add.push_str(&format!(", #lease_{part} :less_{part}"));
                update = update.expression_attribute_values(format!(":less_{part}"), value.1.clone());
            }
            let [(_, bytes), (_, files)] = less.names;
            update = update.expression_attribute_names(format!("#lease_bytes{at}"), bytes);
            update = update.expression_attribute_names(format!("#lease_files{at}"), files);
        }
        let condition = if attempt.recounted.contains(holder) {
            set.push_str(&format!(", {LOG} = list_append({LOG}, :noted)"));
            update = update
                .expression_attribute_values(":noted", sum.noted())
                .expression_attribute_values(":most", number(scans::MOST_NOTES));
            scans::NOTES
        } else {
            scans::NONE
        };
        update.update_expression(format!("{set} {add}")).condition_expression(condition).build()
    }

    /// Which of these are being recounted. A recount that nobody reads the notes of is given up here.
    async fn recounts(
        &self,
        organization: &OrganizationId,
        holders: Vec<Holder>,
    ) -> Result<Vec<(Holder, bool)>, SettleError> {
        let mut found = Vec::with_capacity(holders.len());
        for holder in holders {
            let alive = self.scans.is_read(organization, &holder).await;
            let alive = alive.map_err(|error| SettleError::Unavailable(error.to_string()))?;
            found.push((holder, alive));
        }
        Ok(found)
    }

    /// The note that `operation` counts this version, unless another one has.
    fn counting(
        &self,
        organization: &OrganizationId,
        operation: &OperationId,
        taken: &Taken,
        now: Timestamp,
    ) -> Result<Update, aws_sdk_dynamodb::error::BuildError> {
        let key = table::removal(organization, &taken.key, &taken.version);
        let mut set = "SET #v = :v, counted = :operation, #ttl = :ttl".to_owned();
        let mut condition = "attribute_not_exists(counted) OR counted = :operation".to_owned();
        if let Gone::Replaced { .. } = taken.how {
            set.push_str(", replaced = :replaced, replaced_by_bytes = :made");
            // counted by another replacement: that one made the same bytes, and this one has replaced them
            condition.push_str(" OR replaced = :replaced");
        }
        let mut update = Update::builder()
            .table_name(&self.table)
            .key(PK, AttributeValue::S(key.pk))
            .key(SK, AttributeValue::S(key.sk))
            .update_expression(set)
            .condition_expression(condition)
            .expression_attribute_names("#v", VERSION)
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_values(":v", AttributeValue::N("1".to_owned()))
            .expression_attribute_values(":operation", AttributeValue::S(operation.to_string()))
            .expression_attribute_values(":ttl", claim_ttl(now));
        if let Gone::Replaced { made_bytes } = taken.how {
            update = update
                .expression_attribute_values(":replaced", AttributeValue::Bool(true))
                .expression_attribute_values(":made", AttributeValue::N(made_bytes.to_string()));
        }
        update.build()
    }

    /// What `operation` is to count instead of a version of which somebody else has counted that it is gone. Where a
    /// version was replaced by the same bytes, S3 could not tell the two apart:
    ///
    /// * a delete of the first took the second away, if the first was counted by its replacement;
    /// * a replacement of the first was taken away at once, if the first was counted by a delete.
    ///
    /// In all other cases the delete found nothing: nothing is counted instead.
    pub async fn instead(
        &self,
        organization: &OrganizationId,
        operation: &OperationId,
        taken: &Taken,
    ) -> Result<Option<Taken>, SettleError> {
        if let Gone::Replaced { made_bytes } = taken.how {
            let same = i64::try_from(made_bytes) == Ok(-taken.part.bytes);
            let own = Taken { version: operation.to_string(), how: Gone::Removed, ..taken.clone() };
            return Ok(same.then_some(own));
        }
        let key = table::removal(organization, &taken.key, &taken.version);
        let request = self
            .dynamodb
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .key(PK, AttributeValue::S(key.pk))
            .key(SK, AttributeValue::S(key.sk));
        let answer = patiently(|| request.clone().send()).await;
        let answer = answer.map_err(|error| SettleError::Unavailable(DisplayErrorContext(&error).to_string()))?;
        let Some(item) = answer.item() else {
            return Ok(None);
        };
        let made = item.get("replaced_by_bytes").and_then(|value| value.as_n().ok()?.parse::<i64>().ok());
        let by = item.get("counted").and_then(|value| value.as_s().ok());
        let same = made.is_some_and(|made| made == -taken.part.bytes);
        Ok(by.filter(|_| same).map(|by| Taken { version: by.clone(), ..taken.clone() }))
    }

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

/// What a batch does to one holder's usage.
#[derive(Default)]
struct Sum {
    change: UsageChange,
    leased: BTreeMap<NodeId, Amount>,
    /// At which keys.
    at: Vec<(String, UsageChange)>,
}

impl Sum {
    /// Whether nothing is to be written. A batch that only moves files about is noted all the same, where they are.
    fn is_zero(&self) -> bool {
        self.at.is_empty() && self.leased.is_empty()
    }

    /// As a recount reads it.
    fn noted(&self) -> AttributeValue {
        let notes = self.at.iter().map(|(key, change)| text(scans::note(key, *change)));
        AttributeValue::L(notes.collect())
    }
}

fn sums(operations: &[Settled]) -> BTreeMap<Holder, Sum> {
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
            let lease = sums.entry(leased.holder.clone()).or_default().leased.entry(leased.node.clone()).or_default();
            *lease = lease.plus(leased.amount);
        }
    }
    sums
}
