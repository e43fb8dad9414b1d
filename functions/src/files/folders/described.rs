//! Folders of a credential in the API's document.

use crate::files::described::{parents, path, wanted};
use crate::files::jobs::begun;
use crate::openapi::Tagged;
use crate::openapi::call::{delete, get, post};
use crate::openapi::shape::{count, list, record, text};
use domain::api_key::Scope;
use serde_json::json;

pub(crate) fn describe_in(api: &mut Tagged<'_>) {
    let entry = record()
        .has("name", text())
        .may("size", count().about("Of files."))
        .has("mode", count().about("Go's `fs.FileMode`: a folder has the highest bit."))
        .has("last_modified", text().format("date-time"))
        .example(
            json!({ "name": "orders.csv", "size": 357_464, "mode": 420, "last_modified": "2026-11-22T12:29:26Z" }),
        );
    let entry = api.schema("SftpgoDirEntry", entry);
    api.call(
        get("/api/v2/user/dirs", "listDir", "Lists a folder")
            .for_users_and_keys(&[Scope::ReadFiles])
            .query("path", "The folder; where the credential starts if none is named.", path())
            .query("after", "Where the `Link` of the answer before points to.", text())
            .refuses(&[404])
            .answers(200, "Its entries. A list over 2.5 MB is cut.", list(entry.clone()))
            .links(),
    );
    api.call(
        parents(wanted(post("/api/v2/user/dirs", "createDir", "Makes a folder"), "path"))
            .for_users_and_keys(&[Scope::WriteFiles])
            .refuses(&[404, 409])
            .says(201, "Directory \"/in\" created"),
    );
    api.call(
        wanted(delete("/api/v2/user/dirs", "deleteDir", "Deletes a folder"), "path")
            .about("With what is in it: at once, or by a job where that is more than 500 files and folders.")
            .for_users_and_keys(&[Scope::DeleteFiles])
            .refuses(&[404, 409])
            .begins("It has begun.", begun())
            .says(200, "Directory \"/in\" deleted"),
    );
    api.call(
        wanted(get("/api/v2/user/files/metadata", "getFileMetadata", "Shows one file or folder"), "path")
            .for_users_and_keys(&[Scope::ReadFiles])
            .refuses(&[404])
            .answers(200, "As a list shows it.", entry),
    );
}
