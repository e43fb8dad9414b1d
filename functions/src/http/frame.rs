//! What every answer has: a request id, rate limit headers, and no caching unless it says otherwise.

use super::error::ApiError;
use super::routes::Routes;
use crate::sftpgo;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use domain::organization::DEFAULT_REQUESTS;
use domain::rate::RateStatus;
use http::{HeaderName, HeaderValue};
use std::borrow::Cow;
use std::time::Instant;
use tracing::Instrument as _;

/// Routes with what stands around all of them.
pub fn framed(routes: Routes) -> Router {
    routes.into_router().fallback(unknown_route).method_not_allowed_fallback(unknown_method).layer(from_fn(frame))
}

/// The outermost layer.
async fn frame(request: Request, next: Next) -> Response {
    let id = domain::id::uuid_text(store::clock::random());
    let path = without_secrets(request.uri().path());
    let span = tracing::info_span!("request", request_id = %id, method = %request.method(), path = &*path);
    let started = Instant::now();
    let theirs = sftpgo::speaks(request.uri().path());
    let mut response = next.run(request).instrument(span.clone()).await;
    if theirs {
        response = sftpgo::respell(response);
    }
    span.in_scope(|| {
        let milliseconds = started.elapsed().as_millis();
        tracing::info!(status = response.status().as_u16(), milliseconds, "answered");
    });
    dress(&mut response, &id);
    response
}

/// A path as the log may know it: who knows the address of a share link is in.
fn without_secrets(path: &str) -> Cow<'_, str> {
    for root in ["/s/", "/api/v2/shares/", "/api/v2/user/shares/"] {
        if path.starts_with(root) {
            return Cow::Owned(format!("{root}…"));
        }
    }
    Cow::Borrowed(path)
}

/// Gives an answer the headers that every answer has; for those that are given before the router is asked.
pub(crate) fn dress(response: &mut Response, id: &str) {
    // without a known key nothing is counted, so nothing is used up
    let unknown = RateStatus::new(DEFAULT_REQUESTS, 0, store::clock::now());
    let rate = response.extensions().get::<RateStatus>().copied().unwrap_or(unknown);
    let headers = response.headers_mut();
    for (name, value) in rate.headers() {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert("x-request-id", id);
    }
    // but for what is public and says so itself
    headers.entry(http::header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// For routes that do not exist.
async fn unknown_route() -> ApiError {
    ApiError::not_found("No such route")
}

/// For methods that a route does not have.
async fn unknown_method() -> ApiError {
    ApiError::method_not_allowed()
}
