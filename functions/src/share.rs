//! Share links as visitors see them: pages under `/s/{secret}` that work without scripts, uploads that scripts make comfortable, curl's
//! GET and PUT at the same addresses, and SFTPGo's public routes. Nobody signs in here: the secret in the address is the right, within
//! what the link and its owner may do now ([`app::shares`]).
//!
//! Bytes go past this function as they do past that for files: downloads from S3, uploads to S3, archives from a node.

mod actions;
mod assets;
mod browse;
mod closed;
mod entries;
mod pages;
mod public;
mod request;
mod safety;
mod uploads;

use crate::config::{Config, ConfigError};
use crate::files::{Door, Storage, settle};
use crate::http::frame::framed;
use crate::http::routes::Routes;
use app::defender::Defender;
use app::quota::Quotas;
use app::sessions::Session;
use app::shares::{Entered, Shares, Visits};
use app::vfs::FileSession;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{any, get, post};
use domain::access::Principal;
use domain::event::Protocol;
use domain::ticket::{Errand, Ticket};
use std::sync::{Arc, OnceLock};
use store::aws::Aws;
use store::clock;
use store::defender::Scores;
use tokio_util::sync::CancellationToken;

pub(crate) use public::describe;

/// What the routes need. Cheap to clone.
#[derive(Clone)]
pub struct ShareState {
    visits: Visits,
    quotas: Quotas,
    door: Option<Door>,
    /// What the addresses of links begin with.
    base: Arc<str>,
    /// Where the bucket is for browsers; asked once.
    storage: Arc<OnceLock<String>>,
}

impl ShareState {
    /// As the settings say. Sends no request.
    pub fn build(config: &Config, aws: &Aws) -> Result<Self, ConfigError> {
        let Storage { records, vfs, sessions, quotas, settler } = Storage::new(config, aws);
        let shares = Shares::new(records.clone(), vfs, sessions);
        let visits = Visits::new(shares, records, Defender::new(Scores::new(aws)), settler);
        let base = config.share_base()?.into();
        Ok(Self { visits, quotas, door: config.door()?, base, storage: Arc::default() })
    }

    /// The files of somebody who is in, as long as the session is held.
    fn open(&self, entered: &Entered, origin: domain::event::Origin) -> (FileSession, Session) {
        let login = app::accounts::Login {
            principal: entered.login.principal.clone(),
            grounds: entered.login.grounds,
            place: None,
        };
        let shares = self.visits.shares();
        let session = shares.sessions().open(login, origin, CancellationToken::new());
        (shares.vfs().session(&session), session)
    }

    /// An address at a node for this errand; none where there is no door.
    fn ticket(&self, who: &Principal, errand: Errand) -> Option<String> {
        let door = self.door.as_ref()?;
        let ticket = Ticket {
            organization: who.organization.clone(),
            credential: who.credential.clone(),
            protocol: Protocol::WebPortal,
            key: None,
            link: who.link.clone(),
            errand,
        };
        let text = door.tickets.sign(ticket, clock::now())?;
        Some(format!("{}/tickets/{}", door.url, text.as_str()))
    }

    /// Whether downloads come from a node.
    fn downloads_from_node(&self) -> bool {
        self.door.as_ref().is_some_and(|door| door.downloads)
    }

    /// Where browsers go for bytes, as a content security policy names it.
    async fn storage(&self) -> String {
        if let Some(known) = self.storage.get() {
            return known.clone();
        }
        let asked = self.visits.shares().vfs().storage_origin().await.unwrap_or_default();
        if !asked.is_empty() {
            // two who ask at once are told the same
            let _ = self.storage.set(asked.clone());
        }
        asked
    }
}

/// The routes as a server runs them.
pub fn router(state: ShareState) -> Router {
    framed(routes(state))
}

/// The same where the process is stopped between requests.
pub fn router_that_settles(state: ShareState) -> Router {
    let settling = from_fn_with_state(state.clone(), settled);
    framed(routes(state).layer(settling))
}

/// Pages for browsers, and parts of them, which the API's document leaves out. (docs/API.md says what programs can do there.)
pub const PAGES: [&str; 4] = ["/s/{secret}", "/s/{secret}/", "/s/{secret}/{*path}", "/share-assets/{version}/{name}"];

/// The routes without what stands around them, to be merged with others.
pub(crate) fn routes(state: ShareState) -> Routes {
    let page = any(browse::answer);
    Routes::new()
        .route("/s/{secret}", page.clone())
        .route("/s/{secret}/", page.clone())
        .route("/s/{secret}/{*path}", page)
        .route("/share-assets/{version}/{name}", get(assets::asset))
        .route("/api/v2/shares/{id}", get(public::archive).post(public::upload_form))
        .route("/api/v2/shares/{id}/dirs", get(public::list))
        .route("/api/v2/shares/{id}/files", get(public::download))
        .route("/api/v2/shares/{id}/{file}", post(public::upload))
        .with_state(state)
}

async fn settled(State(state): State<ShareState>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    settle(state.visits.shares().vfs(), &state.quotas).await;
    response
}
