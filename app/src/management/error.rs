//! What can go wrong in management. Each dialect has one total match from this to its own answers.

use domain::invalid::Invalid;
use store::records::RecordError;

/// A field that cannot be used, and why. Public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldProblem {
    /// The field as the API names it; empty for the whole body.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl FieldProblem {
    /// A problem.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// A failed use case. What is in `Unavailable` and `Internal` is for the log, all else is public.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManagementError {
    /// Every bad field.
    #[error("some fields cannot be used")]
    Invalid(Vec<FieldProblem>),
    /// It makes no sense for this caller.
    #[error("{0}")]
    Refused(&'static str),
    /// The caller's account is not what it was when it signed in.
    #[error("sign in again")]
    Unauthorized,
    /// There is none, or it is another organization's.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// It contradicts what is there.
    #[error("{0}")]
    Conflict(&'static str),
    /// It has changed since the caller read it.
    #[error("it has changed since it was read")]
    PreconditionFailed,
    /// The caller may not.
    #[error("permission denied")]
    Forbidden {
        /// What it takes.
        required: String,
        /// What the caller has.
        granted: String,
    },
    /// A dependency did not answer.
    #[error("the service is not available; try again")]
    Unavailable(String),
    /// A defect.
    #[error("internal error")]
    Internal(String),
}

impl ManagementError {
    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        Self::Internal(error.to_string())
    }

    /// One bad field.
    pub fn field(field: impl Into<String>, problem: &Invalid) -> Self {
        Self::Invalid(vec![FieldProblem::new(field, problem.to_string())])
    }
}

impl From<RecordError> for ManagementError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Conflict => Self::Conflict("it was changed at the same time; try again"),
            RecordError::Unavailable(error) => Self::Unavailable(error),
            RecordError::Internal(error) => Self::Internal(error),
        }
    }
}
