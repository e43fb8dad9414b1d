//! A credential's share links in the API's document.

use super::REDACTED;
use crate::openapi::Api;
use crate::openapi::call::{Call, delete, get, post, put};
use crate::openapi::shape::{Record, Shape, count, list, one_of, record, short, text, time, whole};
use crate::openapi::values::{given_sftpgo_time, sftpgo_time, source, user_name};
use domain::share::{MAX_LIMIT, MAX_NOTES, MAX_PATHS, MAX_SOURCES};
use serde_json::json;

const ALL: &str = "/api/v2/user/shares";
const ONE: &str = "/api/v2/user/shares/{id}";

/// Fields that are no part of a change.
const READ_ONLY: [&str; 6] = ["id", "username", "created_at", "updated_at", "last_use_at", "used_tokens"];

pub(crate) fn describe(api: &mut Api) {
    let mut api = api.tag(
        "user shares",
        "A credential's share links: the same that `/portal-links` shows. It must hold the right to share (`*`) where the files lie, now \
         and whenever somebody opens a link; keys that are limited to scopes do not.",
    );
    let shown = api.schema("SftpgoShare", shown());
    let given = api.schema("SftpgoNewShare", settable().has("scope", scope()).has("paths", paths()));
    let changed = api.schema("SftpgoShareChange", settable().may("scope", scope()).may("paths", paths()));
    let one = |call: Call| call.segment("id", "What the link's address holds, or the id that events carry.", text());

    api.call(
        get(ALL, "listUserShares", "Lists the own share links")
            .about("The root credential also sees those of the organization.")
            .for_users_and_keys(&[])
            .slices()
            .answers_list("The links, by id.", shown.clone()),
    );
    api.call(
        post(ALL, "addUserShare", "Makes a share link")
            .for_users_and_keys(&[])
            .takes_like(given, json!({ "name": "Docs", "scope": 1, "paths": ["/docs/"] }))
            .refuses(&[409])
            .says(201, "Share created")
            .located()
            .shows("X-Object-ID", "What its address holds.", text()),
    );
    api.call(one(get(ONE, "getUserShare", "Shows an own share link")).for_users_and_keys(&[]).answers(
        200,
        "The link.",
        shown,
    ));
    api.call(
        one(put(ONE, "updateUserShare", "Changes an own share link"))
            .about("The fields that are given.")
            .for_users_and_keys(&[])
            .takes_like(changed, json!({ "description": "for Acme" }))
            .refuses(&[409])
            .says(200, "Share updated"),
    );
    api.call(
        one(delete(ONE, "deleteUserShare", "Deletes an own share link"))
            .for_users_and_keys(&[])
            .refuses(&[409])
            .says(200, "Share deleted"),
    );
}

fn scope() -> Shape {
    whole(1..=3).about("1 reads, 2 brings files and sees none, 3 both.")
}

fn paths() -> Shape {
    let about = "As the credential sees them: several for reading, one folder for writing. A slash at the end says that it is a folder.";
    list(short(4096)).at_least(1).at_most(MAX_PATHS).about(about).example(json!(["/docs/"]))
}

fn settable() -> Record {
    let password = format!("It must meet the organization's policy; empty: none, `{REDACTED}`: as it is.");
    record()
        .may("name", short(255).or_null())
        .may("description", text().at_most(MAX_NOTES).or_null().about("Visitors do not see it."))
        .may("password", short(256).or_null().about(&password))
        .may("expires_at", given_sftpgo_time())
        .may("max_tokens", whole(0..=MAX_LIMIT).or_null().about("So many visits; 0 is no limit."))
        .may("allow_from", list(source()).at_most(MAX_SOURCES).or_null().about("From where; empty: from anywhere."))
        .ignores(&READ_ONLY)
}

fn shown() -> Record {
    record()
        .has("id", text().about("What the link's address holds: whoever knows it is in."))
        .has("name", text())
        .has("description", text())
        .has("scope", scope())
        .has("paths", list(text()))
        .has("username", user_name())
        .may("password", one_of([REDACTED]).about("If there is one."))
        .has("created_at", time())
        .has("updated_at", time())
        .has("last_use_at", sftpgo_time())
        .has("expires_at", sftpgo_time())
        .has("max_tokens", whole(0..=MAX_LIMIT).about("So many visits; 0 is no limit."))
        .has("used_tokens", count().about("Visits so far."))
        .has("allow_from", list(text()))
}
