//! What every answer here says to browsers, and which requests other sites' pages may not make.

use super::ShareState;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Whether a request that changes something comes from a page of another site. Cookies do not (SameSite), but whoever got hold of an
/// address must not act with somebody's visit.
pub(super) fn is_forged(state: &ShareState, headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site")) {
        return !matches!(site, "same-origin" | "none");
    }
    match text(header::ORIGIN) {
        // forms of pages that tell no referrer say `null` (Fetch, section 3.2)
        None | Some("null") => false,
        Some(origin) => {
            let host = text(header::HOST).unwrap_or_default();
            let own = origin.split_once("://").is_some_and(|(_, authority)| !host.is_empty() && authority == host);
            !own && origin != &*state.base
        }
    }
}

/// The headers of a page.
pub(super) async fn dress(state: &ShareState, response: &mut Response) {
    let storage = state.storage().await;
    let node = state.door.as_ref().map_or("", |door| &door.url);
    let bytes = format!("{storage} {node}");
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: {bytes}; connect-src 'self' {bytes}; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
    );
    let fixed = [
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("x-robots-tag", "noindex, nofollow"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), microphone=(), geolocation=(), interest-cohort=()"),
        ("vary", "Accept, Cookie, User-Agent"),
    ];
    let headers = response.headers_mut();
    for (name, value) in fixed {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
}
