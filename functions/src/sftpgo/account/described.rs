//! An admin's own account in the API's document.

use crate::openapi::Api;
use crate::openapi::call::{get, put};
use crate::openapi::shape::{Record, boolean, record, short, text};
use crate::sftpgo::totp;
use serde_json::json;

pub(crate) const ITSELF: &str = "For an admin who has signed in, whatever its permissions; API keys get 403.";

pub(crate) fn describe(api: &mut Api) {
    let mut api = api.tag("admin account", "What an admin does with its own account.");
    for (path, id) in
        [("/api/v2/admin/changepwd", "changeAdminPassword"), ("/api/v2/changepwd/admin", "changeAdminPasswordBefore23")]
    {
        api.call(
            put(path, id, "Changes the own password")
                .about("20 wrong ones in an hour, and none is looked at until the next. Ends the admin's tokens.")
                .for_admins(ITSELF)
                .takes(passwords(), true)
                .refuses(&[409])
                .says(200, "Password updated"),
        );
    }
    let shown = record().has("email", text()).has("description", text()).has("allow_api_key_auth", boolean());
    let shown = api.schema("SftpgoAdminProfile", shown);
    api.call(get("/api/v2/admin/profile", "getAdminProfile", "Shows the own profile").for_admins(ITSELF).answers(
        200,
        "The profile.",
        shown,
    ));
    let given = record()
        .may("email", short(254).or_null())
        .may("description", short(512).or_null())
        .may("allow_api_key_auth", boolean());
    api.call(
        put("/api/v2/admin/profile", "updateAdminProfile", "Changes the own profile")
            .for_admins(ITSELF)
            .takes(given, false)
            .refuses(&[409])
            .says(200, "Profile updated"),
    );
    totp::describe_in(&mut api, "/api/v2/admin", "Admin", |call| call.for_admins(ITSELF));
}

/// The old and the new password.
pub(crate) fn passwords() -> Record {
    let secret = || text().format("password");
    record()
        .has("current_password", secret())
        .has("new_password", secret())
        .example(json!({ "current_password": "the old one", "new_password": "a long new one" }))
}
