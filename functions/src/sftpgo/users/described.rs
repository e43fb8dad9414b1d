//! Credentials of SFTPGo's dialect in the API's document.

use super::{FILTERS_MUST_BE_NOTHING, MUST_BE_NOTHING, READ_ONLY};
use crate::management::credentials::{MAX_ALIAS, MAX_QUOTA, MAX_SESSIONS};
use crate::openapi::Api;
use crate::openapi::call::{Call, delete, get, post, put};
use crate::openapi::shape::{
    Record, Shape, anything, boolean, count, from_minus_one, like, list, nothing, one_of, record, short, text, time,
    whole,
};
use crate::openapi::values::{
    filesystem, folder_name, given_sftpgo_time, password, path, sftpgo_time, source, user_name,
};
use app::management::MAX_FOLDERS_WITH_RULES;
use domain::access::Verbs;
use domain::credential::restrictions::MAX_ADDRESSES;
use domain::folder::MAX_MOUNTED;
use domain::right::Right;
use serde_json::json;

const ONE: &str = "/api/v2/users/{username}";

const DOORS: [&str; 4] = ["SSH", "FTP", "DAV", "HTTP"];
const METHODS: [&str; 8] = [
    "publickey",
    "password",
    "password-over-SSH",
    "keyboard-interactive",
    "publickey+password",
    "publickey+keyboard-interactive",
    "TLSCertificate",
    "TLSCertificate+password",
];
const OWN_ACCOUNT: [&str; 8] = [
    "publickey-change-disabled",
    "password-change-disabled",
    "api-key-auth-change-disabled",
    "info-change-disabled",
    "mfa-disabled",
    "password-reset-disabled",
    "shares-disabled",
    "shares-without-password-disabled",
];

pub(crate) fn describe(api: &mut Api) {
    let mut api = api.tag("users", "Credentials, as SFTPGo shows them: by name, with permissions by folder.");
    let shown = api.schema("SftpgoUser", shown());
    let given = settable(true).has("username", user_name()).has("permissions", permissions()).ignores(&READ_ONLY);
    let given = api.schema("SftpgoNewUser", given.ignores(&["last_password_change"]));
    let changed = settable(false).ignores(&READ_ONLY).ignores(&["last_password_change", "username"]);
    let changed = api.schema("SftpgoUserChange", changed);
    let one = |call: Call| call.segment("username", "The credential's name.", user_name());

    api.call(
        get("/api/v2/users", "listUsers", "Lists users")
            .needs(Right::SeeCredentials)
            .slices()
            .answers_list("The users, by name.", shown.clone())
            .links(),
    );
    api.call(
        post("/api/v2/users", "addUser", "Makes a user")
            .needs(Right::AddCredentials)
            .takes_like(
                given,
                json!({ "username": "ana", "password": "a long password", "permissions": { "/": ["list", "download"], "/in": ["*"] } }),
            )
            .answers(201, "The new user.", shown.clone())
            .located()
            .once(),
    );
    api.call(one(get(ONE, "getUser", "Shows a user")).needs(Right::SeeCredentials).answers(200, "The user.", shown));
    api.call(
        one(put(ONE, "updateUser", "Changes a user"))
            .about("Fields that are not given stay; lists are replaced as a whole.")
            .needs(Right::ChangeCredentials)
            .query("disconnect", "1 ends the sessions that began before.", whole(0..=1).default(json!(0)))
            .takes_like(changed, json!({ "quota_size": 1_000_000_000 }))
            .refuses(&[409])
            .says(200, "User updated"),
    );
    api.call(
        one(delete(ONE, "deleteUser", "Deletes a user"))
            .about("And ends its sessions. The root credential cannot be deleted (409).")
            .needs(Right::DeleteCredentials)
            .refuses(&[409])
            .says(200, "User deleted"),
    );
    api.call(
        one(put(
            "/api/v2/users/{username}/2fa/disable",
            "disableUserSecondFactor",
            "Switches a user's second factor off",
        ))
        .about("For who has lost it.")
        .needs(Right::DisableSecondFactors)
        .refuses(&[409])
        .says(200, "2FA disabled"),
    );
}

fn permissions() -> Shape {
    let about = "What is permitted, by folder of its own view. `/` is needed; the deepest rule above a path counts.";
    let rules = record().has("/", list(verb())).of(list(verb()));
    Shape::from(rules.about(about))
        .at_most(MAX_FOLDERS_WITH_RULES)
        .example(json!({ "/": ["list", "download"], "/in": ["*"] }))
}

fn verb() -> Shape {
    one_of(Verbs::all_names())
}

fn mounted() -> Record {
    let quota = || limit().about("-1, in both, counts it for the user; 0 is no limit.");
    record()
        .has("name", folder_name())
        .has("virtual_path", like("^/"))
        .may("quota_size", quota())
        .may("quota_files", quota())
        .open()
}

fn addresses() -> Shape {
    list(source()).at_most(MAX_ADDRESSES).or_null()
}

fn given_filters() -> Record {
    let refused = FILTERS_MUST_BE_NOTHING.iter().map(|(name, problem)| (*name, nothing().about(problem)));
    record()
        .may("allowed_ip", addresses().about("Where it names any, nobody else may come."))
        .may("denied_ip", addresses().about("Goes before `allowed_ip`."))
        .may("denied_protocols", list(one_of(DOORS)).at_most(DOORS.len()).or_null())
        .may("denied_login_methods", list(one_of(METHODS)).at_most(16).or_null())
        .may(
            "web_client",
            list(one_of(OWN_ACCOUNT)).at_most(16).or_null().about("What it may not change of its own account."),
        )
        .may("allow_api_key_auth", boolean())
        .may("start_directory", anything().among([json!(null), json!(""), json!("/")]))
        .may_all(refused)
        .open()
}

fn settable(new: bool) -> Record {
    let refused = MUST_BE_NOTHING.iter().map(|(name, problem)| (*name, nothing().about(problem)));
    let bandwidth =
        || whole(0..=u64::from(u32::MAX)).about("Kilobytes (1,000 bytes) a second; 0 is no limit, else 16 or more.");
    let home = if new { "`/home/<username>` if it is empty." } else { "Empty leaves it." };
    record()
        .may("status", whole(0..=1).about("1: it may log in."))
        .may("email", short(254).or_null())
        .may("description", short(MAX_ALIAS).or_null().about("`Alias` of the other dialect."))
        .may("expiration_date", given_sftpgo_time())
        .may(
            "password",
            password().or_null().about("Never shown; null and empty leave it. The hash of a password is refused."),
        )
        .may("public_keys", list(text()).at_most(50).or_null().about("All of them, one line each."))
        .may("home_dir", text().pattern("^(/|$)").or_null().about(home))
        .may("permissions", permissions())
        .may("virtual_folders", list(mounted()).at_most(MAX_MOUNTED).or_null())
        .may("max_sessions", whole(0..=MAX_SESSIONS))
        .may("quota_size", whole(0..=MAX_QUOTA))
        .may("quota_files", whole(0..=MAX_QUOTA))
        .may("upload_bandwidth", bandwidth())
        .may("download_bandwidth", bandwidth())
        .may("filters", Shape::from(given_filters()).or_null())
        .may("additional_info", text().at_most(8192).or_null())
        .may("filesystem", filesystem())
        .may_all(refused)
        .about("Fields that are not known are kept and shown again, up to 16 KiB.")
        .open()
}

fn shown_filters() -> Record {
    let second_factor = record().has("enabled", boolean()).may("config_name", text()).may("protocols", list(text()));
    record()
        .has("allowed_ip", list(source()))
        .has("denied_ip", list(source()))
        .has("denied_protocols", list(one_of(DOORS)))
        .has("denied_login_methods", list(one_of(METHODS)))
        .has("web_client", list(one_of(OWN_ACCOUNT)))
        .has("allow_api_key_auth", boolean())
        .has("totp_config", second_factor)
        .open()
}

fn shown() -> Record {
    let mounted = record()
        .has("name", folder_name())
        .has("virtual_path", path())
        .has("quota_size", limit())
        .has("quota_files", limit())
        .may("mapped_path", path())
        .may("description", text())
        .open();
    let number = || count().about("Nothing depends on it; it is always the same for one credential.");
    record()
        .has("id", number())
        .has("status", whole(0..=1))
        .has("username", user_name())
        .has("email", text())
        .has("description", text())
        .has("expiration_date", sftpgo_time())
        .has("has_password", boolean())
        .has("public_keys", list(text()))
        .has("home_dir", path())
        .has("virtual_folders", list(mounted))
        .has("max_sessions", count())
        .has("quota_size", count())
        .has("quota_files", count())
        .has("permissions", record().has("/", list(verb())).of(list(verb())))
        .has("used_quota_size", count())
        .has("used_quota_files", count())
        .has("upload_bandwidth", count())
        .has("download_bandwidth", count())
        .has("created_at", time())
        .has("updated_at", time())
        .has("last_password_change", sftpgo_time())
        .has("filters", shown_filters())
        .has("additional_info", text())
        .has("uid", anything())
        .has("gid", anything())
        .has("filesystem", anything())
        .about("With the fields that were sent and have no effect here.")
        .open()
}

/// Of a virtual folder.
fn limit() -> Shape {
    from_minus_one(MAX_QUOTA)
}
