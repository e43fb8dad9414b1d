//! One module for each resource.

mod api_keys;
mod credentials;
mod organization;
mod requests;
mod webhooks;
