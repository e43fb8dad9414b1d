//! What the index stores about an object or a part.

use super::checksum::Sums;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Headers that travel with an object and come back on GET and HEAD as they were given.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Head {
    pub(super) content_type: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) website_redirect: Option<String>,
    pub(super) storage_class: Option<String>,
    pub(super) expires_ms: Option<i64>,
    pub(super) metadata: BTreeMap<String, String>,
}

/// A run of bytes inside a blob. Objects are lists of these, so completing an upload or copying copies no bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Segment {
    #[serde(rename = "b")]
    pub(super) blob: i64,
    #[serde(rename = "o")]
    pub(super) offset: u64,
    #[serde(rename = "l")]
    pub(super) len: u64,
}

/// The wide column of an object row, which listings never read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Detail {
    pub(super) head: Head,
    pub(super) sums: Sums,
    pub(super) segments: Vec<Segment>,
    /// Sizes of the parts it was completed from; empty for a single PUT.
    pub(super) parts: Vec<u64>,
}

/// A whole object as the index knows it.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) size: u64,
    /// Without quotes.
    pub(super) etag: String,
    pub(super) modified_ms: i64,
    pub(super) detail: Detail,
}

/// An uploaded part.
#[derive(Debug, Clone)]
pub(super) struct PartRecord {
    pub(super) number: i32,
    pub(super) size: u64,
    pub(super) etag: String,
    pub(super) modified_ms: i64,
    pub(super) sums: Sums,
    pub(super) segments: Vec<Segment>,
}

/// The segments that make up bytes `from..to` of a list of segments.
pub(super) fn cut(segments: &[Segment], from: u64, to: u64) -> Vec<Segment> {
    let mut position = 0u64;
    let mut found = Vec::new();
    for segment in segments {
        let start = position;
        let end = position.saturating_add(segment.len);
        position = end;
        if end <= from {
            continue;
        }
        if start >= to {
            break;
        }
        let skip = from.saturating_sub(start);
        let len = end.min(to) - start.max(from);
        found.push(Segment { blob: segment.blob, offset: segment.offset + skip, len });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting_crosses_segments_and_keeps_offsets() {
        let whole = [Segment { blob: 1, offset: 10, len: 5 }, Segment { blob: 2, offset: 0, len: 5 }];
        let expected = vec![Segment { blob: 1, offset: 13, len: 2 }, Segment { blob: 2, offset: 0, len: 1 }];
        assert_eq!(cut(&whole, 3, 6), expected);
        assert_eq!(cut(&whole, 0, 10), whole.to_vec());
        assert_eq!(cut(&whole, 5, 5), vec![]);
    }
}
