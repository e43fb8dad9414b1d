//! The offline AWS, driven by the real SDKs.

mod checksums;
mod conditions;
mod copies;
mod faults;
mod lifecycle;
mod lists;
mod multipart;
mod objects;
mod queues;
mod smoke;
mod support;
