//! Retention in the API's document.

use crate::management::jobs::described::id;
use crate::openapi::Api;
use crate::openapi::call::{get, post};
use crate::openapi::shape::{Record, Shape, boolean, list, one_of, record, text, time, whole};
use crate::openapi::values::{path, user_name};
use domain::retention::{MAX_FOLDERS, MAX_HOURS};
use domain::right::Right;
use serde_json::{Value, json};

/// One folder of a policy.
pub(crate) fn folder() -> Record {
    record()
        .has("path", path().about("As the credential sees it. The deepest folder that is named decides."))
        .has("retention", whole(0..=u64::from(MAX_HOURS)).about("For how many hours files stay; 0: for ever."))
        .may(
            "delete_empty_dirs",
            boolean().default(json!(false)).about("Whether empty folders that are as old go, too."),
        )
        .may(
            "ignore_user_permissions",
            boolean().default(json!(false)).about("Whether files go that the credential itself may not delete."),
        )
}

/// An example of a policy.
pub(crate) fn example() -> Value {
    json!([{ "path": "/in", "retention": 72, "delete_empty_dirs": true, "ignore_user_permissions": false }])
}

/// A policy that is sent.
pub(crate) fn policy(folder: Shape) -> Shape {
    list(folder).at_least(1).at_most(MAX_FOLDERS)
}

pub(crate) fn describe(api: &mut Api) {
    let mut api = api.tag("data retention", "Deleting what has been kept for long enough.");
    let folder = api.schema("RetainedFolder", folder());
    let check = record()
        .has("username", user_name())
        .has("folders", list(folder.clone()))
        .has("start_time", time())
        .has("notifications", list(one_of(["Email"])))
        .has("dry_run", boolean())
        .has("job", id());
    let check = api.schema("SftpgoRetentionCheck", check);
    let started = record().has("message", text()).has("job", id());
    api.call(
        get("/api/v2/retention/users/checks", "getUsersRetentionChecks", "Lists checks that go on")
            .needs(Right::SeeRetention)
            .answers_list("The checks.", check),
    );
    api.call(
        post("/api/v2/retention/users/{username}/check", "startUserRetentionCheck", "Deletes what has been kept for long enough")
            .about("By the time at which files arrived, not the time that their clients gave them. One at a time for a user: 409. What it has come to is in its job.")
            .segment("username", "The credential's name.", user_name())
            .query("dry_run", "Nothing is deleted; the job tells what would be, and where trees overlap.", boolean())
            .query("notifications", "`Email`: a mail to the organization's `NotificationEmail`. `Hook` is always so.", text())
            .needs(Right::ChangeRetention)
            .takes_like(policy(folder), example())
            .refuses(&[409])
            .answers(202, "It has begun.", started.example(json!({ "message": "Check started", "job": "1739120350624-1f0c9a7be2d84c35" }))),
    );
}
