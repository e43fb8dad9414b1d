//! What a file or folder looks like. Of this crate, all that the fuzzer of answers needs (`fuzz/app`).

use domain::time::Timestamp;

/// A file or folder, as STAT and listings show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The last segment of its path; empty for `/`.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// A file's size.
    pub bytes: u64,
    /// When a file was last written; for a folder, when it was looked at.
    pub modified: Timestamp,
}

/// File or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A folder.
    Folder,
}
