//! One call of the API, as its handler's neighbour describes it: what it takes, who may, what it answers. What follows from that
//! (keys, rights, limits, errors) is added here, once for all.

use super::answers::{self, Dialect};
use super::shape::{Record, Shape, list, one_of, record, text, whole};
use domain::api_key::Scope;
use domain::right::Right;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::Schema;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, Header, HeaderBuilder, RefOr, Required, Response, ResponseBuilder};

/// Who may call.
#[derive(Clone, Copy)]
enum Who {
    /// Everybody.
    All,
    /// Who knows a name and a password.
    Basic,
    /// Who has the address of a share link, and knows its password if it has one.
    Visitor,
    /// Any key or token.
    Known,
    /// A key or an admin with this right.
    With(Right),
    /// An admin who has signed in, or where a full admin is needed, that one.
    Admin(&'static str),
    /// A credential with a token.
    User,
    /// A credential with a token, or by a key with one of these scopes.
    Acting(&'static [Scope]),
}

/// One call.
pub(crate) struct Call {
    pub(super) method: HttpMethod,
    pub(super) path: String,
    id: &'static str,
    summary: &'static str,
    about: String,
    who: Who,
    parameters: Vec<Parameter>,
    body: Option<RequestBody>,
    answers: BTreeMap<u16, Response>,
    /// Headers of all successes.
    headers: Vec<(String, Header)>,
    refusals: BTreeSet<u16>,
}

/// A call of GET. `id` is what generated clients name it.
pub(crate) fn get(path: impl Into<String>, id: &'static str, summary: &'static str) -> Call {
    call(HttpMethod::Get, path, id, summary)
}

/// A call of POST.
pub(crate) fn post(path: impl Into<String>, id: &'static str, summary: &'static str) -> Call {
    call(HttpMethod::Post, path, id, summary)
}

/// A call of PUT.
pub(crate) fn put(path: impl Into<String>, id: &'static str, summary: &'static str) -> Call {
    call(HttpMethod::Put, path, id, summary)
}

/// A call of PATCH.
pub(crate) fn patch(path: impl Into<String>, id: &'static str, summary: &'static str) -> Call {
    call(HttpMethod::Patch, path, id, summary)
}

/// A call of DELETE.
pub(crate) fn delete(path: impl Into<String>, id: &'static str, summary: &'static str) -> Call {
    call(HttpMethod::Delete, path, id, summary)
}

fn call(method: HttpMethod, path: impl Into<String>, id: &'static str, summary: &'static str) -> Call {
    let path = path.into();
    let called = Call {
        method,
        path: path.clone(),
        id,
        summary,
        about: String::new(),
        who: Who::All,
        parameters: Vec::new(),
        body: None,
        answers: BTreeMap::new(),
        headers: Vec::new(),
        refusals: BTreeSet::new(),
    };
    if path.contains("{organization}") {
        let id = text().format("uuid").example(json!("72e9cf24-be8c-4f15-9aa2-813281fb98fe"));
        return called.segment("organization", "The organization; another one's does not exist for the caller.", id);
    }
    called
}

fn schema(shape: impl Into<Shape>) -> RefOr<Schema> {
    let shape: Shape = shape.into();
    shape.into()
}

/// A sentence as an answer.
pub(crate) fn message() -> Record {
    record().has("message", text())
}

impl Call {
    /// What a reader has to know. Markdown.
    pub(crate) fn about(mut self, about: &str) -> Self {
        about.clone_into(&mut self.about);
        self
    }

    // ------------------------------------------------------------------ who

    /// Needs this right, of a key or an admin.
    pub(crate) fn needs(mut self, right: Right) -> Self {
        self.who = Who::With(right);
        self
    }

    /// Any key or token will do.
    pub(crate) fn for_anyone(mut self) -> Self {
        self.who = Who::Known;
        self
    }

    /// For an admin who has signed in; `which` says more.
    pub(crate) fn for_admins(mut self, which: &'static str) -> Self {
        self.who = Who::Admin(which);
        self
    }

    /// For a credential that has signed in.
    pub(crate) fn for_users(mut self) -> Self {
        self.who = Who::User;
        self
    }

    /// For a credential, also by one of its keys with one of these scopes.
    pub(crate) fn for_users_and_keys(mut self, scopes: &'static [Scope]) -> Self {
        self.who = Who::Acting(scopes);
        self
    }

    /// For who knows a name and a password.
    pub(crate) fn for_basic(mut self) -> Self {
        self.who = Who::Basic;
        self.refuses(&[429, 503])
    }

    /// For who has the address of a share link.
    pub(crate) fn for_visitors(mut self) -> Self {
        self.who = Who::Visitor;
        self.refuses(&[404, 503])
    }

    // ------------------------------------------------------------------ what it takes

    /// A segment of its path.
    pub(crate) fn segment(self, name: &str, about: &str, shape: impl Into<Shape>) -> Self {
        self.parameter(ParameterIn::Path, name, about, shape, true).refuses(&[404])
    }

    /// A parameter of its query that may be absent.
    pub(crate) fn query(self, name: &str, about: &str, shape: impl Into<Shape>) -> Self {
        self.parameter(ParameterIn::Query, name, about, shape, false).refuses(&[400])
    }

    /// A parameter of its query that must be there.
    pub(crate) fn needed_query(self, name: &str, about: &str, shape: impl Into<Shape>) -> Self {
        self.parameter(ParameterIn::Query, name, about, shape, true).refuses(&[400])
    }

    /// A header that may be absent.
    pub(crate) fn header(self, name: &str, about: &str, shape: impl Into<Shape>) -> Self {
        self.parameter(ParameterIn::Header, name, about, shape, false)
    }

    fn parameter(mut self, place: ParameterIn, name: &str, about: &str, shape: impl Into<Shape>, needed: bool) -> Self {
        let required = if needed { Required::True } else { Required::False };
        let made = ParameterBuilder::new().name(name).parameter_in(place).description(Some(about)).required(required);
        self.parameters.push(made.schema(Some(schema(shape))).build());
        self
    }

    /// A JSON body. Where no field of it is needed it may be absent.
    pub(crate) fn takes(self, shape: impl Into<Shape>, needed: bool) -> Self {
        self.takes_as("application/json", shape, needed)
    }

    /// A JSON body with an example.
    pub(crate) fn takes_like(mut self, shape: impl Into<Shape>, example: Value) -> Self {
        let content = ContentBuilder::new().schema(Some(schema(shape))).example(Some(example)).build();
        let body = RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True));
        self.body = Some(body.build());
        self.refuses(&[400, 413])
    }

    /// A body of another kind.
    pub(crate) fn takes_as(mut self, kind: &str, shape: impl Into<Shape>, needed: bool) -> Self {
        let content = ContentBuilder::new().schema(Some(schema(shape))).build();
        let required = if needed { Required::True } else { Required::False };
        self.body = Some(RequestBodyBuilder::new().content(kind, content).required(Some(required)).build());
        self.refuses(&[400, 413])
    }

    /// `If-Match`.
    pub(crate) fn conditional(self) -> Self {
        let about = "Only if the object still has one of these ETags (RFC 9110, section 13.1.1); `*` is any.";
        self.header("If-Match", about, text()).refuses(&[400, 412])
    }

    /// `Idempotency-Key`.
    pub(crate) fn once(self) -> Self {
        let about = "The same request with the same key again has no second effect for 24 hours and is answered as the first \
                     was; what is shown once is null then.";
        let key = text().at_least(1).at_most(255).pattern(r"^[\x20-\x7e]+$");
        let called = self.header("Idempotency-Key", about, key).refuses(&[400, 409, 413, 422]);
        called.shows("Idempotency-Replayed", "On an answer that was given before.", one_of(["true"])).shows(
            "Towpath-Left-Out",
            "The secrets that such an answer leaves out.",
            text(),
        )
    }

    /// `Limit` and `Cursor`.
    pub(crate) fn pages(self) -> Self {
        let cursor = "Where the `Link` of the page before points to.";
        self.query("Limit", "At most so many entries; without it, as many as fit 4 MB.", whole(1..=1000))
            .query("Cursor", cursor, text())
            .links()
    }

    /// SFTPGo's `offset`, `limit` and `order`.
    pub(crate) fn slices(self) -> Self {
        self.query("offset", "How many are passed over.", whole(0..=u64::from(u32::MAX) / 2).default(json!(0)))
            .query("limit", "At most so many.", whole(1..=500).default(json!(100)))
            .query("order", "By name or id.", one_of(["ASC", "DESC"]).default(json!("ASC")))
    }

    // ------------------------------------------------------------------ what it answers

    /// A success with a body.
    pub(crate) fn answers(mut self, status: u16, about: &str, shape: impl Into<Shape>) -> Self {
        let content = ContentBuilder::new().schema(Some(schema(shape))).build();
        let made = ResponseBuilder::new().description(about).content("application/json", content);
        self.answers.insert(status, made.build());
        self
    }

    /// A success that is only the beginning: the answer names the job, and where to look after it.
    pub(crate) fn begins(mut self, about: &str, shape: impl Into<Shape>) -> Self {
        let content = ContentBuilder::new().schema(Some(schema(shape))).build();
        let place = HeaderBuilder::new().schema(schema(text().format("uri-reference")));
        let place = place.description(Some("The path of the job.")).build();
        let made = ResponseBuilder::new().description(about).content("application/json", content);
        self.answers.insert(202, made.header("Location", place).build());
        self
    }

    /// A success with a body of another kind.
    pub(crate) fn answers_as(mut self, kind: &str, about: &str, shape: impl Into<Shape>) -> Self {
        let content = ContentBuilder::new().schema(Some(schema(shape))).build();
        self.answers.insert(200, ResponseBuilder::new().description(about).content(kind, content).build());
        self
    }

    /// A list, cut or whole.
    pub(crate) fn answers_list(self, about: &str, items: Shape) -> Self {
        self.answers(200, about, list(items))
    }

    /// A success that is a sentence.
    pub(crate) fn says(self, status: u16, sentence: &str) -> Self {
        self.answers(status, sentence, message().example(json!({ "message": sentence })))
    }

    /// A redirect.
    pub(crate) fn redirects(mut self, status: u16, about: &str) -> Self {
        let location = HeaderBuilder::new().schema(text().format("uri")).description(Some("Where.")).build();
        self.answers.insert(status, ResponseBuilder::new().description(about).header("Location", location).build());
        self
    }

    /// A header of every success.
    pub(crate) fn shows(mut self, name: &str, about: &str, shape: impl Into<Shape>) -> Self {
        let header = HeaderBuilder::new().schema(schema(shape)).description(Some(about)).build();
        self.headers.push((name.to_owned(), header));
        self
    }

    /// `ETag`.
    pub(crate) fn tagged(self) -> Self {
        let tag = text().pattern(r#"^"[0-9a-zA-Z_-]+"$"#);
        self.shows("ETag", "For `If-Match`. Counters, last use and secrets are no part of it.", tag)
    }

    /// `Location`.
    pub(crate) fn located(self) -> Self {
        self.shows("Location", "The path of what was made.", text().format("uri-reference"))
    }

    /// `Link` to the next page.
    pub(crate) fn links(self) -> Self {
        self.shows("Link", "`<path>; rel=\"next\"` (RFC 8288), if there is more.", text())
    }

    /// Statuses that it refuses with beside those that follow from what it takes.
    pub(crate) fn refuses(mut self, statuses: &[u16]) -> Self {
        self.refusals.extend(statuses);
        self
    }

    // ------------------------------------------------------------------ the description

    pub(super) fn described(mut self, tag: &str) -> (HttpMethod, String, Operation) {
        self.refusals.extend(match self.who {
            Who::All => &[][..],
            Who::Basic | Who::Visitor => &[401],
            Who::Known => &[400, 401, 429, 503],
            Who::With(_) | Who::Admin(_) | Who::User | Who::Acting(_) => &[400, 401, 403, 429, 503],
        });
        let dialect = Dialect::of(&self.path);
        let mut operation = OperationBuilder::new()
            .tag(tag)
            .summary(Some(self.summary))
            .operation_id(Some(self.id))
            .parameters(Some(self.parameters))
            .request_body(self.body)
            .securities(Some(securities(self.who)));
        let about = [self.about, who_may(self.who)].into_iter().filter(|part| !part.is_empty());
        let about = about.collect::<Vec<_>>().join("\n\n");
        operation = operation.description((!about.is_empty()).then_some(about));
        for (status, mut answer) in self.answers {
            answer.headers.extend(self.headers.iter().cloned());
            operation = operation.response(status.to_string(), RefOr::T(answer));
        }
        for status in self.refusals {
            let refusal = match self.who {
                Who::Basic | Who::Visitor if status == 401 => answers::not_signed_in(),
                _ => answers::refusal(dialect, status),
            };
            operation = operation.response(status.to_string(), refusal);
        }
        (self.method, self.path, operation.build())
    }
}

fn securities(who: Who) -> Vec<SecurityRequirement> {
    let none: [&str; 0] = [];
    let schemes: &[&str] = match who {
        Who::All => return vec![SecurityRequirement::default()],
        Who::Basic => &["basic"],
        Who::Visitor => return vec![SecurityRequirement::default(), SecurityRequirement::new("basic", none)],
        Who::Known | Who::With(_) | Who::Acting(_) => &["bearer", "apiKey", "sftpgoApiKey"],
        Who::Admin(_) | Who::User => &["bearer"],
    };
    schemes.iter().map(|scheme| SecurityRequirement::new(*scheme, none)).collect()
}

fn who_may(who: Who) -> String {
    match who {
        Who::All | Who::Basic => String::new(),
        Who::Visitor => "For anybody; a link's password with any name.".to_owned(),
        Who::Known => "For any key or token.".to_owned(),
        Who::With(right) => {
            let (scope, permission) = (right.scope().as_str(), right.permission().as_str());
            format!("Needs the scope `{scope}` of an API key, or the permission `{permission}` of an admin.")
        }
        Who::Admin(which) => which.to_owned(),
        Who::User => "For a credential that has signed in; API keys get 403.".to_owned(),
        Who::Acting(scopes) => {
            let scopes: Vec<String> = scopes.iter().map(|scope| format!("`{}`", scope.as_str())).collect();
            match scopes.as_slice() {
                [] => "For a credential that has signed in, or by one of its API keys.".to_owned(),
                scopes => format!(
                    "For a credential that has signed in, or by one of its API keys with the scope {}.",
                    scopes.join(" and ")
                ),
            }
        }
    }
}
