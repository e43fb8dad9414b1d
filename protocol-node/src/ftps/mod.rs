//! FTP over TLS (RFC 959, 2228, 2389, 2428, 3659, 4217), explicit and implicit; the engine is ours.
//!
//! One task for each control connection reads commands and answers them. What moves file contents or entries, or reads a
//! whole file, is a *job* on a task of its own, at most one for a session; while it runs the control connection is read all
//! the same: NOOP, STAT and ABOR are answered at once, other commands wait in a short queue. The rule: **nothing that a data
//! connection, a client or storage does or leaves undone holds up the control connection.**
//!
//! ```text
//!  client ──control──► session: line ─► command ─► login, features, folders, changes, facts      one task
//!     │                   │  ▲                  └─► STOR, RETR, LIST, HASH …: starts a job
//!     │                   │  └── 150, 226 … ◄───────────────────────────────────────┐
//!     │                   └─ PASV: a place at a shared port ─┐                      │
//!     └──data──► passive listener ─► ClientHello: whose? ────┴─► data connection ◄─► job ◄─► app::vfs    one task
//! ```
//!
//! * A data connection belongs to the session whose TLS session it continues ([`tickets`], [`passive`]). Nothing is sent or
//!   taken before the handshake has shown it.
//! * A file is stored when TLS on its data connection has ended as TLS ends, the control connection is there, and nobody has
//!   said ABOR; `226` says that it is durable. A connection that broke keeps what is durable for going on; ABOR keeps nothing.
//! * Type A is taken and converts nothing: a file is its bytes.
//!
//! Bounds, and what happens there:
//!
//! | what | bound | at the bound |
//! |---|---|---|
//! | a command line | [`line::MAX_LINE`] | `500`; the rest of the line is skipped |
//! | lines in a row that are too long or no commands | [`MAX_NONSENSE`] | `421`, closed |
//! | commands that wait for a job | [`MAX_AHEAD`] | `421`, closed |
//! | jobs of a session | 1 | the next command that needs one waits for its end |
//! | refused logins | `door::MAX_LOGIN_ATTEMPTS` | `421`, closed |
//! | bytes read of an upload | [`data::PIECE`] | the data connection is not read until the VFS takes them |
//! | bytes of a download | one read of [`data::PIECE`], and what TLS has encrypted (64 KiB) | storage is not read on until the client reads |
//! | a listing | a page of storage, and a piece of [`LIST_BYTES`] | the next page is not taken until the client reads |
//! | entries of STAT | [`MAX_STAT_BYTES`] | cut, and it says so |
//! | a file that HASH reads | [`MAX_HASH_BYTES`] | refused, naming the limit |
//! | connections whose session is not known | in [`passive`] | closed |
//! | every wait | [`Times`] | a reply where somebody may read it, else closed |
//!
//! A session that is idle holds TLS's state and no buffer of ours. With an upload it holds a piece of 256 KiB, the socket's
//! read buffer (96 KiB) and TLS's (18 KiB); with a download what the VFS gives it, and 64 KiB that TLS has encrypted. The rest
//! is the VFS's and in the node's budget. There is one job for a session, so this is what it holds at most.

mod changes;
mod client_keys;
mod command;
mod control;
mod data;
mod door;
#[cfg(test)]
mod exercise;
mod expected;
mod facts;
mod features;
mod folders;
mod hash;
mod job;
mod line;
mod listings;
mod login;
mod passive;
mod reply;
mod session;
mod text;
mod tickets;
mod tls;
mod transfers;

#[cfg(test)]
mod tests;

pub use door::{Door, DoorError, Open, Settings};

use crate::door::Limits;
use std::time::Duration;

/// Lines in a row that are too long or no commands. Scanners and HTTP clients send little else.
const MAX_NONSENSE: usize = 10;

/// Commands that wait while a job runs.
const MAX_AHEAD: usize = 16;

/// How much of a listing is sent at once.
const LIST_BYTES: usize = 64 * 1024;

/// What STAT of a path answers at most: it goes over the control connection.
const MAX_STAT_BYTES: usize = 64 * 1024;

/// The largest file that HASH and its kin read. S3 gives about 90 MiB/s to one connection and several are used, so this is
/// a matter of seconds.
const MAX_HASH_BYTES: u64 = 4 << 30;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// From the connection to the login.
    pub(crate) login: Duration,
    /// Without a command or a job.
    pub(crate) idle: Duration,
    /// A TLS handshake.
    pub(crate) handshake: Duration,
    /// For the client to take a reply.
    pub(crate) reply: Duration,
    /// From 150 to the ClientHello of the data connection.
    pub(crate) connect: Duration,
    /// How long the own data connection may follow one that continues nobody's session.
    pub(crate) own_after_stranger: Duration,
    /// A data connection on which no byte moves.
    pub(crate) stall: Duration,
    /// In this time a data connection must move …
    pub(crate) pace_window: Duration,
    /// … so many bytes.
    pub(crate) pace_bytes: u64,
    /// For the client to close a data connection on which it has everything.
    pub(crate) linger: Duration,
    /// For storage: one operation on a path, one read, one page of a listing.
    pub(crate) operation: Duration,
    /// For storage: to take a piece of an upload.
    pub(crate) write: Duration,
    /// For storage: to make an upload visible.
    pub(crate) finish: Duration,
    /// For the client to close after the last reply.
    pub(crate) farewell: Duration,
}

#[cfg(test)]
impl Default for Times {
    fn default() -> Self {
        Self::new(&Limits::default())
    }
}

impl Times {
    /// With the deadlines that are settings.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            login: limits.login,
            idle: limits.idle,
            handshake: Duration::from_secs(20),
            reply: Duration::from_secs(60),
            connect: Duration::from_secs(30),
            own_after_stranger: Duration::from_secs(5),
            stall: Duration::from_secs(120),
            pace_window: Duration::from_secs(300),
            pace_bytes: 64 * 1024,
            linger: Duration::from_secs(10),
            operation: Duration::from_secs(120),
            write: Duration::from_secs(180),
            finish: Duration::from_secs(900),
            farewell: crate::door::FAREWELL,
        }
    }
}
