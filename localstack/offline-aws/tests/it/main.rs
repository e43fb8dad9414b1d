//! The offline AWS, driven by the real SDKs.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a failed expectation is a failed test"
)]

mod checksums;
mod conditions;
mod copies;
mod faults;
mod large;
mod lifecycle;
mod lists;
mod multipart;
mod objects;
mod queues;
mod smoke;
mod support;
