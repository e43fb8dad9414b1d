//! Share links in the API's document.

use super::READ_ONLY;
use crate::openapi::Api;
use crate::openapi::call::{Call, delete, get, patch, post};
use crate::openapi::shape::{Record, Shape, count, given_time, like, list, one_of, record, short, text, time, whole};
use crate::openapi::values::{source, uuid};
use domain::right::Right;
use domain::share::{MAX_LIMIT, MAX_NOTES, MAX_PATHS, MAX_SOURCES};
use serde_json::{Value, json};

const ALL: &str = "/organizations/{organization}/portal-links";
const ONE: &str = "/organizations/{organization}/portal-links/{id}";

pub(crate) fn describe(api: &mut Api) {
    let mut api = api.tag(
        "Share links",
        "Addresses that let anyone read, or bring, one file or folder. What visitors see there are pages, which this document leaves out.",
    );
    let shown = api.schema("ShareLink", shown());
    let given = api.schema("NewShareLink", record().may_all(settable()).has("Path", path()));
    let changed = api.schema("ShareLinkChange", record().may_all(settable()).may("Path", path()).ignores(&READ_ONLY));
    let one = |call: Call| call.segment("id", "The link: its `Id`, or what its address holds.", text());

    api.call(
        get(ALL, "listShareLinks", "Lists share links")
            .about("Also those that credentials have made of their files. Links that are used up are gone.")
            .needs(Right::SeeShareLinks)
            .answers_list("The links, in the order of their ids.", shown.clone())
            .pages(),
    );
    api.call(
        post(ALL, "createShareLink", "Makes a share link")
            .about("A link of the organization: what visitors store counts for its root credential. Its `SharePolicy` holds.")
            .needs(Right::ChangeShareLinks)
            .takes_like(given, example_of_new())
            .refuses(&[409])
            .answers(201, "The new link, with its address.", shown.clone())
            .tagged()
            .once(),
    );
    api.call(
        one(get(ONE, "getShareLink", "Shows a share link"))
            .needs(Right::SeeShareLinks)
            .answers(200, "The link.", shown.clone())
            .tagged(),
    );
    api.call(
        one(patch(ONE, "updateShareLink", "Changes a share link"))
            .about("Its address stays. Visits that have begun see the change at their next request.")
            .needs(Right::ChangeShareLinks)
            .takes_like(changed, json!({ "Permission": "read-only", "AccessLimit": 200 }))
            .conditional()
            .refuses(&[409])
            .answers(200, "The changed link.", shown.clone())
            .tagged(),
    );
    api.call(
        one(delete(ONE, "deleteShareLink", "Deletes a share link"))
            .about("Nobody gets in from then on; uploads that have begun are not completed.")
            .needs(Right::ChangeShareLinks)
            .conditional()
            .refuses(&[409])
            .answers(200, "The link as it was.", shown)
            .tagged(),
    );
}

fn path() -> Shape {
    short(4096)
        .pattern(r"^/[^\x00-\x1f\x7f-\x9f]*$")
        .about("In the organization's tree; a folder's ends in a slash.")
        .example(json!("/shared-folder/"))
}

/// What requests bring and answers show.
fn settable() -> Vec<(&'static str, Shape)> {
    let permission = "`write-only` brings files, replaces none and sees none. A file's is `read-only`.";
    let levels = ["read-only", "read-write", "read-write-no-delete", "write-only"];
    vec![
        ("Permission", one_of(levels).about(permission).default(json!("read-only"))),
        ("State", one_of(["active", "inactive"]).default(json!("active"))),
        ("Type", one_of(["share"])),
        ("ExpiresAt", given_time().or_null()),
        ("AccessLimit", whole(0..=MAX_LIMIT).or_null().about("So many visits; 0 is no limit.").default(json!(0))),
        ("AllowFrom", list(source()).at_most(MAX_SOURCES).or_null().about("From where; empty: from anywhere.")),
        ("Password", short(256).or_null().about("It must meet the organization's policy; null: none.")),
        ("Notes", text().at_most(MAX_NOTES).or_null().about("Visitors do not see them.")),
    ]
}

fn shown() -> Record {
    let by = record()
        .has("Type", one_of(["Admin", "User"]))
        .has("Id", text())
        .has("Name", text())
        .has("Email", text().or_null())
        .has("PrincipalName", text())
        .has("PrincipalId", text())
        .has("PrincipalType", one_of(["admin", "user"]));
    let url = "Whoever knows it is in. Null in an answer to a repeated `Idempotency-Key`.";
    record()
        .has_all(settable())
        .has("Id", like("^[0-9a-f]{20}$").about("Events and logs carry it; it opens nothing."))
        .has("Url", text().format("uri").or_null().about(url))
        .has("Path", text().about("The first of its paths."))
        .has("Paths", list(text()).at_most(MAX_PATHS).about("SFTPGo's dialect makes links of several."))
        .has("ExpiresAt", time().or_null())
        .has("AccessLimit", whole(0..=MAX_LIMIT).about("So many visits; 0 is no limit."))
        .has("AccessCount", count().about("Visits so far."))
        .has("AllowFrom", list(text()))
        .has("Password", text().or_null().about("For who may manage the link."))
        .has("CreatedBy", by)
        .has("OrganizationId", uuid())
        .has("CreatedAt", time())
        .has("UpdatedAt", time())
        .example(example())
}

fn example_of_new() -> Value {
    json!({ "Path": "/shared-folder/", "Permission": "read-write", "ExpiresAt": 1_739_120_350_624_i64, "AccessLimit": 100,
        "Password": "SecureP@ss123", "Notes": "Q1 marketing materials", "Type": "share" })
}

fn example() -> Value {
    json!({ "Id": "5f2c9a1b0d3e4f675f2c", "Url": "https://share.example.com/s/Zk3vXw0q7Yt1aB9cD2eF5gHi",
        "Path": "/shared-folder/", "Paths": ["/shared-folder/"], "Permission": "read-write", "State": "active",
        "Type": "share", "ExpiresAt": 1_739_120_350_624_i64, "AccessLimit": 100, "AccessCount": 5, "AllowFrom": [],
        "Password": "SecureP@ss123", "Notes": "Q1 marketing materials",
        "CreatedBy": { "Type": "Admin", "Id": "ana", "Name": "ana", "Email": null, "PrincipalName": "ana",
            "PrincipalId": "ana", "PrincipalType": "admin" },
        "OrganizationId": "120ffd28-f115-7ce2-abc4-1e168c57c88a",
        "CreatedAt": 1_738_515_550_624_i64, "UpdatedAt": 1_738_515_550_624_i64 })
}
