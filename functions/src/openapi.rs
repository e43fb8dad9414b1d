//! The API's document: OpenAPI 3.1, put together from what stands beside each handler, in `described.rs` of its module.
//!
//! Who adds a route adds its [`Call`] there. `functions/tests/it/openapi.rs` compares the document with the routers both ways, and
//! every answer of every test with what the document says of it. `make openapi` writes the document into `docs/`, where it is
//! compared with this code by a test, and from where [`crate::docs`] serves it.

mod answers;
pub(crate) mod call;
mod events;
mod older;
pub(crate) mod shape;
pub(crate) mod values;

use call::Call;
pub use older::older;
use serde_json::{Map, Value, json};
use shape::{Shape, named};
use utoipa::openapi::path::Paths;
use utoipa::openapi::schema::ComponentsBuilder;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::server::ServerBuilder;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApiBuilder};

const ABOUT: &str = "\
Towpath is managed file transfer on AWS. This API manages it, in two dialects over the same records: `/organizations/…` speaks as \
SFTP To Go's API does (PascalCase, times in milliseconds), `/api/v2/…` as SFTPGo's (snake_case). What one creates, the other shows.

**Keys and tokens.** An API key as a bearer or in `X-API-Key` or `X-SFTPGO-API-KEY`, or a token from `/api/v2/token` (admins) or \
`/api/v2/user/token` (credentials) as a bearer; never in the URL. Another organization's objects do not exist for the caller.

**Bodies** are JSON objects of at most 256 KiB. Fields that do not exist are refused, below `/api/v2` kept without effect. PATCH \
changes what it names.

**Limits.** 1,000 requests a minute for each key and account, unless the organization says otherwise; each answer says what is \
left. Beyond that: 429 with `Retry-After`.";

/// The document while it is put together.
pub(crate) struct Api {
    paths: Paths,
    components: ComponentsBuilder,
    tags: Vec<(&'static str, &'static str)>,
}

impl Api {
    /// What follows is about this.
    pub(crate) fn tag(&mut self, name: &'static str, about: &'static str) -> Tagged<'_> {
        self.tags.push((name, about));
        Tagged { api: self, tag: name }
    }

    /// A schema that others name.
    fn schema(&mut self, name: &str, shape: impl Into<Shape>) -> Shape {
        let shape: Shape = shape.into();
        self.components = std::mem::take(&mut self.components).schema(name, shape);
        named(name)
    }
}

/// The document, where calls of one kind are described.
pub(crate) struct Tagged<'a> {
    api: &'a mut Api,
    tag: &'static str,
}

impl Tagged<'_> {
    /// A schema that others name.
    pub(crate) fn schema(&mut self, name: &str, shape: impl Into<Shape>) -> Shape {
        self.api.schema(name, shape)
    }

    /// Adds a call.
    pub(crate) fn call(&mut self, call: Call) {
        let (method, path, operation) = call.described(self.tag);
        self.api.paths.add_path_operation(path, vec![method], operation);
    }
}

/// The whole document, in 3.1.
pub fn document() -> Value {
    let mut api = Api { paths: Paths::new(), components: ComponentsBuilder::new(), tags: Vec::new() };
    crate::token::describe(&mut api);
    crate::management::describe(&mut api);
    crate::sftpgo::describe(&mut api);
    crate::files::describe(&mut api);
    crate::share::describe(&mut api);
    crate::docs::describe(&mut api);
    for (name, shape) in answers::schemas() {
        api.schema(name, shape);
    }
    let webhooks = events::webhooks(&mut api);
    let Api { paths, mut components, tags } = api;
    for (name, response) in answers::responses() {
        components = components.response(name, response);
    }
    for (name, scheme) in security_schemes() {
        components = components.security_scheme(name, scheme);
    }
    let licence =
        LicenseBuilder::new().name("Apache-2.0").url(Some("https://www.apache.org/licenses/LICENSE-2.0")).build();
    let info = InfoBuilder::new()
        .title("Towpath")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(licence))
        .build();
    let tags = tags.into_iter().map(|(name, about)| TagBuilder::new().name(name).description(Some(about)).build());
    let server = ServerBuilder::new().url("/").description(Some("Where this document is served")).build();
    let whole = OpenApiBuilder::new()
        .info(info)
        .servers(Some([server]))
        .paths(paths)
        .components(Some(components.build()))
        .tags(Some(tags.collect::<Vec<_>>()))
        .build();
    // what it is made of are texts, numbers and maps by texts
    let mut document = serde_json::to_value(&whole).unwrap_or_default();
    if let Some(whole) = document.as_object_mut() {
        whole.insert("webhooks".to_owned(), webhooks);
    }
    with_common_headers(&mut document);
    document
}

/// The text of a document as it is committed.
pub fn printed(document: &Value) -> String {
    format!("{document:#}\n")
}

fn security_schemes() -> [(&'static str, SecurityScheme); 4] {
    let key = |header: &str, about: &str| {
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(header.to_owned(), about.to_owned())))
    };
    let http =
        |scheme, about: &str| SecurityScheme::Http(HttpBuilder::new().scheme(scheme).description(Some(about)).build());
    [
        (
            "bearer",
            http(
                HttpAuthScheme::Bearer,
                "An API key (`tow_…`), or a token of `/api/v2/token` or `/api/v2/user/token`.",
            ),
        ),
        ("apiKey", key("X-API-Key", "An API key.")),
        ("sftpgoApiKey", key("X-SFTPGO-API-KEY", "An API key, where it is for several `<key>.<username>`.")),
        ("basic", http(HttpAuthScheme::Basic, "Name and password, for a token; the password of a share link.")),
    ]
}

/// Every answer of ours has them, so they stand once and are named by all.
fn with_common_headers(document: &mut Value) {
    let add = |answer: &mut Value| {
        if let Some(answer) = answer.as_object_mut().filter(|answer| !answer.contains_key("$ref")) {
            let headers = answer.entry("headers").or_insert_with(|| json!({}));
            let named = |name: &str| json!({ "$ref": format!("#/components/headers/{name}") });
            let all = answers::EVERYWHERE.iter().map(|(header, name)| ((*header).to_owned(), named(name)));
            headers.as_object_mut().into_iter().for_each(|headers| headers.extend(all.clone()));
        }
    };
    if let Some(components) = document.get_mut("components").and_then(Value::as_object_mut) {
        components.insert("headers".to_owned(), answers::headers());
        fields(components.get_mut("responses")).for_each(add);
    }
    for operation in fields(document.get_mut("paths")).flat_map(|methods| fields(Some(methods))) {
        fields(operation.get_mut("responses")).for_each(add);
    }
}

/// What an object holds.
fn fields(object: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    object.and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut)
}
