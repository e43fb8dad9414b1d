//! The functions against the offline AWS.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod connections;
mod defender;
mod folders;
mod lambda_events;
mod local_server;
mod logins;
mod routes;
mod support;
mod webhook_delivery;
