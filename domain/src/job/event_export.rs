//! A table of events in the bucket.

use crate::audit::{Filter, Order, Span};
use serde::{Deserialize, Serialize};

/// Which events, in which order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventExport {
    /// When.
    pub span: Span,
    /// In which order.
    #[serde(default)]
    pub order: Order,
    /// Which.
    #[serde(default)]
    pub filter: Filter,
}
