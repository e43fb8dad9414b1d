//! Dialect B: `/api/v2/…`, SFTPGo's. Spelling only; the rules are in `app::management`.

mod account;
mod admins;
mod apikeys;
mod connections;
mod defender;
mod error;
mod folders;
mod kept;
mod page;
mod user;
mod users;
mod version;

use crate::management::ManagementState;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use serde_json::json;

pub(crate) use error::respell;

/// What the paths of this dialect begin with.
const ROOT: &str = "/api/v2";

/// Whether a path is of this dialect.
pub(crate) fn speaks(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// An answer that is a sentence.
fn message(text: &str) -> Response {
    Json(json!({ "message": text })).into_response()
}

pub(crate) fn resources() -> Router<ManagementState> {
    let path = |rest: &str| format!("{ROOT}{rest}");
    Router::new()
        .route(&path("/version"), get(version::version))
        .route(&path("/admins"), get(admins::list).post(admins::post))
        .route(&path("/admins/{username}"), get(admins::get).put(admins::put).delete(admins::delete))
        .route(&path("/admins/{username}/2fa/disable"), put(admins::disable_second_factor))
        .route(&path("/admin/changepwd"), put(account::change_password))
        // its path until SFTPGo 2.3
        .route(&path("/changepwd/admin"), put(account::change_password))
        .route(&path("/admin/profile"), get(account::profile).put(account::put_profile))
        .route(&path("/admin/totp/configs"), get(account::configs))
        .route(&path("/admin/totp/generate"), post(account::generate))
        .route(&path("/admin/totp/validate"), post(account::validate))
        .route(&path("/admin/totp/save"), post(account::save))
        .route(&path("/admin/2fa/recoverycodes"), get(account::recovery_codes).post(account::make_recovery_codes))
        .route(&path("/user/profile"), get(user::profile))
        .route(&path("/user/publickeys"), get(user::public_keys).put(user::put_public_keys))
        .route(&path("/user/changepwd"), put(user::change_password))
        .route(&path("/apikeys"), get(apikeys::list).post(apikeys::post))
        .route(&path("/apikeys/{id}"), get(apikeys::get).put(apikeys::put).delete(apikeys::delete))
        .route(&path("/users"), get(users::list).post(users::post))
        .route(&path("/users/{username}"), get(users::get).put(users::put).delete(users::delete))
        .route(&path("/connections"), get(connections::list))
        .route(&path("/connections/{id}"), delete(connections::close))
        .route(&path("/folders"), get(folders::list).post(folders::post))
        .route(&path("/folders/{name}"), get(folders::get).put(folders::put).delete(folders::delete))
        .route(&path("/defender/hosts"), get(defender::list))
        .route(&path("/defender/hosts/{id}"), get(defender::get).delete(defender::forgive))
}
