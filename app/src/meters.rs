//! What a process has done, in numbers that only grow. Whoever runs it reads them as metrics.

use domain::event::Protocol;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How far it has come.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The files of a process.
#[derive(Debug, Default)]
pub struct FileMeters {
    /// Bytes that clients have sent.
    pub received_bytes: Counter,
    /// Bytes that clients were given.
    pub sent_bytes: Counter,
    /// Uploads that became visible.
    pub uploads_stored: Counter,
    /// Uploads that did not: with an error, or taken back by their client.
    pub uploads_failed: Counter,
    /// Uploads whose client went away.
    pub uploads_interrupted: Counter,
    /// Downloads that were closed.
    pub downloads: Counter,
}

/// How logins ended.
#[derive(Debug, Default)]
pub struct LoginMeters {
    /// Logged in.
    pub accepted: Counter,
    /// Refused, for whatever reason.
    pub refused: Counter,
    /// Not decided, because something did not answer.
    pub unavailable: Counter,
}

/// The logins of a process, by door.
#[derive(Debug, Default)]
pub struct AllLogins {
    sftp: LoginMeters,
    ftps: LoginMeters,
    other: LoginMeters,
}

impl AllLogins {
    /// Those of one door.
    pub fn at(&self, door: Protocol) -> &LoginMeters {
        match door {
            Protocol::Sftp => &self.sftp,
            Protocol::Ftps => &self.ftps,
            Protocol::WebPortal | Protocol::Api => &self.other,
        }
    }
}

/// Everything that is counted. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Meters {
    /// Files.
    pub files: Arc<FileMeters>,
    /// Logins.
    pub logins: Arc<AllLogins>,
}
