//! The sessions of this process: who is here, what they transfer, and their end from outside.
//!
//! A door opens a [`Session`] after the login and holds it as long as the connection lasts. [`Sessions::keep`] tells the
//! table about them, so that every node's can be listed anywhere, and asks it for orders to end some.

mod keeping;
mod live;
mod pages;
mod places;

pub(crate) use live::Live;
pub use live::{Moving, Session};
pub use places::{Place, Places};

use crate::accounts::Login;
use crate::settler::{Done, Settler};
use domain::connection::Close;
use domain::event::{Origin, Topic};
use domain::id::NodeId;
use domain::time::Timestamp;
use pages::Pages;
use std::sync::{Arc, Mutex, PoisonError};
use store::clock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The sessions of a process. Cheap to clone.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    node: NodeId,
    /// Who announces logins and logouts.
    settler: Option<Settler>,
    open: Mutex<Pages>,
    /// Somebody came to an empty node, which had no reason to hurry.
    first: Notify,
}

impl Sessions {
    /// None yet, and nobody is told of them.
    pub fn new(node: NodeId) -> Self {
        Self(Arc::new(Inner { node, settler: None, open: Mutex::default(), first: Notify::new() }))
    }

    /// None yet; their beginnings and ends are announced.
    pub fn announced_by(node: NodeId, settler: Settler) -> Self {
        Self(Arc::new(Inner { node, settler: Some(settler), open: Mutex::default(), first: Notify::new() }))
    }

    fn announce(&self, live: &Live, topic: Topic) {
        // a request is no session that somebody wants to hear of
        if let Some(settler) = &self.0.settler
            && live.origin.protocol.has_sessions()
        {
            settler.offer(Done::announcing(live.event(topic), &live.principal));
        }
    }

    /// The node whose sessions these are.
    pub fn node(&self) -> &NodeId {
        &self.0.node
    }

    /// A session after its login. `end` is cancelled when it is to end.
    pub fn open(&self, login: Login, origin: Origin, end: CancellationToken) -> Session {
        let live = Arc::new(Live::new(login, origin, end, clock::now()));
        let mut open = self.0.open();
        if open.is_empty() {
            self.0.first.notify_one();
        }
        open.add(&live);
        drop(open);
        self.announce(&live, Topic::Login);
        Session::new(self.clone(), live)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.open().len()
    }

    /// Ends the sessions that an order means, and answers how many.
    pub fn close(&self, close: &Close) -> usize {
        self.end(|live| live.is_meant_by(close), "from outside")
    }

    /// Ends the sessions whose time has come.
    fn end_expired(&self, now: Timestamp) {
        self.end(|live| live.is_over(now), "its login has expired");
    }

    fn end(&self, which: impl Fn(&Live) -> bool, why: &'static str) -> usize {
        let ending: Vec<Arc<Live>> = self.0.open().all().filter(|live| which(live)).cloned().collect();
        ending.iter().filter(|live| live.end(why)).count()
    }
}

impl Inner {
    fn open(&self) -> std::sync::MutexGuard<'_, Pages> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
