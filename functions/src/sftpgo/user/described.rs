//! A credential's own account in the API's document.

use crate::management::credentials::MAX_ALIAS;
use crate::openapi::Api;
use crate::openapi::call::{get, put};
use crate::openapi::shape::{Shape, boolean, list, record, short, text};
use crate::sftpgo::{account, totp};

pub(crate) fn describe(api: &mut Api) {
    let mut api = api.tag("user account", "What a credential does with its own account.");
    let shown = record()
        .has("email", text())
        .has("description", text())
        .has("allow_api_key_auth", boolean())
        .has("public_keys", list(text()));
    let shown = api.schema("SftpgoUserProfile", shown);
    api.call(get("/api/v2/user/profile", "getUserProfile", "Shows the own profile").for_users_and_keys(&[]).answers(
        200,
        "The profile.",
        shown,
    ));
    let given = record()
        .may("email", short(254).or_null())
        .may("description", short(MAX_ALIAS).or_null())
        .may("allow_api_key_auth", boolean())
        .may("public_keys", keys().or_null());
    api.call(
        put("/api/v2/user/profile", "updateUserProfile", "Changes the own profile")
            .for_users()
            .takes(given, false)
            .refuses(&[409])
            .says(200, "Profile updated"),
    );
    api.call(
        get("/api/v2/user/publickeys", "listUserPublicKeys", "Lists the own SSH keys")
            .for_users_and_keys(&[])
            .answers_list("One line each.", text()),
    );
    api.call(
        put("/api/v2/user/publickeys", "updateUserPublicKeys", "Replaces the own SSH keys")
            .for_users()
            .takes(keys(), true)
            .refuses(&[409])
            .says(200, "Public keys updated"),
    );
    api.call(
        put("/api/v2/user/changepwd", "changeUserPassword", "Changes the own password")
            .about("The organization's policy holds. Ends the credential's tokens.")
            .for_users()
            .takes(account::described::passwords(), true)
            .refuses(&[409])
            .says(200, "Password updated"),
    );
    totp::describe_in(&mut api, "/api/v2/user", "User", |call| call.for_users());
}

fn keys() -> Shape {
    list(text()).at_most(50).about("All of them, one line of OpenSSH's each.")
}
