//! SFTPGo's public routes, `/api/v2/shares/{id}…`. Whoever uses them is a program, so each request is a visit.

mod described;

use super::browse::{Visiting, address_of};
use super::closed::Refused;
use super::{ShareState, request, uploads};
use crate::files::contents::{modified, redirect};
use crate::files::folders::shown;
use crate::http::error::ApiError;
use crate::sftpgo::message;
use app::shares::{Closed, How, Knock};
use app::vfs::EntryKind;
use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use domain::access::Verb;
use domain::file_error::FileError;
use domain::path::{Name, VPath};
use domain::share::{ShareSecret, Target, Visitor};
use domain::ticket::Errand;
use http::StatusCode;

pub(crate) use described::describe;

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Closed(Closed::Password { .. }) => Self::not_signed_in(),
            Refused::Closed(Closed::Unavailable) => Self::unavailable(),
            Refused::Closed(_) => Self::not_found("No such share"),
            Refused::NoSuchFile => Self::not_found("No such file"),
            Refused::File(error) => error.into(),
            Refused::Api(error) => error,
            Refused::BadForm => Self::bad_request("", "must be a form"),
            Refused::Forged => Self::not_found("No such share"),
            Refused::NoNode => Self::not_here("This deployment has no HTTPS door, which makes archives"),
        }
    }
}

/// What must be there for a request to succeed: what fails costs no visit.
enum Needs {
    /// That files may be brought.
    Room,
    /// What is packed, and a node that does.
    Everything {
        raw: bool,
    },
    Folder(VPath),
    File(VPath),
}

impl Needs {
    async fn are_there(&self, state: &ShareState, visiting: &Visiting) -> Result<(), Refused> {
        let files = &visiting.files;
        match self {
            Self::Room if visiting.may(Verb::Upload, &VPath::root()) => {}
            Self::Room => return Err(FileError::permission_denied().into()),
            Self::Everything { raw } => {
                if !(*raw && visiting.is_file()) {
                    if !visiting.may(Verb::Download, &VPath::root()) {
                        return Err(FileError::permission_denied().into());
                    }
                    if state.door.is_none() {
                        return Err(Refused::NoNode);
                    }
                }
                for path in files.top() {
                    files.stat(&path).await?;
                }
            }
            Self::Folder(path) => {
                one_folder(visiting)?;
                drop(files.list(path).await?);
            }
            Self::File(path) => {
                one_folder(visiting)?;
                if files.stat(path).await?.kind == EntryKind::Folder {
                    return Err(ApiError::bad_request("path", "is a folder").into());
                }
            }
        }
        Ok(())
    }
}

/// What a request shows to the share of this id.
fn knock(id: &str, request: &Request) -> Result<Knock, Refused> {
    let secret = ShareSecret::parse(id).ok_or(Closed::NotFound)?;
    let target = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    Ok(request::knock(request, secret, Visitor::Program, target))
}

/// Somebody at one of these routes.
async fn visit(state: &ShareState, knock: Result<Knock, Refused>, needs: Needs) -> Result<Visiting, Refused> {
    let knock = knock?;
    let found = state.visits.find(&knock).await?;
    let admitted = state.visits.admit(found, &knock).await?;
    needs.are_there(state, &Visiting::ahead(state, &admitted, &knock)?).await?;
    let entered = state.visits.begin(admitted, &knock, How::Use).await?;
    Ok(Visiting::new(state, entered, &knock))
}

/// The path of a query; the shared folder itself, if none is named.
fn path(request: &Request) -> Result<VPath, ApiError> {
    let query = request::query(request.uri().query().unwrap_or_default());
    let query = query.ok_or_else(|| ApiError::bad_request("path", "must be UTF-8"))?;
    let text = query.get("path").map_or("/", String::as_str);
    VPath::parse(text).map_err(|problem| ApiError::bad_request("path", &problem.to_string()))
}

/// Names and files are only asked of one folder, as SFTPGo has it.
fn one_folder(visiting: &Visiting) -> Result<(), ApiError> {
    match visiting.entered.share.paths.as_slice() {
        [path] if path.target == Some(Target::Folder) => Ok(()),
        _ => Err(ApiError::bad_request("", "the share must have one path, which is a directory")),
    }
}

pub(super) async fn archive(
    State(state): State<ShareState>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let query = request::query(request.uri().query().unwrap_or_default()).unwrap_or_default();
    let raw = matches!(query.get("compress").map(String::as_str), Some("false" | "0" | "f" | "F" | "FALSE" | "False"));
    let visiting = visit(&state, knock(&id, &request), Needs::Everything { raw }).await?;
    if raw && visiting.is_file() {
        let file = visiting.files.top().into_iter().next().unwrap_or(VPath::root());
        return redirect(StatusCode::FOUND, &address_of(&state, &visiting, &file, false).await?);
    }
    let errand = Errand::ArchiveOf { path: VPath::root() };
    let address = state.ticket(&visiting.entered.login.principal, errand).ok_or(Refused::NoNode)?;
    redirect(StatusCode::TEMPORARY_REDIRECT, &address)
}

pub(super) async fn list(
    State(state): State<ShareState>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let path = path(&request)?;
    let visiting = visit(&state, knock(&id, &request), Needs::Folder(path.clone())).await?;
    let read = super::entries::read(&visiting.files, &path).await?;
    Ok(Json(read.entries.iter().map(shown).collect::<Vec<_>>()).into_response())
}

pub(super) async fn download(
    State(state): State<ShareState>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let path = path(&request)?;
    let inline =
        request::query(request.uri().query().unwrap_or_default()).is_some_and(|query| query.contains_key("inline"));
    let visiting = visit(&state, knock(&id, &request), Needs::File(path.clone())).await?;
    redirect(StatusCode::FOUND, &address_of(&state, &visiting, &path, inline).await?)
}

pub(super) async fn upload(
    State(state): State<ShareState>,
    Path((id, name)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let name = Name::parse(&name).and_then(|name| VPath::root().child(&name));
    let path = name.map_err(|problem| ApiError::bad_request("fileName", &problem.to_string()))?;
    let visiting = visit(&state, knock(&id, &request), Needs::Room).await?;
    let time = modified(request.headers())?;
    Ok(uploads::store(&state, &visiting, &path, false, (request, time)).await?)
}

pub(super) async fn upload_form(
    State(state): State<ShareState>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let visiting = visit(&state, knock(&id, &request), Needs::Room).await?;
    uploads::form(&visiting, &VPath::root(), request).await?;
    Ok((StatusCode::CREATED, message("Upload completed")).into_response())
}
