//! A request to a link, read once: whose link, what of it, and who asks.

use super::closed::Refused;
use crate::http::auth::client_address;
use crate::http::basic::Basic;
use app::shares::Knock;
use axum::extract::Request;
use domain::event::{Origin, Protocol};
use domain::id::uuid_text;
use domain::path::VPath;
use domain::share::{Asks, ShareSecret, Visitor};
use http::{HeaderMap, Method, header};
use std::collections::HashMap;
use store::clock;
use zeroize::Zeroizing;

/// The cookie of a visit.
pub(super) const COOKIE: &str = "towpath_visit";

/// Characters of what a client says it is that are kept.
const AGENT_CHARS: usize = 256;

/// What a request asks.
pub(super) struct Asked {
    /// What the address holds.
    pub(super) secret: ShareSecret,
    /// What of the link, as its visitor sees it.
    pub(super) path: VPath,
    /// Whether the address says that it is a folder.
    pub(super) is_folder: bool,
    /// The parameters; of one that stands there twice, the first.
    pub(super) query: HashMap<String, String>,
    /// Who asks.
    pub(super) visitor: Visitor,
    /// Whether a page can be answered, and not only a line.
    pub(super) wants_html: bool,
}

impl Asked {
    /// Reads a request to a page's address; what cannot be one leads nowhere.
    pub(super) fn read(request: &Request) -> Option<Self> {
        let raw = request.uri().path().strip_prefix("/s/")?;
        let (secret, path) = raw.split_once('/').unwrap_or((raw, ""));
        let decoded = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
        // an address is what it says: nothing goes up
        if decoded.split('/').any(|segment| segment == ".." || segment == ".") {
            return None;
        }
        Some(Self {
            secret: ShareSecret::parse(secret)?,
            path: VPath::parse(&decoded).ok()?,
            is_folder: decoded.is_empty() || decoded.ends_with('/'),
            query: query(request.uri().query().unwrap_or_default())?,
            visitor: visitor(request),
            wants_html: wants_html(request.headers()),
        })
    }

    /// A parameter that is there.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// What the link is asked for, with what this request shows.
    pub(super) fn knock(&self, request: &Request) -> Knock {
        knock(request, self.secret.clone(), self.visitor, self.path.to_string())
    }
}

/// What a request shows to a link.
pub(super) fn knock(request: &Request, secret: ShareSecret, visitor: Visitor, path: String) -> Knock {
    let headers = request.headers();
    let origin = Origin {
        protocol: Protocol::WebPortal,
        client_ip: client_address(request.extensions()),
        session_id: uuid_text(clock::random()),
    };
    let agent = text(headers, header::USER_AGENT);
    Knock {
        secret,
        origin,
        user_agent: agent.chars().filter(|c| !c.is_control()).take(AGENT_CHARS).collect(),
        visitor,
        cookie: cookie(headers),
        // any name will do: a link has one password
        password: Basic::read(headers).ok().map(|basic| basic.password),
        path,
        is_range: *request.method() == Method::GET && headers.contains_key(header::RANGE),
    }
}

/// Who asks, as far as its headers say so.
pub(super) fn visitor(request: &Request) -> Visitor {
    let (headers, acts) = (request.headers(), !matches!(*request.method(), Method::GET | Method::HEAD));
    let purpose = ["sec-purpose", "purpose", "x-moz", "x-purpose"].into_iter().find_map(|name| headers.get(name));
    let purpose = purpose.and_then(|value| value.to_str().ok()).unwrap_or_default();
    // a page's own requests come with the mark of its script
    let accept = if headers.contains_key("x-towpath-page") { "text/html" } else { text(headers, header::ACCEPT) };
    Asks { accept, user_agent: text(headers, header::USER_AGENT), purpose, acts }.visitor()
}

fn wants_html(headers: &HeaderMap) -> bool {
    text(headers, header::ACCEPT).to_ascii_lowercase().contains("text/html")
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value.to_owned()).next()
}

/// The parameters of a query or a form, strictly: a name that is not UTF-8 must not become another one.
pub(super) fn query(text: &str) -> Option<HashMap<String, String>> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
    };
    let mut found = HashMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        found.entry(decode(name)?).or_insert(decode(value)?);
    }
    Some(found)
}

/// The fields of a small form.
pub(super) async fn form(request: Request) -> Result<HashMap<String, Zeroizing<String>>, Refused> {
    const MOST: usize = 16 * 1024;
    let bytes = axum::body::to_bytes(request.into_body(), MOST).await.map_err(|_| Refused::BadForm)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Refused::BadForm)?;
    let fields = query(text).ok_or(Refused::BadForm)?;
    Ok(fields.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect())
}
