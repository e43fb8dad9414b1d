//! The TLS sessions of one control connection, which its data connections must continue.
//!
//! Each control connection has a ticket key of its own (RFC 5077 and RFC 8446, section 4.6.1), which is made with it, never
//! rotates and dies with it. So a data connection that resumes shows that its client is the one of this control
//! connection, and of no other. Every ticket begins with a name that only these tickets have, which a ClientHello shows
//! before anything is computed: by it a data connection finds its session ([`super::passive`]). The name is not the proof,
//! the resumed handshake is.
//!
//! Tickets of TLS 1.3 come after the handshake, and clients differ. Those on OpenSSL (curl) or Java use each ticket once and
//! keep only the newest, so they need a new one on every data connection. Others (lftp, Python) show the same one again and
//! again, and some of those never read while they upload: tickets that they have not read would make their kernel throw away the
//! end of the file when they close (RST; curl/curl#6149, proftpd/proftpd#959). So an upload gets a ticket until the client has
//! shown one twice, or has reset an upload.
//!
//! What rustls cannot do is to give a ticket on the control connection later. So a client that uses each ticket once, keeps
//! only the newest, and closes an upload before the new one has come has none left for the next. curl does all that with
//! small files; as it begins TLS before 150 and sends after it, its ticket is sent before 150 ([`super::data`]).

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_rustls::rustls::server::{ProducesTickets, StoresServerSessions};

/// As long as RFC 8446 allows: the key dies with the connection in any case.
const LIFETIME_SECONDS: u32 = 7 * 24 * 3600;

/// Sessions of a client of TLS 1.2 that takes no tickets.
const MAX_SESSIONS: usize = 4;

const NAME_LEN: usize = 16;
const KEY_LEN: usize = 32;

/// Tickets of one control connection.
pub(crate) struct Tickets {
    name: [u8; NAME_LEN],
    key: RandomizedNonceKey,
    /// The nonce of the ticket that was shown last.
    shown: Mutex<Option<[u8; NONCE_LEN]>>,
    /// The client needs or wants no tickets on uploads.
    enough: AtomicBool,
    sessions: Mutex<VecDeque<(Vec<u8>, Vec<u8>)>>,
}

/// The randomness that the key needs is not there.
#[derive(Debug, thiserror::Error)]
#[error("no TLS ticket key can be made")]
pub(crate) struct NoKey;

impl Tickets {
    /// For a new control connection.
    pub(crate) fn new() -> Result<Arc<Self>, NoKey> {
        let secret = zeroize::Zeroizing::new(store::clock::random::<KEY_LEN>());
        Ok(Arc::new(Self {
            name: store::clock::random(),
            key: RandomizedNonceKey::new(&AES_256_GCM, &*secret).map_err(|_| NoKey)?,
            shown: Mutex::default(),
            enough: AtomicBool::new(false),
            sessions: Mutex::default(),
        }))
    }

    /// Whether a ClientHello offers to go on with one of these sessions.
    pub(crate) fn are_in(&self, hello: &[u8]) -> bool {
        let holds = |mark: &[u8]| !mark.is_empty() && hello.windows(mark.len()).any(|window| window == mark);
        holds(&self.name) || self.lock().iter().any(|(id, _)| holds(id))
    }

    /// Whether uploads get other tickets than what the client reads.
    pub(crate) fn depend_on_direction(&self) -> bool {
        self.enough.load(Ordering::Relaxed)
    }

    /// An upload was reset: perhaps its client does not read.
    pub(crate) fn upload_was_reset(&self) {
        self.enough.store(true, Ordering::Relaxed);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(Vec<u8>, Vec<u8>)>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seal(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = plain.to_vec();
        let nonce = self.key.seal_in_place_append_tag(Aad::from(&self.name), &mut sealed).ok()?;
        Some([&self.name[..], nonce.as_ref(), &sealed].concat())
    }

    fn open(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let rest = ticket.strip_prefix(&self.name)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let aad = Aad::from(&self.name);
        let plain = self.key.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut sealed).ok()?.to_vec();
        let before = self.shown.lock().unwrap_or_else(PoisonError::into_inner).replace(*nonce);
        if before == Some(*nonce) {
            self.enough.store(true, Ordering::Relaxed);
        }
        Some(plain)
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets")
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }
    fn lifetime(&self) -> u32 {
        LIFETIME_SECONDS
    }
    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain)
    }
    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.open(ticket)
    }
}

/// For clients of TLS 1.2 without tickets: the session lies here, its id is what they show.
impl StoresServerSessions for Tickets {
    fn put(&self, id: Vec<u8>, value: Vec<u8>) -> bool {
        let mut sessions = self.lock();
        while sessions.len() >= MAX_SESSIONS {
            sessions.pop_front();
        }
        sessions.push_back((id, value));
        true
    }
    fn get(&self, id: &[u8]) -> Option<Vec<u8>> {
        self.lock().iter().find(|(one, _)| one == id).map(|(_, value)| value.clone())
    }
    fn take(&self, id: &[u8]) -> Option<Vec<u8>> {
        // a session is continued by every data connection
        self.get(id)
    }
    fn can_cache(&self) -> bool {
        true
    }
}

/// The same tickets for the connection of an upload.
#[derive(Debug)]
pub(crate) struct UploadTickets(pub(crate) Arc<Tickets>);

impl ProducesTickets for UploadTickets {
    fn enabled(&self) -> bool {
        true
    }
    fn lifetime(&self) -> u32 {
        LIFETIME_SECONDS
    }
    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        if self.0.depend_on_direction() { None } else { self.0.seal(plain) }
    }
    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.0.open(ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_open_where_they_were_made_and_nowhere_else() {
        let (ours, others) = (Tickets::new().unwrap(), Tickets::new().unwrap());
        let ticket = ours.encrypt(b"session").unwrap();
        assert_eq!(ours.decrypt(&ticket).unwrap(), b"session");
        assert!(others.decrypt(&ticket).is_none());
        let mut changed = ticket.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(ours.decrypt(&changed).is_none() && ours.decrypt(&ticket[..20]).is_none());
        let hello = [&b"hello"[..], &ticket, b"more"].concat();
        assert!(ours.are_in(&hello) && !others.are_in(&hello) && !ours.are_in(b""));
    }

    #[test]
    fn uploads_get_tickets_until_the_client_has_shown_that_it_needs_none() {
        let tickets = Tickets::new().unwrap();
        let uploads = UploadTickets(Arc::clone(&tickets));
        // each once
        for _ in 0..3 {
            let ticket = tickets.encrypt(b"a").unwrap();
            assert!(uploads.decrypt(&ticket).is_some() && uploads.encrypt(b"b").is_some());
        }
        // one twice
        let ticket = tickets.encrypt(b"a").unwrap();
        assert!(uploads.decrypt(&ticket).is_some() && uploads.encrypt(b"b").is_some());
        assert!(uploads.decrypt(&ticket).is_some() && uploads.encrypt(b"b").is_none());
        assert!(tickets.encrypt(b"b").is_some(), "where the client reads it gets them all the same");
        let tickets = Tickets::new().unwrap();
        tickets.upload_was_reset();
        assert!(UploadTickets(tickets).encrypt(b"b").is_none());
    }

    #[test]
    fn sessions_without_tickets_are_few_and_stay() {
        let tickets = Tickets::new().unwrap();
        for at in 0..10_u8 {
            assert!(tickets.put(vec![at; 32], vec![at]));
        }
        assert_eq!(
            (tickets.get(&[0; 32]), tickets.take(&[9; 32]), tickets.get(&[9; 32])),
            (None, Some(vec![9]), Some(vec![9]))
        );
        assert!(tickets.are_in(&[&[1][..], &[9; 32]].concat()));
    }
}
