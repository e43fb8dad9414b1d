//! API keys of SFTPGo's dialect in the API's document.

use super::READ_ONLY;
use crate::openapi::Api;
use crate::openapi::call::{Call, delete, get, post, put};
use crate::openapi::shape::{Record, anything, one_of, record, short, text, time, whole};
use crate::openapi::values::{given_sftpgo_time, key_id, sftpgo_time};
use domain::right::Right;
use serde_json::json;

const ONE: &str = "/api/v2/apikeys/{id}";
const PERSONS: &str = "For an admin who has signed in and may manage keys of their owner; every API key gets 403.";

pub(crate) fn describe(api: &mut Api) {
    let mut api = api.tag("API keys of SFTPGo", "The same keys, as SFTPGo shows them.");
    let shown = record()
        .has("id", key_id())
        .has("name", text())
        .has("description", text())
        .has("scope", whole(1..=2).about("1 acts as admins, 2 as credentials."))
        .has("user", text().about("As whom, or empty."))
        .has("admin", text().about("As whom, or empty."))
        .has("kind", one_of(["site", "user", "dynamic"]))
        .has("created_at", time())
        .has("updated_at", time())
        .has("last_use_at", sftpgo_time())
        .has("expires_at", sftpgo_time());
    let shown = api.schema("SftpgoApiKey", shown);
    let owner = || short(100).or_null();
    let given = settable()
        .has("name", short(255))
        .has("scope", whole(1..=2))
        .may("user", owner().about("With neither, it acts as whom the caller appends: `<key>.<username>`."))
        .may("admin", owner());
    let given = api.schema("SftpgoNewApiKey", given);
    let same = || anything().about("As it is: it cannot be changed.");
    let changed = settable().may("name", short(255)).may("scope", same()).may("user", same()).may("admin", same());
    let changed = api.schema("SftpgoApiKeyChange", changed);
    let one = |call: Call| call.segment("id", "The key's public id.", key_id());

    api.call(
        get("/api/v2/apikeys", "listSftpgoApiKeys", "Lists API keys")
            .needs(Right::SeeApiKeys)
            .slices()
            .answers_list("The keys, by id.", shown.clone()),
    );
    let made = record().has("message", text()).has("key", text().or_null().about("Shown this once."));
    api.call(
        post("/api/v2/apikeys", "addSftpgoApiKey", "Makes an API key")
            .for_admins(PERSONS)
            .takes_like(given, json!({ "name": "nightly", "scope": 2, "user": "partner-one" }))
            .refuses(&[409])
            .answers(201, "The key.", made)
            .located()
            .shows("X-Object-ID", "The key's public id.", key_id())
            .once(),
    );
    api.call(
        one(get(ONE, "getSftpgoApiKey", "Shows an API key")).needs(Right::SeeApiKeys).answers(200, "The key.", shown),
    );
    api.call(
        one(put(ONE, "updateSftpgoApiKey", "Changes an API key"))
            .for_admins(PERSONS)
            .takes_like(changed, json!({ "description": "of the nightly job" }))
            .refuses(&[409])
            .says(200, "API key updated"),
    );
    api.call(
        one(delete(ONE, "deleteSftpgoApiKey", "Revokes an API key"))
            .for_admins(PERSONS)
            .refuses(&[409])
            .says(200, "API key deleted"),
    );
}

fn settable() -> Record {
    record().may("description", short(512).or_null()).may("expires_at", given_sftpgo_time()).ignores(&READ_ONLY)
}
