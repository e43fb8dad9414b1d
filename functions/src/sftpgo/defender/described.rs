//! Addresses from which logins failed in the API's document.

use crate::openapi::Api;
use crate::openapi::call::{Call, delete, get};
use crate::openapi::shape::{count, like, record, text};
use domain::right::Right;
use serde_json::json;

pub(crate) fn describe(api: &mut Api) {
    let mut api = api.tag("defender", "Addresses from which passwords of the organization's credentials were wrong.");
    let host = record()
        .has("id", like("^[0-9a-f]+$").about("The address in hex."))
        .has("ip", text())
        .may("score", count().about("Of who is not banned."))
        .may("ban_time", text().format("date-time").about("Until when it is banned."))
        .example(json!({ "id": "3139322e302e322e37", "ip": "192.0.2.7", "score": 8 }));
    let host = api.schema("SftpgoDefenderHost", host);
    let one = |call: Call| call.segment("id", "Its id, or the address itself.", text());
    api.call(
        get("/api/v2/defender/hosts", "listDefenderHosts", "Lists hosts with wrong passwords")
            .needs(Right::SeeDefender)
            .answers_list("The hosts of this half hour and the one before, and those that are banned.", host.clone()),
    );
    api.call(
        one(get("/api/v2/defender/hosts/{id}", "getDefenderHost", "Shows a host")).needs(Right::SeeDefender).answers(
            200,
            "The host.",
            host,
        ),
    );
    api.call(
        one(delete("/api/v2/defender/hosts/{id}", "deleteDefenderHost", "Forgets a host"))
            .about("Its score and its ban, on all nodes within 5 seconds.")
            .needs(Right::ForgiveHosts)
            .says(200, "OK"),
    );
}
