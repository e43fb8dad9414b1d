//! The organization's settings in the API's document.

use super::MOST_REQUESTS;
use crate::management::rules;
use crate::openapi::Api;
use crate::openapi::call::{get, patch};
use crate::openapi::shape::{Record, Shape, boolean, like, list, one_of, record, short, text, time, whole};
use crate::openapi::values::{source, uuid};
use domain::rate::rule::MAX_RULES;
use domain::right::Right;
use serde_json::json;

const ONE: &str = "/organizations/{organization}";
const MOST: u64 = 1 << 53;

pub(crate) fn describe(api: &mut Api) {
    let mut api = api.tag("Organization", "The settings of one organization.");
    let shown = api.schema("Organization", shown());
    let changed = api.schema("OrganizationChange", changed());
    api.call(
        get(ONE, "getOrganization", "Shows the organization's settings")
            .needs(Right::SeeOrganization)
            .answers(200, "The organization.", shown.clone())
            .tagged(),
    );
    api.call(
        patch(ONE, "updateOrganization", "Changes the organization's settings")
            .about("Only what is named changes; `SharePolicy` and lists are replaced as a whole.")
            .needs(Right::ChangeOrganization)
            .takes_like(changed, json!({ "PasswordPolicy": { "MinLength": 16 } }))
            .conditional()
            .refuses(&[409])
            .answers(200, "The changed organization.", shown)
            .tagged(),
    );
}

fn policy() -> Vec<(&'static str, Shape)> {
    let length = whole(8..=64).default(json!(12));
    let mut all = vec![("MinLength", length)];
    all.extend(["RequireUppercase", "RequireLowercase", "RequireDigit", "RequireSymbol"].map(|name| (name, boolean())));
    all
}

fn share_policy() -> [(&'static str, Shape); 2] {
    [("PasswordRequired", boolean()), ("MaxDays", whole(0..=3650).about("0 is no limit."))]
}

fn plain() -> Vec<(&'static str, Shape)> {
    let readable = "How long a password that was set can be read back. With `never` none is kept to be read.";
    let closes = "Whether a change of a credential ends its open sessions, within 5 seconds.";
    let quota = || whole(0..=MOST).about("0 is no limit.");
    vec![
        ("Name", short(100)),
        ("PasswordReadable", one_of(["24h", "always", "never"]).about(readable)),
        ("NotificationEmail", short(254).or_null()),
        ("CloseSessionsOnChange", boolean().about(closes)),
        ("QuotaSize", quota()),
        ("QuotaFiles", quota()),
    ]
}

fn rule(always: bool) -> Record {
    let route = "`/organizations/*`: whatever follows; `/api/v2/users/{username}`: a segment in braces is any; `*`.";
    let fields = vec![
        ("Id", like("^[A-Za-z0-9_.-]{1,100}$")),
        ("Method", one_of(["*", "GET", "POST", "PUT", "PATCH", "DELETE"])),
        ("Route", short(256).about(route)),
        ("Source", source().or_null()),
        ("Per", one_of(["Caller", "Address"]).about("Whose requests are counted together.")),
    ];
    let requests = whole(1..=MOST_REQUESTS).about("Allowed a minute.");
    let rule = if always {
        record().has_all(fields)
    } else {
        let optional =
            fields.into_iter().map(|(name, shape)| (name, if name == "Per" { shape } else { shape.or_null() }));
        record().may_all(optional)
    };
    rule.has("Requests", requests)
}

fn requests() -> Shape {
    whole(1..=MOST_REQUESTS).default(json!(1000)).about("A minute, for each key and account.")
}

fn changed() -> Record {
    let limit = record().may("DefaultRequests", requests()).may("Rules", list(rule(false)).at_most(MAX_RULES));
    record()
        .may_all(plain())
        .may("PasswordPolicy", record().may_all(policy()))
        .may("SharePolicy", record().may_all(share_policy()))
        .may("Settings", rules::described::given())
        .may("RateLimit", limit)
        .ignores(&["Id", "CreatedAt", "UpdatedAt"])
}

/// The organization as every answer shows it.
pub(in crate::management) fn shown() -> Record {
    record()
        .has("Id", uuid())
        .has_all(plain())
        .has("Name", text())
        .has("PasswordPolicy", record().has_all(policy()))
        .has("SharePolicy", record().has_all(share_policy()))
        .has("Settings", rules::described::shown())
        .has("RateLimit", record().has("DefaultRequests", requests()).has("Rules", list(rule(true))))
        .has("CreatedAt", time())
        .has("UpdatedAt", time())
}
