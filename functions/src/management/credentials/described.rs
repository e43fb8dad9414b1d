//! Credentials in the API's document.

use super::{MAX_ALIAS, MAX_QUOTA, MAX_SESSIONS, READ_ONLY};
use crate::management::{retention, rules, ssh_keys};
use crate::openapi::Api;
use crate::openapi::call::{Call, delete, get, message, patch, post};
use crate::openapi::shape::short;
use crate::openapi::shape::{Shape, boolean, count, given_time, like, list, one_of, record, text, time, whole};
use crate::openapi::values::{credential_id, folder_name, password, path, user_name, uuid};
use domain::bandwidth::LEAST_KILOBYTES;
use domain::folder::MAX_MOUNTED;
use domain::right::Right;
use serde_json::{Value, json};

const ONE: &str = "/organizations/{organization}/users/{id}";

/// What can be set.
const LEVELS: [&str; 6] = ["none", "read-only", "write-only", "read-write-no-delete", "read-write", "full"];

pub(crate) fn describe(api: &mut Api) {
    let mut api = api.tag("Credentials", "Logins of SFTP, FTPS and this API; SFTP To Go's path calls them users.");
    let shown = api.schema("Credential", shown());
    let given = api.schema("NewCredential", given().about("What is not given has its default."));
    let changed = api.schema("CredentialChange", changed().about("Only what is named changes."));
    let one = |call: Call| call.segment("id", "The credential.", credential_id());
    let list = "/organizations/{organization}/users";

    api.call(
        get(list, "listCredentials", "Lists credentials")
            .needs(Right::SeeCredentials)
            .answers_list("The credentials, in the order of their ids.", shown.clone())
            .pages(),
    );
    api.call(
        post(list, "createCredential", "Makes a credential")
            .about("What is not given is random (name and password) or has its default. The password may be read back for a day.")
            .needs(Right::AddCredentials)
            .takes_like(given, example_of_new())
            .answers(201, "The new credential, with its password.", shown.clone())
            .tagged()
            .once(),
    );
    api.call(
        one(get(ONE, "getCredential", "Shows a credential"))
            .needs(Right::SeeCredentials)
            .answers(200, "The credential.", shown.clone())
            .tagged(),
    );
    api.call(
        one(patch(ONE, "updateCredential", "Changes a credential"))
            .about("Open sessions go on with what was true at their login, unless the organization says `CloseSessionsOnChange`.")
            .needs(Right::ChangeCredentials)
            .takes_like(changed, json!({ "Alias": "Partner One (updated)", "Permission": "read-write" }))
            .conditional()
            .refuses(&[409])
            .answers(200, "The changed credential.", shown.clone())
            .tagged(),
    );
    api.call(
        one(delete(ONE, "deleteCredential", "Deletes a credential"))
            .about("With its SSH keys and API keys; its files stay. The root credential cannot be deleted (409).")
            .needs(Right::DeleteCredentials)
            .conditional()
            .refuses(&[409])
            .answers(200, "The credential as it was.", shown)
            .tagged(),
    );
    api.call(
        one(post(
            "/organizations/{organization}/users/{id}/credential-rotations",
            "rotatePassword",
            "Sets another password",
        ))
        .about("Without a body a random one, which a GET of the credential shows. Open sessions go on.")
        .needs(Right::ChangeCredentials)
        .takes(record().may("Password", password().about("It must meet the organization's policy.")), false)
        .answers(200, "Done.", message().example(json!({ "message": "Password set." })))
        .once(),
    );
    ssh_keys::describe_in(&mut api);
    retention::describe_in(&mut api);
}

fn bandwidth() -> Shape {
    let about = format!("Kilobytes (1,000 bytes) a second; 0 is no limit, else {LEAST_KILOBYTES} or more.");
    whole(0..=u64::from(u32::MAX)).about(&about).default(json!(0))
}

fn quota(what: &str) -> Shape {
    whole(0..=MAX_QUOTA).about(&format!("{what} that it may store; 0 is no limit.")).default(json!(0))
}

/// What requests bring and answers show.
fn settable(shown: bool) -> Vec<(&'static str, Shape)> {
    let limit = |what: &str| {
        let about =
            format!("{what} that it may store in this folder; null counts them for its own quota, 0 is no limit.");
        whole(0..=MAX_QUOTA).or_null().about(&about)
    };
    let limits = [("QuotaSize", limit("Bytes")), ("QuotaFiles", limit("Files"))];
    let mounted = record().has("Name", folder_name()).has("VirtualPath", path().about("Where it is seen."));
    let mounted = if shown { mounted.has_all(limits) } else { mounted.may_all(limits) };
    vec![
        ("Alias", short(MAX_ALIAS).or_null().about("A name for people; not used for logging in.")),
        ("UserName", user_name().about("Unique in the deployment.")),
        (
            "Password",
            password().or_null().about("Shown as long as the organization's `PasswordReadable` allows, then null."),
        ),
        ("HomeDirectory", path().about("A folder of the organization's tree; `/home/<UserName>` if none is given.")),
        ("Permission", one_of(LEVELS).default(json!("read-only"))),
        ("State", one_of(["active", "inactive"]).default(json!("active"))),
        (
            "AllowApiKeyAuth",
            boolean().default(json!(false)).about("Whether API keys may be made for it. Only an admin may set it."),
        ),
        (
            "KeyAndPassword",
            boolean().default(json!(false)).about("Whether a login takes an SSH key **and** the password."),
        ),
        (
            "VirtualFolders",
            list(mounted).at_most(MAX_MOUNTED).about("Virtual folders and where it sees them; the whole list."),
        ),
        ("QuotaSize", quota("Bytes")),
        ("QuotaFiles", quota("Files")),
        ("UploadBandwidth", bandwidth()),
        ("DownloadBandwidth", bandwidth()),
        (
            "MaxSessions",
            whole(0..=MAX_SESSIONS).default(json!(0)).about("At the same time, on all nodes; 0 is no limit."),
        ),
    ]
}

fn chroot() -> Shape {
    path()
        .about("Where it sees its home folder; the rest of its view is read-only folders on the way there.")
        .example(json!("/"))
}

fn given() -> crate::openapi::shape::Record {
    record()
        .may_all(settable(false))
        .may(
            "UserName",
            like(r"^(?!\.+$)[A-Za-z0-9_.-]{10,100}$")
                .about("Unique in the deployment; 20 random characters if none is given."),
        )
        .may("Password", password().or_null().about("It must meet the organization's policy; random if none is given."))
        .may("ChrootDirectory", chroot().or_null())
        .may("Expiration", given_time().or_null())
        .may("Settings", rules::described::given())
}

fn changed() -> crate::openapi::shape::Record {
    let levels =
        one_of(LEVELS.into_iter().chain(["custom"])).about("`custom` is only taken where it is so, and leaves it.");
    let other = password()
        .or_null()
        .about("Another one, which must meet the organization's policy; null and the one that is shown leave it.");
    given().may("Password", other).may("UserName", user_name()).may("Permission", levels).ignores(&READ_ONLY)
}

fn shown() -> crate::openapi::shape::Record {
    let levels = LEVELS.into_iter().chain(["custom"]);
    let custom = "`custom` is what SFTPGo's dialect has set and no level says.";
    record()
        .has_all(settable(true))
        .has("Id", credential_id())
        .has("OrganizationId", uuid())
        .has("UserName", user_name())
        .has("PasswordCreatedAt", text().format("date-time").or_null())
        .has("HomeDirectory", path())
        .has("ChrootDirectory", chroot())
        .has("Permission", one_of(levels).about(custom))
        .has("Expiration", time().or_null())
        .has("IsDefault", boolean().about("Whether it is the root credential."))
        .has("Host", text())
        .has(
            "URI",
            text().or_null().about("`sftp://user:password@host:port`, without the password where it is not shown."),
        )
        .has("SshPublicKeysCount", count())
        .has("Settings", rules::described::shown())
        .has("CreatedAt", time())
        .has("UpdatedAt", time())
        .example(example())
}

/// SFTP To Go's own examples, with what they leave out.
fn example_of_new() -> Value {
    json!({ "Alias": "Test Credential", "UserName": "my-user-name", "Password": "my-secret-password", "HomeDirectory": "/",
        "ChrootDirectory": "/", "Permission": "read-write", "State": "active" })
}

fn example() -> Value {
    json!({ "Id": "cfc211269c8c0f925c64b1a223d8eb", "OrganizationId": "72e9cf24-be8c-4f15-9aa2-813281fb98fe",
        "Alias": "Test Credential", "UserName": "my-user-name", "Password": "my-secret-password",
        "PasswordCreatedAt": "2026-10-26T07:19:26.908Z", "HomeDirectory": "/", "ChrootDirectory": "/", "Permission": "read-write",
        "Expiration": null, "State": "active", "IsDefault": false, "Host": "sftp.example.com",
        "URI": "sftp://my-user-name:my-secret-password@sftp.example.com", "SshPublicKeysCount": 0, "AllowApiKeyAuth": false,
        "KeyAndPassword": false, "VirtualFolders": [], "QuotaSize": 0, "QuotaFiles": 0, "UploadBandwidth": 0,
        "DownloadBandwidth": 0, "MaxSessions": 0,
        "Settings": { "Network": { "InboundRules": [rules::described::example()] } },
        "CreatedAt": 1_616_615_059_930_i64, "UpdatedAt": 1_616_615_059_930_i64 })
}
