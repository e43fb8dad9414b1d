//! Webhooks in the API's document.

use super::READ_ONLY;
use crate::openapi::Api;
use crate::openapi::call::{Call, delete, get, patch, post};
use crate::openapi::shape::{Record, Shape, list, one_of, record, short, text, time};
use crate::openapi::values::uuid;
use domain::event::Topic;
use domain::right::Right;
use domain::webhook::filter::{MAX_FILTERS, MAX_VALUE};
use serde_json::{Value, json};

const ALL: &str = "/organizations/{organization}/webhooks";
const ONE: &str = "/organizations/{organization}/webhooks/{id}";

pub(crate) fn describe(api: &mut Api) {
    let mut api =
        api.tag("Webhooks", "Subscriptions to events. What a receiver gets stands under *Webhooks* of this document.");
    let shown = api.schema("Webhook", shown());
    let given = api.schema("NewWebhook", given());
    let changed = api.schema("WebhookChange", record().may_all(settable()).ignores(&READ_ONLY));
    let one = |call: Call| call.segment("id", "The webhook.", uuid());

    api.call(
        get(ALL, "listWebhooks", "Lists webhooks")
            .needs(Right::SeeWebhooks)
            .answers_list("All of them, at most 100.", shown.clone()),
    );
    api.call(
        post(ALL, "createWebhook", "Makes a webhook")
            .about("The answer shows its secret, and none after it but that to a rotation.")
            .needs(Right::ChangeWebhooks)
            .takes_like(given, example_of_new())
            .refuses(&[409])
            .answers(201, "The new webhook, with its secret.", shown.clone())
            .tagged()
            .once(),
    );
    api.call(
        one(get(ONE, "getWebhook", "Shows a webhook"))
            .needs(Right::SeeWebhooks)
            .answers(200, "The webhook.", shown.clone())
            .tagged(),
    );
    api.call(
        one(patch(ONE, "updateWebhook", "Changes a webhook"))
            .needs(Right::ChangeWebhooks)
            .takes_like(changed, json!({ "Alias": "Test Updated Webhook" }))
            .conditional()
            .refuses(&[409])
            .answers(200, "The changed webhook.", shown.clone())
            .tagged(),
    );
    api.call(
        one(delete(ONE, "deleteWebhook", "Deletes a webhook"))
            .needs(Right::ChangeWebhooks)
            .conditional()
            .refuses(&[409])
            .answers(200, "The webhook as it was.", shown.clone())
            .tagged(),
    );
    api.call(
        one(post(
            "/organizations/{organization}/webhooks/{id}/secret-rotations",
            "rotateWebhookSecret",
            "Makes another secret",
        ))
        .about("For 24 hours deliveries are signed with the old one as well.")
        .needs(Right::ChangeWebhooks)
        .takes(record(), false)
        .answers(200, "The webhook, with its new secret.", shown)
        .tagged()
        .once(),
    );
    let pinged = record().has("Id", text()).has("Status", one_of(["Pending"]));
    api.call(
        one(post("/organizations/{organization}/webhooks/{id}/ping", "pingWebhook", "Sends a ping"))
            .about("`webhook.ping`, once, even to a webhook that is paused.")
            .needs(Right::ChangeWebhooks)
            .takes(record(), false)
            .answers(202, "It is on its way.", pinged)
            .once(),
    );
}

fn topics() -> Shape {
    let topics = Topic::ALL.iter().filter(|topic| **topic != Topic::WebhookPing).map(|topic| topic.as_str());
    list(one_of(topics)).about("Who has not subscribed to `file.renamed` hears of a rename as deleted and created.")
}

fn url() -> Shape {
    short(2048).about("https, to a public address, on port 443, 8443, 80 or 8080, without a user name.")
}

fn filter() -> Record {
    let operators = ["Is", "IsNot", "Contains", "NotContains", "StartsWith", "EndsWith", "Matches"];
    record()
        .has(
            "Field",
            one_of(["Path", "ActorId", "ActorType"])
                .about("`Path` as deliveries tell it, but not encoded: `in/orders.csv`."),
        )
        .has(
            "Operator",
            one_of(operators).about(
                "`Matches`: a regular expression is found in it, at most 3 of them, each small; ASCII classes, no look-around, no references back.",
            ),
        )
        .has("Value", text().at_least(1).at_most(MAX_VALUE))
}

fn settable() -> Vec<(&'static str, Shape)> {
    let header = text().at_most(4000).pattern("^[ -~]*$").or_null();
    vec![
        ("Alias", short(200).or_null()),
        ("Url", url()),
        (
            "Type",
            one_of(["webhook", "slack", "ms-teams", "email"])
                .about("`slack` gets blocks, `ms-teams` an adaptive card, `email` a mail: then `Url` is an address. Refused where the deployment sends no mail.")
                .default(json!("webhook")),
        ),
        ("AuthorizationHeader", header.about("Sent as `Authorization`.")),
        ("Topics", topics().at_most(20).default(json!(["file.created", "file.deleted", "file.downloaded"]))),
        (
            "Filter",
            list(filter())
                .at_most(MAX_FILTERS)
                .about("Which events of these topics; all must hold. Of a rename one of both paths is enough.")
                .default(json!([])),
        ),
        (
            "State",
            one_of(["enabled", "paused"])
                .about(
                    "Events for a paused one are kept in its delivery log as `Missed`, and can be replayed. Towpath pauses it by \
                     itself after 5 failed deliveries in a row, at 410, and after 24 hours of failures without a success; enabling \
                     it forgets them.",
                )
                .default(json!("enabled")),
        ),
    ]
}

fn given() -> Record {
    record().may_all(settable()).has("Url", url())
}

fn shown() -> Record {
    record()
        .has_all(settable())
        .has("Id", uuid())
        .has("OrganizationId", uuid())
        .has("Secret", text().or_null().about("`whsec_` and base64 when it was made or rotated, empty otherwise."))
        .has("PauseReason", text().or_null().about("Why Towpath has paused it."))
        .has("CreatedAt", time())
        .has("UpdatedAt", time())
        .example(example())
}

fn example_of_new() -> Value {
    json!({ "Alias": "Test Webhook", "Url": "https://example.com/hook", "Type": "webhook", "AuthorizationHeader": "Bearer 123456789",
        "Topics": ["file.created", "file.deleted", "file.downloaded"],
            "Filter": [{ "Field": "Path", "Operator": "StartsWith", "Value": "in/" }], "State": "enabled" })
}

fn example() -> Value {
    let mut object = example_of_new();
    if let Some(fields) = object.as_object_mut() {
        fields.extend([
            ("Id".to_owned(), json!("6b1c6f0c-52c1-47a6-9344-57a4579ced68")),
            ("OrganizationId".to_owned(), json!("120ffd28-f115-7ce2-abc4-1e168c57c88a")),
            ("Secret".to_owned(), json!("")),
            ("PauseReason".to_owned(), Value::Null),
            ("CreatedAt".to_owned(), json!(1_561_888_254_653_i64)),
            ("UpdatedAt".to_owned(), json!(1_561_888_254_653_i64)),
        ]);
    }
    object
}
