//! Jobs ([`domain::job`]) in DynamoDB. Keys: `pk = JOB#<organization>`, `sk = <job id>`, and the index `sweep` while they are not
//! over, so that one whose word got lost, or whose worker died, is found when it is due.

use crate::aws::Aws;
use crate::item::{Item, Versioned, decode, encode, key_attributes, number, text};
use crate::patience::{conditionally, patiently};
use crate::records::RecordError;
use crate::table::{self, REV, SWEEP_AT, SWEEP_INDEX, SWEEP_SHARD, SWEPT_JOBS, TTL};
use domain::id::OrganizationId;
use domain::job::{Job, JobId, KEPT_SECONDS};
use domain::time::Timestamp;

/// How many due jobs one look takes.
const DUE: i32 = 100;

/// The records. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

impl Jobs {
    /// In the table of the settings.
    pub fn new(aws: &Aws) -> Self {
        Self { client: aws.dynamodb.clone(), table: aws.settings.table.clone() }
    }

    /// Writes a job: a new one if `read` is `None`, otherwise over the revision that was read. The new revision, or `None` if
    /// somebody else was faster.
    pub async fn save(&self, job: &Job, read: Option<u64>) -> Result<Option<u64>, RecordError> {
        let rev = read.map_or(1, |rev| rev.saturating_add(1));
        let mut item = encode(&table::job(&job.organization, &job.id), rev, job)?;
        if job.state.is_over() {
            item.insert(TTL.to_owned(), number(job.updated_at.seconds().saturating_add(KEPT_SECONDS)));
        } else {
            item.insert(SWEEP_SHARD.to_owned(), text(SWEPT_JOBS));
            item.insert(SWEEP_AT.to_owned(), number(job.due.millis()));
        }
        let request = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let request = match read {
            None => request.condition_expression("attribute_not_exists(pk)"),
            Some(rev) => request
                .condition_expression("#rev = :rev")
                .expression_attribute_names("#rev", REV)
                .expression_attribute_values(":rev", number(rev)),
        };
        if conditionally(|| request.clone().send()).await.map_err(RecordError::unavailable)? {
            return Ok(Some(rev));
        }
        // perhaps it was ourselves, and the answer got lost
        let now = self.get(&job.organization, &job.id).await?;
        Ok(now.filter(|now| now.rev == rev && now.value == *job).map(|_| rev))
    }

    /// One.
    pub async fn get(&self, organization: &OrganizationId, id: &JobId) -> Result<Option<Versioned<Job>>, RecordError> {
        let key = key_attributes(table::job(organization, id));
        let request = self.client.get_item().table_name(&self.table).consistent_read(true).set_key(Some(key));
        let answer = patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        answer.item.map(decode).transpose()
    }

    /// Up to `limit` of an organization's, the newest first, older than `before`; and whether there may be more.
    pub async fn list(
        &self,
        organization: &OrganizationId,
        before: Option<&JobId>,
        limit: u16,
    ) -> Result<(Vec<Versioned<Job>>, bool), RecordError> {
        let start = before.map(|id| key_attributes(table::job(organization, id)));
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .scan_index_forward(false)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(table::jobs(organization)))
            .set_exclusive_start_key(start)
            .limit(i32::from(limit));
        let answer = patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        let more = answer.last_evaluated_key.is_some();
        let jobs: Result<Vec<_>, _> = answer.items.unwrap_or_default().into_iter().map(decode).collect();
        Ok((jobs?, more))
    }

    /// Those that should have been gone on with before `now`.
    pub async fn due(&self, now: Timestamp) -> Result<Vec<Versioned<Job>>, RecordError> {
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(SWEEP_INDEX)
            .key_condition_expression("sweep_shard = :jobs AND sweep_at < :now")
            .expression_attribute_values(":jobs", text(SWEPT_JOBS))
            .expression_attribute_values(":now", number(now.millis()))
            .limit(DUE);
        let answer = patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        let readable =
            answer.items.unwrap_or_default().into_iter().filter_map(|item: Item| {
                decode(item).inspect_err(|error| tracing::error!(%error, "skipped a job")).ok()
            });
        Ok(readable.collect())
    }
}
