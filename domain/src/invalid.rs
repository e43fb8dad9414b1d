//! Why a value that somebody sent cannot be used.

use std::borrow::Cow;

/// What is wrong with a value, as a sentence without its subject: `must be 10 to 100 characters`. It is shown to the
/// client beside the field's name, so it never repeats a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(Cow<'static, str>);

impl Invalid {
    /// A problem.
    pub fn new(problem: impl Into<Cow<'static, str>>) -> Self {
        Self(problem.into())
    }
}
