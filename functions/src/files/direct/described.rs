//! Upload sessions in the API's document.

use crate::files::described::path;
use crate::openapi::Tagged;
use crate::openapi::call::{Call, delete, get, post};
use crate::openapi::shape::{boolean, count, given_time, list, record, text, time, whole};
use domain::api_key::Scope;
use domain::upload::{MAX_FILE_BYTES, MAX_PARTS};

const ONE: &str = "/api/v2/user/upload-sessions/{id}";

pub(crate) fn describe_in(api: &mut Tagged<'_>) {
    let part_number = || whole(1..=u64::from(MAX_PARTS));
    let part = record()
        .has("number", part_number())
        .has("size", count().about("Exactly so many bytes belong there."))
        .has("url", text().format("uri").about("PUT them here; it counts for 15 minutes."));
    let session = record()
        .has("id", text())
        .has("path", text())
        .has("size", count())
        .has("part_size", count())
        .has("part_count", count())
        .has("expires_at", time())
        .has("received", list(count()).about("The parts that are there."))
        .has("parts", list(part).about("Addresses of up to 100 parts."))
        .has("next_part", count().or_null().about("From which part on more addresses can be asked for."));
    let session = api.schema("UploadSession", session);
    let one = |call: Call| call.segment("id", "The session.", text()).for_users_and_keys(&[Scope::WriteFiles]);
    let given = record()
        .has("path", path())
        .has("size", whole(0..=MAX_FILE_BYTES))
        .may("last_modified", given_time())
        .may("mkdir_parents", boolean());
    api.call(
        post("/api/v2/user/upload-sessions", "beginUpload", "Begins a large upload")
            .about("Its parts go straight to S3, as many at once as you like. It ends after 24 hours; at most 200 are open.")
            .for_users_and_keys(&[Scope::WriteFiles])
            .takes(given, true)
            .refuses(&[404, 409])
            .answers(201, "The session, with the first addresses.", session.clone()),
    );
    api.call(
        one(get(ONE, "getUpload", "Shows a large upload"))
            .about("With what has been received: a broken upload goes on with the missing parts.")
            .query("part", "Addresses from this part on.", part_number())
            .answers(200, "The session.", session),
    );
    api.call(
        one(post("/api/v2/user/upload-sessions/{id}/complete", "completeUpload", "Makes a file of a large upload"))
            .refuses(&[400, 409, 413])
            .says(201, "Upload completed"),
    );
    api.call(one(delete(ONE, "abortUpload", "Throws a large upload away")).refuses(&[409]).says(200, "Upload ended"));
}
