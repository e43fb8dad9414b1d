//! The version in the API's document.

use crate::openapi::Api;
use crate::openapi::call::get;
use crate::openapi::shape::{list, record, text};

pub(crate) fn describe(api: &mut Api) {
    let mut api = api.tag("maintenance", "About the deployment.");
    let version = record()
        .has("version", text())
        .has("build_date", text())
        .has("commit_hash", text())
        .has("features", list(text()).about("SFTPGo's names, with `+` what is there and with `-` what is not."));
    api.call(get("/api/v2/version", "getVersion", "Shows Towpath's version").for_anyone().answers(
        200,
        "The version.",
        version,
    ));
}
