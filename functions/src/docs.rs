//! The API's document, and a page to read it with: public, the same for everybody, and nothing on it is from elsewhere.
//!
//! The page is RapiDoc, a web component under the MIT licence (docs/rapidoc-….licences.txt): the file `dist/rapidoc-min.js.gz` of
//! npm's `rapidoc` 9.3.8, sent as it lies there. It is 217,516 bytes of the management function's archive, and the document is 42
//! thousand. What a browser may do on the page says [`POLICY`].

mod described;

use crate::http::routes::Routes;
use crate::openapi::{older, printed};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{HeaderName, HeaderValue, header};
use std::sync::LazyLock;

pub(crate) use described::describe;

/// What `make openapi` has written; a test compares it with the code.
const DOCUMENT: &str = include_str!("../../docs/openapi.json");

/// The same in 3.0.3, made when it is asked for the first time.
static OLDER: LazyLock<String> = LazyLock::new(|| printed(&older(&serde_json::from_str(DOCUMENT).unwrap_or_default())));

const PAGE: &str = include_str!("docs/page.html");
const STYLE: &str = include_str!("docs/page.css");
const SCRIPT: &str = include_str!("docs/page.js");
const VIEWER: &[u8] = include_bytes!("docs/rapidoc-9.3.8.js.gz");

/// Nothing from elsewhere, no script that stands in the page, no frame around it. The viewer writes `style` attributes, and one
/// element of rules for each of page.js's two sets of colours: who changes these finds the new hashes in the browser's console.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-L3uBX9M9rsXNeG4chQ3E4lZpYCR1KGIg7mFGu/cV+ls=' \
     'sha256-1wPvwUpBNj+gvlbxUL2JUCF66IcCOeKHKTlX9e+s8k8='; style-src-attr 'unsafe-inline'; connect-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Until a browser asks again for what changes with a deployment.
const SHORT: HeaderValue = HeaderValue::from_static("public, max-age=300");
/// The name holds the version.
const LONG: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Parts of the page, which the document does not describe.
pub const PARTS: [&str; 3] = ["/docs/page.css", "/docs/page.js", "/docs/rapidoc-9.3.8.js"];

/// Without authentication.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .route("/openapi.json", get(async || public("application/json", SHORT, DOCUMENT.as_bytes())))
        .route("/openapi-3.0.json", get(async || public("application/json", SHORT, OLDER.as_bytes())))
        .route("/docs", get(page))
        .route("/docs/page.css", get(async || public("text/css; charset=utf-8", SHORT, STYLE.as_bytes())))
        .route("/docs/page.js", get(async || public("text/javascript; charset=utf-8", SHORT, SCRIPT.as_bytes())))
        .route("/docs/rapidoc-9.3.8.js", get(viewer))
}

async fn page() -> Response {
    let mut response = public("text/html; charset=utf-8", SHORT, PAGE.as_bytes());
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Compressed, as every browser takes it.
async fn viewer() -> Response {
    let mut response = public("text/javascript; charset=utf-8", LONG, VIEWER);
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response
}

fn public(kind: &'static str, cache: HeaderValue, content: &'static [u8]) -> Response {
    let headers: [(HeaderName, HeaderValue); 3] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, cache),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, content).into_response()
}
