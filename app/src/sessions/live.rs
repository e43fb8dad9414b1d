//! One session, and the files that it has open.

use super::{Place, Sessions};
use crate::accounts::Login;
use crate::activity;
use domain::access::Principal;
use domain::connection::{Close, Connection, Direction, Grounds, Transfer};
use domain::event::{Actor, ActorKind, Event, Origin, Topic};
use domain::id::uuid_text;
use domain::path::VPath;
use domain::time::Timestamp;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use store::clock;
use tokio_util::sync::CancellationToken;

/// Transfers of a session that others see.
const SHOWN_TRANSFERS: usize = 16;

/// Refusals in a session that are announced.
const ANNOUNCED_REFUSALS: u32 = 100;

/// Bytes of what a client says it is.
const CLIENT_BYTES: usize = 64;

/// A session from the login to the end of its connection. Dropping it takes it off the list and gives its place back.
pub struct Session {
    sessions: Sessions,
    live: Arc<Live>,
}

/// What is known of a session.
pub(crate) struct Live {
    pub(crate) principal: Arc<Principal>,
    pub(crate) origin: Origin,
    grounds: Grounds,
    since: Timestamp,
    end: CancellationToken,
    /// The page that it is on.
    pub(super) page: AtomicU32,
    last_activity: AtomicI64,
    refusals: AtomicU32,
    shown: Mutex<Shown>,
}

struct Shown {
    client: String,
    transfers: Vec<Arc<Counted>>,
    /// Given back with the session.
    place: Option<Place>,
}

struct Counted {
    direction: Direction,
    path: VPath,
    since: Timestamp,
    bytes: AtomicU64,
}

/// An open file that is counted; dropped when it is closed.
pub struct Moving {
    live: Arc<Live>,
    counted: Arc<Counted>,
}

impl Session {
    pub(super) fn new(sessions: Sessions, live: Arc<Live>) -> Self {
        Self { sessions, live }
    }

    /// Who.
    pub fn principal(&self) -> &Principal {
        &self.live.principal
    }

    /// From where.
    pub fn origin(&self) -> &Origin {
        &self.live.origin
    }

    /// What the client says it is.
    pub fn set_client(&self, client: &str) {
        let printable = client.chars().filter(|c| !c.is_control());
        let mut kept = String::new();
        for c in printable {
            if kept.len() + c.len_utf8() > CLIENT_BYTES {
                break;
            }
            kept.push(c);
        }
        self.live.shown().client = kept;
    }

    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.live
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.live.origin.protocol.has_sessions() {
            activity::disconnected(&self.live.origin, &self.live.principal);
        }
        self.sessions.0.open().remove(&self.live);
        self.sessions.announce(&self.live, Topic::Logout);
        // the files may live on for a moment, with what holds them
        drop(self.live.shown().place.take());
    }
}

impl Live {
    pub(super) fn new(login: Login, origin: Origin, end: CancellationToken, now: Timestamp) -> Self {
        let Login { principal, grounds, place } = login;
        Self {
            principal: Arc::new(principal),
            origin,
            grounds,
            since: now,
            end,
            page: AtomicU32::new(0),
            last_activity: AtomicI64::new(now.millis()),
            refusals: AtomicU32::new(0),
            shown: Mutex::new(Shown { client: String::new(), transfers: Vec::new(), place }),
        }
    }

    /// What happened in this session, as it will be announced.
    pub(crate) fn event(&self, topic: Topic) -> Event {
        let actor = match &self.principal.link {
            Some(link) => Actor { kind: ActorKind::ShareLink, id: link.id.to_string() },
            None if self.principal.system => Actor { kind: ActorKind::System, id: self.principal.user_name.clone() },
            None => Actor { kind: ActorKind::User, id: self.principal.user_name.clone() },
        };
        Event {
            id: uuid_text(clock::random()),
            topic,
            created_at: clock::now(),
            organization: self.principal.organization.clone(),
            actor,
            origin: (!self.principal.system).then(|| self.origin.clone()),
            file: None,
            reason: None,
            api_key: self.principal.api_key.clone(),
            changed: None,
            previous: None,
            user_agent: self.principal.link.as_ref().and_then(|link| link.user_agent.clone()),
        }
    }

    /// Whether one more refusal is worth an event: a client that asks again and again is not news.
    pub(crate) fn may_announce_refusal(&self) -> bool {
        self.refusals.fetch_add(1, Ordering::Relaxed) < ANNOUNCED_REFUSALS
    }

    /// The client has asked for something.
    pub(crate) fn touch(&self) {
        self.last_activity.store(clock::now().millis(), Ordering::Relaxed);
    }

    /// A file was opened.
    pub(crate) fn moving(self: &Arc<Self>, direction: Direction, path: &VPath) -> Moving {
        self.touch();
        let since = clock::now();
        let counted = Arc::new(Counted { direction, path: path.clone(), since, bytes: AtomicU64::new(0) });
        self.shown().transfers.push(Arc::clone(&counted));
        Moving { live: Arc::clone(self), counted }
    }

    pub(super) fn is_meant_by(&self, close: &Close) -> bool {
        close.ends(&self.principal, &self.origin, &self.grounds, self.since)
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.grounds.ends_at.is_some_and(|at| at <= now)
    }

    /// Ends it; `false` if it is ending already.
    pub(super) fn end(&self, why: &str) -> bool {
        if self.end.is_cancelled() {
            return false;
        }
        let (user, session_id) = (&self.principal.user_name, &self.origin.session_id);
        tracing::info!(user, session_id, why, "a session is ended");
        self.end.cancel();
        true
    }

    /// As others see it.
    pub(super) fn shown_as(&self) -> Connection {
        let shown = self.shown();
        let transfers = shown.transfers.iter().take(SHOWN_TRANSFERS).map(|counted| Transfer {
            direction: counted.direction,
            path: counted.path.clone(),
            since: counted.since,
            bytes: counted.bytes.load(Ordering::Relaxed),
        });
        Connection {
            session_id: self.origin.session_id.clone(),
            credential: self.principal.credential.clone(),
            user_name: self.principal.user_name.clone(),
            api_key: self.principal.api_key.clone(),
            protocol: self.origin.protocol,
            client_ip: self.origin.client_ip,
            client: shown.client.clone(),
            since: self.since,
            last_activity: Timestamp::from_millis(self.last_activity.load(Ordering::Relaxed)),
            transfers: transfers.collect(),
        }
    }

    fn shown(&self) -> std::sync::MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Moving {
    /// So many more bytes.
    pub fn add(&self, bytes: u64) {
        self.counted.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.live.touch();
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        self.live.shown().transfers.retain(|counted| !Arc::ptr_eq(counted, &self.counted));
    }
}
