//! Paths, and the only way from a path to an object key.
//!
//! A client's text is parsed once into a [`VPath`], which cannot hold `..`, control characters, empty segments or more
//! than a key can carry. A [`Chroot`] turns a `VPath` into a [`Location`] in the organization's tree; nothing else
//! makes a `Location`, and nothing but a `Location` has an object key. So a path outside the chroot cannot be named by
//! any code that is written later.
//!
//! Keys: `<organization id>/files/<path>`. The segment `files` leaves room beside it for what no chroot may name (dumps,
//! exports). A folder's marker object and its listing prefix end in `/`.

mod chroot;
mod vpath;

pub use chroot::{Chroot, Located, Location, ObjectKey, View};
pub use vpath::{InvalidPath, Name, VPath};

/// S3's limit for a key, in bytes of UTF-8.
pub const MAX_KEY_BYTES: usize = 1024;

/// What every key of an organization's files starts with, in bytes: a UUID and `/files/`.
const KEY_PREFIX_BYTES: usize = 36 + "/files/".len();

/// The longest path, in bytes without its leading slash: what is left of a key, less the `/` that a folder's marker
/// ends in. Long enough for three components of 255 bytes.
pub const MAX_PATH_BYTES: usize = MAX_KEY_BYTES - KEY_PREFIX_BYTES - 1;
