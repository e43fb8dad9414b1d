//! The document about itself.

use crate::openapi::Api;
use crate::openapi::call::get;
use crate::openapi::shape::{Shape, one_of, record, text};

pub(crate) fn describe(api: &mut Api) {
    let mut api = api.tag("documentation", "This document. It needs no key.");
    let document = |version: &str| -> Shape { record().has("openapi", one_of([version])).open().into() };
    api.call(get("/openapi.json", "getOpenApi", "Shows this document").answers(
        200,
        "In OpenAPI 3.1.",
        document("3.1.0"),
    ));
    api.call(get("/openapi-3.0.json", "getOpenApi30", "Shows this document, for older generators").answers(
        200,
        "In OpenAPI 3.0.3, without webhooks.",
        document("3.0.3"),
    ));
    api.call(get("/docs", "getDocs", "Shows this document as a page").answers_as("text/html", "The page.", text()));
}
