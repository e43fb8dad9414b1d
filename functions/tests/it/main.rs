//! The functions against the offline AWS.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod admins;
mod api_keys;
mod connections;
mod defender;
mod deliveries;
mod event_bus;
mod event_exports;
mod events;
mod files;
mod folders;
mod idempotency;
mod jobs;
mod lambda_events;
mod local_server;
mod logins;
mod openapi;
mod organizations;
mod rate_rules;
mod rest;
mod routes;
mod second_factor;
mod setup;
mod shares;
mod support;
mod tenants;
mod tokens;
mod user_second_factor;
mod user_tokens;
mod users;
mod webhook_delivery;
