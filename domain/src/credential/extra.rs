//! What is said about a credential without an effect.

use crate::invalid::Invalid;
use serde::{Deserialize, Serialize};

/// The longest text of fields without effect: the same that admins and folders may have.
pub const MAX_KEPT: usize = 16 * 1024;

/// Fields that mean nothing here. They are kept so that who reads an object, changes it and sends it back loses nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Extra {
    /// `email`.
    pub email: String,
    /// `additional_info`.
    pub additional_info: String,
    /// Fields of SFTPGo's object that mean nothing here, as a JSON object's text; empty: none.
    pub kept: String,
    /// The same of its `filters`.
    pub kept_filters: String,
}

impl Extra {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it is short enough to be kept.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.kept.len() + self.kept_filters.len() <= MAX_KEPT {
            return Ok(());
        }
        Err(Invalid::new("has more than 16 KiB of fields that are not known"))
    }
}
