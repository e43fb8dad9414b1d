//! Operations on queues.

use super::Call;
use super::add;
use super::attributes::Attributes;
use super::error::{Outcome, SqsError};
use super::store::{self, Queues, queue_name};
use crate::clock;
use rusqlite::params;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateQueue {
    queue_name: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetQueueUrl {
    queue_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListQueues {
    queue_name_prefix: Option<String>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OnQueue {
    queue_url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetAttributes {
    queue_url: String,
    #[serde(default)]
    attribute_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetAttributes {
    queue_url: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

fn check_name(name: &str) -> Outcome<()> {
    let characters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if name.is_empty() || name.len() > 80 || !characters {
        return Err(SqsError::invalid_value(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ));
    }
    Ok(())
}

impl Queues {
    fn arn(&self, name: &str) -> String {
        format!("arn:aws:sqs:{}:{}:{name}", self.region, crate::s3::ACCOUNT)
    }

    pub(super) async fn create(&self, call: &Call<'_>, input: CreateQueue) -> Outcome<Value> {
        check_name(&input.queue_name)?;
        let attributes = Attributes::parse(input.attributes)?;
        let url = call.queue_url(&input.queue_name);
        self.run(move |transaction| {
            let name = &input.queue_name;
            if let Some(known) = store::find(transaction, name)? {
                // the same queue again is success; only attributes that were given and differ are a conflict
                let shown = known.shown();
                let differs = attributes.0.iter().any(|(name, value)| shown.get(name) != Some(value));
                if differs {
                    return Err(SqsError::new(
                        "QueueNameExists",
                        "QueueAlreadyExists",
                        "A queue already exists with the same name and a different value for an attribute",
                    ));
                }
                return Ok(());
            }
            if let Some(redrive) = attributes.redrive()
                && store::find(transaction, &redrive.queue)?.is_none()
            {
                return Err(SqsError::invalid_value("The dead-letter queue of RedrivePolicy does not exist."));
            }
            let now = clock::now_ms();
            transaction.execute(
                "INSERT INTO queues (name, created_ms, modified_ms, attributes) VALUES (?1, ?2, ?2, ?3)",
                params![name, now, serde_json::to_string(&attributes)?],
            )?;
            Ok(())
        })
        .await?;
        Ok(json!({ "QueueUrl": url }))
    }

    pub(super) async fn url(&self, call: &Call<'_>, input: GetQueueUrl) -> Outcome<Value> {
        let url = call.queue_url(&input.queue_name);
        self.run(move |transaction| store::attributes(transaction, &input.queue_name)).await?;
        Ok(json!({ "QueueUrl": url }))
    }

    pub(super) async fn list(&self, call: &Call<'_>, input: ListQueues) -> Outcome<Value> {
        let limit = input.max_results.unwrap_or(1000).clamp(1, 1000);
        let mut names: Vec<String> = self
            .run(move |transaction| {
                let mut statement =
                    transaction.prepare_cached("SELECT name FROM queues WHERE name > ?1 ORDER BY name")?;
                let after = input.next_token.unwrap_or_default();
                let prefix = input.queue_name_prefix.unwrap_or_default();
                let names = statement.query_map([after], |row| row.get::<_, String>(0))?;
                let matching = names.filter(|name| name.as_ref().map_or(true, |name| name.starts_with(&prefix)));
                Ok(matching.take(limit + 1).collect::<Result<_, rusqlite::Error>>()?)
            })
            .await?;
        let truncated = names.len() > limit;
        names.truncate(limit);
        let mut output = json!({});
        if truncated && input.max_results.is_some() {
            add(&mut output, "NextToken", json!(names.last()));
        }
        add(&mut output, "QueueUrls", names.iter().map(|name| call.queue_url(name)).collect());
        Ok(output)
    }

    pub(super) async fn delete(&self, input: OnQueue) -> Outcome<Value> {
        let name = queue_name(&input.queue_url)?;
        let bell = self.bell(&name);
        self.run(move |transaction| {
            store::attributes(transaction, &name)?;
            transaction.execute("DELETE FROM messages WHERE queue = ?1", [&name])?;
            transaction.execute("DELETE FROM queues WHERE name = ?1", [&name])?;
            Ok(())
        })
        .await?;
        // waiting receivers learn that there is nothing to wait for
        bell.notify_waiters();
        Ok(json!({}))
    }

    pub(super) async fn purge(&self, input: OnQueue) -> Outcome<Value> {
        let name = queue_name(&input.queue_url)?;
        self.run(move |transaction| {
            store::attributes(transaction, &name)?;
            transaction.execute("DELETE FROM messages WHERE queue = ?1", [&name])?;
            Ok(json!({}))
        })
        .await
    }

    pub(super) async fn set_attributes(&self, input: SetAttributes) -> Outcome<Value> {
        let name = queue_name(&input.queue_url)?;
        let given = Attributes::parse(input.attributes)?;
        self.run(move |transaction| {
            let mut attributes = store::attributes(transaction, &name)?;
            attributes.0.extend(given.0);
            transaction.execute(
                "UPDATE queues SET attributes = ?2, modified_ms = ?3 WHERE name = ?1",
                params![name, serde_json::to_string(&attributes)?, clock::now_ms()],
            )?;
            Ok(json!({}))
        })
        .await
    }

    pub(super) async fn get_attributes(&self, input: GetAttributes) -> Outcome<Value> {
        let name = queue_name(&input.queue_url)?;
        let arn = self.arn(&name);
        let mut all = self
            .run(move |transaction| {
                let mut shown = store::attributes(transaction, &name)?.shown();
                let now = clock::now_ms();
                let count = |condition: &str| -> Outcome<i64> {
                    let sql = format!("SELECT count(*) FROM messages WHERE queue = ?1 AND {condition}");
                    Ok(transaction.query_row(&sql, params![name, now], |row| row.get(0))?)
                };
                for (attribute, condition) in [
                    ("ApproximateNumberOfMessages", "visible_ms <= ?2"),
                    ("ApproximateNumberOfMessagesNotVisible", "visible_ms > ?2 AND receives > 0"),
                    ("ApproximateNumberOfMessagesDelayed", "visible_ms > ?2 AND receives = 0"),
                ] {
                    shown.insert(attribute.to_owned(), count(condition)?.to_string());
                }
                let (created, modified): (i64, i64) = transaction.query_row(
                    "SELECT created_ms, modified_ms FROM queues WHERE name = ?1",
                    [&name],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )?;
                shown.insert("CreatedTimestamp".to_owned(), (created / 1000).to_string());
                shown.insert("LastModifiedTimestamp".to_owned(), (modified / 1000).to_string());
                Ok(shown)
            })
            .await?;
        all.insert("QueueArn".to_owned(), arn);
        let wanted = &input.attribute_names;
        if !wanted.iter().any(|name| name == "All") {
            all.retain(|name, _| wanted.contains(name));
        }
        Ok(json!({ "Attributes": all }))
    }
}
