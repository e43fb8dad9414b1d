//! A credential's files in the API's document.

use super::{changes, contents, direct, folders, jobs};
use crate::openapi::Api;
use crate::openapi::call::Call;
use crate::openapi::shape::{Shape, boolean, short};
use serde_json::json;

pub(crate) fn describe(api: &mut Api) {
    let mut api = api.tag(
        "files",
        "A credential's files, with the rights, quota and events of SFTP. Inbound rules ask for `HTTPS`.",
    );
    folders::describe_in(&mut api);
    contents::describe_in(&mut api);
    changes::describe_in(&mut api);
    jobs::describe_in(&mut api);
    direct::describe_in(&mut api);
}

/// A path as the credential sees it.
pub(super) fn path() -> Shape {
    short(4096).example(json!("/in/orders.csv"))
}

/// A path in the query that must be there.
pub(super) fn wanted(call: Call, name: &str) -> Call {
    let about = if name == "target" {
        "Its new path."
    } else {
        "Its path; without a `/` at the front, from where the credential starts."
    };
    call.needed_query(name, about, path().at_least(1))
}

/// `mkdir_parents`.
pub(super) fn parents(call: Call) -> Call {
    call.query("mkdir_parents", "Makes the folders above it.", boolean())
}
