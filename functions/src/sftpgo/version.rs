//! `/api/v2/version`.

mod described;

use crate::http::extract::Anyone;
use axum::Json;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

pub(super) use described::describe;

/// The features are SFTPGo's names: storage on S3 and nothing else, metrics on the node.
pub(super) async fn version(_: Anyone) -> Response {
    let version = env!("CARGO_PKG_VERSION");
    let features =
        ["-portable", "-bolt", "-mysql", "-sqlite", "-pgsql", "+s3", "-gcs", "-azblob", "+metrics", "-unixcrypt"];
    Json(json!({ "version": version, "build_date": "", "commit_hash": "", "features": features })).into_response()
}
