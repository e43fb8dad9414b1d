//! `/events`: the audit log.

mod described;

use super::{ManagementState, jobs};
use crate::http::error::ApiError;
use crate::http::extract::Call;
use crate::http::fields::{Fields, list as list_of, parsed, text, time as read_time};
use crate::http::list::with_next;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::audit::{Filter, Order, Position, Span, shown};
use domain::event::Topic;
use domain::job::EventExport;
use domain::time::Timestamp;
use http::Uri;
use serde_json::Value;
use std::net::IpAddr;
use store::clock;
use url::form_urlencoded;

pub(super) use described::describe;

/// Entries of a page, and the most.
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// The values of `Order`.
const ORDERS: [&str; 2] = ["NewestFirst", "OldestFirst"];

pub(super) async fn list(
    State(state): State<ManagementState>,
    Call(caller): Call,
    uri: Uri,
) -> Result<Response, ApiError> {
    let Query { span, order, filter, limit, after } = Query::read(&uri)?;
    let keep = |event: &_| filter.matches(event);
    let found = state.management.events(&caller, (span, order), keep, after.as_ref(), limit).await?;
    let next = found.next.map(|next| URL_SAFE_NO_PAD.encode(next.text()));
    let shown = Json(found.events.iter().map(shown).collect::<Value>()).into_response();
    Ok(with_next(shown, &uri, next.as_deref().map(|next| ("Cursor", next))))
}

/// A table of all that is found, in the bucket.
pub(super) async fn export(
    State(state): State<ManagementState>,
    Call(caller): Call,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let filter = Filter {
        topics: fields.take("Topics", list_of(MAX_TOPICS, parsed(|text| Topic::named(text).ok_or(NO_TOPIC)))),
        principal: fields.take("PrincipalId", text(MAX_TEXT)),
        path_prefix: fields.take("PathPrefix", text(MAX_TEXT)).map(|prefix| with_slash(&prefix)),
        address: fields.take("Address", parsed(str::parse)),
    };
    let span = Span {
        from: fields.take("From", read_time).unwrap_or(Timestamp::from_millis(0)),
        to: fields.take("To", read_time).unwrap_or(clock::now()),
    };
    let order = fields.take("Order", parsed(|text| order(text).ok_or(NO_ORDER))).unwrap_or_default();
    fields.finish()?;
    let job = state.management.export_events(&caller, EventExport { span, order, filter }).await?;
    Ok(jobs::accepted(&job))
}

fn pairs(uri: &Uri) -> form_urlencoded::Parse<'_> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
}

/// What is asked.
struct Query {
    span: Span,
    order: Order,
    filter: Filter,
    limit: usize,
    after: Option<Position>,
}

impl Query {
    /// Reads it. Unknown parameters are refused like unknown fields.
    fn read(uri: &Uri) -> Result<Self, ApiError> {
        let bad = |name: &str, problem: &str| ApiError::bad_request(name, problem);
        let span = Span { from: Timestamp::from_millis(0), to: Timestamp::from_millis(MAX_TIME) };
        let mut query =
            Self { span, order: Order::NewestFirst, filter: Filter::default(), limit: DEFAULT_LIMIT, after: None };
        for (name, value) in pairs(uri) {
            match name.as_ref() {
                "Topic" | "Type" => {
                    let topic = Topic::named(&value).ok_or_else(|| bad(&name, NO_TOPIC))?;
                    query.filter.topics.get_or_insert_default().push(topic);
                }
                "From" => query.span.from = time(&value).ok_or_else(|| bad("From", NO_TIME))?,
                "To" => query.span.to = time(&value).ok_or_else(|| bad("To", NO_TIME))?,
                "PrincipalId" => query.filter.principal = Some(value.into_owned()),
                "PathPrefix" => query.filter.path_prefix = Some(with_slash(&value)),
                "Address" => {
                    let address: Option<IpAddr> = value.parse().ok();
                    query.filter.address = Some(address.ok_or_else(|| bad("Address", "must be an address"))?);
                }
                "Order" => query.order = order(&value).ok_or_else(|| bad("Order", NO_ORDER))?,
                "Limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                    query.limit = limit.ok_or_else(|| bad("Limit", "must be a whole number from 1 to 1000"))?;
                }
                "Cursor" => {
                    let decoded = URL_SAFE_NO_PAD.decode(value.as_bytes()).ok();
                    let place = decoded.and_then(|bytes| Position::parse(std::str::from_utf8(&bytes).ok()?));
                    query.after = Some(place.ok_or_else(|| bad("Cursor", "must be one of ours"))?);
                }
                _ => return Err(bad(&name, "is not a known parameter")),
            }
        }
        Ok(query)
    }
}

/// Bounds of what a job is asked.
const MAX_TOPICS: usize = 50;
const MAX_TEXT: usize = 1024;

const NO_TOPIC: &str = "must be one of the topics of events";
const NO_ORDER: &str = "must be NewestFirst or OldestFirst";

fn with_slash(prefix: &str) -> String {
    let slash = if prefix.starts_with('/') { "" } else { "/" };
    format!("{slash}{prefix}")
}

fn order(text: &str) -> Option<Order> {
    match text {
        "NewestFirst" => Some(Order::NewestFirst),
        "OldestFirst" => Some(Order::OldestFirst),
        _ => None,
    }
}

/// The last millisecond of which 13 digits can tell.
const MAX_TIME: i64 = 9_999_999_999_999;
const NO_TIME: &str = "must be a time in seconds or milliseconds";

fn time(text: &str) -> Option<Timestamp> {
    let time = Timestamp::from_client(text.parse().ok()?);
    (0..=MAX_TIME).contains(&time.millis()).then_some(time)
}
