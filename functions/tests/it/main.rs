//! The functions against the offline AWS.

mod lambda_events;
mod logins;
mod routes;
mod support;
mod webhook_delivery;
