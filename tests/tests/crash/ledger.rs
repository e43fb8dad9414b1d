//! What clients did and were told.

use crate::events::Expected;
use crate::groups::Group;
use crate::sftp::Failure;
use crate::version::Version;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What became of an operation, as far as its client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It happened.
    Done,
    /// It did not.
    DidNot,
    /// There was nothing to do it to.
    NoSuchFile,
    /// Nobody knows.
    Unknown,
}

impl Outcome {
    pub(crate) fn of(answer: &Result<(), Failure>) -> Self {
        match answer {
            Ok(()) => Self::Done,
            Err(Failure::NoSuchFile) => Self::NoSuchFile,
            Err(Failure::RefusedBefore(_) | Failure::BrokenBefore) => Self::DidNot,
            Err(Failure::Refused(_) | Failure::Broken) => Self::Unknown,
        }
    }
}

/// The book of one run, shared by all clients. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Inner>);

#[derive(Default)]
struct Inner {
    versions: AtomicU64,
    done: AtomicUsize,
    unknown: AtomicUsize,
    expected: Mutex<Expected>,
    groups: Mutex<Vec<Group>>,
    refused: Mutex<Vec<String>>,
    large: Mutex<Vec<String>>,
}

impl Ledger {
    /// A version that nobody has written yet.
    pub(crate) fn version(&self, bytes: usize) -> Version {
        let number = self.0.versions.fetch_add(1, Ordering::Relaxed);
        // empty files cannot be told apart
        Version { number: if bytes == 0 { 0 } else { number }, bytes }
    }

    /// Notes an answer; what it means for files and events is for the caller.
    pub(crate) fn note(&self, what: impl Fn() -> String, answer: &Result<(), Failure>) -> Outcome {
        let outcome = Outcome::of(answer);
        match outcome {
            Outcome::Done => self.0.done.fetch_add(1, Ordering::Relaxed),
            Outcome::Unknown => self.0.unknown.fetch_add(1, Ordering::Relaxed),
            Outcome::DidNot | Outcome::NoSuchFile => 0,
        };
        if let Err(failure) = answer
            && *failure != Failure::NoSuchFile
        {
            self.0.refused.lock().unwrap().push(format!("{}: {failure:?}", what()));
        }
        outcome
    }

    /// An upload with parts. They may be in S3 still if it broke off, or if it was begun twice because the first answer
    /// got lost.
    pub(crate) fn large_upload(&self, path: &str) {
        self.0.large.lock().unwrap().push(path.to_owned());
    }

    pub(crate) fn expect(&self, change: impl FnOnce(&mut Expected)) {
        change(&mut self.0.expected.lock().unwrap());
    }

    /// What a client leaves behind when it is done with some names.
    pub(crate) fn close(&self, group: Group) {
        self.0.groups.lock().unwrap().push(group);
    }

    pub(crate) fn done(&self) -> usize {
        self.0.done.load(Ordering::Relaxed)
    }

    pub(crate) fn unknown(&self) -> usize {
        self.0.unknown.load(Ordering::Relaxed)
    }

    pub(crate) fn expected(&self) -> Expected {
        self.0.expected.lock().unwrap().clone()
    }

    pub(crate) fn groups(&self) -> Vec<Group> {
        std::mem::take(&mut self.0.groups.lock().unwrap())
    }

    /// Every operation that failed, whatever for.
    pub(crate) fn refused(&self) -> Vec<String> {
        self.0.refused.lock().unwrap().clone()
    }

    pub(crate) fn large_uploads(&self) -> Vec<String> {
        self.0.large.lock().unwrap().clone()
    }
}
