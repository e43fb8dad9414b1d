//! The part of `app` that encodes nothing and fetches nothing.

pub mod vfs;
