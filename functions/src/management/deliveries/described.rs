//! The delivery log in the API's document.

use super::{STATUS, TOPIC};
use crate::openapi::Api;
use crate::openapi::call::{Call, get, post};
use crate::openapi::shape::{boolean, count, given_time, list, named, one_of, record, text, time, whole};
use crate::openapi::values::uuid;
use domain::event::Topic;
use domain::right::Right;
use domain::webhook::delivery::{MOST_ATTEMPTS, Status};
use serde_json::json;

const ALL: &str = "/organizations/{organization}/webhooks/{id}/deliveries";
const ONE: &str = "/organizations/{organization}/webhooks/{id}/deliveries/{delivery}";

pub(crate) fn describe(api: &mut Api) {
    let mut api = api.tag("Deliveries", "What was sent to webhooks, and sending it again.");
    let statuses = || one_of(Status::ALL.map(Status::as_str));
    let topics = || one_of(Topic::ALL.iter().map(|topic| topic.as_str()));
    let attempt = record()
        .has("Id", uuid().about("`Metadata.Attempt.Id` of its body."))
        .has("At", time())
        .has("DurationMs", count())
        .has("Code", whole(100..=999).or_null())
        .has("Response", text().about("The first 1,024 bytes, as text, without the webhook's secrets."))
        .has("Error", text().or_null().about("Why there was no answer."))
        .has("Resent", boolean().about("Whether somebody had asked for it."));
    let delivery = record()
        .has("Id", uuid().about("`webhook-id`: the same in each try, and in the order of time."))
        .has("WebhookId", uuid())
        .has("EventId", uuid())
        .has("Topic", topics())
        .has("Status", statuses())
        .has("AttemptsCount", count())
        .has("Attempts", list(attempt).at_most(MOST_ATTEMPTS).about("The latest, the last one last."))
        .has("NextAttemptAt", time().or_null())
        .has("CreatedAt", time())
        .has("UpdatedAt", time())
        .example(json!({ "Id": "01939a3c-5f70-7c1e-9c39-0c2d8b1a7f11", "WebhookId": "6b1c6f0c-52c1-47a6-9344-57a4579ced68",
            "EventId": "5a1c1e0a-9c1e-4d59-9c39-0c2d8b1a7f11", "Topic": "file.created", "Status": "Succeeded", "AttemptsCount": 1,
            "Attempts": [{ "Id": "c1d91788-e46f-45a0-9c7b-386e90db000a", "At": 1_739_120_350_930_i64, "DurationMs": 48,
                "Code": 200, "Response": "ok", "Error": null, "Resent": false }],
            "NextAttemptAt": null, "CreatedAt": 1_739_120_350_901_i64, "UpdatedAt": 1_739_120_350_990_i64 }));
    let delivery = api.schema("Delivery", delivery);
    let of_webhook = |call: Call| call.segment("id", "The webhook.", uuid());
    let one = |call: Call| of_webhook(call).segment("delivery", "The delivery.", uuid());

    api.call(
        of_webhook(get(ALL, "listDeliveries", "Lists deliveries"))
            .about("The newest first, of the last 30 days. With a filter a page may be empty and have a `Link` to the next.")
            .needs(Right::SeeWebhooks)
            .query(STATUS, "Only these.", statuses())
            .query(TOPIC, "Only these.", topics())
            .answers_list("The deliveries.", delivery.clone())
            .pages(),
    );
    api.call(
        one(get(ONE, "getDelivery", "Shows a delivery"))
            .needs(Right::SeeWebhooks)
            .answers(200, "The delivery.", delivery)
            .tagged(),
    );
    let pending = record().has("Id", uuid()).has("Status", one_of(["Pending"]));
    api.call(
        one(post(format!("{ONE}/redeliveries"), "redeliver", "Sends a delivery again"))
            .about("With the same `webhook-id` and all retries. It does not count for the pause. 409 while the webhook is paused.")
            .needs(Right::ChangeWebhooks)
            .takes(record(), false)
            .refuses(&[409])
            .answers(202, "It is on its way.", pending)
            .once(),
    );
    api.call(
        of_webhook(post("/organizations/{organization}/webhooks/{id}/replays", "replayWebhook", "Sends again what happened"))
            .about(
                "All events since that time, also those that were missed while it was paused, with the same `webhook-id`s. A job; one \
                 at a time: 409, as while the webhook is paused.",
            )
            .needs(Right::ChangeWebhooks)
            .takes_like(record().has("Since", given_time()), json!({ "Since": 1_739_120_350_901_i64 }))
            .refuses(&[409])
            .answers(202, "It has begun.", named("Job"))
            .located()
            .once(),
    );
}
