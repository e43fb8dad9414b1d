//! What pages load: one style sheet and one script, built from `functions/portal` and linked into the program. Their addresses hold a hash
//! of what is in them, so browsers keep them for good.

use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use domain::digest::short_hash;
use http::{StatusCode, header};
use std::sync::LazyLock;

static SCRIPT: &str = include_str!("../../portal/dist/portal.js");
static STYLE: &str = include_str!("../../portal/dist/portal.css");
static ICON: &str = include_str!("../../portal/dist/icon.svg");

static VERSION: LazyLock<String> = LazyLock::new(|| short_hash(&[SCRIPT, STYLE, ICON]));

/// The address of one of them.
pub(super) fn address(name: &str) -> String {
    format!("/share-assets/{}/{name}", *VERSION)
}

pub(super) async fn asset(Path((version, name)): Path<(String, String)>) -> Response {
    let (kind, content) = match name.as_str() {
        "portal.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "portal.css" => ("text/css; charset=utf-8", STYLE),
        "icon.svg" => ("image/svg+xml", ICON),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    // a page of another version may still ask: it gets what there is, for now only
    let kept = if version == *VERSION { "public, max-age=31536000, immutable" } else { "no-store" };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, kept),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
    ];
    (headers, content).into_response()
}
