//! Renaming, copying and deleting, in the API's document.

use crate::files::described::wanted;
use crate::files::jobs::begun;
use crate::openapi::Tagged;
use crate::openapi::call::{Call, delete, patch, post};
use crate::openapi::shape::{given_time, record};
use domain::api_key::Scope;

pub(crate) fn describe_in(api: &mut Tagged<'_>) {
    let moved = |call: Call| wanted(wanted(call, "path"), "target").refuses(&[404, 409]);
    api.call(
        moved(patch("/api/v2/user/files", "renameFile", "Renames a file"))
            .about("It replaces a file of that name, where that is permitted.")
            .for_users_and_keys(&[Scope::WriteFiles])
            .says(200, "File \"/a\" renamed to \"/b\""),
    );
    api.call(
        moved(patch("/api/v2/user/dirs", "renameDir", "Renames a folder"))
            .for_users_and_keys(&[Scope::WriteFiles])
            .says(200, "Directory \"/a\" renamed to \"/b\""),
    );
    api.call(
        moved(post("/api/v2/user/file-actions/move", "moveFile", "Renames a file or folder"))
            .for_users_and_keys(&[Scope::WriteFiles])
            .says(200, "\"/a\" renamed to \"/b\""),
    );
    api.call(
        moved(post("/api/v2/user/file-actions/copy", "copyFile", "Copies a file or folder"))
            .about("A folder is copied by a job, file by file; what has the same name is replaced, where that is permitted.")
            .for_users_and_keys(&[Scope::ReadFiles, Scope::WriteFiles])
            .refuses(&[413])
            .begins("A folder: it has begun.", begun())
            .says(200, "\"/a\" copied to \"/b\""),
    );
    api.call(
        wanted(delete("/api/v2/user/files", "deleteFile", "Deletes a file"), "path")
            .for_users_and_keys(&[Scope::DeleteFiles])
            .refuses(&[404, 409])
            .says(200, "File \"/a\" deleted"),
    );
    api.call(
        wanted(patch("/api/v2/user/files/metadata", "setFileTimes", "Sets the time that a file shows"), "path")
            .for_users_and_keys(&[Scope::WriteFiles])
            .takes(record().has("modification_time", given_time()), true)
            .refuses(&[404, 409])
            .says(200, "OK"),
    );
}
