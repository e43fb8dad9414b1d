//! The front of a channel: bytes become requests, and each request goes where it will be done.
//!
//! This runs inside the SSH library's call, so it waits for one thing only: for uploads to take bytes, which never wait
//! for output themselves. Every other queue has room for as many requests as may be unanswered.

use super::frame::{Frame, Frames, Parsed};
use super::handles::{Open, Shared};
use super::memory::{Charge, Memory};
use super::order::Touch;
use super::paths::{self, Operation, Resolved};
use super::reader::Folder;
use super::reply::{Body, Class, Reply};
use super::request::{self, Ask, Handle, HandleAsk, PathAsk};
use super::status::Status;
use super::worker::{self, Output};
use super::writer::Work;
use super::{MAX_DATA_REQUESTS, MAX_OTHER_REQUESTS, WRITE_CHARGE_MIN, WRITE_DEADLINE};
use crate::backend::{Download, FileSession};
use bytes::Bytes;
use domain::file_error::{FileError, FileErrorKind};
use domain::path::VPath;
use std::sync::{Arc, Weak};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// Why the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// The stream is out of step, or never was in step.
    #[error("the client does not speak SFTP")]
    NotSftp,
    /// A bound of requests.
    #[error("the client sent too many requests without reading the answers")]
    TooManyRequests,
    /// No upload took bytes within the deadline.
    #[error("storage took no bytes within {} s", WRITE_DEADLINE.as_secs())]
    WriteStuck,
    /// The channel's tasks have ended.
    #[error("the channel has ended")]
    Ended,
}

/// A request for the lane of handles.
pub(crate) enum HandleJob {
    /// READ.
    Read { id: u32, download: Download, offset: u64, len: u32 },
    /// READDIR.
    ReadFolder { id: u32, folder: Arc<tokio::sync::Mutex<Folder>> },
    /// CLOSE of a download.
    Close { id: u32, download: Download },
}

/// A request for the lane of paths.
pub(crate) struct PathJob {
    pub(crate) id: u32,
    pub(crate) operation: Operation,
}

/// What goes to the worker. One queue for both lanes: an idle session pays for the first block of each.
pub(crate) enum Job {
    Handle(HandleJob),
    Path(PathJob),
}

/// What a channel is doing, seen from outside.
pub(crate) struct Activity(Weak<Shared>);

impl Activity {
    /// Whether it still exists.
    pub(crate) fn is_alive(&self) -> bool {
        self.0.strong_count() > 0
    }

    /// Whether it has something open or unanswered.
    pub(crate) fn is_busy(&self) -> bool {
        self.0.upgrade().is_some_and(|shared| shared.unanswered() > 0 || shared.has_open())
    }

    /// Whether requests wait for their answers.
    pub(crate) fn owes_answers(&self) -> bool {
        self.0.upgrade().is_some_and(|shared| shared.unanswered() > 0)
    }
}

/// One SFTP channel. Dropping it ends its tasks and aborts its uploads.
pub(crate) struct Channel {
    frames: Frames,
    begun: bool,
    login: VPath,
    shared: Arc<Shared>,
    /// To the worker, boxed as the answers are; `None` after the client's EOF.
    jobs: Option<mpsc::Sender<Box<Job>>>,
    memory: Memory,
    ended: CancellationToken,
    _end: DropGuard,
}

impl Channel {
    /// Starts an engine whose answers go to `output`. `at_end` runs when all is answered after the client's EOF, or
    /// when the client does not read its answers; not when the channel is dropped.
    pub(crate) fn start<F>(files: FileSession, memory: Memory, tasks: &TaskTracker, output: Output, at_end: F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let login = files.login_folder();
        let (shared, replies) = Shared::new(files, tasks.clone(), Arc::clone(&memory.requests));
        let (jobs, to_do) = mpsc::channel(MAX_DATA_REQUESTS + MAX_OTHER_REQUESTS);
        let ended = CancellationToken::new();
        // boxed: it is moved through three futures, and each would keep room for it
        let worker =
            Box::new(worker::Worker::new(Arc::clone(&shared), Arc::clone(&memory.answers), replies, to_do, output));
        let (stop, all_closed) = (ended.clone(), Arc::clone(&shared));
        let task = async move {
            let finished = stop.run_until_cancelled(worker.run()).await;
            // aborts what is open; the tasks of uploads end when they have no more senders
            all_closed.close_all();
            if finished.is_some() {
                // boxed: the task would keep room for it from the start
                stop.run_until_cancelled(Box::pin(at_end)).await;
            }
            stop.cancel();
        };
        tasks.spawn(task.in_current_span());
        Self {
            frames: Frames::new(),
            begun: false,
            login,
            shared,
            jobs: Some(jobs),
            memory,
            _end: ended.clone().drop_guard(),
            ended,
        }
    }

    /// Whether it has said its last word.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// To see what it is doing.
    pub(crate) fn activity(&self) -> Activity {
        Activity(Arc::downgrade(&self.shared))
    }

    /// Takes bytes of the client.
    pub(crate) async fn push(&mut self, mut input: &[u8]) -> Result<(), Refused> {
        loop {
            match self.frames.next(&mut input).map_err(|_| Refused::NotSftp)? {
                None => return Ok(()),
                Some(Parsed::Frame(frame)) => self.frame(&frame).await?,
                Some(Parsed::TooLong([_, id @ ..])) => {
                    let id = u32::from_be_bytes(id);
                    self.answer_new(id, Body::Status(Status::BadMessage, "a packet may hold at most 256 KiB"))?;
                }
            }
        }
    }

    /// The client sends nothing more: what it has asked is answered, what it left open is aborted.
    pub(crate) fn finish(&mut self) {
        self.jobs = None;
        self.shared.close_all();
    }

    async fn frame(&mut self, frame: &Frame<'_>) -> Result<(), Refused> {
        if !self.begun {
            request::parse_init(frame).ok_or(Refused::NotSftp)?;
            self.begun = true;
            return self.answer_new(0, Body::Version);
        }
        let request = match request::parse(frame) {
            Ok(request) => request,
            Err(request::Malformed { id: Some(id) }) => {
                return self.answer_new(id, Body::Status(Status::BadMessage, "malformed packet"));
            }
            Err(request::Malformed { id: None }) => return Err(Refused::NotSftp),
        };
        let id = request.id;
        match request.ask {
            Ask::Handle(handle, HandleAsk::Write { offset, data }) => self.write(id, handle, offset, data).await,
            Ask::Handle(handle, HandleAsk::Read { offset, len }) => self.read(id, handle, offset, len),
            Ask::Handle(handle, ask) => {
                self.count(Class::Other)?;
                self.handle(id, handle, ask)
            }
            Ask::Path(ask) => self.path(id, &ask),
            Ask::Limits => self.answer_new(id, Body::Limits),
            Ask::Unsupported(what) => self.answer_new(id, Body::Status(Status::OpUnsupported, what)),
        }
    }

    async fn write(&mut self, id: u32, handle: Handle, offset: u64, data: Bytes) -> Result<(), Refused> {
        self.count(Class::Data)?;
        let work = match self.shared.get(handle) {
            Some(Open::Upload { work, .. }) => work,
            Some(Open::Download(_) | Open::Folder(_)) => {
                return self.answer(id, Class::Data, wrong("this handle is not open for writing"));
            }
            None => return self.answer(id, Class::Data, no_handle()),
        };
        let bytes = data.len().max(WRITE_CHARGE_MIN);
        let charge = self.charge(bytes).await?;
        let write = Work::Write { id, offset, data, charge };
        work.try_send(write).map_err(|_| Refused::Ended)?;
        // before the next one, which is likely as long, is received: what arrives while this one waits is not charged
        if !self.memory.writes.has_room(bytes) {
            drop(self.charge(bytes).await?);
        }
        Ok(())
    }

    /// Waits until uploads have taken enough of what came before.
    async fn charge(&self, bytes: usize) -> Result<Charge, Refused> {
        if let Some(charge) = self.memory.writes.try_charge(bytes) {
            return Ok(charge);
        }
        // boxed: the connection's task would keep room for it all the time
        let waiting = Box::pin(timeout(WRITE_DEADLINE, Arc::clone(&self.memory.writes).charge(bytes)));
        match self.ended.run_until_cancelled(waiting).await {
            Some(Ok(Some(charge))) => Ok(charge),
            Some(Err(_)) => Err(Refused::WriteStuck),
            Some(Ok(None)) | None => Err(Refused::Ended),
        }
    }

    fn read(&mut self, id: u32, handle: Handle, offset: u64, len: u32) -> Result<(), Refused> {
        self.count(Class::Data)?;
        match self.shared.get(handle) {
            Some(Open::Download(download)) => self.to_handles(HandleJob::Read { id, download, offset, len }),
            Some(Open::Upload { .. } | Open::Folder(_)) => {
                self.answer(id, Class::Data, wrong("this handle is not open for reading"))
            }
            None => self.answer(id, Class::Data, no_handle()),
        }
    }

    fn handle(&mut self, id: u32, handle: Handle, ask: HandleAsk) -> Result<(), Refused> {
        if ask == HandleAsk::Close {
            return self.close(id, handle);
        }
        let Some(open) = self.shared.get(handle) else {
            return self.answer(id, Class::Other, no_handle());
        };
        match (ask, open) {
            (HandleAsk::Stat, Open::Upload { work, .. }) => {
                work.try_send(Work::Stat { id }).map_err(|_| Refused::Ended)
            }
            (HandleAsk::SetStat(wanted), Open::Upload { work, .. }) => {
                work.try_send(Work::Set { id, wanted }).map_err(|_| Refused::Ended)
            }
            (HandleAsk::Stat, Open::Download(download)) => {
                let shown = download.entry().into();
                self.answer(id, Class::Other, Body::Attributes(shown))
            }
            (HandleAsk::SetStat(wanted), Open::Download(_)) if wanted.size.is_some() => {
                self.answer(id, Class::Other, wrong("this handle is not open for writing"))
            }
            (HandleAsk::SetStat(wanted), Open::Download(download)) if wanted.modified.is_some() => {
                self.to_paths(id, Operation::set(download.path().clone(), wanted))
            }
            (HandleAsk::ReadFolder, Open::Folder(folder)) => self.to_handles(HandleJob::ReadFolder { id, folder }),
            (HandleAsk::ReadFolder, Open::Upload { .. } | Open::Download(_)) => {
                self.answer(id, Class::Other, wrong("this handle is not a folder"))
            }
            (HandleAsk::Hash(ask), Open::Download(download)) => {
                self.to_paths(id, Operation::hash(download.path().clone(), ask))
            }
            (HandleAsk::CopyData { offset, length, to, at }, Open::Download(from)) => match self.shared.get(to) {
                Some(Open::Upload { work, .. }) => {
                    let copy = Work::Copy { id, from, offset, length, at };
                    work.try_send(copy).map_err(|_| Refused::Ended)
                }
                Some(Open::Download(_) | Open::Folder(_)) => {
                    self.answer(id, Class::Other, wrong("the handle to copy to is not open for writing"))
                }
                None => self.answer(id, Class::Other, no_handle()),
            },
            (HandleAsk::Hash(_) | HandleAsk::CopyData { .. }, Open::Upload { .. } | Open::Folder(_)) => {
                self.answer(id, Class::Other, wrong("this handle is not open for reading"))
            }
            (HandleAsk::Stat | HandleAsk::Sync, Open::Folder(_)) => {
                self.answer(id, Class::Other, wrong("this handle is a folder"))
            }
            (HandleAsk::Sync, Open::Upload { work, .. }) => {
                work.try_send(Work::Sync { id }).map_err(|_| Refused::Ended)
            }
            // what is read needs no syncing; modes and owners are accepted and not kept
            (HandleAsk::Sync | HandleAsk::SetStat(_), _) => self.answer(id, Class::Other, Body::Ok),
            // taken out before
            (HandleAsk::Read { .. } | HandleAsk::Write { .. } | HandleAsk::Close, _) => {
                self.answer(id, Class::Other, wrong("out of place"))
            }
        }
    }

    fn close(&mut self, id: u32, handle: Handle) -> Result<(), Refused> {
        match self.shared.close(handle) {
            None => self.answer(id, Class::Other, no_handle()),
            Some((Open::Folder(_), _)) => self.answer(id, Class::Other, Body::Ok),
            Some((Open::Download(download), _)) => self.to_handles(HandleJob::Close { id, download }),
            Some((Open::Upload { work, path }, _)) => {
                let ticket = self.shared.order().begin(Touch::Changes, &[path]);
                let sent = work.try_send(Work::Close { id, ticket });
                sent.map_err(|_| Refused::Ended)
            }
        }
    }

    fn path(&mut self, id: u32, ask: &PathAsk<'_>) -> Result<(), Refused> {
        self.count(Class::Other)?;
        match paths::resolve(&self.login, ask) {
            Ok(Resolved::Operation(operation)) => self.to_paths(id, operation),
            Ok(Resolved::Answer(body)) => self.answer(id, Class::Other, body),
            Err(error) => self.answer(id, Class::Other, error.into()),
        }
    }

    fn to_paths(&self, id: u32, operation: Operation) -> Result<(), Refused> {
        self.to_worker(Job::Path(PathJob { id, operation }))
    }

    fn to_handles(&self, job: HandleJob) -> Result<(), Refused> {
        self.to_worker(Job::Handle(job))
    }

    fn to_worker(&self, job: Job) -> Result<(), Refused> {
        let jobs = self.jobs.as_ref().ok_or(Refused::Ended)?;
        jobs.try_send(Box::new(job)).map_err(|_| Refused::Ended)
    }

    fn count(&self, class: Class) -> Result<(), Refused> {
        if self.shared.count(class) { Ok(()) } else { Err(Refused::TooManyRequests) }
    }

    fn answer_new(&self, id: u32, body: Body) -> Result<(), Refused> {
        self.count(Class::Other)?;
        self.answer(id, Class::Other, body)
    }

    fn answer(&self, id: u32, class: Class, body: Body) -> Result<(), Refused> {
        let sent = self.shared.replies.try_send(Box::new(Reply { id, class, body }));
        sent.map_err(|_| Refused::Ended)
    }
}

fn wrong(what: &'static str) -> Body {
    FileError::new(FileErrorKind::BadRequest, what).into()
}

fn no_handle() -> Body {
    wrong("no such handle")
}
