//! What can go wrong with a file operation, whatever the door.
//!
//! The kind decides the answer: each door has one total match from [`FileErrorKind`] to its own codes (SFTP status, FTP
//! reply, REST error), without a `_` arm, so that a new kind does not compile until every door answers it. The message
//! is public: it names the limit or the rule, never a bucket, a key of another tenant or an AWS error.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// Which answer a failed file operation gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileErrorKind {
    /// No file or folder has this name, or it lies outside the chroot (which must look the same).
    NoSuchFile,
    /// The name exists and the operation refuses to replace it.
    AlreadyExists,
    /// A folder where a file is needed.
    IsAFolder,
    /// A file where a folder is needed.
    NotAFolder,
    /// A folder that still holds something.
    FolderNotEmpty,
    /// The permissions do not allow it.
    PermissionDenied,
    /// The name cannot be an object key (control characters, too long, …).
    InvalidPath,
    /// Storage or file quota would be exceeded.
    QuotaExceeded,
    /// The file would be larger than the configured or possible maximum.
    TooLarge,
    /// A pattern that S3 cannot hold, such as a random rewrite of an existing object.
    Unsupported,
    /// Somebody else changed the file meanwhile.
    Changed,
    /// The handle or request makes no sense now (closed handle, read on a writer).
    BadRequest,
    /// A dependency did not answer in time or has no capacity; a later try may work.
    Unavailable,
    /// A defect or an unexpected answer; the log has the details under the session's id.
    Internal,
}

/// A failed file operation: the kind, a message for the user, and the source for the log.
pub struct FileError {
    kind: FileErrorKind,
    message: Cow<'static, str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl FileError {
    /// An error whose message is shown to the user.
    pub fn new(kind: FileErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// The same, with the cause for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The name does not exist.
    pub fn no_such_file() -> Self {
        Self::new(FileErrorKind::NoSuchFile, "no such file or folder")
    }

    /// The permissions of this credential do not allow it.
    pub fn permission_denied() -> Self {
        Self::new(FileErrorKind::PermissionDenied, "permission denied")
    }

    /// Storage did not answer within `limit`.
    pub fn too_slow(limit: Duration) -> Self {
        Self::new(FileErrorKind::Unavailable, format!("storage did not answer within {} s", limit.as_secs()))
    }

    /// Whether a later try may work.
    pub fn is_for_now(&self) -> bool {
        matches!(self.kind, FileErrorKind::Unavailable | FileErrorKind::Internal)
    }

    /// Which answer to give.
    pub fn kind(&self) -> FileErrorKind {
        self.kind
    }

    /// The text for the user.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The same error for a second asker: kind and message, without the source, which is logged once.
    #[must_use]
    pub fn repeat(&self) -> Self {
        Self { kind: self.kind, message: self.message.clone(), source: None }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileError")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .field("source", &self.source)
            .finish()
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}
