//! What is stored, counted again or set by hand, in the API's document.

use super::MOST;
use crate::management::jobs::described::id;
use crate::openapi::Api;
use crate::openapi::call::{Call, get, post, put};
use crate::openapi::shape::{Record, Shape, count, one_of, record, text, time, whole};
use crate::openapi::values::{folder_name, user_name};
use domain::right::Right;
use serde_json::json;

pub(crate) fn describe(api: &mut Api) {
    let mut api = api.tag("quotas", "What credentials and virtual folders have stored: counted again, or set by hand.");
    let scans = |of: &str, name: Shape| {
        let scan = record().has(of, name).has("start_time", time()).has("job", id());
        scan.has("files", count().about("So far.")).has("size", count().about("Bytes so far."))
    };
    let users = api.schema("SftpgoUserScan", scans("username", user_name()));
    let folders = api.schema("SftpgoFolderScan", scans("name", folder_name()));
    let started = record().has("message", text()).has("job", id());
    let started = api.schema(
        "SftpgoScanStarted",
        started.example(json!({ "message": "Scan started", "job": "1739120350624-1f0c9a7be2d84c35" })),
    );
    let usage = api.schema("SftpgoUsage", usage());
    let of_user = |call: Call| call.segment("username", "The credential's name.", user_name());
    let of_folder = |call: Call| call.segment("name", "The folder's name.", folder_name());

    api.call(
        get("/api/v2/quotas/users/scans", "listUserScans", "Lists recounts of users that go on")
            .needs(Right::SeeQuotaScans)
            .answers_list("The recounts.", users),
    );
    api.call(
        get("/api/v2/quotas/folders/scans", "listFolderScans", "Lists recounts of virtual folders that go on")
            .needs(Right::SeeQuotaScans)
            .answers_list("The recounts.", folders),
    );
    let scan = |call: Call| {
        call.about("What is uploaded or deleted meanwhile is counted right. One at a time: 409.")
            .needs(Right::StartQuotaScans)
            .refuses(&[409])
            .answers(202, "It has begun.", started.clone())
    };
    api.call(scan(of_user(post(
        "/api/v2/quotas/users/{username}/scan",
        "startUserScan",
        "Counts again what a user has stored",
    ))));
    api.call(scan(of_folder(post(
        "/api/v2/quotas/folders/{name}/scan",
        "startFolderScan",
        "Counts again what is in a folder",
    ))));
    let set = |call: Call| {
        call.needs(Right::StartQuotaScans)
            .query(
                "mode",
                "Whether the numbers are the usage or added to it.",
                one_of(["reset", "add"]).default(json!("reset")),
            )
            .takes(usage.clone(), false)
            .refuses(&[409])
            .says(200, "Quota updated")
    };
    api.call(set(of_user(put("/api/v2/quotas/users/{username}/usage", "setUserUsage", "Sets what a user has stored"))));
    api.call(set(of_folder(put("/api/v2/quotas/folders/{name}/usage", "setFolderUsage", "Sets what is in a folder"))));
}

fn usage() -> Record {
    let number = || whole(0..=MOST).default(json!(0));
    record().may("used_quota_size", number()).may("used_quota_files", number()).open()
}
