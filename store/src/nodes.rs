//! The nodes that are alive, the sessions that each of them has, and the orders to end some ([`domain::connection`]).
//!
//! A node writes one small item again and again (its *beat*); who has not done so for [`ALIVE`] is taken for dead, and with it
//! its sessions. Sessions are written in pages of one organization, so that an organization reads its own and nothing else,
//! and idle ones cost nothing. Orders are a log in the order of time: who writes one need not know the nodes, and can
//! write it in the transaction that makes it necessary.

use crate::aws::Aws;
use crate::item::{Item, key_attributes, number, optional_number, sort_key, text};
use crate::patience::patiently;
use crate::records::RecordError;
use crate::table::{self, PK, SK, TTL, VERSION};
use aws_sdk_dynamodb::types::Put;
use domain::connection::{Close, Connection};
use domain::id::{NodeId, OrganizationId};
use domain::time::Timestamp;
use futures_util::FutureExt as _;
use std::collections::HashMap;
use std::time::Duration;

/// Who has not been heard of for so long is dead.
pub const ALIVE: Duration = Duration::from_secs(20);

/// Sessions of a page: with 16 transfers each, of 1 KiB, it stays below DynamoDB's 400 KB.
pub const PAGE_SESSIONS: usize = 16;

/// Nodes that anybody looks at. A fleet of this size moves terabits; more are not shown.
const MOST_NODES: i32 = 1000;

/// Orders are read again for this long, for clocks that differ and writes that were slow.
const OVERLAP_MILLIS: i64 = 120_000;
/// Orders in one answer.
const CLOSES_PAGE: i32 = 1000;
/// Answers that are asked for: as many orders in two minutes as an organization can make of its requests.
const CLOSES_PAGES: usize = 10;

/// How long what a dead node left stays in the table at most.
const LEFT_SECONDS: i64 = 24 * 3600;

/// The registry. Cheap to clone.
#[derive(Clone)]
pub struct Nodes {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

impl Nodes {
    /// In the table of the settings.
    pub fn new(aws: &Aws) -> Self {
        Self { client: aws.dynamodb.clone(), table: aws.settings.table.clone() }
    }

    /// Says that a node is alive now.
    pub async fn beat(&self, node: &NodeId, now: Timestamp) -> Result<(), RecordError> {
        let mut item = key_attributes(table::node(node));
        item.insert(VERSION.to_owned(), number(1));
        item.insert("beat_at".to_owned(), number(now.millis()));
        item.insert(TTL.to_owned(), number(now.seconds() + LEFT_SECONDS));
        self.put(item).await
    }

    /// Says that a node has ended in good order.
    pub async fn leave(&self, node: &NodeId) -> Result<(), RecordError> {
        self.delete(table::node(node)).await
    }

    /// The nodes that are alive.
    pub async fn alive(&self, now: Timestamp) -> Result<Vec<NodeId>, RecordError> {
        self.heard_of(now, ALIVE).await
    }

    /// The nodes that have beaten within this time and not taken leave.
    pub async fn heard_of(&self, now: Timestamp, within: Duration) -> Result<Vec<NodeId>, RecordError> {
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_values(":pk", text(table::NODES))
            .limit(MOST_NODES);
        let answer = patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        let since = now.plus_millis(-i64::try_from(within.as_millis()).unwrap_or(i64::MAX)).millis();
        let alive = |item: &Item| {
            optional_number(item, "beat_at").is_some_and(|at| i64::try_from(at).is_ok_and(|at| at >= since))
        };
        let items = answer.items.unwrap_or_default();
        Ok(items.iter().filter(|item| alive(item)).filter_map(|item| NodeId::parse(sort_key(item)?).ok()).collect())
    }

    /// Writes a page of a node's sessions over what it was.
    pub async fn write_page(
        &self,
        node: &NodeId,
        organization: &OrganizationId,
        page: u32,
        sessions: &str,
        now: Timestamp,
    ) -> Result<(), RecordError> {
        let mut item = key_attributes(table::node_page(node, organization, page));
        item.insert(VERSION.to_owned(), number(1));
        item.insert("sessions".to_owned(), text(sessions));
        item.insert(TTL.to_owned(), number(now.seconds() + LEFT_SECONDS));
        self.put(item).await
    }

    /// Removes a page.
    pub async fn remove_page(
        &self,
        node: &NodeId,
        organization: &OrganizationId,
        page: u32,
    ) -> Result<(), RecordError> {
        self.delete(table::node_page(node, organization, page)).await
    }

    /// The sessions of one organization on one node, as it wrote them last.
    pub async fn sessions(&self, node: &NodeId, organization: &OrganizationId) -> Result<Vec<Connection>, RecordError> {
        let mut found = Vec::new();
        let mut start: Option<Item> = None;
        loop {
            let request = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression("#pk = :pk AND begins_with(#sk, :prefix)")
                .expression_attribute_names("#pk", PK)
                .expression_attribute_names("#sk", SK)
                .expression_attribute_values(":pk", text(table::node_pages(node)))
                .expression_attribute_values(":prefix", text(table::node_pages_of(organization)))
                .set_exclusive_start_key(start);
            let answer = patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
            for item in answer.items.unwrap_or_default() {
                let page = item.get("sessions").and_then(|page| page.as_s().ok());
                let page = page.ok_or_else(|| RecordError::internal("a page without sessions"))?;
                let sessions: Vec<Connection> = serde_json::from_str(page).map_err(RecordError::internal)?;
                found.extend(sessions);
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(found);
            }
        }
    }

    /// Orders that were written since a time, and some from before. Each has an id.
    pub async fn closes_since(&self, since: Timestamp) -> Result<HashMap<String, Close>, RecordError> {
        let mut found = HashMap::new();
        let mut start: Option<Item> = None;
        for _ in 0..CLOSES_PAGES {
            let request = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression("#pk = :pk AND #sk >= :since")
                .expression_attribute_names("#pk", PK)
                .expression_attribute_names("#sk", SK)
                .expression_attribute_values(":pk", text(table::CLOSES))
                .expression_attribute_values(":since", text(table::close_time(since.plus_millis(-OVERLAP_MILLIS))))
                .set_exclusive_start_key(start)
                .limit(CLOSES_PAGE);
            let answer = patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
            for item in answer.items.unwrap_or_default() {
                let close = item.get("close").and_then(|close| close.as_s().ok());
                // one that a newer program wrote is for newer nodes
                if let (Some(id), Some(Ok(close))) = (sort_key(&item), close.map(|close| serde_json::from_str(close))) {
                    found.insert(id.to_owned(), close);
                }
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// Orders sessions to be ended.
    pub async fn close(&self, close: &Close, now: Timestamp) -> Result<(), RecordError> {
        self.put(close_item(close, now)?).await
    }

    async fn put(&self, item: Item) -> Result<(), RecordError> {
        let request = self.client.put_item().table_name(&self.table).set_item(Some(item));
        patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        Ok(())
    }

    async fn delete(&self, key: table::Key) -> Result<(), RecordError> {
        let request = self.client.delete_item().table_name(&self.table).set_key(Some(key_attributes(key)));
        request.send().boxed().await.map_err(RecordError::unavailable)?;
        Ok(())
    }
}

/// An order as a part of the transaction that makes it necessary.
pub(crate) fn close_in(table: &str, close: &Close, now: Timestamp) -> Result<Put, RecordError> {
    Put::builder().table_name(table).set_item(Some(close_item(close, now)?)).build().map_err(RecordError::internal)
}

fn close_item(close: &Close, now: Timestamp) -> Result<Item, RecordError> {
    let mut item = key_attributes(table::close(now, &domain::id::uuid_text(crate::clock::random())));
    item.insert(VERSION.to_owned(), number(1));
    item.insert("close".to_owned(), text(serde_json::to_string(close).map_err(RecordError::internal)?));
    item.insert(TTL.to_owned(), number(now.seconds() + LEFT_SECONDS));
    Ok(item)
}
