//! API keys in the API's document.

use super::{MAX_ADDRESSES, READ_ONLY};
use crate::openapi::Api;
use crate::openapi::call::{Call, delete, get, patch, post};
use crate::openapi::shape::{Record, Shape, either, given_time, list, one_of, record, short, text, time, whole};
use crate::openapi::values::{key_id, source};
use app::management::MAX_GRACE_SECONDS;
use domain::api_key::Scope;
use domain::right::Right;
use serde_json::{Value, json};

const ALL: &str = "/organizations/{organization}/api-keys";
const ONE: &str = "/organizations/{organization}/api-keys/{id}";
const PERSONS: &str = "For an admin who has signed in: its own keys; with `manage_apikeys` those of admins with no more permissions \
                       than its own, with `edit_users` as well those of credentials; with `*` all. Every API key gets 403.";

pub(crate) fn describe(api: &mut Api) {
    let mut api = api.tag("API keys", "Machine logins: for the whole organization, for an admin or for a credential.");
    let shown = api.schema("ApiKey", shown());
    let made = api.schema("CreatedApiKey", made());
    let given = api.schema("NewApiKey", given());
    let changed = api.schema("ApiKeyChange", changed());
    let one = |call: Call| call.segment("id", "The key's public id.", key_id());

    api.call(
        get(ALL, "listApiKeys", "Lists API keys")
            .needs(Right::SeeApiKeys)
            .answers_list("The keys, without their secrets.", shown.clone())
            .pages(),
    );
    api.call(
        post(ALL, "createApiKey", "Makes an API key")
            .about("The answer shows `Key`, this once.")
            .for_admins(PERSONS)
            .takes_like(given, json!({ "Name": "ci", "Permissions": ["read:admin"], "Expiration": "90d" }))
            .refuses(&[409])
            .answers(201, "The key, with its text.", made.clone())
            .tagged()
            .once(),
    );
    api.call(
        one(get(ONE, "getApiKey", "Shows an API key"))
            .needs(Right::SeeApiKeys)
            .answers(200, "The key, without its secret.", shown.clone())
            .tagged(),
    );
    api.call(
        one(patch(ONE, "updateApiKey", "Changes an API key"))
            .about("It counts from the next request on.")
            .for_admins(PERSONS)
            .takes_like(changed, json!({ "State": "inactive" }))
            .conditional()
            .refuses(&[409])
            .answers(200, "The changed key.", shown.clone())
            .tagged(),
    );
    api.call(
        one(delete(ONE, "deleteApiKey", "Revokes an API key"))
            .about("At once, with the sessions that it has opened.")
            .for_admins(PERSONS)
            .conditional()
            .refuses(&[409])
            .answers(200, "The key as it was.", shown)
            .tagged(),
    );
    let grace = whole(0..=u64::from(MAX_GRACE_SECONDS)).default(json!(0)).about("How long the old key still counts.");
    api.call(
        one(post(
            "/organizations/{organization}/api-keys/{id}/rotations",
            "rotateApiKey",
            "Makes a key in the place of another",
        ))
        .about("The new one may what the old one may, has another id, and lives as long as the old one was made for.")
        .for_admins(PERSONS)
        .takes(record().may("GraceSeconds", grace), false)
        .refuses(&[409])
        .answers(201, "The new key, with its text.", made)
        .tagged()
        .once(),
    );
    let request = record()
        .has("At", time())
        .has("Method", text())
        .has("Route", text())
        .has("Status", whole(100..=599))
        .has("IP", text());
    let request = api.schema("ApiKeyRequest", request);
    api.call(
        one(get(
            "/organizations/{organization}/api-keys/{id}/requests",
            "listApiKeyRequests",
            "Lists what was asked with a key",
        ))
        .about("The last 1,000 requests of 30 days, the latest first. It is written after the answers.")
        .needs(Right::SeeApiKeys)
        .answers_list("The requests.", request),
    );
}

fn scopes() -> Shape {
    let scopes = Scope::ALL.iter().map(|scope| scope.as_str());
    list(one_of(scopes))
        .at_most(Scope::ALL.len())
        .or_null()
        .about("What it may of what its owner may; null is everything.")
}

fn addresses() -> Shape {
    list(source()).at_most(MAX_ADDRESSES).about("From where it may be used; empty is from anywhere.")
}

fn expiration() -> Shape {
    let about = "`never`, `30d`, `90d`, `1y`, or a time.";
    either([one_of(["30d", "90d", "1y", "never"]), given_time()]).or_null().about(about)
}

fn given() -> Record {
    record()
        .has("Name", short(100))
        .may("Permissions", scopes())
        .may("AllowedIps", addresses())
        .may("Expiration", expiration())
        .may(
            "OwnerType",
            one_of(["admin", "credential"])
                .or_null()
                .about("Together with `OwnerId`; without it the key is the organization's."),
        )
        .may("OwnerId", short(100).or_null().about("An admin's name or a credential's id."))
}

fn changed() -> Record {
    record()
        .may("Name", short(100))
        .may("Permissions", scopes())
        .may("AllowedIps", addresses())
        .may("State", one_of(["active", "inactive"]))
        .may("ExpiresAt", given_time().or_null())
        .may("Expiration", expiration())
        .ignores(&READ_ONLY)
}

fn shown() -> Record {
    record()
        .has("Id", key_id())
        .has("Name", text())
        .has("Prefix", text().about("What the key begins with."))
        .has("Kind", one_of(["site", "user", "dynamic"]).about("`dynamic`: of whoever the caller names behind it."))
        .has("Scope", whole(1..=2).about("SFTPGo's: 1 acts as admins, 2 as credentials."))
        .has("OwnerType", one_of(["admin", "credential"]).or_null())
        .has("OwnerId", text().or_null())
        .has("Permissions", scopes())
        .has("AllowedIps", addresses())
        .has("State", one_of(["active", "inactive"]))
        .has("ExpiresAt", time().or_null())
        .has("LastUsedAt", time().or_null())
        .has("CreatedAt", time())
        .has("UpdatedAt", time())
        .example(example())
}

fn made() -> Record {
    let key = text().or_null().about("The key itself; null where the answer is a repeated one (`Idempotency-Key`).");
    let mut example = example();
    if let Some(fields) = example.as_object_mut() {
        fields.insert("Key".to_owned(), json!("tow_4fQ2bX9LmZ0aPq7s.…"));
    }
    shown().has("Key", key).example(example)
}

fn example() -> Value {
    json!({ "Id": "tow_4fQ2bX9LmZ0aPq7s", "Name": "ci", "Prefix": "tow_4fQ2", "Kind": "site", "Scope": 1, "OwnerType": null,
        "OwnerId": null, "Permissions": ["read:admin"], "AllowedIps": [], "State": "active", "ExpiresAt": 1_746_896_350_624_i64,
        "LastUsedAt": null, "CreatedAt": 1_739_120_350_624_i64, "UpdatedAt": 1_739_120_350_624_i64 })
}
