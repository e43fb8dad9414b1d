//! Sessions in the API's document.

use crate::openapi::Api;
use crate::openapi::call::{delete, get};
use crate::openapi::shape::{count, list, one_of, record, text, time};
use domain::right::Right;

pub(crate) fn describe(api: &mut Api) {
    let mut api = api.tag("connections", "Sessions on all nodes.");
    let transfer = record()
        .has("operation_type", one_of(["upload", "download"]))
        .has("path", text())
        .has("start_time", time())
        .has("size", count().about("Bytes so far."));
    let connection = record()
        .has("username", text())
        .has("connection_id", text())
        .has("client_version", text())
        .has("remote_address", text())
        .has("connection_time", time())
        .has("current_time", time())
        .has("command", text())
        .has("last_activity", time())
        .has("protocol", one_of(["SFTP", "FTP", "HTTP"]))
        .has("active_transfers", list(transfer).about("At most 16."))
        .has("node", text());
    let connection = api.schema("SftpgoConnection", connection);
    api.call(
        get("/api/v2/connections", "listConnections", "Lists sessions")
            .about("The oldest first. What began or ended shows within 4 seconds, bytes within 10.")
            .needs(Right::SeeConnections)
            .answers_list("The sessions.", connection),
    );
    api.call(
        delete("/api/v2/connections/{id}", "closeConnection", "Ends a session")
            .about("Within 5 seconds.")
            .segment("id", "Its `connection_id`.", text())
            .needs(Right::CloseConnections)
            .says(200, "Connection closed"),
    );
}
