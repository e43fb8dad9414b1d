//! Status codes (draft-ietf-secsh-filexfer-02, section 7) and which one a failure gets.

use domain::file_error::FileErrorKind;

/// The codes of version 3 that a server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Status {
    /// It is done.
    Ok = 0,
    /// There is no more.
    Eof = 1,
    /// No such name.
    NoSuchFile = 2,
    /// Not allowed.
    PermissionDenied = 3,
    /// Anything else; the message says what.
    Failure = 4,
    /// A frame that cannot be parsed.
    BadMessage = 5,
    /// Not something that this server does.
    OpUnsupported = 8,
}

impl Status {
    /// The code on the wire.
    pub(crate) const fn code(self) -> u32 {
        self as u32
    }

    /// Which code a kind of failure gets. OpenSSH's server is the model, as clients are tested against it: it answers
    /// `ENOTDIR` like a missing file, and an existing or full target with the general failure.
    pub(crate) const fn of(kind: FileErrorKind) -> Self {
        match kind {
            FileErrorKind::NoSuchFile | FileErrorKind::NotAFolder => Self::NoSuchFile,
            FileErrorKind::PermissionDenied => Self::PermissionDenied,
            FileErrorKind::Unsupported => Self::OpUnsupported,
            FileErrorKind::AlreadyExists
            | FileErrorKind::IsAFolder
            | FileErrorKind::FolderNotEmpty
            | FileErrorKind::InvalidPath
            | FileErrorKind::QuotaExceeded
            | FileErrorKind::TooLarge
            | FileErrorKind::Changed
            | FileErrorKind::BadRequest
            | FileErrorKind::Unavailable
            | FileErrorKind::Internal => Self::Failure,
        }
    }
}
