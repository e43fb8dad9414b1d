//! A credential's files over REST: `/api/v2/user/…`, in SFTPGo's dialect, and upload sessions, which that does not have.
//!
//! Lambda takes and gives 6 MiB at once. So bytes go around this function where they can: a download is a redirect to S3, a large
//! upload goes to S3 in parts, and what has to pass us goes to a node's HTTPS door with a ticket.

mod changes;
pub(crate) mod contents;
mod described;
pub(crate) mod direct;
pub(crate) mod folders;
mod jobs;
mod opened;
mod query;

use crate::config::{Config, ConfigError};
use crate::http::auth::{Gate, authenticate};
use crate::http::error::ApiError;
use crate::http::frame::framed;
use crate::http::routes::Routes;
use app::accounts::{Known, KnownError};
use app::budget::Budget;
use app::jobs::JobQueue;
use app::management::UserCaller;
use app::quota::Quotas;
use app::sessions::{Session, Sessions};
use app::settler::{Settler, SettlingStores};
use app::tickets::Tickets;
use app::tokens::Tokens;
use app::vfs::{FileSession, Resuming, Vfs};
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{delete, get, patch, post};
use domain::event::Protocol;
use domain::id::NodeId;
use domain::ticket::{Errand, Ticket};
use std::sync::Arc;
use std::time::Duration;
use store::aws::Aws;
use store::clock;
use store::jobs::Jobs;
use store::messages::JobMessages;
use store::nodes::Nodes;
use store::objects::Objects;
use store::records::Records;
use tokio_util::sync::CancellationToken;

pub(crate) use described::describe;

/// What a request may bring: what Lambda takes, less a quarter for base64.
pub const MAX_RAW: usize = 4_500_000;

/// How long an answer waits for its change to be counted and announced, where the process may stop after it. What is not done
/// then, a node's sweep does.
const SETTLING: Duration = Duration::from_secs(5);

/// When a node's sweep has finished what this process left: three leases of an intent and two sweeps.
const SWEPT: Duration = Duration::from_secs(600);

/// Where large bodies go.
#[derive(Clone)]
pub struct Door {
    /// The address of the nodes' HTTPS door, without a slash at the end.
    pub url: Arc<str>,
    /// What it lets in with.
    pub tickets: Tickets,
    /// Whether downloads go there as well, and not to S3.
    pub downloads: bool,
}

/// What the routes need. Cheap to clone.
#[derive(Clone)]
pub struct FilesState {
    gate: Gate,
    known: Known,
    vfs: Vfs,
    sessions: Sessions,
    quotas: Quotas,
    queue: JobQueue,
    door: Option<Door>,
}

impl FilesState {
    /// On these files. Without a door there is no ZIP.
    fn new(tokens: Tokens, storage: Storage, queue: JobQueue) -> Self {
        let Storage { records, vfs, sessions, quotas, .. } = storage;
        let (gate, known) = (Gate::new(records.clone(), tokens), Known::new(records));
        Self { gate, known, vfs, sessions, quotas, queue, door: None }
    }

    /// As the settings say. Sends no request.
    pub fn build(config: &Config, aws: &Aws) -> Result<Self, ConfigError> {
        config.jobs_queue()?;
        let storage = Storage::new(config, aws);
        let tokens = Tokens::new(storage.records.clone(), config.signing()?);
        let queue = JobQueue::new(Jobs::new(aws), JobMessages::new(aws));
        Ok(Self::new(tokens, storage, queue).with_door(config.door()?))
    }

    /// With the HTTPS door of nodes.
    #[must_use]
    pub fn with_door(self, door: Option<Door>) -> Self {
        Self { door, ..self }
    }

    async fn open(&self, caller: &UserCaller) -> Result<(FileSession, Session), ApiError> {
        let origin = caller.origin();
        let login = self.known.log_in(caller.organization(), (caller.credential(), caller.key()), &origin).await;
        let login = login.map_err(|error| match error {
            KnownError::Refused => ApiError::unauthorized(),
            KnownError::Unavailable(error) => {
                tracing::error!(%error, "a caller's records could not be read");
                ApiError::unavailable()
            }
        })?;
        let session = self.sessions.open(login, origin, CancellationToken::new());
        Ok((self.vfs.session(&session), session))
    }

    /// An address at a node for this errand; none where there is no door.
    fn ticket(&self, caller: &UserCaller, errand: Errand) -> Result<Option<String>, ApiError> {
        let Some(door) = &self.door else { return Ok(None) };
        let ticket = Ticket {
            organization: caller.organization().clone(),
            credential: caller.credential().clone(),
            protocol: Protocol::Api,
            key: caller.key().cloned(),
            link: None,
            errand,
        };
        let text = door.tickets.sign(ticket, clock::now()).ok_or_else(ApiError::unavailable)?;
        Ok(Some(format!("{}/tickets/{}", door.url, text.as_str())))
    }
}

/// What a function needs that touches files.
pub(crate) struct Storage {
    pub(crate) records: Records,
    pub(crate) vfs: Vfs,
    pub(crate) sessions: Sessions,
    pub(crate) quotas: Quotas,
    pub(crate) settler: Settler,
}

impl Storage {
    /// As the settings say. Sends no request.
    pub(crate) fn new(config: &Config, aws: &Aws) -> Self {
        Self::keeping(config, aws, Duration::ZERO)
    }

    /// The same where interrupted uploads are seen, which are kept for so long.
    pub(crate) fn keeping(config: &Config, aws: &Aws, keep_for: Duration) -> Self {
        let records = Records::new(aws, config.sealer.clone());
        let stores = SettlingStores::new(aws);
        let settler = Settler::start(stores.clone());
        let sessions = Sessions::new(NodeId::from_random(clock::random()));
        let quotas = Quotas::new(sessions.node().clone(), Nodes::new(aws), stores.leases.clone(), SWEPT);
        let resuming = Resuming::new(aws, keep_for);
        let vfs = Vfs::new(Objects::new(aws), stores, settler.clone(), Budget::least(), quotas.clone(), resuming);
        Self { records, vfs, sessions, quotas, settler }
    }
}

/// Waits until what an answer tells of is counted and announced, where the process may stop after it.
pub(crate) async fn settle(vfs: &Vfs, quotas: &Quotas) {
    if !vfs.settled(SETTLING).await {
        tracing::warn!("an operation is left to the sweep");
    }
    quotas.release().await;
}

/// The routes behind authentication, as a server runs them.
pub fn router(state: FilesState) -> Router {
    framed(routes(state))
}

/// The same where the process is stopped between requests: an answer waits until what it tells of is counted and announced.
pub fn router_that_settles(state: FilesState) -> Router {
    let settling = from_fn_with_state(state.clone(), settled);
    framed(routes(state).layer(settling))
}

/// The routes without what stands around them, to be merged with others.
pub(crate) fn routes(state: FilesState) -> Routes {
    let path = |rest: &str| format!("/api/v2/user{rest}");
    Routes::new()
        .route(
            &path("/dirs"),
            get(folders::list).post(folders::make).patch(changes::rename_folder).delete(folders::delete),
        )
        .route(
            &path("/files"),
            get(contents::download)
                .post(contents::upload_form)
                .patch(changes::rename_file)
                .delete(changes::delete_file),
        )
        .route(&path("/files/upload"), post(contents::upload))
        .route(&path("/files/metadata"), patch(changes::set_times).get(folders::stat))
        .route(&path("/file-actions/move"), post(changes::rename))
        .route(&path("/file-actions/copy"), post(changes::copy))
        .route(&path("/jobs/{id}"), get(jobs::get))
        .route(&path("/streamzip"), post(contents::archive))
        .route(&path("/upload-sessions"), post(direct::begin))
        .route(&path("/upload-sessions/{id}"), delete(direct::abort).get(direct::get))
        .route(&path("/upload-sessions/{id}/complete"), post(direct::complete))
        .route_layer(from_fn_with_state(state.gate.clone(), authenticate))
        .with_state(state)
}

async fn settled(State(state): State<FilesState>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    settle(&state.vfs, &state.quotas).await;
    response
}
