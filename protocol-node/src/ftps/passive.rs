//! Data connections (RFC 959, section 3.2; RFC 2428): a few listeners, shared by all sessions of a node.
//!
//! A session that sends PASV or EPSV is registered as *waiting* at one port for the client's address. A connection to that
//! port from that address is read up to the end of its ClientHello, which offers to go on with a TLS session; whose session
//! that is, is its owner. So sessions of one address can share a port, and a stranger behind the same address takes nobody's
//! place. Whether it *is* the session's client is shown by the resumed handshake alone ([`super::data`]).
//!
//! Clients connect after PASV and send their ClientHello after 150, so the reading lasts as long as somebody waits.
//!
//! Behind a balancer that writes PROXY headers the address is the one in the header, for data connections as for control
//! connections; until it has come a connection has a place among [`MAX_UNNAMED`].

use super::tickets::Tickets;
use crate::door::{self, Doors, Proxy};
use bytes::BytesMut;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// The longest ClientHello. With post-quantum keys one has about 2 KiB.
const MAX_HELLO: usize = 16 * 1024;

/// Connections from one address to one port whose owner is not known yet, beside one for each session that waits.
const MAX_STRANGERS: usize = 8;

/// Connections of balancers that have not said whose they are, over all ports.
const MAX_UNNAMED: usize = 256;

/// From the connection to the end of its ClientHello. Between them lie the command and what storage needs to open a file.
const HELLO_DEADLINE: Duration = Duration::from_secs(180);

/// A connection for a session, and what was read of it.
pub(crate) struct Arrived {
    pub(crate) socket: TcpStream,
    pub(crate) read: BytesMut,
}

/// The listeners of a node.
pub(crate) struct Passive {
    ports: Vec<u16>,
    turn: AtomicUsize,
    waiting: Arc<Waiting>,
    _accepting: Vec<AbortOnDropHandle<()>>,
}

/// Who waits, at which port, for which address.
#[derive(Default)]
struct Waiting {
    places: Mutex<HashMap<(u16, IpAddr), Place>>,
    next_id: AtomicU64,
}

#[derive(Default)]
struct Place {
    sessions: Vec<Session>,
    /// Connections whose owner is not known yet.
    strangers: usize,
    /// Cancelled when nobody waits any more.
    over: CancellationToken,
}

struct Session {
    id: u64,
    tickets: Arc<Tickets>,
    /// Whether it takes only its own.
    reuse_required: bool,
    give: oneshot::Sender<Arrived>,
    stranger: Arc<Notify>,
}

/// A session's place at a port, until it is dropped.
pub(crate) struct Pending {
    key: (u16, IpAddr),
    id: u64,
    waiting: Arc<Waiting>,
    /// The connection.
    pub(crate) arrived: oneshot::Receiver<Arrived>,
    /// Told when a connection came that continues nobody's session.
    pub(crate) stranger: Arc<Notify>,
}

impl Passive {
    /// Binds the ports.
    pub(crate) fn bind(address: IpAddr, ports: &[u16], proxy: &Proxy, doors: &Doors) -> io::Result<Self> {
        let waiting = Arc::new(Waiting::default());
        let unnamed = Arc::new(Semaphore::new(MAX_UNNAMED));
        let (mut bound, mut accepting) = (Vec::new(), Vec::new());
        for port in ports {
            let failed = |error: io::Error| io::Error::new(error.kind(), format!("port {port}: {error}"));
            let listener = door::bind(SocketAddr::new(address, *port)).map_err(failed)?;
            let port = listener.local_addr().map_err(failed)?.port();
            bound.push(port);
            let (waiting, unnamed) = (Arc::clone(&waiting), Arc::clone(&unnamed));
            let port = Port { port, waiting, proxy: proxy.clone(), unnamed, doors: doors.clone() };
            accepting.push(AbortOnDropHandle::new(tokio::spawn(accept(listener, port))));
        }
        Ok(Self { ports: bound, turn: AtomicUsize::new(0), waiting, _accepting: accepting })
    }

    /// A place for a session whose client is at `client`: where the fewest of that address wait, in turn.
    pub(crate) fn wait(&self, client: IpAddr, tickets: Arc<Tickets>, reuse_required: bool) -> Option<(u16, Pending)> {
        let client = client.to_canonical();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.ports.len().max(1);
        let mut places = self.waiting.lock();
        let waiting = |port: u16| places.get(&(port, client)).map_or(0, |place| place.sessions.len());
        let in_turn = self.ports.iter().cycle().skip(turn).take(self.ports.len()).copied();
        let port = in_turn.min_by_key(|port| waiting(*port))?;
        let (give, arrived) = oneshot::channel();
        let stranger = Arc::new(Notify::new());
        let id = self.waiting.next_id.fetch_add(1, Ordering::Relaxed);
        let session = Session { id, tickets, reuse_required, give, stranger: Arc::clone(&stranger) };
        places.entry((port, client)).or_default().sessions.push(session);
        drop(places);
        Some((port, Pending { key: (port, client), id, waiting: Arc::clone(&self.waiting), arrived, stranger }))
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, HashMap<(u16, IpAddr), Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection that has come; `None` if nobody waits for it, or too many have come.
    fn begin(&self, key: (u16, IpAddr)) -> Option<CancellationToken> {
        let mut places = self.lock();
        let place = places.get_mut(&key)?;
        if place.strangers >= place.sessions.len() + MAX_STRANGERS {
            return None;
        }
        place.strangers += 1;
        Some(place.over.clone())
    }

    fn end(&self, key: (u16, IpAddr), over: &CancellationToken) {
        // a place that has come anew has a count of its own
        if !over.is_cancelled()
            && let Some(place) = self.lock().get_mut(&key)
        {
            place.strangers = place.strangers.saturating_sub(1);
        }
    }

    /// Gives a connection to its owner. Without a session that it continues, to the first who takes any.
    fn hand_over(&self, key: (u16, IpAddr), arrived: Arrived) -> bool {
        let mut places = self.lock();
        let Some(place) = places.get_mut(&key) else {
            return false;
        };
        let owner = place.sessions.iter().position(|session| session.tickets.are_in(&arrived.read));
        let owner = owner.or_else(|| place.sessions.iter().position(|session| !session.reuse_required));
        let Some(owner) = owner else {
            place.sessions.iter().for_each(|session| session.stranger.notify_one());
            return false;
        };
        let session = place.sessions.remove(owner);
        if place.sessions.is_empty() {
            place.over.cancel();
            places.remove(&key);
        }
        session.give.send(arrived).is_ok()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let mut places = self.waiting.lock();
        if let Some(place) = places.get_mut(&self.key) {
            place.sessions.retain(|session| session.id != self.id);
            if place.sessions.is_empty() {
                place.over.cancel();
                places.remove(&self.key);
            }
        }
    }
}

/// The listener of one port.
struct Port {
    port: u16,
    waiting: Arc<Waiting>,
    proxy: Proxy,
    unnamed: Arc<Semaphore>,
    doors: Doors,
}

async fn accept(listener: TcpListener, port: Port) {
    let port = Arc::new(port);
    loop {
        let (socket, peer) = door::next(&listener).await;
        if !port.doors.takes(&port.proxy, peer) {
            continue;
        }
        if matches!(port.proxy, Proxy::Off) {
            port.receive(socket, peer);
            continue;
        }
        let Ok(place) = Arc::clone(&port.unnamed).try_acquire_owned() else {
            tracing::info!(%peer, port = port.port, "a data connection was closed: too many have sent no PROXY header yet");
            continue;
        };
        let port = Arc::clone(&port);
        tokio::spawn(async move {
            let mut socket = socket;
            let ends = port.doors.ends(&port.proxy, &mut socket, peer).await;
            drop(place);
            if let Some(ends) = ends {
                port.receive(socket, ends.client);
            }
        });
    }
}

impl Port {
    /// A connection of a client: finds out for which session it is, beside the listener.
    fn receive(&self, socket: TcpStream, client: SocketAddr) {
        let (port, key) = (self.port, (self.port, client.ip().to_canonical()));
        let Some(over) = self.waiting.begin(key) else {
            tracing::debug!(peer = %client, port, "a data connection that nobody waits for was closed");
            return;
        };
        let waiting = Arc::clone(&self.waiting);
        tokio::spawn(async move {
            let read = over.run_until_cancelled(timeout(HELLO_DEADLINE, identify(socket))).await;
            waiting.end(key, &over);
            if let Some(Ok(Some(arrived))) = read
                && !waiting.hand_over(key, arrived)
            {
                tracing::info!(peer = %client, port, "a data connection that continues nobody's TLS session was closed");
            }
        });
    }
}

/// Reads a connection up to the end of its ClientHello; `None` if it is none.
async fn identify(mut socket: TcpStream) -> Option<Arrived> {
    door::prepare(&socket).ok()?;
    let mut read = BytesMut::with_capacity(2048);
    loop {
        if socket.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
        match hello(&read) {
            Hello::Whole => return Some(Arrived { socket, read }),
            Hello::Unfinished if read.len() < MAX_HELLO => {}
            Hello::Unfinished | Hello::Other => return None,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Hello {
    Unfinished,
    Whole,
    Other,
}

/// Looks for the end of a ClientHello (RFC 8446, sections 4 and 5.1), which may lie in several records.
fn hello(mut read: &[u8]) -> Hello {
    const HANDSHAKE: u8 = 22;
    const CLIENT_HELLO: u8 = 1;
    let mut message = Vec::new();
    loop {
        if let [kind, high, middle, low, rest @ ..] = &message[..] {
            if *kind != CLIENT_HELLO {
                return Hello::Other;
            }
            let len = u32::from_be_bytes([0, *high, *middle, *low]);
            if rest.len() as u64 >= u64::from(len) {
                return Hello::Whole;
            }
        }
        let [kind, _, _, high, low, rest @ ..] = read else {
            return if read.first().is_none_or(|kind| *kind == HANDSHAKE) { Hello::Unfinished } else { Hello::Other };
        };
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        if *kind != HANDSHAKE || len == 0 {
            return Hello::Other;
        }
        let Some((record, next)) = rest.split_at_checked(len) else {
            return Hello::Unfinished;
        };
        message.extend_from_slice(record);
        read = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(bytes: &[u8]) -> Vec<u8> {
        let len = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        [&[22, 3, 1][..], &len, bytes].concat()
    }

    #[test]
    fn the_end_of_a_hello_is_found() {
        let message = [&[1, 0, 0, 10][..], &[7; 10]].concat();
        let whole = record(&message);
        assert_eq!(hello(&whole), Hello::Whole);
        for end in 0..whole.len() {
            assert_eq!(hello(&whole[..end]), Hello::Unfinished, "{end}");
        }
        let two = [record(&message[..6]), record(&message[6..])].concat();
        assert_eq!(hello(&two), Hello::Whole);
        assert_eq!(hello(&two[..two.len() - 1]), Hello::Unfinished);
        assert_eq!(hello(b"GET / HTTP/1.1\r\n"), Hello::Other);
        assert_eq!(hello(&record(&[2, 0, 0, 1, 1])), Hello::Other);
        assert_eq!(hello(&[22, 3, 1, 0, 0, 1]), Hello::Other);
    }

    #[tokio::test]
    async fn sessions_of_one_address_wait_at_different_ports_while_there_are_some() {
        let budget = app::budget::Budget::new(app::budget::Budget::LEAST_MIB).unwrap();
        let (accounts, vfs) = Default::default();
        let sessions = crate::doubles::sessions();
        let state = crate::state::State { accounts, vfs, budget, sessions, meters: Default::default() };
        let doors = Doors::new(&state, crate::door::Limits::default());
        let passive = Passive::bind([127, 0, 0, 1].into(), &[0, 0], &Proxy::Off, &doors).unwrap();
        let client = [192, 0, 2, 1].into();
        let wait = || passive.wait(client, Tickets::new().unwrap(), true).unwrap();
        let ((one, first), (two, _second)) = (wait(), wait());
        assert_ne!(one, two);
        drop(first);
        assert_eq!(wait().0, one, "a place that was given up is free");
        assert_eq!(passive.waiting.lock().len(), 1, "and what nobody waits at is gone");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_hello_or_not(read in prop::collection::vec(any::<u8>(), 0..200)) {
            hello(&read);
        }
    }
}
