//! The audit log ([`store::events`]).

use super::{Caller, Management, ManagementError};
use domain::audit::{Order, Position, Search, Span};
use domain::event::Event;
use domain::right::Right;
use store::clock;
use store::events::Found;

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
}
