//! Admins in the API's document.

use super::READ_ONLY;
use crate::openapi::Api;
use crate::openapi::call::{Call, delete, get, post, put};
use crate::openapi::shape::{Record, Shape, boolean, count, list, one_of, record, short, text, time, whole};
use crate::openapi::values::{admin_name, password, source};
use domain::admin::{MAX_ALLOWED, Permission};
use domain::right::Right;
use serde_json::json;

const ONE: &str = "/api/v2/admins/{username}";

pub(crate) fn describe(api: &mut Api) {
    let mut api =
        api.tag("admins", "Who manages the organization. Nobody makes or changes an admin beyond its own rights.");
    let shown = api.schema("SftpgoAdmin", shown());
    let given = settable().has("username", admin_name()).has("password", password()).has("permissions", permissions());
    let given = api.schema("SftpgoNewAdmin", given.ignores(&READ_ONLY));
    let changed = api.schema("SftpgoAdminChange", settable().ignores(&READ_ONLY).ignores(&["username"]));
    let one = |call: Call| call.segment("username", "The admin's name.", admin_name());

    api.call(
        get("/api/v2/admins", "listAdmins", "Lists admins")
            .needs(Right::SeeAdmins)
            .slices()
            .answers_list("The admins, by name.", shown.clone()),
    );
    api.call(
        post("/api/v2/admins", "addAdmin", "Makes an admin")
            .needs(Right::ChangeAdmins)
            .takes_like(
                given,
                json!({ "username": "ana", "password": "a long password", "status": 1, "permissions": ["view_users"] }),
            )
            .answers(201, "The new admin.", shown.clone())
            .located()
            .once(),
    );
    api.call(one(get(ONE, "getAdmin", "Shows an admin")).needs(Right::SeeAdmins).answers(200, "The admin.", shown));
    api.call(
        one(put(ONE, "updateAdmin", "Changes an admin"))
            .about("Fields that are not given stay. Nobody switches itself off; the last admin with `*` stays (409).")
            .needs(Right::ChangeAdmins)
            .takes_like(changed, json!({ "permissions": ["view_users", "edit_users"] }))
            .refuses(&[409])
            .says(200, "Admin updated"),
    );
    api.call(
        one(delete(ONE, "deleteAdmin", "Deletes an admin"))
            .about("With its API keys. Nobody deletes itself (400); the last admin with `*` stays (409).")
            .needs(Right::ChangeAdmins)
            .refuses(&[409])
            .says(200, "Admin deleted"),
    );
    api.call(
        one(put(
            "/api/v2/admins/{username}/2fa/disable",
            "disableAdminSecondFactor",
            "Switches an admin's second factor off",
        ))
        .about("For who has lost it.")
        .needs(Right::DisableSecondFactors)
        .refuses(&[409])
        .says(200, "2FA disabled"),
    );
}

fn permissions() -> Shape {
    let all = Permission::ALL.iter().map(|permission| permission.as_str());
    list(one_of(all)).at_most(Permission::ALL.len()).about("SFTPGo's; `*` is all of them.")
}

fn filters() -> Record {
    record()
        .may(
            "allow_list",
            list(source()).at_most(MAX_ALLOWED).or_null().about("From where it may come; empty is from anywhere."),
        )
        .may("allow_api_key_auth", boolean().about("Whether API keys may act as it."))
        .may("require_two_factor", boolean())
        .may("require_password_change", boolean())
        .open()
}

fn settable() -> Record {
    record()
        .may("status", whole(0..=1).about("1: it may sign in."))
        .may("password", password().or_null().about("Never shown; null and empty leave it."))
        .may("email", short(254).or_null())
        .may("description", short(512).or_null())
        .may("permissions", permissions())
        .may("filters", filters())
        .may("additional_info", text().at_most(8192).or_null())
        .may("role", text().at_most(0).or_null().about("There are no roles here."))
        .about("Fields that are not known are kept and shown again, up to 16 KiB.")
        .open()
}

fn shown() -> Record {
    let second_factor = record().has("enabled", boolean()).may("config_name", text());
    let filters = record()
        .has("allow_list", list(source()))
        .has("allow_api_key_auth", boolean())
        .has("require_two_factor", boolean())
        .has("require_password_change", boolean())
        .has("totp_config", second_factor)
        .open();
    record()
        .has("id", count().about("Nothing depends on it."))
        .has("status", whole(0..=1))
        .has("username", admin_name())
        .has("email", text())
        .has("description", text())
        .has("permissions", permissions())
        .has("filters", filters)
        .has("additional_info", text())
        .has("created_at", time())
        .has("updated_at", time())
        .open()
}
