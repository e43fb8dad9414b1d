//! SFTPGo's public routes of share links in the API's document.

use crate::openapi::Api;
use crate::openapi::call::{Call, get, post};
use crate::openapi::shape::{boolean, count, list, named, record, short, text};
use serde_json::json;

const ONE: &str = "/api/v2/shares/{id}";

pub(crate) fn describe(api: &mut Api) {
    let mut api = api.tag(
        "public shares",
        "What is behind a share link, for programs, without signing in. Each request that succeeds is a visit. A link that is not open \
         (expired, used up, switched off, deleted, not from this address, unknown) is a 404.",
    );
    let of =
        |call: Call| call.segment("id", "What the link's address holds.", text()).for_visitors().refuses(&[400, 403]);
    let path = || short(4096).example(json!("/orders.csv"));

    api.call(
        of(get(ONE, "downloadShare", "Downloads all of a link as one ZIP"))
            .query("compress", "`false`: a link that is one file gives the file itself.", boolean())
            .redirects(302, "To the file, at an address that counts for a minute.")
            .redirects(307, "To a node, which writes the ZIP; the address counts for a minute."),
    );
    api.call(
        of(get("/api/v2/shares/{id}/dirs", "listShareDir", "Lists a folder of a link"))
            .about("Only of a link that is one folder.")
            .query("path", "The folder; the shared one if none is named.", path())
            .answers(200, "Its entries, at most 10,000.", list(named("SftpgoDirEntry"))),
    );
    api.call(
        of(get("/api/v2/shares/{id}/files", "downloadShareFile", "Downloads a file of a link"))
            .about("Only of a link that is one folder.")
            .needed_query("path", "The file.", path().at_least(1))
            .query("inline", "Anything: a browser may show pictures, PDF, sound, films and plain text.", text())
            .redirects(302, "To an address that counts for a minute."),
    );
    let bytes = || text().format("binary");
    let form =
        record().has("filenames", list(bytes()).at_least(1).at_most(100)).about("Files, each under its own name.");
    api.call(
        of(post(ONE, "uploadShareFiles", "Stores the files of a form"))
            .about("4.5 MB together.")
            .takes_as("multipart/form-data", form, true)
            .refuses(&[409])
            .says(201, "Upload completed"),
    );
    api.call(
        of(post("/api/v2/shares/{id}/{file}", "uploadShareFile", "Stores a file"))
            .about("The body, up to 4.5 MB; a larger one is sent to an address at a node.")
            .segment("file", "Its name.", text().at_least(1))
            .header("X-SFTPGO-MTIME", "The time that the file shows, in milliseconds.", count())
            .takes_as("application/octet-stream", bytes(), false)
            .refuses(&[409])
            .says(201, "Upload completed")
            .redirects(307, "To an address at a node that counts for a minute; send the same request there."),
    );
}
