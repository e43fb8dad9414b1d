//! Fields that mean nothing here and are answered as they were sent.

use serde_json::{Map, Value};

/// Kept fields, of the text that they are kept as.
pub(super) fn read(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_default()
}

/// An object's fields with others, which go before.
pub(super) fn extend(fields: &mut Map<String, Value>, more: Value) {
    if let Value::Object(more) = more {
        fields.extend(more);
    }
}
