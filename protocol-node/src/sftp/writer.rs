//! The task of one open upload. It takes the requests on its handle strictly in the order of their arrival, so a slow
//! upload holds up nobody but itself.
//!
//! It answers into a queue that always has room and thus never waits for output, because the bytes that it has not
//! taken keep the connection from being read.

use super::attributes::{Shown, Wanted};
use super::handles::{Shared, Slot};
use super::memory::Charge;
use super::order::Ticket;
use super::reply::{Body, Class, Reply};
use super::{CLOSE_DEADLINE, MAX_DATA_REQUESTS, MAX_OTHER_REQUESTS, WRITE_DEADLINE};
use crate::backend::{Download, Upload};
use bytes::Bytes;
use domain::file_error::{FileError, FileErrorKind};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::Instrument;

/// A request on an upload's handle.
pub(crate) enum Work {
    /// WRITE.
    Write {
        id: u32,
        offset: u64,
        data: Bytes,
        /// What it is charged; released when the upload has taken the data.
        charge: Charge,
    },
    /// FSETSTAT.
    Set { id: u32, wanted: Wanted },
    /// `copy-data` from a file; a length of 0 is all of it.
    Copy { id: u32, from: Download, offset: u64, length: u64, at: u64 },
    /// FSTAT.
    Stat { id: u32 },
    /// `fsync@openssh.com`. A file is durable at its CLOSE, all at once; what cannot become a file is said here, too, because
    /// there are clients (sshfs) whose users are not told what CLOSE says.
    Sync { id: u32 },
    /// CLOSE, and the ticket that makes later requests for this path wait for it.
    Close { id: u32, ticket: Ticket },
}

struct Writer {
    upload: Upload,
    /// The first failure. Everything after it gets the same answer, and CLOSE does not make the file visible.
    failed: Option<FileError>,
    shared: Arc<Shared>,
}

/// Starts the task of an upload and returns where its requests go.
pub(crate) fn start(upload: Upload, slot: Slot, shared: &Arc<Shared>) -> mpsc::Sender<Work> {
    let (sender, work) = mpsc::channel(MAX_DATA_REQUESTS + MAX_OTHER_REQUESTS);
    let writer = Writer { upload, failed: None, shared: Arc::clone(shared) };
    let task = async move {
        writer.run(work).await;
        drop(slot);
    };
    shared.tasks.spawn(task.in_current_span());
    sender
}

impl Writer {
    async fn run(mut self, mut queue: mpsc::Receiver<Work>) {
        while let Some(work) = queue.recv().await {
            match work {
                Work::Write { id, offset, data, charge } => {
                    let body = self.write(offset, data).await;
                    drop(charge);
                    answer(&self.shared, id, Class::Data, body);
                }
                Work::Set { id, wanted } => {
                    let body = self.set(wanted).await;
                    answer(&self.shared, id, Class::Other, body);
                }
                Work::Copy { id, from, offset, length, at } => {
                    let body = self.copy(&from, offset, length, at).await;
                    answer(&self.shared, id, Class::Other, body);
                }
                Work::Stat { id } => {
                    let shown = Shown::file(self.upload.bytes(), store::clock::now());
                    answer(&self.shared, id, Class::Other, Body::Attributes(shown));
                }
                Work::Sync { id } => answer(&self.shared, id, Class::Other, self.sync()),
                Work::Close { id, ticket } => {
                    let shared = Arc::clone(&self.shared);
                    let body = self.close().await;
                    // before the answer, which wakes whoever waits for the ticket
                    shared.order().end(ticket);
                    answer(&shared, id, Class::Other, body);
                    return;
                }
            }
        }
        // the client is gone without a CLOSE
        match self.failed {
            Some(_) => self.upload.abort().await,
            None => self.upload.interrupt().await,
        }
    }

    async fn write(&mut self, offset: u64, data: Bytes) -> Body {
        if let Some(error) = &self.failed {
            return error.repeat().into();
        }
        let outcome = match timeout(WRITE_DEADLINE, self.upload.write(offset, data)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(FileError::too_slow(WRITE_DEADLINE)),
        };
        self.note(outcome)
    }

    async fn copy(&mut self, from: &Download, offset: u64, length: u64, at: u64) -> Body {
        if let Some(error) = &self.failed {
            return error.repeat().into();
        }
        let size = from.entry().bytes;
        let start = offset.min(size);
        let end = if length == 0 { size } else { start.saturating_add(length).min(size) };
        let outcome = match timeout(CLOSE_DEADLINE, self.upload.copy_from(from, start..end, at)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(FileError::too_slow(CLOSE_DEADLINE)),
        };
        match self.note(outcome) {
            // as OpenSSH's server answers when there was less than asked for
            Body::Ok if length > end - start => Body::EOF,
            body => body,
        }
    }

    async fn set(&mut self, wanted: Wanted) -> Body {
        if let Some(error) = &self.failed {
            return error.repeat().into();
        }
        if let Some(modified) = wanted.modified
            && let Err(error) = self.upload.set_modified(modified)
        {
            return self.note(Err(error));
        }
        let Some(size) = wanted.size else { return Body::Ok };
        let outcome = match timeout(WRITE_DEADLINE, self.upload.set_bytes(size)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(FileError::too_slow(WRITE_DEADLINE)),
        };
        self.note(outcome)
    }

    fn sync(&self) -> Body {
        match (&self.failed, self.upload.gap()) {
            (Some(error), _) => error.repeat().into(),
            (None, None) => Body::Ok,
            (None, Some(at)) => {
                let text = format!("the bytes from {at} on were not all sent: a file cannot be changed in its middle");
                FileError::new(FileErrorKind::Unsupported, text).into()
            }
        }
    }

    async fn close(self) -> Body {
        if let Some(error) = self.failed {
            self.upload.abort().await;
            return error.into();
        }
        match timeout(CLOSE_DEADLINE, self.upload.finish()).await {
            Ok(Ok(())) => Body::Ok,
            Ok(Err(error)) => error.into(),
            Err(_) => FileError::too_slow(CLOSE_DEADLINE).into(),
        }
    }

    /// Keeps the first failure; its source goes to the answer, where it is logged.
    fn note(&mut self, outcome: Result<(), FileError>) -> Body {
        match outcome {
            Ok(()) => Body::Ok,
            Err(error) => {
                self.failed = Some(error.repeat());
                error.into()
            }
        }
    }
}

/// Answers into the queue of answers, which has room for every counted request. It is closed when the channel has
/// ended and nobody listens.
fn answer(shared: &Shared, id: u32, class: Class, body: Body) {
    let _ = shared.replies.try_send(Box::new(Reply { id, class, body }));
}
