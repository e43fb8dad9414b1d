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
    let entered = state.visits.begin(admitted, &knock, How::Act).await?;
    let visiting = Visiting::new(state, entered, &knock);
    let mut response = back(asked)?;
    keep(state, asked, &visiting, &mut response);
    Ok(response)
}

/// What somebody inside does.
pub(super) async fn act(asked: &Asked, visiting: &Visiting, request: Request) -> Result<Response, Refused> {
    match asked.get("do") {
        Some("begin") => uploads::begin(asked, visiting, request).await,
        Some("complete") => uploads::complete(asked, visiting).await,
        Some("abort") => uploads::abort(asked, visiting).await,
        Some("form") => {
            uploads::form(visiting, &asked.path, request).await?;
            back(asked)
        }
        Some("folder") => {
            let path = named(&asked.path, request).await?;
            visiting.files.make_folder(&path).await?;
            back(asked)
        }
        Some("delete") => {
            let path = named(&asked.path, request).await?;
            match visiting.files.stat(&path).await?.kind {
                EntryKind::File => visiting.files.delete_file(&path).await?,
                EntryKind::Folder => delete_all(&visiting.files, &path).await?,
            }
            back(asked)
        }
        _ => Err(Refused::BadForm),
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
