//! The bytes of files in the API's document.

use crate::files::described::{parents, path, wanted};
use crate::openapi::Tagged;
use crate::openapi::call::{get, post};
use crate::openapi::shape::{count, list, record, text};
use domain::api_key::Scope;
use serde_json::json;

const NODE: &str = "To an address at a node that counts for a minute; send the same request there.";

pub(crate) fn describe_in(api: &mut Tagged<'_>) {
    api.call(
        wanted(get("/api/v2/user/files", "downloadFile", "Downloads a file"), "path")
            .for_users_and_keys(&[Scope::ReadFiles])
            .query("inline", "Anything: a browser may show pictures, PDF, sound, films and plain text.", text())
            .refuses(&[404])
            .redirects(302, "To an address that counts for a minute."),
    );
    let bytes = || text().format("binary");
    api.call(
        parents(wanted(post("/api/v2/user/files/upload", "uploadFile", "Stores a file"), "path"))
            .about(
                "The body, up to 4.5 MB, in the place of what is there. Larger ones: an upload session, or an address at a node, \
                 which is answered for `size=<bytes>` and no body.",
            )
            .for_users_and_keys(&[Scope::WriteFiles])
            .query("size", "Asks where to send a file of so many bytes, and stores nothing.", count())
            .header("X-SFTPGO-MTIME", "The time that the file shows, in milliseconds.", count())
            .takes_as("application/octet-stream", bytes(), false)
            .refuses(&[404, 409])
            .says(201, "Upload completed")
            .redirects(307, NODE),
    );
    let form =
        record().has("filenames", list(bytes()).at_least(1).at_most(100)).about("Files, each under its own name.");
    api.call(
        parents(post("/api/v2/user/files", "uploadFiles", "Stores the files of a form"))
            .about("4.5 MB together.")
            .for_users_and_keys(&[Scope::WriteFiles])
            .query("path", "The folder; where the credential starts if none is named.", path())
            .takes_as("multipart/form-data", form, true)
            .refuses(&[404, 409])
            .says(201, "Upload completed"),
    );
    let paths = list(path()).at_least(1).at_most(1000).example(json!(["/in", "/orders.csv"]));
    api.call(
        post("/api/v2/user/streamzip", "downloadZip", "Downloads files and folders as one ZIP")
            .about("Written by a node. One that breaks off is a broken connection, never a shorter ZIP.")
            .for_users_and_keys(&[Scope::ReadFiles])
            .takes(paths, true)
            .refuses(&[404])
            .redirects(307, NODE),
    );
}
