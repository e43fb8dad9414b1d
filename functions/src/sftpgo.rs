//! Dialect B: `/api/v2/…`, SFTPGo's. Spelling only; the rules are in `app::management`.

mod connections;
mod defender;
mod error;
mod folders;

use crate::management::ManagementState;
use axum::Router;
use axum::routing::{delete, get};

pub(crate) use error::respell;

/// What the paths of this dialect begin with.
const ROOT: &str = "/api/v2";

/// Whether a path is of this dialect.
pub(crate) fn speaks(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub(crate) fn resources() -> Router<ManagementState> {
    let path = |rest: &str| format!("{ROOT}{rest}");
    Router::new()
        .route(&path("/connections"), get(connections::list))
        .route(&path("/connections/{id}"), delete(connections::close))
        .route(&path("/folders"), get(folders::list).post(folders::post))
        .route(&path("/folders/{name}"), get(folders::get).put(folders::put).delete(folders::delete))
        .route(&path("/defender/hosts"), get(defender::list))
        .route(&path("/defender/hosts/{id}"), get(defender::get).delete(defender::forgive))
}
