//! The bytes of files: small ones through here, the others past us.

mod described;

use super::folders::make_parents;
use super::opened::Opened;
use super::{FilesState, MAX_RAW};
use crate::http::error::ApiError;
use crate::sftpgo::message;
use app::vfs::FileSession;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Multipart, Request, State};
use axum::response::{IntoResponse as _, Response};
use domain::path::{Name, VPath};
use domain::ticket::Errand;
use domain::time::Timestamp;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use transfers::receive::{announced, receive};

pub(super) use described::describe_in;

/// The time that a client gives a file, in milliseconds.
const MTIME: &str = "x-sftpgo-mtime";

/// Files in one form.
const MAX_FORM_FILES: usize = 100;

pub(super) async fn download(State(state): State<FilesState>, opened: Opened) -> Result<Response, ApiError> {
    let path = opened.path("path")?;
    let inline = opened.query.get("inline").is_some();
    if state.door.as_ref().is_some_and(|door| door.downloads) {
        // so that what is not there is told here
        opened.files.stat(&path).await?;
        if let Some(address) = state.ticket(&opened.caller, Errand::Download { path, inline })? {
            return redirect(StatusCode::FOUND, &address);
        }
        return Err(ApiError::unavailable());
    }
    redirect(StatusCode::FOUND, &opened.files.download_address(&path, inline).await?)
}

pub(super) async fn upload(
    State(state): State<FilesState>,
    opened: Opened,
    request: Request,
) -> Result<Response, ApiError> {
    let path = opened.path("path")?;
    let modified = modified(request.headers())?;
    let bytes = announced(request.headers());
    // who names a size asks where to send the file, whatever it is: no body that did not come may become an empty file
    let asks = opened.query.number("size")?.is_some();
    if opened.query.is_on("mkdir_parents") {
        make_parents(&opened.files, &path).await?;
    }
    if asks || bytes.is_some_and(|bytes| bytes > MAX_RAW as u64) {
        return match state.ticket(&opened.caller, Errand::Upload { path, modified })? {
            Some(address) => redirect(StatusCode::TEMPORARY_REDIRECT, &address),
            None if asks => Err(ApiError::not_here(
                "`size` asks for an address at a node, and this deployment has no HTTPS door: send the body, or use an upload session",
            )),
            None => Err(too_large()),
        };
    }
    receive(&opened.files, &path, limited(request.into_body()), bytes, modified).await?;
    Ok((StatusCode::CREATED, message("Upload completed")).into_response())
}

/// Files of a form, each under its own name.
pub(super) async fn upload_form(opened: Opened, request: Request) -> Result<Response, ApiError> {
    store_form(&opened.files, &opened.folder()?, opened.query.is_on("mkdir_parents"), request).await?;
    Ok((StatusCode::CREATED, message("Upload completed")).into_response())
}

/// Stores the files of a form.
pub(crate) async fn store_form(
    files: &FileSession,
    folder: &VPath,
    parents: bool,
    request: Request,
) -> Result<(), ApiError> {
    if announced(request.headers()).is_some_and(|bytes| bytes > MAX_RAW as u64) {
        return Err(too_large());
    }
    let (parts, body) = request.into_parts();
    let mut request = Request::from_parts(parts, limited(body));
    // axum's own limit is 2 MB
    DefaultBodyLimit::disable().apply(&mut request);
    let form = Multipart::from_request(request, &()).await;
    let mut form = form.map_err(|_| ApiError::bad_request("", "must be a form (multipart/form-data)"))?;
    let mut stored = 0;
    while let Some(field) = form.next_field().await.map_err(broken)? {
        if field.name() != Some("filenames") {
            return Err(ApiError::bad_request("", "must hold files in fields called `filenames`"));
        }
        if stored == MAX_FORM_FILES {
            return Err(ApiError::bad_request("filenames", "must be at most 100 files"));
        }
        // browsers send a name, some old ones a whole path
        let name = field.file_name().unwrap_or_default();
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
        let path = Name::parse(&name).and_then(|name| folder.child(&name));
        let path = path.map_err(|problem| ApiError::bad_request("filenames", &problem.to_string()))?;
        if stored == 0 && parents {
            make_parents(files, &path).await?;
        }
        let data = field.bytes().await.map_err(broken)?;
        let bytes = Some(data.len() as u64);
        receive(files, &path, Body::from(data), bytes, None).await?;
        stored += 1;
    }
    if stored == 0 {
        return Err(ApiError::bad_request("filenames", "is needed"));
    }
    Ok(())
}

/// A ZIP is written by a node.
pub(super) async fn archive(
    State(state): State<FilesState>,
    opened: Opened,
    request: Request,
) -> Result<Response, ApiError> {
    let body = axum::body::to_bytes(request.into_body(), MAX_RAW).await.map_err(|_| ApiError::too_large(MAX_RAW))?;
    let paths = transfers::door::parse_paths(&opened.files.login_folder(), &body);
    let paths = paths.map_err(|problem| ApiError::bad_request("", &problem))?;
    // so that what is not there is told here
    for path in &paths {
        opened.files.stat(path).await?;
    }
    match state.ticket(&opened.caller, Errand::Archive)? {
        Some(address) => redirect(StatusCode::TEMPORARY_REDIRECT, &address),
        None => Err(ApiError::not_here(
            "a ZIP is written by a node, and this deployment has no HTTPS door: get the files one by one",
        )),
    }
}

pub(crate) fn too_large() -> ApiError {
    ApiError::file_too_large(format!(
        "a request brings at most {MAX_RAW} bytes: use an upload session (POST /api/v2/user/upload-sessions), or ask for an address \
         at a node by `size=<bytes>` and no body"
    ))
}

fn broken(error: axum::extract::multipart::MultipartError) -> ApiError {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        _ => ApiError::bad_request("", "must be a whole form"),
    }
}

/// A body that ends with an error where it becomes larger than a function takes.
pub(crate) fn limited(body: Body) -> Body {
    Body::new(http_body_util::Limited::new(body, MAX_RAW))
}

pub(crate) fn modified(headers: &HeaderMap) -> Result<Option<Timestamp>, ApiError> {
    let Some(value) = headers.get(MTIME) else { return Ok(None) };
    let millis = value.to_str().ok().and_then(|text| text.parse().ok());
    let millis =
        millis.ok_or_else(|| ApiError::bad_request("X-SFTPGO-MTIME", "must be a whole number of milliseconds"))?;
    Ok(Some(Timestamp::from_millis(millis)))
}

pub(crate) fn redirect(status: StatusCode, address: &str) -> Result<Response, ApiError> {
    let address = HeaderValue::try_from(address).map_err(|_| ApiError::unavailable())?;
    Ok((status, [(header::LOCATION, address)]).into_response())
}
