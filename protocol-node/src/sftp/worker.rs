//! The task of a channel that does reads and operations on paths, gathers all answers and hands them to the transport.
//!
//! It is one state machine and not a set of tasks, so that an answer that is ready at once, as those of sequential
//! reads are, goes into the output without waking anybody.

use super::handles::Shared;
use super::intake::{HandleJob, Job, PathJob};
use super::memory::{Charge, Pool};
use super::order::Ticket;
use super::reader;
use super::reply::{self, Body, Class, Reply};
use super::{
    MAX_NAMES_BYTES, MAX_RUNNING_PATHS, MAX_RUNNING_READS, OPERATION_DEADLINE, OUTPUT_DEADLINE, REPLY_HIGH, SEND_BYTES,
};
use bytes::{Bytes, BytesMut};
use domain::file_error::{FileError, FileErrorKind};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, FuturesUnordered};
use futures_util::{FutureExt as _, StreamExt as _};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// The transport has no use for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// Hands bytes to the transport; ready when it has taken them all.
pub(crate) type Output = Box<dyn FnMut(Bytes) -> BoxFuture<'static, Result<(), Gone>> + Send>;

/// What a finished job gives back beside its answer.
enum Returned {
    /// The memory of an answer with data or names, which it keeps until it is encrypted.
    Answer(Charge),
    /// Nothing.
    Nothing,
    /// A path operation's place in the order.
    Path(Ticket),
}

type Running = BoxFuture<'static, (Reply, Returned)>;

/// The state machine.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    replies: mpsc::Receiver<Box<Reply>>,
    jobs: mpsc::Receiver<Box<Job>>,
    /// The client has sent its last request.
    ended: bool,
    /// The two lanes. What they hold is counted: they are never longer than what may be unanswered.
    handle_jobs: Lane<HandleJob>,
    path_jobs: Lane<PathJob>,
    /// Answered in the order of the requests, though they are done side by side: OpenSSH's `scp` takes the first answer
    /// that is out of order for the end of the file, and cuts it there without an error.
    reads: FuturesOrdered<Running>,
    paths: FuturesUnordered<Running>,
    /// Jobs behind earlier ones on the same paths, oldest first.
    waiting: Vec<(Ticket, PathJob)>,
    /// The connection's memory for answers.
    memory: Arc<Pool>,
    /// Memory that the first job of the lane of handles waits for.
    granting: Option<BoxFuture<'static, Option<Charge>>>,
    out: BytesMut,
    /// The memory of what is in `out`.
    charged: Option<Charge>,
    output: Output,
    sending: Option<BoxFuture<'static, bool>>,
}

/// Jobs that wait, oldest first. Gives its memory back when it is empty, but for what the next one needs.
struct Lane<T>(VecDeque<T>);

impl<T> Lane<T> {
    fn take(&mut self) -> Option<T> {
        let job = self.0.pop_front();
        if self.0.is_empty() && self.0.capacity() > 4 {
            self.0 = VecDeque::new();
        }
        job
    }
}

impl Worker {
    /// At the beginning of a channel.
    pub(crate) fn new(
        shared: Arc<Shared>,
        memory: Arc<Pool>,
        replies: mpsc::Receiver<Box<Reply>>,
        jobs: mpsc::Receiver<Box<Job>>,
        output: Output,
    ) -> Self {
        Self {
            shared,
            replies,
            jobs,
            ended: false,
            handle_jobs: Lane(VecDeque::new()),
            path_jobs: Lane(VecDeque::new()),
            reads: FuturesOrdered::new(),
            paths: FuturesUnordered::new(),
            waiting: Vec::new(),
            memory,
            granting: None,
            out: BytesMut::new(),
            charged: None,
            output,
            sending: None,
        }
    }

    /// Works until the client has sent its last request and all is answered, or the transport takes no more.
    pub(crate) async fn run(mut self: Box<Self>) {
        std::future::poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut progress = false;
            if let Some(sending) = &mut self.sending
                && let Poll::Ready(taken) = sending.as_mut().poll(cx)
            {
                if !taken {
                    return Poll::Ready(());
                }
                self.sending = None;
                progress = true;
            }
            progress |= self.gather(cx);
            self.take_jobs(cx);
            progress |= self.start_paths();
            progress |= self.start_reads(cx);
            if self.sending.is_none() && !self.out.is_empty() {
                self.send();
                progress = true;
            }
            if !progress {
                let done = self.ended && self.sending.is_none() && self.shared.unanswered() == 0;
                return if done { Poll::Ready(()) } else { Poll::Pending };
            }
        }
    }

    fn has_room(&self) -> bool {
        self.out.len() < REPLY_HIGH
    }

    /// Puts answers that are ready into the output.
    fn gather(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        while self.has_room()
            && let Poll::Ready(Some(reply)) = self.replies.poll_recv(cx)
        {
            self.put(*reply);
            progress = true;
        }
        while self.has_room()
            && let Poll::Ready(Some((reply, returned))) = self.paths.poll_next_unpin(cx)
        {
            self.done(reply, returned);
            progress = true;
        }
        while self.has_room()
            && let Poll::Ready(Some((reply, returned))) = self.reads.poll_next_unpin(cx)
        {
            self.done(reply, returned);
            progress = true;
        }
        progress
    }

    /// Sorts new jobs into their lanes.
    fn take_jobs(&mut self, cx: &mut Context<'_>) {
        while !self.ended
            && let Poll::Ready(job) = self.jobs.poll_recv(cx)
        {
            match job.map(|job| *job) {
                Some(Job::Handle(job)) => self.handle_jobs.0.push_back(job),
                Some(Job::Path(job)) => self.path_jobs.0.push_back(job),
                None => self.ended = true,
            }
        }
    }

    fn start_paths(&mut self) -> bool {
        let mut progress = false;
        while self.has_room()
            && self.paths.len() + self.waiting.len() < MAX_RUNNING_PATHS
            && let Some(job) = self.path_jobs.take()
        {
            let ticket = self.shared.order().begin(job.operation.touch(), job.operation.paths());
            self.waiting.push((ticket, job));
            progress = true;
        }
        // whoever a job waits for ends with an answer, which wakes this task
        let mut at = 0;
        while let Some((ticket, _)) = self.waiting.get(at) {
            if self.shared.order().must_wait(*ticket) {
                at += 1;
                continue;
            }
            let (ticket, PathJob { id, operation }) = self.waiting.remove(at);
            let shared = Arc::clone(&self.shared);
            self.paths.push(Box::pin(async move {
                let body = operation.run(shared).await;
                (other(id, body), Returned::Path(ticket))
            }));
            progress = true;
        }
        progress
    }

    fn start_reads(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        while self.has_room()
            && self.reads.len() < MAX_RUNNING_READS
            && let Some(job) = self.handle_jobs.take()
        {
            let answer_bytes = match &job {
                HandleJob::Read { download, offset, len, .. } => reader::read_len(download, *offset, *len),
                HandleJob::ReadFolder { .. } => MAX_NAMES_BYTES,
                HandleJob::Close { .. } => 0,
            };
            let Some(charge) = self.charge(cx, answer_bytes) else {
                self.handle_jobs.0.push_front(job);
                break;
            };
            let mut future: Running = match job {
                HandleJob::Read { id, download, offset, .. } => read(id, download, offset, answer_bytes, charge),
                HandleJob::ReadFolder { id, folder } => Box::pin(async move {
                    let now = store::clock::now();
                    // the lock is fair: answers follow the order of the requests
                    let body = folder.lock().await.read(now).await;
                    (other(id, body), Returned::Answer(charge))
                }),
                HandleJob::Close { id, download } => Box::pin(async move {
                    let body = match timeout(OPERATION_DEADLINE, download.close()).await {
                        Ok(()) => Body::Ok,
                        Err(_) => FileError::too_slow(OPERATION_DEADLINE).into(),
                    };
                    (other(id, body), Returned::Nothing)
                }),
            };
            // most are ready now, and then need no place behind those that are not
            if !self.reads.is_empty() {
                self.reads.push_back(future);
            } else {
                match future.as_mut().poll(cx) {
                    Poll::Ready((reply, returned)) => self.done(reply, returned),
                    Poll::Pending => self.reads.push_back(future),
                }
            }
            progress = true;
        }
        progress
    }

    /// Memory for the answer to the first job of the lane of handles.
    fn charge(&mut self, cx: &mut Context<'_>, bytes: usize) -> Option<Charge> {
        if self.granting.is_none() {
            if let Some(charge) = self.memory.try_charge(bytes) {
                return Some(charge);
            }
            self.granting = Some(Arc::clone(&self.memory).charge(bytes).boxed());
        }
        let Poll::Ready(granted) = self.granting.as_mut()?.as_mut().poll(cx) else {
            return None;
        };
        self.granting = None;
        granted
    }

    fn done(&mut self, reply: Reply, returned: Returned) {
        match returned {
            Returned::Nothing => {}
            Returned::Answer(charge) => match &mut self.charged {
                Some(charged) => charged.merge(charge),
                None => self.charged = Some(charge),
            },
            Returned::Path(ticket) => self.shared.order().end(ticket),
        }
        self.put(reply);
    }

    fn put(&mut self, reply: Reply) {
        self.shared.answered(reply.class);
        if let Body::Failed(error) = &reply.body {
            log(error);
        }
        if self.out.capacity() == 0 && matches!(reply.body, Body::Data(_)) {
            self.out.reserve(SEND_BYTES);
        }
        reply::put(&mut self.out, reply.id, reply.body);
    }

    fn send(&mut self) {
        let bytes = self.out.split().freeze();
        let bytes = match self.charged.take() {
            Some(charge) => charge.attach(bytes),
            None => bytes,
        };
        let taken = (self.output)(bytes);
        self.sending = Some(Box::pin(async move {
            match timeout(OUTPUT_DEADLINE, taken).await {
                Ok(Ok(())) => true,
                Ok(Err(Gone)) => false,
                Err(_) => {
                    tracing::info!(
                        deadline_s = OUTPUT_DEADLINE.as_secs(),
                        "closing a channel whose client does not read its answers"
                    );
                    false
                }
            }
        }));
    }
}

fn read(id: u32, download: crate::backend::Download, offset: u64, len: usize, charge: Charge) -> Running {
    Box::pin(async move {
        let body = if len == 0 { Body::EOF } else { reader::read(download, offset, len).await };
        let class = Class::Data;
        (Reply { id, class, body }, Returned::Answer(charge))
    })
}

fn other(id: u32, body: Body) -> Reply {
    let class = Class::Other;
    Reply { id, class, body }
}

/// The one place where failed requests are logged: loudly what the operator must know, quietly what a client did.
fn log(error: &FileError) {
    match error.kind() {
        FileErrorKind::Unavailable | FileErrorKind::Internal => {
            let source = std::error::Error::source(error).map(|source| format!("{source:?}"));
            tracing::warn!(kind = ?error.kind(), source, "a request failed: {error}");
        }
        FileErrorKind::NoSuchFile
        | FileErrorKind::AlreadyExists
        | FileErrorKind::IsAFolder
        | FileErrorKind::NotAFolder
        | FileErrorKind::FolderNotEmpty
        | FileErrorKind::PermissionDenied
        | FileErrorKind::InvalidPath
        | FileErrorKind::QuotaExceeded
        | FileErrorKind::TooLarge
        | FileErrorKind::Unsupported
        | FileErrorKind::Changed
        | FileErrorKind::BadRequest => tracing::debug!(kind = ?error.kind(), "a request was refused: {error}"),
    }
}
