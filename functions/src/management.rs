//! Dialect A: `/organizations/{OrganizationId}/…`. Spelling only; the rules are in `app::management`.

mod api_keys;
pub(crate) mod credentials;
mod deliveries;
mod events;
pub(crate) mod jobs;
mod organization;
mod organizations;
mod portal_links;
mod retention;
mod rules;
mod ssh_keys;
mod webhooks;

use crate::http::auth::{self, Gate};
use crate::http::frame::framed;
use crate::http::idempotency::idempotent;
use crate::http::routes::Routes;
use crate::openapi::Api;
use crate::{docs, sftpgo};
use app::management::Management;
use app::tokens::Tokens;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use std::sync::Arc;

/// What the routes need.
#[derive(Clone)]
pub struct ManagementState {
    management: Management,
    gate: Gate,
    host: Arc<str>,
    authority: Arc<str>,
    /// What the addresses of share links begin with.
    share_base: Arc<str>,
}

impl ManagementState {
    /// `sftp_host` and `sftp_port` are what clients connect to; they are shown as `Host` and in `URI`.
    pub fn new(management: Management, tokens: Tokens, sftp_host: &str, sftp_port: u16) -> Self {
        let bracketed = if sftp_host.contains(':') { format!("[{sftp_host}]") } else { sftp_host.to_owned() };
        let authority = if sftp_port == 22 { bracketed } else { format!("{bracketed}:{sftp_port}") };
        let gate = Gate::new(management.records().clone(), tokens);
        let share_base = gate.tokens().keys().api().into();
        Self { management, gate, host: sftp_host.into(), authority: authority.into(), share_base }
    }

    /// With share links at an address of their own.
    #[must_use]
    pub fn with_share_base(self, base: &str) -> Self {
        Self { share_base: base.trim_end_matches('/').into(), ..self }
    }

    pub(crate) fn management(&self) -> &Management {
        &self.management
    }
}

/// The routes of both dialects behind authentication, as Lambda runs them.
pub fn router(state: ManagementState) -> Router {
    framed(routes(state))
}

/// The same without what stands around them, to be merged with others.
pub(crate) fn routes(state: ManagementState) -> Routes {
    let authenticated = from_fn_with_state(state.gate.clone(), auth::authenticate);
    // the document needs no key
    resources(&state).route_layer(authenticated).with_state(state).merge(docs::routes())
}

/// The routes for callers that somebody else has authenticated and put into the request as an
/// [`app::management::Caller`]; without one every request is a 401.
pub fn routes_for_known_callers(state: ManagementState) -> Router {
    framed(resources(&state).with_state(state))
}

fn resources(state: &ManagementState) -> Routes<ManagementState> {
    let one = "/organizations/{organization}";
    let path = |rest: &str| format!("{one}{rest}");
    sftpgo::resources()
        .route("/organizations", get(organizations::list).post(organizations::post))
        .route(one, get(organization::get).patch(organization::patch).delete(organizations::delete))
        .route(&path("/events"), get(events::list))
        .route(&path("/events/exports"), post(events::export))
        .route(&path("/jobs"), get(jobs::list))
        .route(&path("/jobs/{id}"), get(jobs::get))
        .route(&path("/quota-scans"), post(jobs::scan))
        .route(&path("/users"), get(credentials::list).post(credentials::post))
        .route(&path("/users/{id}"), get(credentials::get).patch(credentials::patch).delete(credentials::delete))
        .route(&path("/users/{id}/credential-rotations"), post(credentials::rotate))
        .route(&path("/users/{id}/ssh-public-keys"), get(ssh_keys::list).post(ssh_keys::post))
        .route(&path("/users/{id}/ssh-public-keys/{key}"), delete(ssh_keys::delete))
        .route(&path("/users/{id}/retention-policy"), get(retention::get).put(retention::put).delete(retention::delete))
        .route(&path("/portal-links"), get(portal_links::list).post(portal_links::post))
        .route(
            &path("/portal-links/{id}"),
            get(portal_links::get).patch(portal_links::patch).delete(portal_links::delete),
        )
        .route(&path("/webhooks"), get(webhooks::list).post(webhooks::post))
        .route(&path("/webhooks/{id}"), get(webhooks::get).patch(webhooks::patch).delete(webhooks::delete))
        .route(&path("/webhooks/{id}/secret-rotations"), post(webhooks::rotate))
        .route(&path("/webhooks/{id}/ping"), post(webhooks::ping))
        .route(&path("/webhooks/{id}/deliveries"), get(deliveries::list))
        .route(&path("/webhooks/{id}/deliveries/{delivery}"), get(deliveries::get))
        .route(&path("/webhooks/{id}/deliveries/{delivery}/redeliveries"), post(deliveries::redeliver))
        .route(&path("/webhooks/{id}/replays"), post(deliveries::replay))
        .route(&path("/api-keys"), get(api_keys::list).post(api_keys::post))
        .route(&path("/api-keys/{id}/rotations"), post(api_keys::rotate))
        .route(&path("/api-keys/{id}/requests"), get(api_keys::requests))
        .route(&path("/api-keys/{id}"), get(api_keys::get).patch(api_keys::patch).delete(api_keys::delete))
        .route_layer(from_fn_with_state(state.clone(), idempotent))
}

/// These routes in the API's document.
pub(crate) fn describe(api: &mut Api) {
    credentials::describe(api);
    portal_links::describe(api);
    webhooks::describe(api);
    deliveries::describe(api);
    api_keys::describe(api);
    organization::describe(api);
    organizations::describe(api);
    jobs::describe(api);
    events::describe(api);
}
