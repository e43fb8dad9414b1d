//! Inbound rules in the API's document.

use crate::openapi::shape::{Record, Shape, list, one_of, record, short, text};
use crate::openapi::values::source;
use domain::inbound::MAX_RULES;
use serde_json::{Value, json};

fn within(rules: Shape) -> Record {
    record().may("Network", record().may("InboundRules", rules))
}

/// `Settings` in requests.
pub(crate) fn given() -> Record {
    let rule = record()
        .may("Id", short(100).or_null())
        .may("Protocol", protocol())
        .has("Source", source())
        .may("State", one_of(["enabled", "disabled"]).default(json!("enabled")))
        .may("Action", one_of(["allow"]))
        .may("Description", short(200).or_null());
    within(list(rule).at_most(MAX_RULES).about("The whole list: it replaces the one before."))
}

/// `Settings` in answers.
pub(crate) fn shown() -> Record {
    let rule = record()
        .has("Id", text())
        .has("Protocol", protocol())
        .has("Source", source())
        .has("State", one_of(["enabled", "disabled"]))
        .has("Action", one_of(["allow"]))
        .has("Description", text());
    let rules =
        list(rule).about("A client may connect if an enabled rule of the organization or of the credential matches.");
    record().has("Network", record().has("InboundRules", rules))
}

fn protocol() -> Shape {
    one_of(["*", "SFTP", "FTPS", "HTTPS"]).default(json!("*"))
}

/// SFTP To Go's own.
pub(crate) fn example() -> Value {
    json!({ "Id": "c1d91788-e46f-45a0-9c7b-386e90db000a", "Protocol": "SFTP", "Source": "0.0.0.0/0", "State": "enabled",
        "Action": "allow", "Description": "Allow all inbound traffic from anywhere" })
}
