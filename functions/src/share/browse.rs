//! Looking into a link: pages of folders and of files, downloads, archives. Also the one door to everything else at a page's address.

use super::actions::{self, Act};
use super::closed::{Reader, Refused};
use super::entries::{self, Order, PER_PAGE};
use super::pages::{self, FolderPage};
use super::request::{Asked, COOKIE};
use super::{ShareState, safety, uploads};
use crate::files::contents::redirect;
use crate::http::SEGMENT;
use app::shares::{Admitted, Closed, Entered, How, Knock};
use app::vfs::{EntryKind, FileSession};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use domain::access::Verb;
use domain::path::VPath;
use domain::share::{Target, Visitor};
use domain::ticket::Errand;
use http::{HeaderValue, Method, StatusCode, header};
use percent_encoding::utf8_percent_encode;

/// Somebody who is in, with the link's files.
pub(super) struct Visiting {
    pub(super) entered: Entered,
    pub(super) files: FileSession,
    _session: app::sessions::Session,
}

impl Visiting {
    pub(super) fn new(state: &ShareState, entered: Entered, knock: &Knock) -> Self {
        let (files, session) = state.open(&entered, knock.origin.clone());
        Self { entered, files, _session: session }
    }

    /// What somebody would be in: for a look, before anything is counted.
    pub(super) fn ahead(state: &ShareState, admitted: &Admitted, knock: &Knock) -> Result<Self, Refused> {
        let (login, share) = (admitted.ahead()?, admitted.share().clone());
        let entered = Entered { login, share, organization: String::new(), cookie: None };
        Ok(Self::new(state, entered, knock))
    }

    /// Whether visitors may do this in a folder.
    pub(super) fn may(&self, verb: Verb, folder: &VPath) -> bool {
        self.entered.login.principal.permissions.at(folder).allows(verb)
    }

    /// Whether the link is one file.
    pub(super) fn is_file(&self) -> bool {
        matches!(self.entered.share.paths.as_slice(), [path] if path.target == Some(Target::File))
    }
}

/// The address of something in a link.
pub(super) fn address(secret: &str, path: &VPath) -> String {
    let mut address = format!("/s/{secret}");
    for segment in path.segments() {
        address.push('/');
        address.extend(utf8_percent_encode(segment, SEGMENT));
    }
    address
}

/// The same of a folder.
pub(super) fn folder_address(secret: &str, path: &VPath) -> String {
    format!("{}/", address(secret, path))
}

/// Every request to a page's address.
pub(super) async fn answer(State(state): State<ShareState>, request: Request) -> Response {
    let html =
        super::request::visitor(&request) != Visitor::Program && !request.headers().contains_key("x-towpath-page");
    let Some(asked) = Asked::read(&request) else {
        let reader = Reader { html, address: "", organization: "", home: None };
        let mut response = Refused::Closed(Closed::NotFound).answer(&reader);
        safety::dress(&state, &mut response).await;
        return response;
    };
    let html = asked.wants_html && html;
    let here = if asked.is_folder {
        folder_address(asked.secret.reveal(), &asked.path)
    } else {
        address(asked.secret.reveal(), &asked.path)
    };
    let home = folder_address(asked.secret.reveal(), &VPath::root());
    let mut organization = String::new();
    let mut response = match answered(&state, &asked, request, &mut organization).await {
        Ok(response) => response,
        Err(refused) => {
            let inside = !matches!(refused, Refused::Closed(_));
            let reader =
                Reader { html, address: &here, organization: &organization, home: inside.then_some(home.as_str()) };
            refused.answer(&reader)
        }
    };
    safety::dress(&state, &mut response).await;
    response
}

async fn answered(
    state: &ShareState,
    asked: &Asked,
    request: Request,
    organization: &mut String,
) -> Result<Response, Refused> {
    let knock = asked.knock(&request);
    let method = request.method().clone();
    if !matches!(method, Method::GET | Method::HEAD | Method::PUT | Method::POST) {
        return Ok((StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD, POST, PUT")]).into_response());
    }
    let changes = matches!(method, Method::PUT | Method::POST);
    if changes && safety::is_forged(state, request.headers()) {
        return Err(Refused::Forged);
    }
    let found = state.visits.find(&knock).await?;
    organization.clone_from(&found.organization().to_owned());
    if method == Method::POST && asked.get("do") == Some("open") {
        return actions::open(state, asked, (found, knock), request).await;
    }
    let admitted = state.visits.admit(found, &knock).await?;
    match method {
        Method::HEAD => Ok(head(&admitted, asked)),
        Method::GET => {
            if !admitted.is_inside() {
                is_there(state, &admitted, asked, &knock).await?;
            }
            let entered = state.visits.begin(admitted, &knock, How::Use).await?;
            let visiting = Visiting::new(state, entered, &knock);
            let mut response = get(state, asked, &visiting, knock.visitor).await?;
            keep(state, asked, &visiting, &mut response);
            Ok(response)
        }
        Method::PUT => {
            if !admitted.is_inside() {
                uploads::may_put(asked, &Visiting::ahead(state, &admitted, &knock)?).await?;
            }
            let entered = state.visits.begin(admitted, &knock, How::Use).await?;
            let visiting = Visiting::new(state, entered, &knock);
            let mut response = uploads::put(state, asked, &visiting, request).await?;
            keep(state, asked, &visiting, &mut response);
            Ok(response)
        }
        _ => {
            let act = Act::of(asked)?;
            let entered = state.visits.begin(admitted, &knock, How::Use).await?;
            let visiting = Visiting::new(state, entered, &knock);
            let mut response = actions::act(act, asked, &visiting, request).await?;
            keep(state, asked, &visiting, &mut response);
            Ok(response)
        }
    }
}

/// Gives a browser the cookie of its visit.
pub(super) fn keep(state: &ShareState, asked: &Asked, visiting: &Visiting, response: &mut Response) {
    let Some((cookie, seconds)) = &visiting.entered.cookie else { return };
    let secure = if state.base.starts_with("https://") { "; Secure" } else { "" };
    let text = format!(
        "{COOKIE}={}; Path=/s/{}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}",
        cookie.as_str(),
        asked.secret.reveal()
    );
    if let Ok(value) = HeaderValue::try_from(text) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// Costs nothing and gives nothing away: not even an address.
fn head(admitted: &Admitted, asked: &Asked) -> Response {
    let share = admitted.share();
    let is_file = !asked.is_folder || share.file_name().is_some();
    let told = admitted.is_inside() || share.limit == 0;
    let kind = if is_file && told { "application/octet-stream" } else { "text/html; charset=utf-8" };
    ([(header::CONTENT_TYPE, kind)]).into_response()
}

/// What is not there costs no visit.
async fn is_there(state: &ShareState, admitted: &Admitted, asked: &Asked, knock: &Knock) -> Result<(), Refused> {
    let share = admitted.share();
    let counted_later = knock.visitor == Visitor::Browser && share.limit > 0;
    if counted_later {
        return Ok(());
    }
    if asked.get("zip").is_some() && state.door.is_none() {
        return Err(Refused::NoNode);
    }
    if asked.path.is_root() && share.file_name().is_none() {
        return Ok(());
    }
    let visiting = Visiting::ahead(state, admitted, knock)?;
    if !visiting.may(Verb::List, &VPath::root()) {
        return Err(Refused::NoSuchFile);
    }
    let path = the_file(&visiting).filter(|_| asked.path.is_root()).unwrap_or_else(|| asked.path.clone());
    visiting.files.stat(&path).await?;
    Ok(())
}

/// The one file of a link.
fn the_file(visiting: &Visiting) -> Option<VPath> {
    if !visiting.is_file() {
        return None;
    }
    visiting.files.top().into_iter().next()
}

async fn get(state: &ShareState, asked: &Asked, visiting: &Visiting, visitor: Visitor) -> Result<Response, Refused> {
    if let Some(id) = asked.get("upload") {
        return uploads::state(asked, visiting, id).await;
    }
    let sees = visiting.may(Verb::List, &VPath::root()) || visiting.may(Verb::List, &asked.path);
    if !sees {
        // whoever only brings files sees the place for them, and nothing else
        if !asked.path.is_root() {
            return Err(Refused::NoSuchFile);
        }
        return Ok(pages::folder(&FolderPage::to_upload(asked, visiting)).into_response());
    }
    if asked.get("zip").is_some() {
        return archive(state, asked, visiting).await;
    }
    if let Some(file) = the_file(visiting) {
        if !asked.path.is_root() && asked.path != file {
            return Err(Refused::NoSuchFile);
        }
        let wants = asked.get("download").is_some() || asked.get("view").is_some();
        if visitor == Visitor::Program || wants {
            return download(state, asked, visiting, &file).await;
        }
        let entry = visiting.files.stat(&file).await?;
        return Ok(pages::file(asked, visiting, &entry).into_response());
    }
    if !asked.is_folder {
        let entry = visiting.files.stat(&asked.path).await?;
        if entry.kind == EntryKind::File {
            return download(state, asked, visiting, &asked.path).await;
        }
        return Ok(redirect(StatusCode::FOUND, &folder_address(asked.secret.reveal(), &asked.path))?);
    }
    let mut read = entries::read(&visiting.files, &asked.path).await?;
    let order = Order::read(asked.get("sort"), asked.get("order"));
    order.sort(&mut read.entries);
    let count = read.entries.len();
    let pages_there = count.div_ceil(PER_PAGE).max(1);
    let page = asked.get("page").and_then(|text| text.parse().ok()).unwrap_or(1_usize).clamp(1, pages_there);
    let shown: Vec<_> = read.entries.into_iter().skip((page - 1) * PER_PAGE).take(PER_PAGE).collect();
    let zip = state.door.is_some();
    let folder = FolderPage::of(asked, visiting, shown, (order, page, pages_there), (count, read.cut), zip);
    Ok(pages::folder(&folder).into_response())
}

async fn download(state: &ShareState, asked: &Asked, visiting: &Visiting, path: &VPath) -> Result<Response, Refused> {
    let address = address_of(state, visiting, path, asked.get("view").is_some()).await?;
    Ok(redirect(StatusCode::FOUND, &address)?)
}

/// Where a file's bytes are had: from S3, or from a node.
pub(super) async fn address_of(
    state: &ShareState,
    visiting: &Visiting,
    path: &VPath,
    inline: bool,
) -> Result<String, Refused> {
    if state.downloads_from_node() {
        visiting.files.stat(path).await?;
        let errand = Errand::Download { path: path.clone(), inline };
        return state.ticket(&visiting.entered.login.principal, errand).ok_or(Refused::NoNode);
    }
    Ok(visiting.files.download_address(path, inline).await?)
}

/// A folder as a ZIP, from a node.
pub(super) async fn archive(state: &ShareState, asked: &Asked, visiting: &Visiting) -> Result<Response, Refused> {
    if !visiting.may(Verb::Download, &asked.path) {
        return Err(Refused::NoSuchFile);
    }
    for path in if asked.path.is_root() { visiting.files.top() } else { vec![asked.path.clone()] } {
        visiting.files.stat(&path).await?;
    }
    let errand = Errand::ArchiveOf { path: asked.path.clone() };
    let address = state.ticket(&visiting.entered.login.principal, errand).ok_or(Refused::NoNode)?;
    Ok(redirect(StatusCode::FOUND, &address)?)
}
