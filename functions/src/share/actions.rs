//! What the forms of a page do: open the link, make a folder, delete, upload without scripts.

use super::browse::{Visiting, folder_address, keep};
use super::closed::Refused;
use super::request::{self, Asked};
use super::{ShareState, uploads};
use crate::files::folders::delete_all;
use app::shares::{Found, How, Knock};
use app::vfs::EntryKind;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use domain::path::{Name, VPath};
use http::{HeaderValue, StatusCode, header};

/// Somebody has chosen to open the link, with its password if it has one.
pub(super) async fn open(
    state: &ShareState,
    asked: &Asked,
    (found, mut knock): (Found, Knock),
    request: Request,
) -> Result<Response, Refused> {
    let mut fields = request::form(request).await?;
    if let Some(password) = fields.remove("password") {
        knock.password = Some(password);
    }
    let admitted = state.visits.admit(found, &knock).await?;
    let entered = state.visits.begin(admitted, &knock, How::Open).await?;
    let visiting = Visiting::new(state, entered, &knock);
    let mut response = back(asked)?;
    keep(state, asked, &visiting, &mut response);
    Ok(response)
}

/// What somebody inside can do.
#[derive(Clone, Copy)]
pub(super) enum Act {
    Begin,
    Complete,
    Abort,
    Form,
    Folder,
    Delete,
}

impl Act {
    /// What a request's `do` asks for.
    pub(super) fn of(asked: &Asked) -> Result<Self, Refused> {
        Ok(match asked.get("do") {
            Some("begin") => Self::Begin,
            Some("complete") => Self::Complete,
            Some("abort") => Self::Abort,
            Some("form") => Self::Form,
            Some("folder") => Self::Folder,
            Some("delete") => Self::Delete,
            _ => return Err(Refused::BadForm),
        })
    }
}

/// Somebody inside does it.
pub(super) async fn act(act: Act, asked: &Asked, visiting: &Visiting, request: Request) -> Result<Response, Refused> {
    match act {
        Act::Begin => uploads::begin(asked, visiting, request).await,
        Act::Complete => uploads::complete(asked, visiting).await,
        Act::Abort => uploads::abort(asked, visiting).await,
        Act::Form => {
            uploads::form(visiting, &asked.path, request).await?;
            back(asked)
        }
        Act::Folder => {
            let path = named(&asked.path, request).await?;
            visiting.files.make_folder(&path).await?;
            back(asked)
        }
        Act::Delete => {
            let path = named(&asked.path, request).await?;
            match visiting.files.stat(&path).await?.kind {
                EntryKind::File => visiting.files.delete_file(&path).await?,
                EntryKind::Folder => delete_all(&visiting.files, &path).await?,
            }
            back(asked)
        }
    }
}

/// What a form names in the folder of its page.
async fn named(folder: &VPath, request: Request) -> Result<VPath, Refused> {
    let fields = request::form(request).await?;
    let name = fields.get("name").ok_or(Refused::BadForm)?;
    let name = Name::parse(name.trim()).map_err(|_| Refused::BadForm)?;
    folder.child(&name).map_err(|_| Refused::BadForm)
}

/// Back to the page, by GET.
fn back(asked: &Asked) -> Result<Response, Refused> {
    let secret = asked.secret.reveal();
    let address =
        if asked.is_folder { folder_address(secret, &asked.path) } else { super::browse::address(secret, &asked.path) };
    let address = HeaderValue::try_from(address).map_err(|_| Refused::BadForm)?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, address)]).into_response())
}
