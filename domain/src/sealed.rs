//! A secret as it lies in the table: encrypted under a key that is not in the table. `store::seal` makes and opens it.

use serde::{Deserialize, Serialize};

/// Ciphertext in its text form. No Debug output: a log is no place for it either.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

impl Sealed {
    /// Wraps the text form.
    pub fn from_text(text: String) -> Self {
        Self(text)
    }

    /// The text form.
    pub fn as_text(&self) -> &str {
        &self.0
    }
}
