//! What a file looks like.

#[path = "../../../app/src/vfs/entry.rs"]
mod entry;

pub use entry::{Entry, EntryKind};
