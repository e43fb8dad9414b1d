//! The audit log in DynamoDB: every event ([`domain::audit`]).
//!
//! Keys: `pk = EVENT#<organization>#<day>#<shard>`, `sk` = the event's position in time, so an event that is put twice is there once.
//! `pk = EVENTDAYS#<organization>`, `sk` = the day, says which days have events: who searches 13 months of a quiet organization reads
//! few partitions. A day is written before its first event.
//!
//! Reading goes through the partitions of a day side by side and is bounded, whatever is looked for: a page may come back with fewer
//! events than were asked for, or none, and a place to go on from.

use crate::aws::Aws;
use crate::item::{Item, decode, encode, key_attributes, number, text};
use crate::patience::{briefly, patiently};
use crate::records::RecordError;
use crate::table::{self, SK, TTL};
use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use domain::audit::{Day, KEPT_MILLIS, Order, Position, SHARDS, Search};
use domain::event::Event;
use domain::id::OrganizationId;
use futures_util::FutureExt as _;
use futures_util::future::try_join_all;
use rand::Rng as _;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// DynamoDB takes this many items in one request.
const BATCH: usize = 25;
/// What a batch left over is sent again so often, with growing pauses: two seconds in all.
const TRIES: u32 = 7;
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// Days that are known to be written, of all organizations. At the limit all are forgotten, and written once more.
const MOST_KNOWN_DAYS: usize = 10_000;

/// Bounds of one page: so many events looked at, in so many rounds through a day's partitions, in this time. An event takes about half
/// a kilobyte, so looking at 1,000 costs about 125 RCU.
const MOST_LOOKED_AT: usize = 40_000;
const MOST_ROUNDS: usize = 400;
const LONGEST: Duration = Duration::from_secs(8);
/// Events that are read from one partition at once.
const LEAST_READ: usize = 25;
const MOST_READ: usize = 250;

/// The audit log. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    client: aws_sdk_dynamodb::Client,
    table: String,
    known: Arc<Mutex<HashSet<(OrganizationId, Day)>>>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The events, in the order of the search.
    pub events: Vec<Event>,
    /// Where to go on, unless all was seen.
    pub next: Option<Position>,
}

impl Events {
    /// In the table of the settings.
    pub fn new(aws: &Aws) -> Self {
        Self { client: aws.dynamodb.clone(), table: aws.settings.table.clone(), known: Arc::default() }
    }

    /// Writes events. Those that are there already stay one. An error means that some may not have been written.
    pub async fn put(&self, events: &[Event]) -> Result<(), RecordError> {
        let mut items: BTreeMap<(String, String), Item> = BTreeMap::new();
        for event in events {
            self.note_day(&event.organization, Day::of(event.created_at)).await?;
            let key = table::event(event);
            let mut item = encode(&key, 1, event)?;
            item.insert(TTL.to_owned(), number(event.created_at.plus_millis(KEPT_MILLIS).seconds()));
            // one request names no item twice
            items.insert((key.pk, key.sk), item);
        }
        let items: Vec<Item> = items.into_values().collect();
        for chunk in items.chunks(BATCH) {
            let put = |item: &Item| {
                let put = PutRequest::builder().set_item(Some(item.clone())).build().map_err(RecordError::internal)?;
                Ok(WriteRequest::builder().put_request(put).build())
            };
            self.write(chunk.iter().map(put).collect::<Result<_, RecordError>>()?).await?;
        }
        Ok(())
    }

    async fn write(&self, mut left: Vec<WriteRequest>) -> Result<(), RecordError> {
        let mut pause = FIRST_PAUSE;
        for _ in 0..TRIES {
            let request = self.client.batch_write_item().request_items(&self.table, left.clone());
            let answer = briefly(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
            left = answer.unprocessed_items.and_then(|mut left| left.remove(&self.table)).unwrap_or_default();
            if left.is_empty() {
                return Ok(());
            }
            let jitter = rand::rng().random_range(0.5..1.0);
            sleep(pause.mul_f64(jitter)).await;
            pause *= 2;
        }
        Err(RecordError::Unavailable(format!("{} events were not written: the table is busy", left.len())))
    }

    /// Writes that a day has events, once in the life of a process.
    async fn note_day(&self, organization: &OrganizationId, day: Day) -> Result<(), RecordError> {
        let this = (organization.clone(), day);
        if self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(&this) {
            return Ok(());
        }
        let mut item = key_attributes(table::event_day(organization, day));
        item.insert(table::VERSION.to_owned(), number(1));
        item.insert(TTL.to_owned(), number(day.ends().plus_millis(KEPT_MILLIS).seconds()));
        let request = self.client.put_item().table_name(&self.table).set_item(Some(item));
        briefly(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KNOWN_DAYS {
            known.clear();
        }
        known.insert(this);
        Ok(())
    }

    /// Up to `limit` events of a span that are to be kept, behind a place. Events that are put while somebody reads are found if they lie behind what
    /// was read; those of interrupted operations come late, with the time of what happened.
    pub async fn find(
        &self,
        search: &Search,
        keep: impl Fn(&Event) -> bool,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Found, RecordError> {
        let (first, last) = (Position::before(search.span.from), Position::behind(search.span.to));
        let reading = match (search.order, after) {
            (Order::OldestFirst, after) => (after.cloned().map_or(first.clone(), |after| after.max(first)), last),
            (Order::NewestFirst, after) => (first, after.cloned().map_or(last.clone(), |after| after.min(last))),
        };
        let mut found = Found::default();
        if reading.0 > reading.1 {
            return Ok(found);
        }
        let days =
            self.days(&search.organization, (Day::of(reading.0.at()), Day::of(reading.1.at())), search.order).await?;
        let until = Instant::now() + LONGEST;
        let (mut rounds, mut looked_at) = (0, 0);
        for day in days {
            let (begins, ends) = (Position::before(day.begins()), Position::behind(day.ends()));
            let mut within = (reading.0.clone().max(begins), reading.1.clone().min(ends));
            loop {
                let wanted = limit.saturating_sub(found.events.len());
                let spent = rounds >= MOST_ROUNDS || looked_at >= MOST_LOOKED_AT || Instant::now() >= until;
                if wanted == 0 || spent {
                    let place = match search.order {
                        Order::OldestFirst => within.0,
                        Order::NewestFirst => within.1,
                    };
                    found.next = Some(place);
                    return Ok(found);
                }
                rounds += 1;
                // what is looked for may be rare; the first look is for what it is not
                let each = if rounds == 1 { wanted / usize::from(SHARDS / 2) } else { MOST_READ };
                let each = each.clamp(LEAST_READ, MOST_READ);
                let (events, barrier) = self.round(search, day, &within, each).await?;
                looked_at += events.len();
                let read = take(&mut found.events, events, &keep, limit);
                let Some(place) = read.or(barrier) else { break };
                match search.order {
                    Order::OldestFirst => within.0 = place,
                    Order::NewestFirst => within.1 = place,
                }
            }
        }
        Ok(found)
    }

    /// The next events of a day, in order, without what lies at the place that was read before; and up to where they are all, if there
    /// are more.
    async fn round(
        &self,
        search: &Search,
        day: Day,
        within: &(Position, Position),
        each: usize,
    ) -> Result<(Vec<Event>, Option<Position>), RecordError> {
        let oldest_first = search.order == Order::OldestFirst;
        let shards = (0..SHARDS).map(|shard| self.shard(search, (day, shard), within, each).boxed());
        let mut events = Vec::new();
        let mut barrier: Option<Position> = None;
        for (part, more) in try_join_all(shards).await? {
            if let (true, Some(last)) = (more, part.last()) {
                let here = Position::of(last);
                barrier = Some(match barrier {
                    None => here,
                    Some(other) if oldest_first => other.min(here),
                    Some(other) => other.max(here),
                });
            }
            events.extend(part);
        }
        let inside = |event: &Event| match &barrier {
            None => true,
            Some(barrier) if oldest_first => Position::of(event) <= *barrier,
            Some(barrier) => Position::of(event) >= *barrier,
        };
        events.retain(inside);
        let read_before = if oldest_first { &within.0 } else { &within.1 };
        events.retain(|event| Position::of(event) != *read_before);
        events.sort_by_cached_key(Position::of);
        if !oldest_first {
            events.reverse();
        }
        Ok((events, barrier))
    }

    /// At most `each` events of a partition, and one more, which may be the one that was read before.
    async fn shard(
        &self,
        search: &Search,
        (day, shard): (Day, u8),
        (low, high): &(Position, Position),
        each: usize,
    ) -> Result<(Vec<Event>, bool), RecordError> {
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .scan_index_forward(search.order == Order::OldestFirst)
            .key_condition_expression("pk = :pk AND sk BETWEEN :low AND :high")
            .expression_attribute_values(":pk", text(table::events(&search.organization, day, shard)))
            .expression_attribute_values(":low", text(low.text()))
            .expression_attribute_values(":high", text(high.text()))
            .limit(i32::try_from(each + 1).unwrap_or(i32::MAX));
        let answer = patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        let more = answer.last_evaluated_key.is_some();
        let events: Result<Vec<Event>, _> =
            answer.items.unwrap_or_default().into_iter().map(|item| decode(item).map(|found| found.value)).collect();
        Ok((events?, more))
    }

    /// The days between these that have events.
    async fn days(
        &self,
        organization: &OrganizationId,
        (first, last): (Day, Day),
        order: Order,
    ) -> Result<Vec<Day>, RecordError> {
        let mut request = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .scan_index_forward(order == Order::OldestFirst)
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last");
        let (pk, [first, last]) = (table::event_days(organization), [first, last].map(table::day));
        for (name, value) in [(":pk", pk), (":first", first), (":last", last)] {
            request = request.expression_attribute_values(name, text(value));
        }
        // 13 months are one page of DynamoDB's, by far
        let answer = patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        let day = |item: &Item| item.get(SK)?.as_s().ok()?.parse().ok().map(Day::from_number);
        Ok(answer.items.unwrap_or_default().iter().filter_map(day).collect())
    }
}

/// Adds what passes; the place of the last one that was looked at, if it ended before all were.
fn take(found: &mut Vec<Event>, events: Vec<Event>, keep: impl Fn(&Event) -> bool, limit: usize) -> Option<Position> {
    for event in events {
        if keep(&event) {
            let place = Position::of(&event);
            found.push(event);
            if found.len() >= limit {
                return Some(place);
            }
        }
    }
    None
}
