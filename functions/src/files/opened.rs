//! What every request about files begins with: whose they are, as its caller may see them now, and what it asks for.

use super::FilesState;
use super::query::Query;
use crate::http::error::ApiError;
use crate::http::extract::ActingUser;
use app::management::UserCaller;
use app::sessions::Session;
use app::vfs::FileSession;
use axum::extract::FromRequestParts;
use domain::path::VPath;
use http::request::Parts;

/// The caller's files, open as long as this lives.
pub(super) struct Opened {
    pub(super) caller: UserCaller,
    pub(super) files: FileSession,
    pub(super) query: Query,
    _session: Session,
}

impl FromRequestParts<FilesState> for Opened {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &FilesState) -> Result<Self, ApiError> {
        let ActingUser(caller) = ActingUser::from_request_parts(parts, state).await?;
        let query = Query::parse(parts.uri.query().unwrap_or_default())?;
        let (files, session) = state.open(&caller).await?;
        Ok(Self { caller, files, query, _session: session })
    }
}

impl Opened {
    /// A path that must be there, as seen from where the caller starts.
    pub(super) fn path(&self, name: &str) -> Result<VPath, ApiError> {
        let text = self.query.get(name).ok_or_else(|| ApiError::bad_request(name, "is needed"))?;
        self.resolve(name, text)
    }

    /// The folder that is meant: where the caller starts, if none is named.
    pub(super) fn folder(&self) -> Result<VPath, ApiError> {
        self.query.get("path").map_or_else(|| Ok(self.files.login_folder()), |text| self.resolve("path", text))
    }

    /// A path as the caller sees it.
    pub(super) fn resolve(&self, name: &str, text: &str) -> Result<VPath, ApiError> {
        let resolved = self.files.login_folder().resolve(text);
        resolved.map_err(|problem| ApiError::bad_request(name, &problem.to_string()))
    }
}
