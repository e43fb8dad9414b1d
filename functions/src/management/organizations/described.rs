//! Organizations, as the operator sees them, in the API's document.

use crate::management::organization;
use crate::openapi::Api;
use crate::openapi::call::{delete, get, post};
use crate::openapi::shape::{record, short, text};
use crate::openapi::values::{admin_name, password, user_name};
use serde_json::json;

const OPERATOR: &str = "For an admin of the operator's organization; for everybody else there is no such route (404).";
const FULL: &str = "For an admin of the operator's organization with `*` who has signed in; for everybody else there is no such \
                    route (404).";

pub(crate) fn describe(api: &mut Api) {
    let mut api = api.tag("Organizations", "All organizations of the deployment, for its operator.");
    let made = organization::described::shown()
        .has("AdminUserName", admin_name())
        .has("AdminPassword", text().or_null().about("Only if it was made here."))
        .has("UserName", user_name());
    let made = api.schema("CreatedOrganization", made);
    let shown = crate::openapi::shape::named("Organization");
    let given = record()
        .has("Name", short(100))
        .may("AdminUserName", admin_name().or_null())
        .may("AdminPassword", password().or_null())
        .may("UserName", user_name().or_null().about("Of the root credential."));
    let given = api.schema("NewOrganization", given.about("What is not given is random."));

    api.call(
        get("/organizations", "listOrganizations", "Lists all organizations")
            .for_admins(OPERATOR)
            .refuses(&[404])
            .answers_list("The organizations.", shown.clone())
            .pages(),
    );
    api.call(
        post("/organizations", "createOrganization", "Makes an organization")
            .about("With its first admin, a root credential, default settings and inbound rules that allow everybody.")
            .for_admins(FULL)
            .refuses(&[404])
            .takes_like(given, json!({ "Name": "Acme" }))
            .answers(201, "The organization and its first accounts.", made)
            .tagged()
            .once(),
    );
    api.call(
        delete("/organizations/{organization}", "deleteOrganization", "Deletes an organization")
            .about("One in which nothing is left but the root credential and at most 10 admins; else 409, which says what is left.")
            .for_admins(FULL)
            .refuses(&[409])
            .answers(200, "The organization as it was.", shown)
            .tagged(),
    );
}
