//! AWS as Towpath needs it: objects on S3, records in DynamoDB, queues. The only package that uses `aws-sdk-*`, and it
//! uses it directly: tests run against the in-process offline AWS, with faults below the SDK, so that retries and
//! timeouts are tested too.

pub mod aws;
pub mod clock;
pub mod defender;
pub mod direct_uploads;
pub mod event_bus;
pub mod events;
pub mod intents;
mod item;
pub mod jobs;
pub mod leases;
pub mod mail;
pub mod messages;
pub mod nodes;
pub mod objects;
pub mod partials;
mod patience;
pub mod places;
mod queries;
pub mod records;
pub mod resources;
pub mod scans;
pub mod seal;
pub mod settling;
pub mod table;
pub mod times;
