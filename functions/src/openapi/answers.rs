//! What every call may answer: errors, spelled as each dialect spells them, and the headers of all answers.

use super::shape::{Shape, count, either, list, named, one_of, record, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::openapi::{ContentBuilder, HeaderBuilder, Ref, RefOr, Response, ResponseBuilder};

/// How errors are spelled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// SFTP To Go's.
    Ours,
    /// SFTPGo's.
    Sftpgo,
}

impl Dialect {
    pub(super) fn of(path: &str) -> Self {
        if crate::sftpgo::speaks(path) { Self::Sftpgo } else { Self::Ours }
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Ours => "",
            Self::Sftpgo => "Sftpgo",
        }
    }
}

/// Every refusal: its name in the document, its code, what it means.
const REFUSALS: [(u16, &str, &str, &str); 10] = [
    (400, "BadRequest", "VALIDATION_FAILED", "Something about the request cannot be used; each field is named."),
    (401, "Unauthorized", "UNAUTHORIZED", "No valid key or token. Every reason has the same answer."),
    (
        403,
        "Forbidden",
        "FORBIDDEN",
        "The key, the admin or the credential may not. It says what is required and what granted.",
    ),
    (404, "NotFound", "NOT_FOUND", "There is no such thing, or it is another organization's."),
    (409, "Conflict", "CONFLICT", "A name is taken, a limit of number is reached, or somebody else was faster."),
    (412, "PreconditionFailed", "PRECONDITION_FAILED", "`If-Match`: the object is another one by now."),
    (
        413,
        "PayloadTooLarge",
        "PAYLOAD_TOO_LARGE",
        "The body is larger than 256 KiB; of files, than what may be stored.",
    ),
    (422, "KeyReused", "VALIDATION_FAILED", "The `Idempotency-Key` was sent with another body."),
    (429, "TooManyRequests", "RATE_LIMIT_EXCEEDED", "Too many requests in this minute."),
    (503, "Unavailable", "UNAVAILABLE", "A dependency did not answer. Try again."),
];

/// Every code of an error.
const CODES: [&str; 11] = [
    "UNAUTHORIZED",
    "FORBIDDEN",
    "NOT_FOUND",
    "VALIDATION_FAILED",
    "CONFLICT",
    "PRECONDITION_FAILED",
    "PAYLOAD_TOO_LARGE",
    "RATE_LIMIT_EXCEEDED",
    "QUOTA_EXCEEDED",
    "UNAVAILABLE",
    "INTERNAL",
];

/// A refusal by its status. One that is not in the table is a mistake of who describes a call.
pub(super) fn refusal(dialect: Dialect, status: u16) -> RefOr<Response> {
    let name = REFUSALS.iter().find(|(known, ..)| *known == status).map_or("Unknown", |(_, name, ..)| name);
    RefOr::Ref(Ref::from_response_name(format!("{}{name}", dialect.prefix())))
}

/// A 401 to a name and a password.
pub(super) fn not_signed_in() -> RefOr<Response> {
    RefOr::Ref(Ref::from_response_name("SftpgoNotSignedIn"))
}

/// All of them, by name.
pub(super) fn responses() -> BTreeMap<String, RefOr<Response>> {
    let mut all = BTreeMap::new();
    for dialect in [Dialect::Ours, Dialect::Sftpgo] {
        for (status, name, code, about) in REFUSALS {
            let response = response(dialect, status, code, about);
            all.insert(format!("{}{name}", dialect.prefix()), RefOr::T(response));
        }
    }
    let about = "The name, the password or the one-time code is wrong, or the account may not sign in from here. Every reason \
                 has the same answer.";
    let mut wrong = response(Dialect::Sftpgo, 401, "UNAUTHORIZED", about);
    let challenge = HeaderBuilder::new().schema(text()).description(Some("Asks for Basic (RFC 7617).")).build();
    wrong.headers.insert("WWW-Authenticate".to_owned(), challenge);
    all.insert("SftpgoNotSignedIn".to_owned(), RefOr::T(wrong));
    all
}

fn response(dialect: Dialect, status: u16, code: &str, about: &str) -> Response {
    let schema = named(if dialect == Dialect::Ours { "Error" } else { "SftpgoError" });
    let content = ContentBuilder::new().schema(Some(schema)).example(Some(example(dialect, status, code))).build();
    let mut response = ResponseBuilder::new().description(about).content("application/json", content).build();
    let mut header = |name: &str, about: &str, shape: Shape| {
        let header = HeaderBuilder::new().schema(shape).description(Some(about)).build();
        response.headers.insert(name.to_owned(), header);
    };
    if status == 429 || status == 503 {
        header("Retry-After", "Seconds.", count());
    }
    if status == 429 && dialect == Dialect::Sftpgo {
        header("X-Retry-In", "The same as SFTPGo writes it: `41s`.", text().pattern("^[0-9]+s$"));
    }
    response
}

fn example(dialect: Dialect, status: u16, code: &str) -> Value {
    let (message, details) = match status {
        400 => {
            ("Some fields cannot be used", json!([{ "field": "Alias", "problem": "must have at most 512 characters" }]))
        }
        401 => ("A valid token or API key is needed", Value::Null),
        403 => ("Permission denied", json!({ "required": "write:admin", "granted": "read:admin" })),
        404 => ("No such credential", Value::Null),
        409 => ("This user name is taken", Value::Null),
        412 => ("It has changed since it was read", Value::Null),
        413 => ("The body is larger than 262144 bytes", Value::Null),
        422 => ("This Idempotency-Key was sent with another body", Value::Null),
        429 => ("Too many requests", Value::Null),
        _ => ("Try again in a moment", Value::Null),
    };
    if dialect == Dialect::Sftpgo {
        let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        return json!({ "error": reason, "message": message });
    }
    let mut error = json!({ "code": code, "message": message });
    if let Some(fields) = error.as_object_mut() {
        if !details.is_null() {
            fields.insert("details".to_owned(), details);
        }
        if status == 429 || status == 503 {
            fields.insert("retryAfter".to_owned(), json!(41));
        }
    }
    json!({ "success": false, "error": error })
}

/// The schemas of errors, by name.
pub(super) fn schemas() -> [(&'static str, Shape); 2] {
    let problem = record()
        .has("field", text().about("`Settings.Network.InboundRules[0].Source`; the whole body is an empty text."))
        .has("problem", text());
    let missing = record()
        .has("required", text().about("Scopes or permissions, sorted and separated by spaces."))
        .has("granted", text());
    let inner = record()
        .has("code", one_of(CODES))
        .has("message", text().about("For people."))
        .may("details", either([list(problem), missing.into()]).about("Of a 400: the fields. Of a 403: what it takes."))
        .may("retryAfter", count().about("Seconds."));
    let ours = record().has("success", super::shape::boolean().among([json!(false)])).has("error", inner);
    let theirs = record()
        .has("error", text().about("The status in words."))
        .has("message", text().about("What a person reads, with the names of fields that cannot be used."));
    [
        ("Error", ours.about("An error below `/organizations`.").into()),
        ("SftpgoError", theirs.about("An error below `/api/v2`, as SFTPGo spells it.").into()),
    ]
}

/// The headers of every answer: their names in the document, their own, and what they are.
pub(super) fn headers() -> Value {
    json!({
        "RequestId": {
            "description": "It is in the log.",
            "schema": { "type": "string", "format": "uuid" },
        },
        "RateLimit": {
            "description": "What is left of this minute: `\"default\";r=997;t=41`.",
            "schema": { "type": "string" },
        },
        "RateLimitPolicy": {
            "description": "What is allowed: `\"default\";q=1000;w=60`.",
            "schema": { "type": "string" },
        },
        "XRateLimitLimit": {
            "description": "Requests a minute, of the key or the account with all its tokens.",
            "schema": { "type": "integer", "minimum": 0 },
        },
        "XRateLimitRemaining": {
            "description": "What is left of them.",
            "schema": { "type": "integer", "minimum": 0 },
        },
        "XRateLimitReset": {
            "description": "When the next minute begins, in unix seconds.",
            "schema": { "type": "integer", "minimum": 0 },
        },
        "KeyExpires": {
            "description": "When the API key ends, on answers of its last seven days.",
            "schema": { "type": "string", "format": "date-time" },
        },
    })
}

/// Where they stand.
pub(super) const EVERYWHERE: [(&str, &str); 7] = [
    ("X-Request-Id", "RequestId"),
    ("RateLimit", "RateLimit"),
    ("RateLimit-Policy", "RateLimitPolicy"),
    ("X-RateLimit-Limit", "XRateLimitLimit"),
    ("X-RateLimit-Remaining", "XRateLimitRemaining"),
    ("X-RateLimit-Reset", "XRateLimitReset"),
    ("Towpath-Key-Expires", "KeyExpires"),
];
