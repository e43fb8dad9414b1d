//! Values that several resources have.

use super::shape::{Record, Shape, count, given_time, like, record, short, text};
use domain::path::MAX_PATH_BYTES;
use serde_json::json;

/// A random id.
pub(crate) fn uuid() -> Shape {
    text().format("uuid")
}

/// The id of a credential.
pub(crate) fn credential_id() -> Shape {
    like("^[0-9a-f]{30}$").example(json!("4ddb2ea265b8eaf7685b4e125a1292"))
}

/// The id of an API key.
pub(crate) fn key_id() -> Shape {
    like("^tow_[0-9A-Za-z]{16}$").example(json!("tow_4fQ2bX9LmZ0aPq7s"))
}

/// The name of a credential.
pub(crate) fn user_name() -> Shape {
    like(r"^(?!\.+$)[A-Za-z0-9_.-]{1,100}$").example(json!("partner-one"))
}

/// The name of an admin.
pub(crate) fn admin_name() -> Shape {
    like(r"^(?!\.+$)[A-Za-z0-9_.~@+-]{1,100}$").example(json!("ana"))
}

/// The name of a virtual folder.
pub(crate) fn folder_name() -> Shape {
    like(r"^(?!\.+$)[A-Za-z0-9_.~-]{1,255}$").example(json!("exchange"))
}

/// A path.
pub(crate) fn path() -> Shape {
    short(MAX_PATH_BYTES).example(json!("/home/partner-one"))
}

/// An address or a range of addresses.
pub(crate) fn source() -> Shape {
    short(64).about("An address, or a range of addresses in CIDR notation.").example(json!("203.0.113.0/24"))
}

/// A password as a request brings it.
pub(crate) fn password() -> Shape {
    text().at_most(domain::password::MAX_BYTES).format("password")
}

/// A time, or 0 for never, as SFTPGo shows it.
pub(crate) fn sftpgo_time() -> Shape {
    count().about("Unix time in milliseconds; 0 is never.").example(json!(1_739_120_350_624_i64))
}

/// The same in requests.
pub(crate) fn given_sftpgo_time() -> Shape {
    given_time()
        .or_null()
        .about("Unix time in seconds or milliseconds (below 10^11 it is seconds); 0 and null are never.")
}

/// What SFTPGo says of where files are.
pub(crate) fn filesystem() -> Record {
    record().may("provider", super::shape::whole(0..=0).or_null().about("0: the organization's bucket.")).open()
}
