//! Scores of failed logins, and bans ([`domain::defender`]).
//!
//! A failure is one write: it adds to the counter of this half hour and answers what there is. Bans that stand lie together in
//! one partition, which every node reads every few seconds; so a login asks nobody.

use crate::aws::Aws;
use crate::item::{Item, key_attributes, number, optional_number, sort_key, text};
use crate::patience::patiently;
use crate::records::RecordError;
use crate::table::{self, Key, PK, SK, TTL};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use domain::defender::{Ban, FORGET_MILLIS, Host, Record, SUCCESS_MILLIS, WINDOW_MILLIS};
use domain::id::{CredentialId, OrganizationId};
use domain::time::Timestamp;

/// Bans that a node knows at most: more than that is an attack that other means must stop.
const MOST_BANS: usize = 20_000;
/// Hosts that an organization is shown.
const MOST_HOSTS: usize = 1_000;

/// The scores. Cheap to clone.
#[derive(Clone)]
pub struct Scores {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

/// Whose failures are scored together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All from an address.
    Address,
    /// Those of one credential there.
    Credential(OrganizationId, CredentialId),
}

/// A host of which an organization knows something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Which.
    pub host: Host,
    /// The score of one of its credentials.
    pub score: u32,
    /// Until when one of its credentials is banned there.
    pub banned_until: Option<Timestamp>,
}

fn key(scope: &Scope, host: Host) -> Key {
    match scope {
        Scope::Address => table::defender_address(host),
        Scope::Credential(organization, credential) => table::defender_credential(organization, host, credential),
    }
}

fn ban_key(scope: &Scope, host: Host) -> Key {
    match scope {
        Scope::Address => table::ban(host, ""),
        Scope::Credential(organization, credential) => table::ban(host, &format!("{organization}#{credential}")),
    }
}

fn counter(window: i64) -> String {
    format!("w{window}")
}

fn window(at: Timestamp) -> i64 {
    at.millis().div_euclid(WINDOW_MILLIS)
}

fn seconds(at: Timestamp) -> AttributeValue {
    number(at.seconds())
}

/// What a scored item says now.
fn read(item: &Item, now: Timestamp) -> Record {
    let count = |back| optional_number(item, &counter(window(now) - back)).unwrap_or(0);
    let at = |name| optional_number(item, name).and_then(|at| i64::try_from(at).ok());
    let since = |name, millis: i64| at(name).is_some_and(|at| at > now.plus_millis(-millis).millis());
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Record {
        score: small(count(0).saturating_add(count(1))),
        bans: if since("last_ban", FORGET_MILLIS) { small(optional_number(item, "bans").unwrap_or(0)) } else { 0 },
        trusted: since("last_success", SUCCESS_MILLIS),
    }
}

impl Scores {
    /// In the table of the settings.
    pub fn new(aws: &Aws) -> Self {
        Self { client: aws.dynamodb.clone(), table: aws.settings.table.clone() }
    }

    /// Adds a failure, and answers what there is now. (Whether the host is trusted stands in the record of its address alone.)
    pub async fn add(&self, scope: &Scope, host: Host, weight: u32, now: Timestamp) -> Result<Record, RecordError> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key_attributes(key(scope, host))))
            .update_expression("SET v = :v, #ttl = :ttl ADD #now :weight REMOVE #before, #long_before")
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_names("#now", counter(window(now)))
            .expression_attribute_names("#before", counter(window(now) - 2))
            .expression_attribute_names("#long_before", counter(window(now) - 3))
            .expression_attribute_values(":v", number(1))
            .expression_attribute_values(":ttl", seconds(now.plus_millis(FORGET_MILLIS)))
            .expression_attribute_values(":weight", number(weight))
            .return_values(ReturnValue::AllNew)
            .send()
            .await
            .map_err(RecordError::unavailable)?;
        Ok(read(&answer.attributes.unwrap_or_default(), now))
    }

    /// Whether somebody has logged in from a host of late.
    pub async fn is_trusted(&self, host: Host, now: Timestamp) -> Result<bool, RecordError> {
        let key = table::defender_address(host);
        let request =
            self.client.get_item().table_name(&self.table).consistent_read(true).set_key(Some(key_attributes(key)));
        let answer = patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        Ok(answer.item.is_some_and(|item| read(&item, now).trusted))
    }

    /// Notes a login.
    pub async fn succeeded(&self, host: Host, now: Timestamp) -> Result<(), RecordError> {
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key_attributes(table::defender_address(host))))
            .update_expression("SET v = :v, #ttl = :ttl, last_success = :now")
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_values(":v", number(1))
            .expression_attribute_values(":ttl", seconds(now.plus_millis(FORGET_MILLIS)))
            .expression_attribute_values(":now", number(now.millis()));
        patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        Ok(())
    }

    /// Bans, for all nodes.
    pub async fn ban(&self, scope: &Scope, host: Host, ban: &Ban, now: Timestamp) -> Result<(), RecordError> {
        let mut item = key_attributes(ban_key(scope, host));
        item.insert("v".to_owned(), number(1));
        item.insert("until".to_owned(), number(ban.until.millis()));
        item.insert("slowed".to_owned(), AttributeValue::Bool(ban.slowed));
        item.insert("host".to_owned(), text(host.to_string()));
        item.insert(TTL.to_owned(), seconds(ban.until));
        if let Scope::Credential(organization, credential) = scope {
            item.insert("organization".to_owned(), text(organization.as_str()));
            item.insert("credential".to_owned(), text(credential.as_str()));
        }
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        patiently(|| put.clone().send()).await.map_err(RecordError::unavailable)?;
        // the next score begins at nothing; the next ban is longer
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key_attributes(key(scope, host))))
            .update_expression("SET last_ban = :now, banned_until = :until ADD bans :one REMOVE #now, #before")
            .expression_attribute_names("#now", counter(window(now)))
            .expression_attribute_names("#before", counter(window(now) - 1))
            .expression_attribute_values(":now", number(now.millis()))
            .expression_attribute_values(":until", number(ban.until.millis()))
            .expression_attribute_values(":one", number(1));
        patiently(|| update.clone().send()).await.map_err(RecordError::unavailable)?;
        Ok(())
    }

    /// The bans that stand.
    pub async fn bans(&self, now: Timestamp) -> Result<Vec<(Scope, Host, Ban)>, RecordError> {
        let mut found = Vec::new();
        let mut start = None;
        while found.len() < MOST_BANS {
            let request = self.query(table::BANS, "").set_exclusive_start_key(start);
            let answer = patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
            found.extend(answer.items.unwrap_or_default().iter().filter_map(read_ban));
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        found.retain(|(_, _, ban)| ban.until > now);
        Ok(found)
    }

    /// What an organization knows of hosts, the best known first.
    pub async fn known(&self, organization: &OrganizationId, now: Timestamp) -> Result<Vec<Known>, RecordError> {
        let mut found = Vec::new();
        let mut start = None;
        loop {
            let partition = table::defender_partition(organization);
            let request = self.query(&partition, "").set_exclusive_start_key(start);
            let answer = patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
            for item in answer.items.unwrap_or_default() {
                let host = sort_key(&item).and_then(|key| Host::parse(key.split('#').next()?));
                let until = optional_number(&item, "banned_until").and_then(|at| i64::try_from(at).ok());
                let banned_until = until.map(Timestamp::from_millis).filter(|until| *until > now);
                let score = read(&item, now).score;
                found.extend(host.map(|host| Known { host, score, banned_until }));
            }
            start = answer.last_evaluated_key;
            if start.is_none() || found.len() >= MOST_HOSTS {
                found.retain(|known| known.score > 0 || known.banned_until.is_some());
                return Ok(found);
            }
        }
    }

    /// Forgets what an organization knows of a host, and its bans there. `false`: there was nothing.
    pub async fn forget(&self, organization: &OrganizationId, host: Host) -> Result<bool, RecordError> {
        let partition = table::defender_partition(organization);
        let request = self.query(&partition, &format!("{host}#"));
        let answer = patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
        let items = answer.items.unwrap_or_default();
        for item in &items {
            let credential = sort_key(item).and_then(|key| key.split('#').nth(1));
            let Some(Ok(credential)) = credential.map(CredentialId::parse) else { continue };
            let scope = Scope::Credential(organization.clone(), credential);
            for key in [ban_key(&scope, host), key(&scope, host)] {
                let request = self.client.delete_item().table_name(&self.table).set_key(Some(key_attributes(key)));
                patiently(|| request.clone().send()).await.map_err(RecordError::unavailable)?;
            }
        }
        Ok(!items.is_empty())
    }

    fn query(&self, partition: &str, prefix: &str) -> aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .expression_attribute_names("#pk", PK)
            .expression_attribute_values(":pk", text(partition));
        if prefix.is_empty() {
            return query.key_condition_expression("#pk = :pk");
        }
        query
            .key_condition_expression("#pk = :pk AND begins_with(#sk, :prefix)")
            .expression_attribute_names("#sk", SK)
            .expression_attribute_values(":prefix", text(prefix))
    }
}

fn read_ban(item: &Item) -> Option<(Scope, Host, Ban)> {
    let word = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
    let host = Host::parse(word("host")?)?;
    let until = Timestamp::from_millis(i64::try_from(optional_number(item, "until")?).ok()?);
    let slowed = item.get("slowed").and_then(|value| value.as_bool().ok()).copied().unwrap_or(false);
    let scope = match (word("organization"), word("credential")) {
        (Some(organization), Some(credential)) => {
            Scope::Credential(OrganizationId::parse(organization).ok()?, CredentialId::parse(credential).ok()?)
        }
        _ => Scope::Address,
    };
    Some((scope, host, Ban { until, slowed }))
}
