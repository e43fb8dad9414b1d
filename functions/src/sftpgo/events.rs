//! `/api/v2/events/fs` and `/api/v2/events/provider`: the audit log as SFTPGo's event search shows it.

mod described;
mod files;
mod provider;

use super::sftpgo_true;
use crate::http::error::ApiError;
use crate::http::list::with_next;
use crate::management::ManagementState;
use app::management::Caller;
use axum::Json;
use axum::response::{IntoResponse as _, Response};
use domain::audit::{Filter, Order, Position, Span, row};
use domain::event::Event;
use domain::time::Timestamp;
use http::{Uri, header};
use serde_json::Value;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use url::form_urlencoded;

pub(super) use described::describe;
pub(super) use files::list as files;
pub(super) use provider::list as provider;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;
/// A file of rows must be whole, so one that gets larger than an answer may be, or takes longer, is refused.
const MAX_CSV_BYTES: usize = 4_000_000;
const LONGEST: Duration = Duration::from_secs(15);
/// Events that are read at once for such a file.
const CSV_PAGE: usize = 1000;

/// What is asked, of both kinds.
struct Query {
    span: Span,
    order: Order,
    limit: usize,
    after: Option<Position>,
    csv: bool,
    /// By whom, and from where.
    filter: Filter,
    /// What only one kind has, by name. SFTPGo's clients send parameters with nothing in them for what they leave out.
    others: HashMap<String, String>,
    /// Something is asked that no event here has.
    nothing: bool,
}

/// What events of SFTPGo have and ours do not: whoever asks for one of them finds nothing.
const NEVER: [&str; 6] = ["ssh_cmd", "bucket", "endpoint", "instance_ids", "role", "fs_provider"];

impl Query {
    /// Reads it. Unknown parameters are ignored, as SFTPGo ignores them.
    fn read(uri: &Uri) -> Result<Self, ApiError> {
        let all = Span { from: Timestamp::from_millis(0), to: Timestamp::from_millis(i64::MAX / 1_000_000) };
        let mut query = Self {
            span: all,
            order: Order::NewestFirst,
            limit: DEFAULT_LIMIT,
            after: None,
            csv: false,
            filter: Filter::default(),
            others: HashMap::new(),
            nothing: false,
        };
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            if value.is_empty() {
                continue;
            }
            let bad = |problem: &str| ApiError::bad_request(&name, problem);
            let nanoseconds = || value.parse::<i64>().ok().filter(|time| *time >= 0);
            match name.as_ref() {
                "start_timestamp" => {
                    let from = nanoseconds().ok_or_else(|| bad(NO_TIME))?;
                    // an event is as late as its millisecond, so what begins within one begins with the next
                    query.span.from =
                        Timestamp::from_millis(from.div_euclid(1_000_000) + i64::from(from % 1_000_000 > 0));
                }
                "end_timestamp" => match nanoseconds().ok_or_else(|| bad(NO_TIME))? {
                    0 => {}
                    to => query.span.to = Timestamp::from_millis(to / 1_000_000),
                },
                "username" => query.filter.principal = Some(value.into_owned()),
                "ip" => match value.parse::<IpAddr>() {
                    Ok(address) => query.filter.address = Some(address),
                    Err(_) => query.nothing = true,
                },
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                    query.limit = limit.ok_or_else(|| bad("must be a whole number from 1 to 1000"))?;
                }
                "order" => {
                    query.order = match value.as_ref() {
                        "ASC" => Order::OldestFirst,
                        "DESC" => Order::NewestFirst,
                        _ => return Err(bad("must be ASC or DESC")),
                    };
                }
                "from_id" => query.after = Some(Position::parse(&value).ok_or_else(|| bad("must be an event's id"))?),
                "csv_export" => query.csv = sftpgo_true(&value),
                "fs_provider" if value == "0" => {}
                other if NEVER.contains(&other) => query.nothing = true,
                _ => {
                    query.others.insert(name.into_owned(), value.into_owned());
                }
            }
        }
        // SFTPGo's id means the same whatever the times are; 13 digits tell of no later ones
        query.span.to = query.span.to.min(Timestamp::from_millis(9_999_999_999_999));
        Ok(query)
    }

    /// One of several values, separated by commas; none passes everything.
    fn among<T>(&self, name: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<Vec<T>>, ApiError> {
        let one = |text: &str| read(text).ok_or_else(|| ApiError::bad_request(name, "has a value that does not exist"));
        self.others.get(name).map(|values| values.split(',').map(|text| one(text.trim())).collect()).transpose()
    }

    /// One of several names that are known.
    fn named(&self, name: &str, known: &[&'static str]) -> Result<Option<Vec<&'static str>>, ApiError> {
        self.among(name, |text| known.iter().copied().find(|one| *one == text))
    }

    /// Finds what passes, and answers it in the form that is asked for.
    async fn answer(
        &self,
        (state, caller): (&ManagementState, &Caller),
        uri: &Uri,
        keep: impl Fn(&Event) -> bool,
        form: &Form,
    ) -> Result<Response, ApiError> {
        if self.csv {
            return self.csv((state, caller), keep, form).await;
        }
        let until = Instant::now() + LONGEST;
        let (mut events, mut place) = (Vec::new(), self.after.clone());
        let next = loop {
            let wanted = self.limit - events.len();
            let found = self.page((state, caller), &keep, place.as_ref(), wanted).await?;
            events.extend(found.events);
            match found.next {
                // there are no more words for "go on" than a header, so that is only for who looks for long
                Some(next) if events.len() < self.limit && Instant::now() < until => place = Some(next),
                next => break next,
            }
        };
        let next = next.map(|next| next.text());
        let shown = Json(events.iter().map(form.object).collect::<Value>()).into_response();
        Ok(with_next(shown, uri, next.as_deref().map(|next| ("from_id", next))))
    }

    async fn page(
        &self,
        (state, caller): (&ManagementState, &Caller),
        keep: impl Fn(&Event) -> bool,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<store::events::Found, ApiError> {
        let (span, keep) = (self.span, |event: &Event| !self.nothing && self.filter.matches(event) && keep(event));
        let span = if self.nothing { Span { to: Timestamp::from_millis(-1), ..span } } else { span };
        Ok(state.management().events(caller, (span, self.order), keep, after, limit).await?)
    }

    async fn csv(
        &self,
        who: (&ManagementState, &Caller),
        keep: impl Fn(&Event) -> bool,
        form: &Form,
    ) -> Result<Response, ApiError> {
        let until = Instant::now() + LONGEST;
        let (mut rows, mut place) = (row(form.columns.iter().copied()), self.after.clone());
        loop {
            let found = self.page(who, &keep, place.as_ref(), CSV_PAGE).await?;
            for event in &found.events {
                rows.push_str(&row((form.cells)(event).iter().map(String::as_str)));
            }
            place = found.next;
            if place.is_none() {
                break;
            }
            if rows.len() > MAX_CSV_BYTES || Instant::now() >= until {
                let message =
                    "These are too many events for one answer: ask for a shorter time, or for an export as a job";
                return Err(ApiError::file_too_large(message));
            }
        }
        let headers = [
            (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
            (header::CONTENT_DISPOSITION, form.file),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        Ok((headers, rows).into_response())
    }
}

const NO_TIME: &str = "must be a unix time in nanoseconds";

/// How events of a kind look.
struct Form {
    object: fn(&Event) -> Value,
    columns: &'static [&'static str],
    cells: fn(&Event) -> Vec<String>,
    /// The header that names the file.
    file: &'static str,
}

/// As the `id` of an event, which `from_id` takes.
fn id(event: &Event) -> String {
    Position::of(event).text()
}

fn nanoseconds(event: &Event) -> i64 {
    event.created_at.millis().saturating_mul(1_000_000)
}

fn ip(event: &Event) -> String {
    event.origin.as_ref().map(|origin| origin.client_ip.to_canonical().to_string()).unwrap_or_default()
}
