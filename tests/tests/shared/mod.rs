//! What the test programs of the whole system share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use store::aws::{Aws, AwsSettings};

/// The programs of this build, beside the test binary.
pub(crate) fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(Path::parent).unwrap().join(name);
    assert!(path.is_file(), "{} is missing: run `cargo build --workspace` first", path.display());
    path
}

/// What `dev.env` says about `name`.
pub(crate) fn named<'a>(env: &'a BTreeMap<String, String>, name: &str) -> &'a str {
    env.get(name).unwrap_or_else(|| panic!("{name} is not in dev.env"))
}

/// The offline AWS that `dev.env` names.
pub(crate) async fn aws(env: &BTreeMap<String, String>) -> Aws {
    let get = |name| named(env, name).to_owned();
    let settings = AwsSettings {
        endpoint: Some(get("AWS_ENDPOINT_URL")),
        region: Some(get("AWS_REGION")),
        static_credentials: Some((get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY"))),
        bucket: get("TOWPATH_BUCKET"),
        bucket_owner: None,
        table: get("TOWPATH_TABLE"),
        events_queue_url: get("TOWPATH_EVENTS_QUEUE_URL"),
        ..AwsSettings::default()
    };
    Aws::connect(settings).await.unwrap()
}
