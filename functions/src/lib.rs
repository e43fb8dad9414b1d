//! The Lambda functions: routers and queue handlers over the use cases of `app`. The binaries in `bin/` only read their
//! settings, make the state and run; [`local`] runs the same code without Lambda.

pub mod config;
pub mod docs;
pub mod files;
pub mod housekeeping;
pub mod http;
pub mod local;
pub mod management;
pub mod openapi;
pub mod queue;
pub mod setup;
mod sftpgo;
pub mod share;
pub mod token;
pub mod webhook;

/// All routes that answer under the API's address, as the local server runs them; in production each function has its own.
pub fn router(
    management: management::ManagementState,
    token: token::TokenState,
    files: files::FilesState,
    share: share::ShareState,
) -> axum::Router {
    http::frame::framed(routes(management, token, files, share))
}

/// The same without what stands around them, which know their paths.
pub fn routes(
    management: management::ManagementState,
    token: token::TokenState,
    files: files::FilesState,
    share: share::ShareState,
) -> http::routes::Routes {
    let signed_in = management::routes(management).merge(token::routes(token)).merge(files::routes(files));
    signed_in.merge(share::routes(share))
}
