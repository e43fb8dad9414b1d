//! The audit log in the API's document.

use super::{DEFAULT_LIMIT, MAX_LIMIT, MAX_TEXT, MAX_TOPICS, ORDERS};
use crate::openapi::Api;
use crate::openapi::call::{get, post};
use crate::openapi::shape::{
    Shape, anything, count, given_time, list, named, one_of, record, short, text, time, whole,
};
use crate::openapi::values::uuid;
use domain::event::Topic;
use domain::right::Right;
use serde_json::json;

/// The topics of events.
fn topics() -> Shape {
    one_of(Topic::ALL.iter().copied().filter(|topic| *topic != Topic::WebhookPing).map(Topic::as_str))
}

pub(crate) fn describe(api: &mut Api) {
    let mut api = api.tag("Audit log", "Every event, kept for 13 months.");
    let changed = record().has("Kind", text()).has("Id", text()).has("Name", text());
    let data = record()
        .may("Path", text().about("From the organization's root; a folder's ends in a slash."))
        .may("Size", count())
        .may("PreviousPath", text().about("Where a file or folder was that was renamed."))
        .may("Protocol", one_of(["SFTP", "FTPS", "WEB_PORTAL", "API"]))
        .may("Reason", text().about("Why it was refused or failed."))
        .may("ApiKeyId", text().about("The API key that the session logged in with."))
        .may("Object", changed.about("The account or setting that was changed."))
        .may("Action", one_of(["created", "updated", "deleted"]))
        .may("Fields", list(text()).about("The names of what is different; what was in them is nowhere."));
    let event = record()
        .has("Id", uuid())
        .has("Timestamp", time())
        .has("Type", topics())
        .has("PrincipalId", text().about("The user name, the admin's name, the API key's or share link's id."))
        .has("PrincipalType", one_of(["user", "admin", "share-link", "system"]))
        .has("Username", text().or_null())
        .has("SessionId", text().or_null())
        .has("IP", text().or_null())
        .has("Geo", anything().about("Always null: nothing here knows where addresses are."))
        .has("Client", text().or_null().about("What a visitor of a share link says it comes with."))
        .has("Data", data)
        .example(json!({
            "Id": "5a1c1e0a-9c1e-4d59-9c39-0c2d8b1a7f11", "Timestamp": 1_739_120_350_624_i64, "Type": "file.created",
            "PrincipalId": "partner-one", "PrincipalType": "user", "Username": "partner-one", "SessionId": "s-1",
            "IP": "203.0.113.7", "Geo": null, "Client": null,
            "Data": { "Path": "/in/invoice.pdf", "Size": 357_464, "Protocol": "SFTP" },
        }));
    let event = api.schema("AuditRecord", event);
    let limit = whole(1..=MAX_LIMIT as u64).default(json!(DEFAULT_LIMIT));
    let topic = "Only these; may be there several times.";
    api.call(
        get("/organizations/{organization}/events", "listEvents", "Searches the audit log")
            .about(
                "A page looks at 40,000 events at most, so it may hold fewer than `Limit`, or none, where there are more: then it \
                 has a `Link`.",
            )
            .needs(Right::SeeEvents)
            .query("Topic", topic, topics())
            .query("Type", "The same as `Topic`.", topics())
            .query("From", "The earliest.", given_time())
            .query("To", "The latest.", given_time())
            .query("PrincipalId", "By this one.", text())
            .query("PathPrefix", "About files and folders whose path, from the organization's root, begins so.", text())
            .query("Address", "From this address.", text())
            .query("Order", "By time.", one_of(ORDERS).default(json!(ORDERS[0])))
            .query("Limit", "At most so many entries.", limit)
            .query("Cursor", "Where the `Link` of the page before points to.", text())
            .links()
            .answers_list("The events.", event),
    );
    let asked = record()
        .may("Topics", list(topics()).at_most(MAX_TOPICS))
        .may("From", given_time())
        .may("To", given_time())
        .may("PrincipalId", short(MAX_TEXT))
        .may("PathPrefix", short(MAX_TEXT))
        .may("Address", text())
        .may("Order", one_of(ORDERS).default(json!(ORDERS[0])));
    api.call(
        post("/organizations/{organization}/events/exports", "exportEvents", "Writes events into a file in the bucket")
            .about(
                "All that is found, as comma-separated values, under a key where no session leads. The job says which, and has an \
                 address to download it. The same at the same time: 409.",
            )
            .needs(Right::ExportEvents)
            .takes(asked, false)
            .answers(202, "It has begun.", named("Job"))
            .located()
            .refuses(&[409])
            .once(),
    );
}
