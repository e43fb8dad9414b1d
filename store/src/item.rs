//! Between records and DynamoDB's items: the one place that unwraps `AttributeValue`.

use crate::records::RecordError;
use crate::table::{Key, PK, REV, SK, VERSION};
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};
use std::collections::HashMap;

/// An item as the SDK carries it.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The version of the shapes that this code writes, and the newest that it reads.
const SHAPE: u64 = 1;

/// A record and the revision that it was read at. Writing it back names the revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The record.
    pub value: T,
    /// Its revision.
    pub rev: u64,
}

/// The item for a record.
pub(crate) fn encode<T: Serialize>(key: &Key, rev: u64, record: &T) -> Result<Item, RecordError> {
    let mut item: Item = to_item(record).map_err(RecordError::internal)?;
    item.insert(PK.to_owned(), text(&key.pk));
    item.insert(SK.to_owned(), text(&key.sk));
    item.insert(VERSION.to_owned(), number(SHAPE));
    item.insert(REV.to_owned(), number(rev));
    Ok(item)
}

/// The record in an item.
pub(crate) fn decode<T: DeserializeOwned>(item: Item) -> Result<Versioned<T>, RecordError> {
    let shape = read_number(&item, VERSION)?;
    if shape > SHAPE {
        // a newer program wrote it; writing it back from here would lose what we do not know
        return Err(RecordError::internal(format!("item version {shape} is newer than this program")));
    }
    let rev = read_number(&item, REV)?;
    Ok(Versioned { value: from_item(item).map_err(RecordError::internal)?, rev })
}

/// A put that happens only over the revision that was read, or where nothing is if none was.
pub(crate) fn on_revision(put: PutItemFluentBuilder, read: Option<u64>) -> PutItemFluentBuilder {
    match read {
        None => put.condition_expression("attribute_not_exists(pk)"),
        Some(rev) => put
            .condition_expression("#rev = :rev")
            .expression_attribute_names("#rev", REV)
            .expression_attribute_values(":rev", number(rev)),
    }
}

/// A string attribute.
pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number attribute.
pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// The key part of an item, as requests name it.
pub(crate) fn key_attributes(key: Key) -> Item {
    HashMap::from([(PK.to_owned(), text(key.pk)), (SK.to_owned(), text(key.sk))])
}

/// A number in an item.
pub(crate) fn read_number(item: &Item, name: &str) -> Result<u64, RecordError> {
    optional_number(item, name).ok_or_else(|| RecordError::internal(format!("item without `{name}`")))
}

/// A number in an item, if it is there.
pub(crate) fn optional_number(item: &Item, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

/// The sort key of an item.
pub(crate) fn sort_key(item: &Item) -> Option<&str> {
    item.get(SK)?.as_s().ok().map(String::as_str)
}
