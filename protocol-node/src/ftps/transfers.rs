//! File contents: PASV, RETR, STOR, STOU, APPE, REST (RFC 959; RFC 3659, section 5) and EPSV (RFC 2428).
//!
//! An upload ends in one of three ways: `finish`, when the client has ended TLS on its data connection and nobody has said
//! ABOR; `abort` after ABOR or when storage fails; `interrupt` when a connection broke, which keeps what is durable.

use super::Times;
use super::command::Epsv;
use super::data::{Came, Data, Direction, Meeting, PIECE};
use super::expected::{Expected, Shaking};
use super::job::{Job, Work};
use super::reply::{self, Reply};
use super::session::{Answer, Session};
use super::text;
use crate::backend::{Download, FileSession, Upload};
use app::vfs::WriteMode;
use domain::file_error::{FileError, FileErrorKind};
use domain::path::VPath;
use futures_util::FutureExt as _;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::timeout;

impl Session {
    pub(super) fn passive(&mut self) -> Reply {
        if self.only_epsv {
            return reply::EPSV_ONLY;
        }
        let address = match (self.shared.passive_address, self.control.local.ip().to_canonical()) {
            (Some(address), _) | (None, IpAddr::V4(address)) => address,
            (None, IpAddr::V6(_)) => return reply::EPSV_OVER_IPV6,
        };
        match self.wait_for_data() {
            Some(port) => Reply::with(227, text::passive(address, port)),
            None => reply::NO_CONNECTION,
        }
    }

    pub(super) fn extended_passive(&mut self, ask: Epsv) -> Reply {
        let ipv4 = self.control.local.ip().to_canonical().is_ipv4();
        match ask {
            Epsv::All => {
                self.only_epsv = true;
                return reply::EPSV_ALL;
            }
            Epsv::Family(1) if !ipv4 => return reply::FAMILY_IPV6,
            Epsv::Family(2) if ipv4 => return reply::FAMILY_IPV4,
            Epsv::Family(1 | 2) | Epsv::Any => {}
            Epsv::Family(_) => return if ipv4 { reply::FAMILY_IPV4 } else { reply::FAMILY_IPV6 },
        }
        match self.wait_for_data() {
            Some(port) => Reply::with(229, text::extended_passive(port)),
            None => reply::NO_CONNECTION,
        }
    }

    fn wait_for_data(&mut self) -> Option<u16> {
        // a new place takes that of the old one
        self.expected = None;
        let tickets = Arc::clone(&self.tls.tickets);
        let (port, pending) = self.shared.passive.wait(self.origin.client_ip, tickets, self.shared.reuse_required)?;
        let shaking = Shaking {
            tls: self.tls.clone(),
            reuse_required: self.shared.reuse_required,
            times: Arc::clone(&self.shared.times),
            kill: self.kill.clone(),
            origin: self.origin.clone(),
        };
        self.expected = Some(Expected::new(pending, shaking));
        Some(port)
    }

    /// The data connection of the next transfer.
    pub(super) fn meeting(&mut self) -> Result<Meeting, Reply> {
        if !self.private {
            return Err(reply::PRIVATE_FIRST);
        }
        Ok(Meeting {
            expected: self.expected.take().ok_or(reply::PASSIVE_FIRST)?,
            hello_first: Arc::clone(&self.hello_first),
        })
    }

    pub(super) fn restart_at(&mut self, at: u64) -> Reply {
        self.restart = at;
        Reply::with(350, format!("The next transfer begins at {at}"))
    }

    pub(super) fn retrieve(&mut self, files: FileSession, raw: &[u8]) -> Answer {
        let offset = std::mem::take(&mut self.restart);
        let (path, meeting) = match self.begin(raw) {
            Ok(begun) => begun,
            Err(reply) => return reply.into(),
        };
        let (times, lingering) = (Arc::clone(&self.shared.times), Arc::clone(&self.lingering));
        Answer::Job(Job::start(&self.shared.doors.tasks, |work| async move {
            match work.unless_stopped(send(&files, &path, offset, meeting, &times, &work).boxed()).await {
                Some(Ok((download, data))) => {
                    data.linger_beside(lingering);
                    // it is announced; that it takes long is not the client's matter
                    let _ = timeout(times.operation, download.close().boxed()).await;
                    reply::TRANSFERRED
                }
                Some(Err(reply)) => reply,
                None => reply::ABORTED,
            }
        }))
    }

    pub(super) fn store(&mut self, files: FileSession, raw: &[u8]) -> Answer {
        let offset = std::mem::take(&mut self.restart);
        let mode = WriteMode { create: true, truncate: offset == 0, ..WriteMode::default() };
        self.upload(files, raw, mode, offset, reply::OPENING)
    }

    pub(super) fn append(&mut self, files: FileSession, raw: &[u8]) -> Answer {
        self.restart = 0;
        let mode = WriteMode { create: true, append: true, ..WriteMode::default() };
        self.upload(files, raw, mode, 0, reply::OPENING)
    }

    /// The name is told as RFC 1123 (section 4.1.2.9) wants it.
    pub(super) fn store_unique(&mut self, files: FileSession) -> Answer {
        self.restart = 0;
        let name = format!("upload-{}", hex::encode(store::clock::random::<8>()));
        let mode = WriteMode { create: true, exclusive: true, truncate: true, ..WriteMode::default() };
        let first = Reply::with(150, format!("FILE: {name}"));
        self.upload(files, name.as_bytes(), mode, 0, first)
    }

    fn upload(&mut self, files: FileSession, raw: &[u8], mode: WriteMode, offset: u64, first: Reply) -> Answer {
        let (path, meeting) = match self.begin(raw) {
            Ok(begun) => begun,
            Err(reply) => return reply.into(),
        };
        let times = Arc::clone(&self.shared.times);
        let ask = Ask { path, mode, offset, first };
        Answer::Job(Job::start(&self.shared.doors.tasks, |work| async move {
            // boxed: these futures nest deeper than the compiler likes to look
            take(&files, ask, meeting, &times, &work).boxed().await
        }))
    }

    fn begin(&mut self, raw: &[u8]) -> Result<(VPath, Meeting), Reply> {
        let path = self.path(raw)?;
        Ok((path, self.meeting()?))
    }
}

/// RETR.
async fn send(
    files: &FileSession,
    path: &VPath,
    offset: u64,
    meeting: Meeting,
    times: &Times,
    work: &Work,
) -> Result<(Download, Data), Reply> {
    let slow = |_| Reply::from(FileError::too_slow(times.operation));
    let download = timeout(times.operation, files.open_read(path).boxed()).await.map_err(slow)??;
    let bytes = download.entry().bytes;
    if offset > bytes {
        return Err(Reply::with(554, format!("The file has only {bytes} bytes")));
    }
    let mut data = meeting.begin(Direction::ToClient, work, reply::OPENING).await?;
    let mut at = offset;
    while at < bytes {
        let pieces = timeout(times.operation, download.read(at, PIECE)).await.map_err(slow)??;
        let before = at;
        for piece in pieces {
            data.write(&piece).await?;
            work.moved(piece.len());
            at += piece.len() as u64;
        }
        if at == before {
            return Err(FileError::new(FileErrorKind::Changed, "the file ended early").into());
        }
    }
    data.end().await?;
    Ok((download, data))
}

/// Why an upload is not finished.
enum Unfinished {
    /// A connection broke: what is durable can be continued.
    Broken(Reply),
    /// Storage failed.
    Failed(FileError),
}

/// What STOR and its kin ask for.
struct Ask {
    path: VPath,
    mode: WriteMode,
    /// Where the client's bytes begin.
    offset: u64,
    /// What is said before the transfer.
    first: Reply,
}

/// STOR and its kin.
async fn take(files: &FileSession, ask: Ask, meeting: Meeting, times: &Times, work: &Work) -> Reply {
    let Ask { path, mode, offset, first } = ask;
    let opened = work.unless_stopped(timeout(times.operation, files.open_write(&path, mode).boxed())).await;
    let mut upload = match opened {
        Some(Ok(Ok(upload))) => upload,
        Some(Ok(Err(error))) => return error.into(),
        Some(Err(_)) => return FileError::too_slow(times.operation).into(),
        None => return reply::ABORTED,
    };
    let received = work.unless_stopped(receive(&mut upload, offset, first, meeting, times, work)).await;
    let (data, bytes) = match received {
        Some(Ok(received)) => received,
        Some(Err(Unfinished::Broken(reply))) => {
            upload.interrupt().await;
            return reply;
        }
        Some(Err(Unfinished::Failed(error))) => {
            upload.abort().await;
            return error.into();
        }
        None => return give_up(upload, work).await,
    };
    // some clients wait for our end before they look for 226, others have closed already
    tokio::spawn(data.end_beside());
    if bytes == 0 && offset > 0 {
        upload.abort().await;
        return nothing_sent(files, &path, offset, times).await;
    }
    if !work.finishes() {
        return give_up(upload, work).await;
    }
    match timeout(times.finish, upload.finish().boxed()).await {
        Ok(Ok(())) => reply::TRANSFERRED,
        Ok(Err(error)) => error.into(),
        Err(_) => FileError::too_slow(times.finish).into(),
    }
}

async fn receive(
    upload: &mut Upload,
    mut at: u64,
    first: Reply,
    meeting: Meeting,
    times: &Times,
    work: &Work,
) -> Result<(Data, u64), Unfinished> {
    let mut data = meeting.begin(Direction::FromClient, work, first).await.map_err(Unfinished::Broken)?;
    let mut received = 0;
    loop {
        match data.read().await.map_err(Unfinished::Broken)? {
            Came::End => return Ok((data, received)),
            Came::Bytes(piece) => {
                let len = piece.len();
                let written = timeout(times.write, upload.write(at, piece)).await;
                written.unwrap_or_else(|_| Err(FileError::too_slow(times.write))).map_err(Unfinished::Failed)?;
                work.moved(len);
                at += len as u64;
                received += len as u64;
            }
        }
    }
}

/// ABOR keeps nothing; a session that is gone may come back.
async fn give_up(upload: Upload, work: &Work) -> Reply {
    if work.is_aborted() {
        upload.abort().await;
    } else {
        upload.interrupt().await;
    }
    reply::ABORTED
}

/// A client that goes on with a file that it has sent in full sends nothing.
async fn nothing_sent(files: &FileSession, path: &VPath, offset: u64, times: &Times) -> Reply {
    match timeout(times.operation, files.stat(path).boxed()).await {
        Ok(Ok(entry)) if entry.bytes == offset => reply::TRANSFERRED,
        _ => reply::NOTHING_SENT,
    }
}

impl Data {
    /// Waits beside the session for the client to close, if not too many of its connections do already.
    pub(super) fn linger_beside(self, lingering: Arc<Semaphore>) {
        if let Ok(place) = lingering.try_acquire_owned() {
            tokio::spawn(async move {
                self.linger().await;
                drop(place);
            });
        }
    }
}
