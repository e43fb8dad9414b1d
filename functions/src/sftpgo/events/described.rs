//! SFTPGo's event search in the API's document.

use super::{DEFAULT_LIMIT, MAX_LIMIT, files, provider};
use crate::openapi::Api;
use crate::openapi::call::{Call, get};
use crate::openapi::shape::{Shape, boolean, count, like, one_of, record, text, whole};
use domain::right::Right;
use serde_json::json;

fn id() -> Shape {
    like("^[0-9]{13}-[0-9A-Za-z_~-]{0,64}$").example(json!("1739120350624-5a1c1e0a-9c1e-4d59-9c39-0c2d8b1a7f11"))
}

fn asked(call: Call) -> Call {
    let time = || count().default(json!(0));
    let never = "What events of Towpath do not have: whoever asks for it finds nothing.";
    let limit = whole(1..=MAX_LIMIT as u64).default(json!(DEFAULT_LIMIT));
    call.needs(Right::SeeEvents)
        .query("start_timestamp", "The earliest, unix time in nanoseconds.", time())
        .query("end_timestamp", "The latest; 0 is no limit.", time())
        .query("username", "By this one.", text())
        .query("ip", "From this address.", text())
        .query("instance_ids", never, text())
        .query("role", never, text())
        .query("from_id", "Only what comes behind the event of this id, in the order that is asked for.", id())
        .query("csv_export", "All of them as a file of comma-separated values, at most 4 MB.", boolean())
        .query("limit", "At most so many.", limit)
        .query("order", "By time.", one_of(["ASC", "DESC"]).default(json!("DESC")))
        .links()
        .refuses(&[413])
}

fn several(values: &'static [&'static str]) -> Shape {
    let one = values.join("|");
    like(&format!("^({one})(,({one}))*$"))
}

pub(crate) fn describe(api: &mut Api) {
    let mut api =
        api.tag("events", "The audit log as SFTPGo's event search shows it; what is older than 13 months is gone.");
    let timestamp = || count().about("Unix time in nanoseconds, of whole milliseconds.");
    let file = record()
        .has("id", id())
        .has("timestamp", timestamp())
        .has("action", one_of(files::ACTIONS))
        .has("username", text())
        .has("fs_path", text().about("The same as `virtual_path`."))
        .has("virtual_path", text().about("From the organization's root; a folder's ends in a slash."))
        .may("fs_target_path", text())
        .may("virtual_target_path", text())
        .has("file_size", count())
        .has("elapsed", count())
        .has("status", whole(1..=3).about("1: done; 2: failed; 3: over the quota."))
        .has("protocol", one_of(files::PROTOCOLS))
        .has("ip", text())
        .has("session_id", text())
        .has("fs_provider", count())
        .has("instance_id", text());
    let file = api.schema("SftpgoFsEvent", file);
    let never = "What events of Towpath do not have: whoever asks for it finds nothing.";
    api.call(
        asked(get("/api/v2/events/fs", "listFsEvents", "Searches what happened to files"))
            .query("actions", "Only these, separated by commas.", several(&files::ACTIONS))
            .query("protocols", "Only these, separated by commas.", several(&files::PROTOCOLS))
            .query("statuses", "Only these, separated by commas.", like("^[123](,[123])*$"))
            .query("ssh_cmd", never, text())
            .query("fs_provider", "0; of others there are none.", count())
            .query("bucket", never, text())
            .query("endpoint", never, text())
            .answers_list("The events.", file)
            .also_as("text/csv", text()),
    );
    let change = record()
        .has("id", id())
        .has("timestamp", timestamp())
        .has("action", one_of(provider::ACTIONS))
        .has("username", text())
        .has("ip", text())
        .has("object_type", one_of(provider::OBJECT_TYPES))
        .has("object_name", text())
        .may(
            "object_data",
            text().format("byte").about(
                "An object's id, name and kind, and the names of the fields that are different, as JSON in base64.",
            ),
        )
        .has("instance_id", text());
    let change = api.schema("SftpgoProviderEvent", change);
    api.call(
        asked(get("/api/v2/events/provider", "listProviderEvents", "Searches who changed accounts and settings"))
            .query("actions", "Only these, separated by commas.", several(&provider::ACTIONS))
            .query("object_name", "Only objects of this name.", text())
            .query("object_types", "Only these, separated by commas.", several(&provider::OBJECT_TYPES))
            .query("omit_object_data", "Without `object_data`.", boolean())
            .answers_list("The events.", change)
            .also_as("text/csv", text()),
    );
}
