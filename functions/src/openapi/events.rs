//! What webhooks receive: the document's section `webhooks`, which only 3.1 has.

use super::Api;
use super::shape::{Record, Shape, anything, count, list, one_of, record, text, time};
use super::values::uuid;
use domain::event::Topic;
use serde_json::{Map, Value, json};
use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::{ContentBuilder, Required, ResponseBuilder};

const ABOUT: &str = "\
Sent to each webhook that has subscribed to the topic. 2xx within 10 s is success; no answer, 408, 429 and 5xx are tried again, \
after 5 s at first and 24 h at last, `Retry-After` honoured; redirects are not followed. Delivery is at least once and in no \
order: a repeat has the same `webhook-id`.";

/// A kind of events: its name in the document, what it is about, and which topics.
type Kind = (&'static str, &'static str, fn(Topic) -> bool);

const KINDS: [Kind; 6] = [
    ("fileEvent", "Something happened to a file or folder", |topic| topic.as_str().starts_with("file.")),
    (
        "userEvent",
        "A credential came, went or was refused, has another password, or had files deleted by age",
        |topic| topic.as_str().starts_with("user.") || topic == Topic::RetentionCompleted,
    ),
    ("shareLinkEvent", "Somebody opened a share link, did not know its password, or was the last", |topic| {
        topic.as_str().starts_with("share-link.")
    }),
    ("adminEvent", "An account or a setting was made, changed or deleted", |topic| topic == Topic::AdminChanged),
    ("webhookEvent", "A webhook was paused, or a delivery to one was given up", |topic| {
        matches!(topic, Topic::WebhookPaused | Topic::DeliveryFailed)
    }),
    ("ping", "Somebody tries the webhook out", |topic| topic == Topic::WebhookPing),
];

pub(super) fn webhooks(api: &mut Api) -> Value {
    let mut all = Map::new();
    for (name, summary, of_kind) in KINDS {
        let topics = Topic::ALL.iter().copied().filter(|topic| of_kind(*topic)).map(Topic::as_str);
        let (resource, data) = subject(name);
        let mut schema = event(topics, resource, data).about(summary);
        if name == "fileEvent" {
            schema = schema.example(example());
        }
        let schema = api.schema(&schema_name(name), schema);
        let operation = received(name, summary, schema).build();
        all.insert(name.to_owned(), json!({ "post": operation }));
    }
    Value::Object(all)
}

fn schema_name(kind: &str) -> String {
    let mut name = kind.strip_suffix("Event").unwrap_or(kind).to_owned();
    if let Some(first) = name.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    name + "Event"
}

fn received(name: &str, summary: &str, schema: Shape) -> OperationBuilder {
    let header = |name: &str, about: &str, required: Required| {
        let made = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).description(Some(about));
        made.required(required).schema(Some(text())).build()
    };
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let body = RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True)).build();
    let received = ResponseBuilder::new().description("Received.").build();
    OperationBuilder::new()
        .operation_id(Some(format!("receive{}", schema_name(name))))
        .summary(Some(summary))
        .description(Some(ABOUT))
        .parameter(header(
            "X-Hub-Signature",
            "`sha256=` and the HMAC-SHA256 of the body with the whole `Secret`, in hex.",
            Required::True,
        ))
        .parameter(header("webhook-id", "The delivery; the same in each try.", Required::True))
        .parameter(header("webhook-timestamp", "Unix seconds.", Required::True))
        .parameter(header(
            "webhook-signature",
            "`v1,` and the HMAC-SHA256 of `id.timestamp.body` with the decoded `Secret`, in base64; for 24 hours after a \
             rotation a second one with the old secret (Standard Webhooks).",
            Required::True,
        ))
        .request_body(Some(body))
        .response("2XX", received)
}

/// What `Resource` and `Data` are.
fn subject(kind: &str) -> (Shape, Shape) {
    let origin = || {
        record()
            .has("Protocol", one_of(["SFTP", "FTPS", "WEB_PORTAL", "API"]))
            .has("ClientIp", text())
            .has("SessionId", text())
            .may("UserAgent", text().about("Of a visitor of a share link."))
    };
    match kind {
        "fileEvent" => (one_of(["File"]), file().may("Metadata", origin()).into()),
        "userEvent" => {
            let user = record().has("UserName", text()).may("Reason", text()).may("ApiKeyId", text());
            (one_of(["User"]), user.may("Metadata", origin()).into())
        }
        "shareLinkEvent" => {
            let link = record().has("Id", text()).may("Reason", text()).may("Metadata", origin());
            (one_of(["ShareLink"]), link.into())
        }
        "webhookEvent" => {
            let changed = record()
                .has("Id", text())
                .has("Name", text())
                .has("Action", one_of(["updated"]))
                .has("Fields", list(text()))
                .has("Reason", text().about("Why, for people."));
            (one_of(["webhook"]), changed.into())
        }
        "adminEvent" => {
            let kinds = [
                "credential",
                "public_key",
                "webhook",
                "folder",
                "api_key",
                "admin",
                "share_link",
                "organization",
                "session",
                "host",
            ];
            let changed = record()
                .has("Id", text())
                .has("Name", text())
                .has("Action", one_of(["created", "updated", "deleted"]))
                .has("Fields", list(text()).about("The names of what is different, without values."));
            (one_of(kinds), changed.may("Metadata", origin()).into())
        }
        _ => (one_of(["webhook"]), record().open().about("The webhook, without its secrets.").into()),
    }
}

fn file() -> Record {
    let about = "From the organization's root, without leading slash, each segment form-urlencoded (a space is `+`); a folder's \
                 ends in `/`.";
    record()
        .has("Path", text().about(about))
        .has("Size", count().or_null())
        .may("Reason", text().about("Why it failed or was refused."))
        .may("ApiKeyId", text())
}

fn event<'a>(topics: impl IntoIterator<Item = &'a str>, resource: Shape, data: Shape) -> Record {
    let only_id = || record().has("Id", text());
    let kinds = ["User", "Admin", "ShareLink", "IAM", "System"];
    let metadata = record()
        .has("Organization", only_id())
        .has("Webhook", only_id())
        .has("Delivery", only_id())
        .has("Attempt", only_id())
        .has("Event", only_id().has("Topic", text()));
    record()
        .has("Id", uuid())
        .has("Topic", one_of(topics))
        .has("CreatedAt", time())
        .has("UpdatedAt", time())
        .has("Actor", record().has("Type", one_of(kinds)).has("Id", text()))
        .has("Resource", resource)
        .has("PreviousData", anything().about("Of a `file.renamed`: the old place, `{Path, Size}`. Else null."))
        .has("Data", data)
        .has("Metadata", metadata)
}

fn example() -> Value {
    let metadata = json!({
        "Organization": { "Id": "120ffd28-f115-7ce2-abc4-1e168c57c88a" },
        "Webhook": { "Id": "6b1c6f0c-52c1-47a6-9344-57a4579ced68" },
        "Delivery": { "Id": "0d8f6fa5c9a14f0f8be1" },
        "Attempt": { "Id": "c1d91788-e46f-45a0-9c7b-386e90db000a" },
        "Event": { "Id": "5a1c1e0a-9c1e-4d59-9c39-0c2d8b1a7f11", "Topic": "file.created" },
    });
    json!({ "Id": "5a1c1e0a-9c1e-4d59-9c39-0c2d8b1a7f11", "Topic": "file.created",
        "CreatedAt": 1_739_120_350_624_i64, "UpdatedAt": 1_739_120_350_624_i64,
        "Actor": { "Type": "User", "Id": "partner-one" }, "Resource": "File", "PreviousData": null,
        "Data": { "Path": "home/partner-one/in/file+1.txt", "Size": 357_464 }, "Metadata": metadata })
}
