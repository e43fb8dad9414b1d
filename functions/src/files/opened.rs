//! What every request about files begins with: whose they are, as its caller may see them now, and what it asks for.

use super::FilesState;
use super::query::Query;
use crate::http::error::ApiError;
use crate::http::extract::ActingUser;
use app::jobs::{AskError, JobQueue};
use app::management::UserCaller;
use app::sessions::Session;
use app::vfs::FileSession;
use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse as _, Response};
use domain::file_error::{FileError, FileErrorKind};
use domain::job::{By, Job, Task};
use domain::path::VPath;
use http::request::Parts;
use http::{StatusCode, header};
use serde_json::json;

/// The caller's files, open as long as this lives.
pub(super) struct Opened {
    pub(super) caller: UserCaller,
    pub(super) files: FileSession,
    pub(super) query: Query,
    queue: JobQueue,
    user_name: String,
    _session: Session,
}

impl FromRequestParts<FilesState> for Opened {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &FilesState) -> Result<Self, ApiError> {
        let ActingUser(caller) = ActingUser::from_request_parts(parts, state).await?;
        let query = Query::parse(parts.uri.query().unwrap_or_default())?;
        let (files, session) = state.open(&caller).await?;
        let (queue, user_name) = (state.queue.clone(), session.principal().user_name.clone());
        Ok(Self { caller, files, query, queue, user_name, _session: session })
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

    /// For whom a job works that is asked for now.
    pub(super) fn by(&self) -> By {
        By {
            credential: self.caller.credential().clone(),
            name: self.user_name.clone(),
            key: self.caller.key().cloned(),
            client_ip: self.caller.origin().client_ip,
        }
    }

    /// Asks for a job: 202, with where to look after it.
    pub(super) async fn ask(&self, task: Task) -> Result<Response, ApiError> {
        let asked = self.queue.ask(self.caller.organization(), task, self.user_name.clone()).await;
        let job = asked.map_err(|error| match error {
            AskError::SameAlready => FileError::new(FileErrorKind::Changed, "this is being done already").into(),
            AskError::Unavailable(error) => {
                tracing::error!(%error, "a job could not be asked for");
                ApiError::unavailable()
            }
        })?;
        let body = json!({ "message": "It has begun, and goes on by itself", "job": job.id });
        let place = format!("/api/v2/user/jobs/{}", job.id);
        Ok((StatusCode::ACCEPTED, [(header::LOCATION, place)], Json(body)).into_response())
    }

    /// A job of this credential.
    pub(super) async fn job(&self, id: &str) -> Result<Job, ApiError> {
        let found = self.queue.of_credential(self.caller.organization(), self.caller.credential(), id).await;
        let found = found.map_err(|error| {
            tracing::error!(%error, "a job could not be read");
            ApiError::unavailable()
        })?;
        found.ok_or_else(|| ApiError::not_found("No such job"))
    }
}
