//! Jobs of a credential in the API's document.

use crate::management::jobs::described::id;
use crate::openapi::Tagged;
use crate::openapi::call::get;
use crate::openapi::shape::{Record, count, one_of, record, text, time};
use domain::api_key::Scope;
use serde_json::json;

/// What names a job that has begun.
pub(crate) fn begun() -> Record {
    record().has("message", text()).has("job", id())
}

pub(crate) fn describe_in(api: &mut Tagged<'_>) {
    let job = record()
        .has("id", id())
        .has("kind", one_of(["DeleteFolder", "CopyFolder"]))
        .has("path", text().or_null())
        .has("target", text().or_null())
        .has("state", one_of(["Queued", "Running", "Succeeded", "Failed"]))
        .has("files", count().about("Done so far."))
        .has("size", count().about("Their bytes."))
        .has("result", text().about("What came of it, for people."))
        .has("created_at", time())
        .has("updated_at", time())
        .example(
            json!({ "id": "1739120350624-1f0c9a7be2d84c35", "kind": "CopyFolder", "path": "/in", "target": "/kept",
            "state": "Running", "files": 1200, "size": 357_464_000, "result": "", "created_at": 1_739_120_350_624_i64,
            "updated_at": 1_739_120_358_112_i64 }),
        );
    let job = api.schema("SftpgoFolderJob", job);
    api.call(
        get("/api/v2/user/jobs/{id}", "getFolderJob", "Shows how far a folder is copied or deleted")
            .segment("id", "The job, as the answer that began it names it.", id())
            .for_users_and_keys(&[Scope::ReadFiles])
            .refuses(&[404])
            .answers(200, "The job.", job),
    );
}
