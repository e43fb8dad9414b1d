//! The audit log ([`store::events`]).

use super::{Caller, Management, ManagementError};
use crate::jobs::export_key;
use domain::audit::{Order, Position, Search, Span};
use domain::event::Event;
use domain::job::{EventExport, Job, State, Task};
use domain::right::Right;
use domain::time::Timestamp;
use std::time::Duration;
use store::clock;
use store::events::Found;

/// How long an address of a table is good for.
const LIFE_SECONDS: i64 = 900;

/// A table of events. No Debug output: who has its address has the table.
pub struct Exported {
    /// The object's key in the bucket.
    pub key: String,
    /// The address.
    pub url: String,
    /// Until when it is good.
    pub until: Timestamp,
}

impl Management {
    /// Up to `limit` events of the caller's organization that are to be kept, behind a place. Fewer, or none, may come back where
    /// there are more: then there is a place to go on from.
    pub async fn events(
        &self,
        caller: &Caller,
        (span, order): (Span, Order),
        keep: impl Fn(&Event) -> bool,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Found, ManagementError> {
        caller.require(Right::SeeEvents)?;
        let search = Search { organization: caller.organization.clone(), span: span.kept(clock::now()), order };
        Ok(self.events.find(&search, keep, after, limit).await?)
    }

    /// Asks for a table of events in the bucket.
    pub async fn export_events(&self, caller: &Caller, asked: EventExport) -> Result<Job, ManagementError> {
        caller.require(Right::ExportEvents)?;
        caller.require(Right::SeeEvents)?;
        Ok(self.queue.ask(&caller.organization, Task::EventExport(asked), caller.actor().id).await?)
    }

    /// Where the table of a job is, once it is whole, for who may see events: its key, an address that gives it, and until when.
    pub async fn exported(&self, caller: &Caller, job: &Job) -> Result<Option<Exported>, ManagementError> {
        let is_whole = job.state == State::Succeeded && matches!(job.task, Task::EventExport(_));
        if !is_whole || job.organization != caller.organization || caller.require(Right::SeeEvents).is_err() {
            return Ok(None);
        }
        let (key, until) = (export_key(job), clock::now().plus_millis(LIFE_SECONDS * 1000));
        let life = Duration::from_secs(LIFE_SECONDS.unsigned_abs());
        let url = self.objects.presign_export(&key, life).await;
        let url = url.map_err(|error| ManagementError::Unavailable(error.to_string()))?;
        Ok(Some(Exported { key: key.as_str().to_owned(), url, until }))
    }
}
