//! Why somebody gets nothing, as a page, or as a line for programs. There is one answer for all links that are not open.

use super::pages;
use crate::http::error::{ApiError, capitalized};
use app::shares::Closed;
use axum::Json;
use axum::response::{IntoResponse as _, Response};
use domain::file_error::{FileError, FileErrorKind};
use domain::share::Visitor;
use http::{HeaderValue, StatusCode, header};
use maud::Markup;
use serde_json::json;

/// An answer that is no success.
pub(super) enum Refused {
    /// The link does not let anybody in.
    Closed(Closed),
    /// The link is open, and this is not in it.
    NoSuchFile,
    /// A file operation failed.
    File(FileError),
    /// What the API would answer.
    Api(ApiError),
    /// A form that is none of ours.
    BadForm,
    /// A page of another site asks.
    Forged,
    /// There is no node that could do it.
    NoNode,
}

impl From<Closed> for Refused {
    fn from(closed: Closed) -> Self {
        Self::Closed(closed)
    }
}

impl From<FileError> for Refused {
    fn from(error: FileError) -> Self {
        if error.kind() == FileErrorKind::NoSuchFile { Self::NoSuchFile } else { Self::File(error) }
    }
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

/// For whom a refusal is spelled.
pub(super) struct Reader<'a> {
    /// Whether a page is wanted.
    pub(super) html: bool,
    /// The address of the page, for its forms.
    pub(super) address: &'a str,
    /// Whose link it is, where that may be said.
    pub(super) organization: &'a str,
    /// Where a visitor can go on from here.
    pub(super) home: Option<&'a str>,
}

impl Refused {
    /// The answer.
    pub(super) fn answer(self, reader: &Reader<'_>) -> Response {
        match self {
            Self::Closed(Closed::NotFound) => {
                let text = "The link may have expired, been used up or been removed, or the address is not complete. \
                            Ask whoever sent it to you for a new one.";
                said(StatusCode::NOT_FOUND, reader, ("This link does not work", text))
            }
            Self::Closed(Closed::Password { wrong }) => {
                let page = pages::password(reader.organization, reader.address, wrong);
                let text = if wrong { "The password is wrong" } else { "This link needs a password" };
                let mut response = page_or_line(StatusCode::UNAUTHORIZED, reader, page, text);
                // a browser would ask before it shows the form
                if !reader.html {
                    let basic = HeaderValue::from_static("Basic realm=\"Towpath\", charset=\"UTF-8\"");
                    response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
                }
                response
            }
            // programs are never asked, so without a page it is the page's own script
            Self::Closed(Closed::Unopened) => {
                let status = if reader.html { StatusCode::OK } else { StatusCode::FORBIDDEN };
                let page = pages::unopened(reader.organization, reader.address, true);
                page_or_line(status, reader, page, "The visit is over: load the page again and open the link")
            }
            Self::Closed(Closed::Ahead(Visitor::Prefetch)) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            Self::Closed(Closed::Ahead(_)) => pages::unopened("", reader.address, false).into_response(),
            Self::Closed(Closed::Unavailable) => unavailable(reader, AGAIN),
            Self::NoSuchFile => {
                let text = "It may have been moved or deleted since you opened the page.";
                said(StatusCode::NOT_FOUND, reader, ("There is nothing here", text))
            }
            Self::File(error) => {
                transfers::answer::log(&error);
                let status = transfers::answer::status(error.kind());
                let title = match error.kind() {
                    FileErrorKind::PermissionDenied => "This link does not allow that",
                    FileErrorKind::QuotaExceeded => "There is no room left",
                    FileErrorKind::Unavailable => return unavailable(reader, &capitalized(error.message())),
                    FileErrorKind::Internal => return unavailable(reader, AGAIN),
                    _ => "That did not work",
                };
                let text = capitalized(error.message());
                page_or_line(status, reader, pages::refused(reader.organization, (title, &text), reader.home), &text)
            }
            Self::Api(error) => match reader.html {
                false => error.into_response(),
                true => {
                    let text = error.in_words();
                    let status = error.into_response().status();
                    said(status, reader, ("That did not work", &text))
                }
            },
            Self::BadForm => {
                said(StatusCode::BAD_REQUEST, reader, ("That did not work", "The form could not be read."))
            }
            Self::Forged => {
                let text = "The request came from another site. Open the link itself and try there.";
                said(StatusCode::FORBIDDEN, reader, ("That was not sent from this page", text))
            }
            Self::NoNode => {
                let text = "Folders cannot be packed into one file here. Download the files one by one.";
                said(StatusCode::NOT_IMPLEMENTED, reader, ("There is no ZIP here", text))
            }
        }
    }
}

const AGAIN: &str = "Try again in a moment.";

fn unavailable(reader: &Reader<'_>, text: &str) -> Response {
    let mut response = said(StatusCode::SERVICE_UNAVAILABLE, reader, ("Not available right now", text));
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn said(status: StatusCode, reader: &Reader<'_>, (title, text): (&str, &str)) -> Response {
    let page = pages::refused(reader.organization, (title, text), reader.home);
    page_or_line(status, reader, page, &format!("{title}. {text}"))
}

fn page_or_line(status: StatusCode, reader: &Reader<'_>, page: Markup, line: &str) -> Response {
    if reader.html {
        return (status, page).into_response();
    }
    let reason = status.canonical_reason().unwrap_or("Error");
    (status, Json(json!({ "error": reason, "message": line }))).into_response()
}
