//! Every key and access pattern of the table, with its cost. One table, string keys `pk` and `sk`, one
//! sparse index.
//!
//! | what | pk | sk | asked how (cost of a read in RCU, for items below 4 KB) |
//! |---|---|---|---|
//! | organization | `ORG#<org>` | `ORG` | Get, consistent: 1 |
//! | organizations of the deployment | `ORGANIZATIONS` | `<org>` | Query, consistent, by the operator; ids only |
//! | credential | `ORG#<org>` | `CRED#<id>` | Get, consistent: 1; list: Query, consistent, ≤ 1 MB a page; list by name: Query of all, of which the names come, then BatchGet of the page's, with their usage |
//! | user name (unique in the deployment) | `USER#<name>` | `USER` | Get, consistent: 1; written with its credential in one transaction |
//! | SSH key | `CRED#<credential>` | `SSHKEY#<key id>` | Get by the hash of the shown key, consistent: 1; list: Query, ≤ 50 |
//! | API key | `ORG#<org>` | `APIKEY#<key id>` | Get: 1; list: Query |
//! | authentication of an API key | `AUTH#<key id>` | `AUTH` | one conditional Update for each request: 1 WCU, no read |
//! | request log of an API key | `KEYLOG#<key id>` | `<slot>` | its last 1,000 requests, written over in turn: one conditional Put after each answer, 1 WCU; Query, consistent; `ttl` 30 days |
//! | request with an `Idempotency-Key` | `ONCE#<hash of principal, route and key>` | `ONCE` | conditional Put before it, Update in the transaction of its effect, Update after it: 4 WCU; `ttl` one day |
//! | requests counted for a rate rule | `RATE#<org>#<rule>` | `<caller or host>` | one conditional Update for each rule that a request meets: 1 WCU; `ttl` an hour |
//! | webhook | `ORG#<org>` | `HOOK#<id>` | Get: 1; all of an organization (≤ 100) for each event: one Query |
//! | virtual folder | `ORG#<org>` | `FOLDER#<name>` | Get, consistent: 1, for each that a credential sees at its login, all at once; list: Query |
//! | share link | `ORG#<org>` | `SHARE#<id>` | Get, consistent: 1; list: Query, then BatchGet of the page's counters. `ttl` a month after it was used up |
//! | what a share link's address leads to, and how often it was opened | `LINK#<hash of the secret>` | `LINK` | Get, consistent: 1, first of all reads of a visitor; counted with the visit in one transaction: 4 WCU; deleted with the link |
//! | visit of a share link | `LINK#<hash of the secret>` | `VISIT#<hash of the cookie, or of address, program and path>` | Get, consistent: 1, beside the link; `ttl` at its end, 12 hours at most |
//! | authentication of an admin or a credential by token | `AUTH#admin:<id>`, `AUTH#user:<credential id>` | `AUTH` | the same; a credential's is made with its first token. Raised in the transaction of a change that ends tokens |
//! | admin (unique in the deployment) | `ADMIN#<name>` | `ADMIN` | Get, consistent: 1 |
//! | admins of an organization | `ORG#<org>` | `ADMIN#<name>` | Query, consistent; names only |
//! | who takes the rights of a full admin away | `ORG#<org>` | `FULLADMIN` | Get, consistent, before such a change; written in its transaction, so that one of two comes second |
//! | what the first start created | `DEPLOYMENT` | `BOOTSTRAP` | Get, consistent: 1, once a start |
//! | intent of an upload, delete or rename, also of a folder (at the new folder's key) | `INTENT#<org>#<object key>` | `<operation id>` | Query, consistent: all intents of one key, also before the rename of a folder; `ttl` of one day on those that the sweep gave up |
//! | intents by age | index `sweep`: `sweep_shard` = `INTENT#<shard>` | `sweep_at`, ms | Query up to now, 16 shards, twice a minute on each node; only intents are in the index: 1 WCU more for each |
//! | who took a version of an object away, and who counted that | `GONE#<org>#<object key>` | `<version>` | claimed in one transaction with the intent: 4 WCU for both; noted in the transaction that settles: 2 WCU; read by the sweep alone; `ttl` one day |
//! | interrupted uploads | `PARTIAL#<org>` | `<credential id>#<hash of the object key>` | Get, consistent: 1, when a file is opened without TRUNC; all of a credential: Query, consistent, when a session looks at names, at most every 10 s; all of an organization: Query, for old multipart uploads; `ttl` a week after their end |
//! | uploads straight to S3 | `UPLOAD#<org>` | `<credential id>#<upload id>` | Put when one begins, after a Query of the credential's, consistent, so that there are few; Get, consistent: 1, for each look; a conditional Delete at its end; all of an organization: Query, for old multipart uploads; `ttl` a week after their end |
//! | usage of the organization, a credential or a virtual folder, and leases of what is left of a quota | `USAGE#<org>` | `ORG`, `<credential id>`, `FOLDER#<name>` | two or three Updates in the transaction that settles up to 30 operations: 2 WCU each, for all of them; Get, consistent: 1; of all folders: Query, consistent. With a quota: a block of it is leased by a Get beside the nodes' Query and a conditional Update, and given back by an Update. During a recount the record also holds what was counted since its last page: written larger, for as long |
//! | time that a client gave a file, and its arrival | `META#<org>#<object key of the folder>` | `<name>` | written when a client sets a time: 1 WCU; STAT and OPEN: Get, consistent: 1; a listing: Query beside its pages, consistent, 500 records at a time, about 25 RCU for 1,000 (1 where there are none); moved by renames: Get 1, and 2 WCU where there is one; what is replaced or deleted: Get 1, and 1 WCU where there is one |
//! | node that is alive | `NODES` | `<node id>` | Put every 2 s (5 s without sessions): 1 WCU; all: Query, consistent, ≤ 1 for 30 nodes; `ttl` one day |
//! | sessions on a node | `NODE#<node id>` | `<org>#<page>` | 16 sessions a page; Put when one begins or ends, and every 8 s while something happens in it: about 1 WCU for 4 sessions; those of an organization: Query, consistent, on each node; `ttl` one day |
//! | orders to end sessions | `CLOSE` | `<time>#<random>` | written with the change that demands it: 2 WCU; the last two minutes: Query, consistent, by each node at each beat: 1 where there are none; `ttl` one day |
//! | sessions of a credential that may have only so many | `PLACES#<org>` | `<credential id>` | at its logins and ends alone. Get, consistent: 1, beside the nodes that are alive; conditional Put or Update: 1 WCU |
//! | failed logins of an address | `DEFENDER#*` | `<host>` | Update at each failure: 1 WCU, none while it is banned; `ttl` a week |
//! | failed logins of a credential at an address | `DEFENDER#<org>` | `<host>#<credential id>` | the same; those of an organization: Query |
//! | bans | `BANS` | `<host>#<org>#<credential id>` | Put; all: Query, consistent, by each node every 5 s: 1 where there are none; `ttl` at their end |
//! | job | `JOB#<org>` | `<job id>`, in the order of time | Put when it is asked for, and every 2 s while somebody works on it: 2 WCU; Get, consistent: 1; list: Query, backwards; `ttl` 30 days after its end. Those that are not over: index `sweep`, partition `JOB`, by when they are due: Query, once a minute |
//! | event, for 13 months | `EVENT#<org>#<day>#<shard>` | `<time>-<event id>` | written by the webhook function, a batch of messages at once: 1 WCU each, and again if its message comes twice; a search: Query, consistent, of the 8 partitions of a day side by side, about 125 RCU for 1,000 events that it looks at, at most 40,000 a page; `ttl` 397 days |
//! | days that have events | `EVENTDAYS#<org>` | `<day>` | Put by each process before the day's first event; Query, consistent, once a page of a search: up to 10 RCU for 13 months; `ttl` 397 days |
//! | retention policy | `ORG#<org>` | `RETENTION#<credential id>` | Get, consistent: 1. Index `sweep`, partition `RETENTION`, by when it is to be run: Query, once a minute |
//! | delivery log | `DELIVERY#<org>#<webhook>` | `<delivery id>`, in the order of time | for each attempt a conditional Put before and one after it, of 1 to 30 KB: 2 WCU and more; where the webhook is paused, one Put for each event; Get, consistent: 1 for each retry; list: Query, backwards; `ttl` 30 days after the last change. What waits for another attempt: index `sweep`, partition `DELIVERY#<shard>`, by when it is due: Query, 16 shards, once a minute |
//! | failures of a webhook | `HOOKHEALTH#<org>` | `<webhook id>` | only while it fails. Get, consistent: 1, after each attempt; Update at a failure, in the transaction that notes the delivery; Delete at a success; `ttl` 30 days |
//!
//! A login reads the user name, then organization and credential side by side, then one SSH key if a key is shown: 3 to
//! 4 RCU, two or three round trips deep. A request with an API key or a token is one Update, then its data.
//!
//! Hot keys: what every request of one API key writes is an item of its own partition (1,000 writes a second, far above
//! any limit that a key has). What every login of one organization reads (its settings) is one item: 3,000 consistent
//! reads a second, which is beyond what password hashing allows. What is settled for one organization writes one item, in batches:
//! some hundred transactions a second, and so some thousand files, beyond which settling (not the clients) waits. `NODES` and `CLOSE` are one partition each: 2,000 nodes
//! could beat in one. Sweeping is spread over [`SWEEP_SHARDS`] partitions. The events of an organization and day are spread over
//! [`domain::audit::SHARDS`], so 8,000 of one organization are written in a second.
//!
//! Every item has `v`, the version of its shape. Records that are edited have `rev`, which grows with every change: a writer names the `rev` it
//! has read, so that two writers cannot overwrite each other. `ttl` is DynamoDB's expiry in seconds; it is late by
//! days, so every read checks times itself.

mod create;

pub use create::{CreateTableError, create_table};

use domain::admin::AdminName;
use domain::api_key::ApiKeyId;
use domain::audit::{Day, Position};
use domain::defender::Host;
use domain::digest::derived_id;
use domain::event::Event;
use domain::folder::FolderName;
use domain::id::{CredentialId, NodeId, OperationId, OrganizationId, ShareId};
use domain::job::JobId;
use domain::quota::Holder;
use domain::time::Timestamp;
use domain::token::AccountId;

/// Partition key.
pub(crate) const PK: &str = "pk";
/// Sort key.
pub(crate) const SK: &str = "sk";
/// Version of the item's shape.
pub(crate) const VERSION: &str = "v";
/// Grows with every change.
pub(crate) const REV: &str = "rev";

/// When DynamoDB may delete the item, in seconds.
pub(crate) const TTL: &str = "ttl";
/// The index of what is due.
pub(crate) const SWEEP_INDEX: &str = "sweep";
/// Its partition key.
pub(crate) const SWEEP_SHARD: &str = "sweep_shard";
/// Its sort key: when, in milliseconds.
pub(crate) const SWEEP_AT: &str = "sweep_at";

/// Partitions over which due work is spread: enough that none becomes hot (each takes 1,000 writes a second).
pub const SWEEP_SHARDS: u8 = 16;

/// The key of an item.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
}

impl Key {
    fn new(pk: String, sk: impl Into<String>) -> Self {
        Self { pk, sk: sk.into() }
    }
}

/// What the sort keys of an organization's lists start with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListOf {
    /// Its credentials.
    Credentials,
    /// Its API keys.
    ApiKeys,
    /// Its webhooks.
    Webhooks,
    /// Its virtual folders.
    Folders,
    /// The names of its admins.
    Admins,
    /// Its share links.
    Shares,
}

impl ListOf {
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Credentials => "CRED#",
            Self::ApiKeys => "APIKEY#",
            Self::Webhooks => "HOOK#",
            Self::Folders => "FOLDER#",
            Self::Admins => "ADMIN#",
            Self::Shares => "SHARE#",
        }
    }
}

/// The partition of an organization's settings and lists.
pub(crate) fn organization_partition(id: &OrganizationId) -> String {
    format!("ORG#{id}")
}

/// An organization's settings.
pub(crate) fn organization(id: &OrganizationId) -> Key {
    Key::new(organization_partition(id), "ORG")
}

/// The partition of the organizations' ids.
pub(crate) const ORGANIZATIONS: &str = "ORGANIZATIONS";

/// An organization in the list of all.
pub(crate) fn listed_organization(id: &OrganizationId) -> Key {
    Key::new(ORGANIZATIONS.to_owned(), id.as_str())
}

/// One entry of an organization's list.
pub(crate) fn listed(organization: &OrganizationId, list: ListOf, id: &str) -> Key {
    Key::new(organization_partition(organization), format!("{}{id}", list.prefix()))
}

/// A credential.
pub(crate) fn credential(organization: &OrganizationId, id: &CredentialId) -> Key {
    listed(organization, ListOf::Credentials, id.as_str())
}

/// A virtual folder.
pub(crate) fn folder(organization: &OrganizationId, name: &FolderName) -> Key {
    listed(organization, ListOf::Folders, name.as_str())
}

/// A share link.
pub(crate) fn share(organization: &OrganizationId, id: &ShareId) -> Key {
    listed(organization, ListOf::Shares, id.as_str())
}

/// What the partitions of links' addresses begin with.
const LINK: &str = "LINK#";

/// What a share link's address leads to.
pub(crate) fn link(secret_hash: &str) -> Key {
    Key::new(format!("{LINK}{secret_hash}"), "LINK")
}

/// The hash in the partition key of a link.
pub(crate) fn link_hash(pk: &str) -> Option<&str> {
    pk.strip_prefix(LINK)
}

/// A visit of a share link.
pub(crate) fn visit(secret_hash: &str, key: &str) -> Key {
    Key::new(format!("{LINK}{secret_hash}"), format!("VISIT#{key}"))
}

/// Who has this user name.
pub(crate) fn user_name(name: &str) -> Key {
    Key::new(format!("USER#{name}"), "USER")
}

/// The partition of a credential's SSH keys.
pub(crate) fn ssh_keys(credential: &CredentialId) -> String {
    format!("CRED#{credential}")
}

/// What the sort keys of SSH keys start with.
pub(crate) const SSH_KEY_PREFIX: &str = "SSHKEY#";

/// One SSH key.
pub(crate) fn ssh_key(credential: &CredentialId, key_id: &str) -> Key {
    Key::new(ssh_keys(credential), format!("{SSH_KEY_PREFIX}{key_id}"))
}

/// An API key as people see it.
pub(crate) fn api_key(organization: &OrganizationId, id: &ApiKeyId) -> Key {
    listed(organization, ListOf::ApiKeys, id.as_str())
}

/// What each request with an API key checks and counts on.
pub(crate) fn auth(id: &ApiKeyId) -> Key {
    Key::new(format!("AUTH#{id}"), "AUTH")
}

/// The requests of a caller or a host that a rule is about.
pub(crate) fn rate_rule(organization: &OrganizationId, rule: &str, subject: &str) -> Key {
    Key::new(format!("RATE#{organization}#{rule}"), subject)
}

/// A request that is to happen once.
pub(crate) fn idempotency(place: &str) -> Key {
    Key::new(format!("ONCE#{place}"), "ONCE")
}

/// The partition of what was asked with an API key.
pub(crate) fn key_requests(id: &ApiKeyId) -> String {
    format!("KEYLOG#{id}")
}

/// One of the places for what was asked with an API key.
pub(crate) fn key_request(id: &ApiKeyId, slot: u64) -> Key {
    Key::new(key_requests(id), format!("{slot:04}"))
}

/// What each request with a token of this account checks and counts on.
pub(crate) fn account_auth(id: &AccountId) -> Key {
    Key::new(format!("AUTH#{}", String::from(id.clone())), "AUTH")
}

/// A webhook.
pub(crate) fn webhook(organization: &OrganizationId, id: &str) -> Key {
    listed(organization, ListOf::Webhooks, id)
}

/// The partition of a webhook's deliveries.
pub(crate) fn deliveries(organization: &OrganizationId, webhook: &str) -> String {
    format!("DELIVERY#{organization}#{webhook}")
}

/// A delivery.
pub(crate) fn delivery(organization: &OrganizationId, webhook: &str, id: &str) -> Key {
    Key::new(deliveries(organization, webhook), id)
}

/// The partition of the index [`SWEEP_INDEX`] for deliveries.
pub(crate) fn swept_deliveries(shard: u8) -> String {
    format!("DELIVERY#{:02}", shard % SWEEP_SHARDS)
}

/// The failures of a webhook.
pub(crate) fn webhook_health(organization: &OrganizationId, webhook: &str) -> Key {
    Key::new(format!("HOOKHEALTH#{organization}"), webhook)
}

/// An admin.
pub(crate) fn admin(name: &str) -> Key {
    Key::new(format!("ADMIN#{name}"), "ADMIN")
}

/// The name of an admin in its organization's list.
pub(crate) fn admin_of(organization: &OrganizationId, name: &AdminName) -> Key {
    listed(organization, ListOf::Admins, name.as_str())
}

/// What is written whenever an organization gets fewer full admins.
pub(crate) fn full_admins(organization: &OrganizationId) -> Key {
    Key::new(organization_partition(organization), "FULLADMIN")
}

/// What the first start created.
pub(crate) fn bootstrap() -> Key {
    Key::new("DEPLOYMENT".to_owned(), "BOOTSTRAP")
}

/// An intent. `object_key` is the whole key, which starts with the organization; it is named twice so that a partition
/// can never belong to two organizations.
pub(crate) fn intent(organization: &OrganizationId, object_key: &str, operation: &OperationId) -> Key {
    Key::new(intents(organization, object_key), operation.as_str())
}

/// The partition of all intents of one object key.
pub(crate) fn intents(organization: &OrganizationId, object_key: &str) -> String {
    format!("INTENT#{organization}#{object_key}")
}

/// The partition of the index [`SWEEP_INDEX`] for intents.
pub(crate) fn sweep_partition(shard: u8) -> String {
    format!("INTENT#{:02}", shard % SWEEP_SHARDS)
}

/// The claim to take one version of an object away.
pub(crate) fn removal(organization: &OrganizationId, object_key: &str, version: &str) -> Key {
    Key::new(format!("GONE#{organization}#{object_key}"), version)
}

/// The partition of an organization's interrupted uploads.
pub(crate) fn partials(organization: &OrganizationId) -> String {
    format!("PARTIAL#{organization}")
}

/// What the sort keys of a credential's interrupted uploads start with.
pub(crate) fn partials_of(credential: &CredentialId) -> String {
    format!("{credential}#")
}

/// An interrupted upload. The object key may be as long as a sort key, so its hash stands for it.
pub(crate) fn partial(organization: &OrganizationId, credential: &CredentialId, object_key: &str) -> Key {
    Key::new(partials(organization), partials_of(credential) + &derived_id(&["partial", object_key]))
}

/// The partition of an organization's uploads that go straight to S3.
pub(crate) fn direct_uploads(organization: &OrganizationId) -> String {
    format!("UPLOAD#{organization}")
}

/// One of them; without an id, what the sort keys of the credential's start with.
pub(crate) fn direct_upload(organization: &OrganizationId, credential: &CredentialId, id: &str) -> Key {
    Key::new(direct_uploads(organization), format!("{credential}#{id}"))
}

/// The partition of the times of all files directly in a folder.
pub(crate) fn times_of(organization: &OrganizationId, folder_key: &str) -> String {
    format!("META#{organization}#{folder_key}")
}

/// The time that a client gave a file.
pub(crate) fn time(organization: &OrganizationId, object_key: &str) -> Key {
    let (folder, name) = object_key.split_at(object_key.rfind('/').map_or(0, |at| at + 1));
    Key::new(times_of(organization, folder), name)
}

/// The partition of an organization's jobs.
pub(crate) fn jobs(organization: &OrganizationId) -> String {
    format!("JOB#{organization}")
}

/// A job.
pub(crate) fn job(organization: &OrganizationId, id: &JobId) -> Key {
    Key::new(jobs(organization), id.as_str())
}

/// The partition of the index [`SWEEP_INDEX`] for jobs.
pub(crate) const SWEPT_JOBS: &str = "JOB";

/// The policy of a credential.
pub(crate) fn retention(organization: &OrganizationId, credential: &CredentialId) -> Key {
    Key::new(organization_partition(organization), format!("RETENTION#{credential}"))
}

/// The partition of the index [`SWEEP_INDEX`] for policies.
pub(crate) const SWEPT_POLICIES: &str = "RETENTION";

/// The partition of what an organization's files take.
pub(crate) fn usage_partition(organization: &OrganizationId) -> String {
    format!("USAGE#{organization}")
}

/// What the sort keys of folders' usage start with.
pub(crate) const FOLDER_USAGE: &str = "FOLDER#";

/// What a holder's files take.
pub(crate) fn usage(organization: &OrganizationId, holder: &Holder) -> Key {
    let partition = usage_partition(organization);
    match holder {
        Holder::Organization => Key::new(partition, "ORG"),
        Holder::Credential(credential) => Key::new(partition, credential.as_str()),
        Holder::Folder(name) => Key::new(partition, format!("{FOLDER_USAGE}{name}")),
    }
}

/// The partition of all nodes.
pub(crate) const NODES: &str = "NODES";

/// A node.
pub(crate) fn node(node: &NodeId) -> Key {
    Key::new(NODES.to_owned(), node.as_str())
}

/// The partition of a node's sessions.
pub(crate) fn node_pages(node: &NodeId) -> String {
    format!("NODE#{node}")
}

/// What the sort keys of an organization's sessions start with.
pub(crate) fn node_pages_of(organization: &OrganizationId) -> String {
    format!("{organization}#")
}

/// A page of an organization's sessions on a node.
pub(crate) fn node_page(node: &NodeId, organization: &OrganizationId, page: u32) -> Key {
    Key::new(node_pages(node), format!("{}{page:04}", node_pages_of(organization)))
}

/// The partition of the orders to end sessions.
pub(crate) const CLOSES: &str = "CLOSE";

/// The sort keys of orders begin with their time, in milliseconds, of one width until the year 2286.
pub(crate) fn close_time(at: Timestamp) -> String {
    format!("{:013}", at.millis().max(0))
}

/// An order to end sessions.
pub(crate) fn close(at: Timestamp, random: &str) -> Key {
    Key::new(CLOSES.to_owned(), format!("{}#{random}", close_time(at)))
}

/// The failures at addresses.
pub(crate) fn defender_address(host: Host) -> Key {
    Key::new("DEFENDER#*".to_owned(), host.to_string())
}

/// The failures of an organization's credentials.
pub(crate) fn defender_partition(organization: &OrganizationId) -> String {
    format!("DEFENDER#{organization}")
}

/// The failures of one credential at an address.
pub(crate) fn defender_credential(organization: &OrganizationId, host: Host, credential: &CredentialId) -> Key {
    Key::new(defender_partition(organization), format!("{host}#{credential}"))
}

/// The partition of all bans.
pub(crate) const BANS: &str = "BANS";

/// The ban of a host: of everybody, or of one.
pub(crate) fn ban(host: Host, whose: &str) -> Key {
    Key::new(BANS.to_owned(), format!("{host}#{whose}"))
}

/// How many sessions a credential has.
pub(crate) fn places(organization: &OrganizationId, credential: &CredentialId) -> Key {
    Key::new(format!("PLACES#{organization}"), credential.as_str())
}

/// A day in a key.
pub(crate) fn day(day: Day) -> String {
    format!("{:07}", day.number().max(0))
}

/// The partition of an organization's days that have events.
pub(crate) fn event_days(organization: &OrganizationId) -> String {
    format!("EVENTDAYS#{organization}")
}

/// One of these days.
pub(crate) fn event_day(organization: &OrganizationId, which: Day) -> Key {
    Key::new(event_days(organization), day(which))
}

/// One of the partitions of a day's events.
pub(crate) fn events(organization: &OrganizationId, which: Day, shard: u8) -> String {
    format!("EVENT#{organization}#{}#{shard}", day(which))
}

/// An event.
pub(crate) fn event(event: &Event) -> Key {
    let (shard, place) = (domain::audit::shard(&event.id), Position::of(event).text());
    Key::new(events(&event.organization, Day::of(event.created_at), shard), place)
}
