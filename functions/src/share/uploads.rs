//! Bringing files: a PUT of what is small, upload sessions whose parts go straight to S3, and a form for browsers without scripts.
//! Folders above a file need not be made: they exist because it does.

use super::ShareState;
use super::browse::Visiting;
use super::closed::Refused;
use super::request::Asked;
use crate::files::MAX_RAW;
use crate::files::contents::{limited, modified, redirect, store_form, too_large};
use crate::files::direct::shown;
use crate::http::error::ApiError;
use crate::http::extract::body;
use crate::http::fields::{Fields, text, time, whole};
use crate::sftpgo::message;
use axum::Json;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use domain::access::Verb;
use domain::file_error::{FileError, FileErrorKind};
use domain::path::VPath;
use domain::ticket::Errand;
use domain::time::Timestamp;
use domain::upload::MAX_FILE_BYTES;
use http::{HeaderMap, HeaderName, StatusCode};
use transfers::receive::{announced, receive};

/// The time of a file that a page sends, in milliseconds.
const MODIFIED: HeaderName = HeaderName::from_static("x-towpath-modified");

/// `curl -T`, and what a page sends in one request.
pub(super) async fn put(
    state: &ShareState,
    asked: &Asked,
    visiting: &Visiting,
    request: Request,
) -> Result<Response, Refused> {
    if asked.is_folder {
        let text = "names a folder: put a file's name behind the address, as `curl -T file <address>/` does";
        return Err(ApiError::bad_request("path", text).into());
    }
    let time = time_of(request.headers())?;
    store(state, visiting, &asked.path, asked.get("size").is_some(), (request, time)).await
}

/// Whether a file could be put there: what is refused costs no visit.
pub(super) async fn may_put(asked: &Asked, visiting: &Visiting) -> Result<(), Refused> {
    let folder = asked.path.parent().unwrap_or(VPath::root());
    if !visiting.may(Verb::Upload, &folder) {
        return Err(FileError::permission_denied().into());
    }
    // who may not look may not ask either, and learns it from the upload
    if !visiting.may(Verb::Overwrite, &folder) && visiting.may(Verb::List, &folder) {
        match visiting.files.stat(&asked.path).await {
            Ok(_) => return Err(FileError::new(FileErrorKind::AlreadyExists, "a file of this name exists").into()),
            Err(error) if error.kind() == FileErrorKind::NoSuchFile => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Stores the body of a request, or says where it can be sent.
pub(super) async fn store(
    state: &ShareState,
    visiting: &Visiting,
    path: &VPath,
    asks: bool,
    (request, time): (Request, Option<Timestamp>),
) -> Result<Response, Refused> {
    let bytes = announced(request.headers());
    if asks || bytes.is_some_and(|bytes| bytes > MAX_RAW as u64) {
        let errand = Errand::Upload { path: path.clone(), modified: time };
        return match state.ticket(&visiting.entered.login.principal, errand) {
            Some(address) => Ok(redirect(StatusCode::TEMPORARY_REDIRECT, &address)?),
            None => Err(too_large().into()),
        };
    }
    receive(&visiting.files, path, limited(request.into_body()), bytes, time).await?;
    Ok((StatusCode::CREATED, message("Upload completed")).into_response())
}

fn time_of(headers: &HeaderMap) -> Result<Option<Timestamp>, Refused> {
    if let Some(value) = headers.get(MODIFIED) {
        let millis = value.to_str().ok().and_then(|text| text.parse().ok());
        return Ok(millis.map(Timestamp::from_millis));
    }
    Ok(modified(headers)?)
}

/// Begins an upload session.
pub(super) async fn begin(asked: &Asked, visiting: &Visiting, request: Request) -> Result<Response, Refused> {
    let mut fields = Fields::parse(&body(request).await?)?;
    let path = fields.require("path", text(4096));
    let bytes = fields.require("size", whole(0..=MAX_FILE_BYTES));
    let modified = fields.take("last_modified", time);
    fields.finish()?;
    let path = asked.path.resolve(&path.unwrap_or_default());
    let path = path.map_err(|problem| ApiError::bad_request("path", &problem.to_string()))?;
    let direct = visiting.files.begin_direct(&path, bytes.unwrap_or_default(), modified).await?;
    let shown = shown(&visiting.files, &direct, 1, None).await?;
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

/// A session of this visit with what has been received, and addresses for parts.
pub(super) async fn state(asked: &Asked, visiting: &Visiting, id: &str) -> Result<Response, Refused> {
    let first = asked.get("part").map_or(Ok(1), str::parse);
    let first: u32 = first.map_err(|_| ApiError::bad_request("part", "must be a whole number"))?;
    let direct = visiting.files.direct_upload(id).await?;
    let received = visiting.files.direct_received(&direct).await?;
    Ok(Json(shown(&visiting.files, &direct, first, Some(received)).await?).into_response())
}

/// Makes it a file.
pub(super) async fn complete(asked: &Asked, visiting: &Visiting) -> Result<Response, Refused> {
    let direct = visiting.files.direct_upload(asked.get("upload").unwrap_or_default()).await?;
    visiting.files.finish_direct(&direct).await?;
    Ok((StatusCode::CREATED, message("Upload completed")).into_response())
}

/// Throws it away.
pub(super) async fn abort(asked: &Asked, visiting: &Visiting) -> Result<Response, Refused> {
    let direct = visiting.files.direct_upload(asked.get("upload").unwrap_or_default()).await?;
    visiting.files.abort_direct(&direct).await?;
    Ok(message("Upload ended"))
}

/// Stores the files of a form.
pub(super) async fn form(visiting: &Visiting, folder: &VPath, request: Request) -> Result<(), Refused> {
    store_form(&visiting.files, folder, false, request).await?;
    Ok(())
}
