//! Use cases against the in-process offline AWS: real SDK calls, one isolated instance for each test.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test ends at what it did not expect"
)]

mod announced;
mod appending;
mod contended;
mod copied;
mod direct;
mod early;
mod faults;
mod files;
mod folders;
mod listings;
mod mounted;
mod paces;
mod promises;
mod quotas;
mod recounts;
mod refusals;
mod resources;
mod resuming;
mod settling;
mod times;
mod world;
