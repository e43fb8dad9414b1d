//! Sending a webhook again what happened since a time, from its delivery log: also what it missed while it was paused.
//!
//! Each delivery begins another round, named by the job, so that one which is sent twice, because a slice was repeated, is sent once.

use super::Slice;
use super::run::{Run, RunError};
use domain::queue_message::{Content, Delivery, QueueMessage};
use domain::time::Timestamp;
use domain::webhook::delivery::first_id;
use store::messages::Messages;
use store::records::{RecordError, Records};
use tokio::time::Instant;

/// Deliveries read at once.
const PAGE: u16 = 100;

/// Why a replay is tried again later.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReplayError {
    #[error(transparent)]
    Records(#[from] RecordError),
    #[error("the deliveries could not be sent: {0}")]
    Messages(#[from] store::messages::MessagesError),
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Replays deliveries. Cheap to clone.
#[derive(Clone)]
pub struct Replays {
    records: Records,
    messages: Messages,
}

impl Replays {
    /// Over these.
    pub fn new(records: Records, messages: Messages) -> Self {
        Self { records, messages }
    }

    pub(super) async fn slice(
        &self,
        webhook: &str,
        since: Timestamp,
        run: &mut Run,
        until: Instant,
    ) -> Result<Slice, ReplayError> {
        let (organization, round) = (run.job().organization.clone(), run.job().id.to_string());
        // what happens later is delivered anyway
        let end = first_id(run.job().created_at);
        let mut progress = run.job().progress;
        let mut from = match run.job().place.as_str() {
            "" => {
                progress = Default::default();
                first_id(since)
            }
            place => place.to_owned(),
        };
        while Instant::now() < until {
            let page = self.records.deliveries_between(&organization, webhook, (&from, &end), PAGE).await?;
            let Some(last) = page.last().map(|last| last.delivery.id.clone()) else {
                return Ok(Slice::Ended(format!("deliveries: {}", progress.files)));
            };
            // who waits for another attempt gets that one
            let again = page.into_iter().filter(|one| one.status.is_over()).map(|one| one.delivery);
            let events = again.filter(|delivery| matches!(delivery.content, Content::Event { .. }));
            let messages: Vec<_> = events
                .map(|delivery| Delivery {
                    failed_attempts: 0,
                    not_before: None,
                    round: Some(round.clone()),
                    ..delivery
                })
                .map(|delivery| (QueueMessage::delivery(delivery), 0))
                .collect();
            self.messages.send(&messages).await?;
            progress.files = progress.files.saturating_add(messages.len() as u64);
            // the least key after this one
            from = format!("{last}!");
            run.progress(progress).await?;
        }
        Ok(Slice::GoesOn(from))
    }
}
