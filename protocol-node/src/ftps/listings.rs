//! Listings: LIST, NLST (RFC 959), MLSD (RFC 3659, section 7) over a data connection, STAT of a path over the control
//! connection. They are sent page by page, as storage gives them.

use super::data::{Data, Direction, Meeting};
use super::job::{Job, Work};
use super::reply::{self, Reply};
use super::session::{Answer, Session};
use super::text::Form;
use super::{LIST_BYTES, MAX_STAT_BYTES, Times};
use crate::backend::{FileSession, Listing};
use app::vfs::{Entry, EntryKind};
use domain::file_error::{FileError, FileErrorKind};
use domain::path::VPath;
use futures_util::FutureExt as _;
use std::sync::Arc;
use tokio::time::timeout;

impl Session {
    pub(super) fn list(&mut self, files: FileSession, raw: Option<&[u8]>) -> Answer {
        self.list_over_data(files, raw, Form::Long(store::clock::now()), true)
    }

    /// Names with the folder before them, as it was asked for: they can be used as they are.
    pub(super) fn list_names(&mut self, files: FileSession, raw: Option<&[u8]>) -> Answer {
        let mut before = String::from_utf8_lossy(raw.unwrap_or_default()).into_owned();
        if !before.is_empty() && !before.ends_with('/') {
            before.push('/');
        }
        self.list_over_data(files, raw, Form::Names(before), true)
    }

    pub(super) fn list_facts(&mut self, files: FileSession, raw: Option<&[u8]>) -> Answer {
        let form = Form::Facts(self.facts);
        self.list_over_data(files, raw, form, false)
    }

    fn list_over_data(&mut self, files: FileSession, raw: Option<&[u8]>, form: Form, files_too: bool) -> Answer {
        self.restart = 0;
        let path = match self.path(raw.unwrap_or_default()) {
            Ok(path) => path,
            Err(error) => return Reply::from(error).into(),
        };
        let meeting = match self.meeting() {
            Ok(meeting) => meeting,
            Err(reply) => return reply.into(),
        };
        let times = Arc::clone(&self.shared.times);
        let lingering = Arc::clone(&self.lingering);
        Answer::Job(Job::start(&self.shared.doors.tasks, |work| async move {
            let sent = work.unless_stopped(send(&files, &path, form, files_too, meeting, &times, &work)).await;
            match sent {
                Some(Ok(data)) => {
                    data.linger_beside(lingering);
                    reply::TRANSFERRED
                }
                Some(Err(reply)) => reply,
                None => reply::ABORTED,
            }
        }))
    }

    pub(super) fn list_in_reply(&mut self, files: FileSession, raw: &[u8]) -> Answer {
        let path = match self.path(raw) {
            Ok(path) => path,
            Err(error) => return Reply::from(error).into(),
        };
        let times = Arc::clone(&self.shared.times);
        Answer::Job(Job::start(&self.shared.doors.tasks, |work| async move {
            match work.unless_stopped(lines(&files, &path, &times)).await {
                Some(Ok(lines)) => Reply::lines(213, format!("Status of {path}:"), lines),
                Some(Err(error)) => error.into(),
                None => reply::ABORTED,
            }
        }))
    }
}

/// The entries of a folder, or a file alone.
enum Source {
    // boxed: much larger than the other
    Folder(Box<Listing>),
    File(Option<Entry>),
}

impl Source {
    async fn open(files: &FileSession, path: &VPath, files_too: bool, times: &Times) -> Result<Self, FileError> {
        let opened = async {
            match files.list(path).await {
                Err(error) if files_too && error.kind() == FileErrorKind::NotAFolder => {
                    Ok(Self::File(Some(files.stat(path).await?)))
                }
                // what has no entries may be a file all the same
                Err(error) if files_too && error.kind() == FileErrorKind::NoSuchFile => match files.stat(path).await {
                    Ok(entry) if entry.kind == EntryKind::File => Ok(Self::File(Some(entry))),
                    _ => Err(error),
                },
                listing => listing.map(|listing| Self::Folder(Box::new(listing))),
            }
        };
        timeout(times.operation, opened.boxed()).await.unwrap_or_else(|_| Err(FileError::too_slow(times.operation)))
    }

    async fn next(&mut self, times: &Times) -> Result<Option<Vec<Entry>>, FileError> {
        match self {
            Self::Folder(listing) => timeout(times.operation, listing.next_page())
                .await
                .unwrap_or_else(|_| Err(FileError::too_slow(times.operation))),
            Self::File(entry) => Ok(entry.take().map(|entry| vec![entry])),
        }
    }
}

async fn send(
    files: &FileSession,
    path: &VPath,
    mut form: Form,
    files_too: bool,
    meeting: Meeting,
    times: &Times,
    work: &Work,
) -> Result<Data, Reply> {
    let mut source = Source::open(files, path, files_too, times).await?;
    if let (Source::File(_), Form::Names(before)) = (&source, &mut form) {
        // the name as it was asked for, without the last segment that the entry has
        let folder = before.trim_end_matches('/').rfind('/').map_or(0, |at| at + 1);
        before.truncate(folder);
    }
    let mut data = meeting.begin(Direction::ToClient, work, reply::OPENING).await?;
    let mut out = Vec::new();
    while let Some(page) = source.next(times).await? {
        for entry in page {
            form.put(&mut out, &entry);
            if out.len() >= LIST_BYTES {
                data.write(&out).await?;
                work.moved(out.len());
                out.clear();
            }
        }
        data.write(&out).await?;
        work.moved(out.len());
        out.clear();
    }
    data.end().await?;
    Ok(data)
}

async fn lines(files: &FileSession, path: &VPath, times: &Times) -> Result<Vec<String>, FileError> {
    let mut source = Source::open(files, path, true, times).await?;
    let form = Form::Long(store::clock::now());
    let mut out = Vec::new();
    let mut cut = false;
    'pages: while let Some(page) = source.next(times).await? {
        for entry in page {
            form.put(&mut out, &entry);
            if out.len() >= MAX_STAT_BYTES {
                cut = true;
                break 'pages;
            }
        }
    }
    let mut lines: Vec<String> = String::from_utf8_lossy(&out).lines().map(str::to_owned).collect();
    if cut {
        lines.push("and more: LIST and MLSD show all".to_owned());
    }
    if lines.is_empty() {
        lines.push("nothing".to_owned());
    }
    Ok(lines)
}
