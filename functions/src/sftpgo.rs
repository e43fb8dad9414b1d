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
mod quotas;
pub(crate) mod retention;
mod shares;
mod totp;
mod user;
mod users;
mod version;

use crate::http::error::ApiError;
use crate::http::extract::Me;
use crate::http::routes::Routes;
use crate::management::ManagementState;
use crate::openapi::Api;
use app::management::{Caller, SelfService, UserCaller};
use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post, put};
use serde_json::json;

pub(crate) use error::respell;

/// What the paths of this dialect begin with.
const ROOT: &str = "/api/v2";

/// Whether a path is of this dialect.
pub(crate) fn speaks(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// An answer that is a sentence.
pub(crate) fn message(text: &str) -> Response {
    Json(json!({ "message": text })).into_response()
}

pub(crate) fn resources() -> Routes<ManagementState> {
    let path = |rest: &str| format!("{ROOT}{rest}");
    Routes::new()
        .route(&path("/version"), get(version::version))
        .route(&path("/admins"), get(admins::list).post(admins::post))
        .route(&path("/admins/{username}"), get(admins::get).put(admins::put).delete(admins::delete))
        .route(&path("/admins/{username}/2fa/disable"), put(admins::disable_second_factor))
        .route(&path("/admin/changepwd"), put(account::change_password))
        // its path until SFTPGo 2.3
        .route(&path("/changepwd/admin"), put(account::change_password))
        .route(&path("/admin/profile"), get(account::profile).put(account::put_profile))
        .merge(second_factors::<Caller>(&path("/admin")))
        .merge(second_factors::<UserCaller>(&path("/user")))
        .route(&path("/user/profile"), get(user::profile).put(user::put_profile))
        .route(&path("/user/publickeys"), get(user::public_keys).put(user::put_public_keys))
        .route(&path("/user/changepwd"), put(user::change_password))
        .route(&path("/user/shares"), get(shares::list).post(shares::post))
        .route(&path("/user/shares/{id}"), get(shares::get).put(shares::put).delete(shares::delete))
        .route(&path("/apikeys"), get(apikeys::list).post(apikeys::post))
        .route(&path("/apikeys/{id}"), get(apikeys::get).put(apikeys::put).delete(apikeys::delete))
        .route(&path("/users"), get(users::list).post(users::post))
        .route(&path("/users/{username}/2fa/disable"), put(users::disable_second_factor))
        .route(&path("/users/{username}"), get(users::get).put(users::put).delete(users::delete))
        .route(&path("/connections"), get(connections::list))
        .route(&path("/connections/{id}"), delete(connections::close))
        .route(&path("/folders"), get(folders::list).post(folders::post))
        .route(&path("/folders/{name}"), get(folders::get).put(folders::put).delete(folders::delete))
        .route(&path("/quotas/users/scans"), get(quotas::user_scans))
        .route(&path("/quotas/users/{username}/scan"), post(quotas::scan_user))
        .route(&path("/quotas/users/{username}/usage"), put(quotas::put_user_usage))
        .route(&path("/quotas/folders/scans"), get(quotas::folder_scans))
        .route(&path("/quotas/folders/{name}/scan"), post(quotas::scan_folder))
        .route(&path("/quotas/folders/{name}/usage"), put(quotas::put_folder_usage))
        .route(&path("/retention/users/checks"), get(retention::list))
        .route(&path("/retention/users/{username}/check"), post(retention::check))
        .route(&path("/defender/hosts"), get(defender::list))
        .route(&path("/defender/hosts/{id}"), get(defender::get).delete(defender::forgive))
}

/// An account's own second factor.
fn second_factors<C>(account: &str) -> Routes<ManagementState>
where
    C: SelfService + 'static,
    Me<C>: FromRequestParts<ManagementState, Rejection = ApiError>,
{
    let path = |rest: &str| format!("{account}{rest}");
    Routes::new()
        .route(&path("/totp/configs"), get(totp::configs::<C>))
        .route(&path("/totp/generate"), post(totp::generate::<C>))
        .route(&path("/totp/validate"), post(totp::validate::<C>))
        .route(&path("/totp/save"), post(totp::save::<C>))
        .route(&path("/2fa/recoverycodes"), get(totp::recovery_codes::<C>).post(totp::make_recovery_codes::<C>))
}

/// These routes in the API's document.
pub(crate) fn describe(api: &mut Api) {
    version::describe(api);
    users::describe(api);
    folders::describe(api);
    quotas::describe(api);
    retention::describe(api);
    connections::describe(api);
    defender::describe(api);
    admins::describe(api);
    account::describe(api);
    apikeys::describe(api);
    user::describe(api);
    shares::describe(api);
}
