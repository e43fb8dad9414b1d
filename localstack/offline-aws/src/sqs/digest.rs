//! The MD5 sums SQS answers with. The one of message attributes has its own binary form: sorted by name, and for each
//! the name, the type, one byte for the kind of value, and the value, each with its length before it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A message attribute on the wire.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MessageAttribute {
    pub(super) data_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) string_value: Option<String>,
    /// Base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) binary_value: Option<String>,
}

pub(super) type MessageAttributes = BTreeMap<String, MessageAttribute>;

impl MessageAttribute {
    fn value(&self) -> (u8, Vec<u8>) {
        match (&self.string_value, &self.binary_value) {
            (Some(text), _) => (1, text.as_bytes().to_vec()),
            (None, binary) => (2, BASE64.decode(binary.as_deref().unwrap_or_default()).unwrap_or_default()),
        }
    }
}

pub(super) fn of_body(body: &str) -> String {
    hex::encode(Md5::digest(body.as_bytes()))
}

/// None when there are no attributes.
pub(super) fn of_attributes(attributes: &MessageAttributes) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut all = Md5::new();
    for (name, attribute) in attributes {
        let (kind, value) = attribute.value();
        for bytes in [name.as_bytes(), attribute.data_type.as_bytes()] {
            all.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
            all.update(bytes);
        }
        all.update([kind]);
        all.update(u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
        all.update(&value);
    }
    Some(hex::encode(all.finalize()))
}

/// Bytes that count towards the size limit.
pub(super) fn size(body: &str, attributes: &MessageAttributes) -> usize {
    let attributes: usize = attributes
        .iter()
        .map(|(name, attribute)| name.len() + attribute.data_type.len() + attribute.value().1.len())
        .sum();
    body.len() + attributes
}
