//! Virtual folders in the API's document.

use super::READ_ONLY;
use crate::openapi::Api;
use crate::openapi::call::{Call, delete, get, post, put};
use crate::openapi::shape::{Record, anything, count, list, record, short, text};
use crate::openapi::values::{filesystem, folder_name, path, user_name};
use domain::right::Right;
use serde_json::json;

const ONE: &str = "/api/v2/folders/{name}";

pub(crate) fn describe(api: &mut Api) {
    let mut api = api.tag("folders", "Virtual folders: parts of the organization's tree that several credentials see.");
    let shown = record()
        .has("id", count().about("Nothing depends on it."))
        .has("name", folder_name())
        .has("mapped_path", path())
        .has("description", text())
        .has("used_quota_size", count())
        .has("used_quota_files", count())
        .has("last_quota_update", count())
        .has("users", list(user_name()).about("Who sees it."))
        .has("filesystem", anything())
        .open();
    let shown = api.schema("SftpgoFolder", shown);
    let given = api.schema("SftpgoNewFolder", settable().has("name", folder_name()));
    let changed = api.schema("SftpgoFolderChange", settable().ignores(&["name"]));
    let one = |call: Call| call.segment("name", "The folder's name.", folder_name());

    api.call(
        get("/api/v2/folders", "listFolders", "Lists virtual folders")
            .needs(Right::SeeFolders)
            .slices()
            .answers_list("The folders, by name.", shown.clone()),
    );
    api.call(
        post("/api/v2/folders", "addFolder", "Makes a virtual folder")
            .needs(Right::ChangeFolders)
            .takes_like(given, json!({ "name": "exchange", "mapped_path": "/shared/exchange" }))
            .answers(201, "The new folder.", shown.clone())
            .located()
            .once(),
    );
    api.call(one(get(ONE, "getFolder", "Shows a virtual folder")).needs(Right::SeeFolders).answers(
        200,
        "The folder.",
        shown,
    ));
    api.call(
        one(put(ONE, "updateFolder", "Replaces a virtual folder"))
            .needs(Right::ChangeFolders)
            .takes_like(changed, json!({ "mapped_path": "/shared/exchange", "description": "for all partners" }))
            .refuses(&[409])
            .says(200, "Folder updated"),
    );
    api.call(
        one(delete(ONE, "deleteFolder", "Deletes a virtual folder"))
            .about("Its files stay.")
            .needs(Right::ChangeFolders)
            .refuses(&[409])
            .says(200, "Folder deleted"),
    );
}

fn settable() -> Record {
    record()
        .may("mapped_path", path().about("Where it is in the organization's tree; `/folders/<name>` if it is empty."))
        .may("description", short(500).or_null())
        .may("filesystem", filesystem())
        .ignores(&READ_ONLY)
        .about("Fields that are not known are kept and shown again.")
        .open()
}
