//! The routes of a node's HTTPS door: what a ticket allows ([`domain::ticket`]), and nothing else.
//!
//! `/tickets/{ticket}`: PUT or POST stores the body as the ticket's file, GET gives the ticket's file, POST gives the archive of the
//! paths that the body lists. Each request is a session of its credential while it lasts: it is listed, and can be ended.

use crate::answer::Refused;
use crate::archive::{Archive, MAX_PATHS};
use crate::receive::{announced, receive};
use crate::send::send;
use app::accounts::{Known, KnownError};
use app::sessions::{Session, Sessions};
use app::shares::NoShare;
use app::tickets::Tickets;
use app::vfs::{FileSession, Vfs};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use domain::event::Origin;
use domain::id::uuid_text;
use domain::path::VPath;
use domain::ticket::{Errand, Ticket};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::net::IpAddr;
use store::clock;
use store::objects::Shown;
use tokio_util::sync::CancellationToken;

/// A list of as many of the longest paths as there may be does not come up to this.
const MAX_LIST: usize = MAX_PATHS * 2 * 1024;

/// Who connected; put into every request by whoever accepted the connection.
#[derive(Clone, Copy, Debug)]
pub struct Client(pub IpAddr);

/// What the routes need. Cheap to clone.
#[derive(Clone)]
pub struct DoorState {
    /// The records of who comes with a ticket.
    pub known: Known,
    /// Their files.
    pub vfs: Vfs,
    /// Where they are listed.
    pub sessions: Sessions,
    /// What reads their tickets.
    pub tickets: Tickets,
}

/// The routes.
pub fn router(state: DoorState) -> Router {
    let errands = get(download).put(store).post(store);
    Router::new().route("/tickets/{ticket}", errands).fallback(async || Refused::no_ticket()).with_state(state)
}

/// A request with its ticket and its session.
struct Visit {
    files: FileSession,
    session: Session,
    end: CancellationToken,
    errand: Errand,
}

impl DoorState {
    async fn visit(&self, ticket: &str, client: Option<Client>) -> Result<Visit, Refused> {
        let ticket = self.tickets.read(ticket, clock::now()).ok_or_else(Refused::no_ticket)?;
        let Ticket { organization, credential, protocol, key, link, errand } = ticket;
        let Client(client_ip) = client.ok_or_else(Refused::no_ticket)?;
        let origin = Origin { protocol, client_ip, session_id: uuid_text(clock::random()) };
        let unavailable = |error: &dyn std::error::Error| {
            tracing::error!(%error, "a ticket could not be looked at");
            Refused::new(StatusCode::SERVICE_UNAVAILABLE, "try again in a moment")
        };
        let login = match link {
            Some(link) => {
                let shares = self.known.shares(self.vfs.clone(), self.sessions.clone());
                shares.go_on(&organization, *link, &origin).await.map_err(|error| match error {
                    NoShare::Closed => Refused::no_ticket(),
                    error => unavailable(&error),
                })?
            }
            None => {
                let login = self.known.log_in(&organization, (&credential, key.as_ref()), &origin).await;
                login.map_err(|error| match error {
                    KnownError::Refused => Refused::no_ticket(),
                    KnownError::Unavailable(error) => unavailable(&error),
                })?
            }
        };
        let end = CancellationToken::new();
        let session = self.sessions.open(login, origin, end.clone());
        Ok(Visit { files: self.vfs.session(&session), session, end, errand })
    }
}

async fn download(
    State(state): State<DoorState>,
    Path(ticket): Path<String>,
    request: Request,
) -> Result<Response, Refused> {
    let Visit { files, session, end, errand } = state.visit(&ticket, client(&request)).await?;
    match errand {
        Errand::Download { path, inline } => Ok(send(&files, &path, request.headers(), inline, (session, end)).await?),
        Errand::ArchiveOf { path } => archive_of(&files, path, (session, end)).await,
        Errand::Upload { .. } | Errand::Archive => Err(Refused::no_ticket()),
    }
}

async fn store(
    State(state): State<DoorState>,
    Path(ticket): Path<String>,
    request: Request,
) -> Result<Response, Refused> {
    let visit = state.visit(&ticket, client(&request)).await?;
    match &visit.errand {
        Errand::Upload { path, modified } => {
            let bytes = announced(request.headers());
            let storing = receive(&visit.files, path, request.into_body(), bytes, *modified);
            match visit.end.run_until_cancelled(storing).await {
                Some(stored) => stored?,
                None => return Err(Refused::new(StatusCode::FORBIDDEN, "the session was ended")),
            }
            Ok((StatusCode::CREATED, axum::Json(serde_json::json!({ "message": "Upload completed" }))).into_response())
        }
        Errand::Archive => {
            let paths = paths(&visit.files, request.into_body()).await?;
            let archive = Archive::of(&visit.files, paths).await?;
            Ok(archive_answer(archive, visit.session, visit.end))
        }
        // what a form sends on, which its browser does not make a GET of (307)
        Errand::ArchiveOf { path } => archive_of(&visit.files, path.clone(), (visit.session, visit.end)).await,
        Errand::Download { .. } => Err(Refused::no_ticket()),
    }
}

async fn archive_of(
    files: &FileSession,
    path: VPath,
    (session, end): (Session, CancellationToken),
) -> Result<Response, Refused> {
    let paths = if path.is_root() { files.top() } else { vec![path] };
    let archive = Archive::of(files, paths).await?;
    Ok(archive_answer(archive, session, end))
}

fn client(request: &Request) -> Option<Client> {
    request.extensions().get().copied()
}

/// The paths that a body lists.
async fn paths(files: &FileSession, body: Body) -> Result<Vec<VPath>, Refused> {
    let bad = |text: String| Refused::new(StatusCode::BAD_REQUEST, text);
    let body =
        to_bytes(body, MAX_LIST).await.map_err(|_| bad(format!("the list of paths is over {MAX_LIST} bytes")))?;
    parse_paths(&files.login_folder(), &body).map_err(bad)
}

/// The paths in a JSON list, as seen from `home`.
pub fn parse_paths(home: &VPath, body: &[u8]) -> Result<Vec<VPath>, String> {
    let texts: Vec<String> =
        serde_json::from_slice(body).map_err(|_| "the body must be a JSON list of paths".to_owned())?;
    if texts.is_empty() || texts.len() > MAX_PATHS {
        return Err(format!("the body must list 1 to {MAX_PATHS} paths"));
    }
    texts.iter().map(|text| home.resolve(text).map_err(|problem| problem.to_string())).collect()
}

/// An archive as an answer.
fn archive_answer<K: Send + 'static>(archive: Archive, keep: K, end: CancellationToken) -> Response {
    let (disposition, _) = Shown::Saved.headers(&archive.name());
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    if let Ok(disposition) = HeaderValue::try_from(disposition) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    (headers, archive.body(keep, end)).into_response()
}
