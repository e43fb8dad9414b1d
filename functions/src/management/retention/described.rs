//! Retention policies in the API's document.

use crate::openapi::Tagged;
use crate::openapi::call::{Call, delete, get, put};
use crate::openapi::shape::list;
use crate::openapi::values::credential_id;
use crate::sftpgo::retention::described::{example, folder, policy};
use domain::right::Right;

const ONE: &str = "/organizations/{organization}/users/{id}/retention-policy";

pub(crate) fn describe_in(api: &mut Tagged<'_>) {
    let one = |call: Call| call.segment("id", "The credential.", credential_id()).refuses(&[404]);
    let folder = api.schema("RetainedFolder", folder());
    api.call(
        one(get(ONE, "getRetentionPolicy", "Shows for how long a credential's files stay"))
            .needs(Right::SeeRetention)
            .answers(200, "The policy.", list(folder.clone())),
    );
    api.call(
        one(put(ONE, "setRetentionPolicy", "Sets for how long a credential's files stay"))
            .about("It is run daily, for the first time within minutes: what has been kept for longer is deleted then.")
            .needs(Right::ChangeRetention)
            .takes_like(policy(folder.clone()), example())
            .answers(200, "The policy.", list(folder.clone())),
    );
    api.call(
        one(delete(ONE, "deleteRetentionPolicy", "Lets a credential's files stay for ever"))
            .needs(Right::ChangeRetention)
            .answers(200, "The policy that was.", list(folder)),
    );
}
