//! Jobs in the API's document.

use crate::openapi::Api;
use crate::openapi::call::{get, post};
use crate::openapi::shape::{Shape, anything, count, like, one_of, record, text, time, whole};
use domain::job::MOST_FAILURES;
use domain::right::Right;
use serde_json::json;

/// A job's id.
pub(crate) fn id() -> Shape {
    like("^[0-9]{13}-[0-9a-f]{16}$").example(json!("1739120350624-1f0c9a7be2d84c35"))
}

pub(crate) fn describe(api: &mut Api) {
    let mut api = api.tag("Jobs", "What takes longer than an answer may: it is begun, and looked at until it is over.");
    let subject = record()
        .has("Type", one_of(["Organization", "Credential", "Folder", "Events", "Webhook"]))
        .may("Id", text())
        .may("Name", text())
        .may("Path", text())
        .may("Target", text());
    let progress = record().has("Files", count().about("Files, events, or deliveries.")).has("Bytes", count());
    let download = record().has("Url", text().format("uri")).has("ExpiresAt", time());
    let download = download.about("What it has made, for who may see events and asks for this job alone.");
    let job = record()
        .has("Id", id())
        .has("Kind", one_of(["QuotaScan", "EventExport", "DeleteFolder", "CopyFolder", "RetentionCheck", "WebhookReplay"]))
        .has("Subject", subject)
        .has("State", one_of(["Queued", "Running", "Succeeded", "Failed"]))
        .has("Progress", progress)
        .has("Result", text().about("What came of it, for people."))
        .has("Details", anything().about("What came of it, where that is more than numbers; its shape depends on the kind."))
        .has("Failures", whole(0..=u64::from(MOST_FAILURES)).about("How often it was gone on with after a failure."))
        .may("Object", text().about("The key in the bucket of what it has made."))
        .may("Download", download)
        .has("AskedBy", text())
        .has("CreatedAt", time())
        .has("UpdatedAt", time())
        .example(
            json!({ "Id": "1739120350624-1f0c9a7be2d84c35", "Kind": "QuotaScan", "Subject": { "Type": "Organization" },
            "State": "Running", "Progress": { "Files": 12_000, "Bytes": 357_464_000 }, "Result": "", "Details": null, "Failures": 0,
            "AskedBy": "ana", "CreatedAt": 1_739_120_350_624_i64, "UpdatedAt": 1_739_120_358_112_i64 }),
        );
    let job = api.schema("Job", job);

    api.call(
        get("/organizations/{organization}/jobs", "listJobs", "Lists jobs")
            .about("The newest first. Those that are over are kept for 30 days.")
            .needs(Right::SeeJobs)
            .answers_list("The jobs.", job.clone())
            .pages(),
    );
    api.call(
        get("/organizations/{organization}/jobs/{id}", "getJob", "Shows a job")
            .about("Who may see events sees exports of events without this right.")
            .segment("id", "The job.", id())
            .needs(Right::SeeJobs)
            .answers(200, "The job.", job.clone()),
    );
    api.call(
        post(
            "/organizations/{organization}/quota-scans",
            "scanOrganization",
            "Counts again what the organization has stored",
        )
        .about("What is uploaded or deleted meanwhile is counted right. One at a time: 409.")
        .needs(Right::StartQuotaScans)
        .answers(202, "It has begun.", job)
        .located()
        .once(),
    );
}
