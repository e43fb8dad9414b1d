//! Reading a file: a window of segments that are fetched before they are asked for ([`domain::window`] decides which),
//! all pinned to the version that was opened. Each segment's memory is reserved from the node's budget first; a file
//! that gets none is read without a window, by single ranges as large as the read.

mod segment;

use super::partial::unfinished;
use super::times;
use super::{Entry, EntryKind, FileSession, file_subject, new_operation, object_failure};
use crate::activity::{Mode, Moved, Operation};
use crate::sessions::Moving;
use crate::settler::Done;
use bytes::Bytes;
use domain::access::{self, Authorized};
use domain::connection::Direction;
use domain::event::Topic;
use domain::file_error::{FileError, FileErrorKind};
use domain::path::VPath;
use domain::window::{Access, FIRST_SEGMENT_BYTES, Window};
use segment::Segment;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use store::objects::{ETag, ObjectError};

/// How many segments are fetched at the same time. A connection to S3 carries some 90 MiB/s and waits a quarter of its time for
/// the next answer, so twelve fill a link of 6 Gbit/s.
const PARALLEL: usize = 12;

/// How far behind the newest read a segment may lie before it is dropped though parts of it were never read.
const BEHIND_BYTES: u64 = 1024 * 1024;

/// A reader that has asked for nothing for this long may lose what was fetched ahead for it.
const IDLE: Duration = Duration::from_secs(2);

/// A file open for reading. Cheap to clone; reads may overlap and are answered from one read-ahead window.
#[derive(Clone)]
pub struct Download(Arc<Open>);

struct Open {
    source: Arc<Source>,
    entry: Entry,
    state: Mutex<State>,
    /// For whoever looks at the session.
    moving: Moving,
    /// Bytes that went to the client.
    sent: AtomicU64,
    /// Its client has closed it.
    closed: AtomicBool,
}

/// Where the bytes come from.
struct Source {
    session: FileSession,
    proof: Authorized<access::Download>,
    etag: ETag,
    md5: Option<[u8; 16]>,
}

struct State {
    window: Window,
    segments: VecDeque<Arc<Segment>>,
    /// When the client last asked for something.
    asked: Instant,
}

/// The files that are open for reading in this process. A reader that pauses gives its read-ahead back when an upload
/// waits for memory, and fetches again what it needs when it goes on.
#[derive(Default)]
pub(super) struct Registry(Mutex<Vec<Weak<Open>>>);

impl Registry {
    fn add(&self, open: &Arc<Open>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == all.capacity() {
            // before it would grow: so the list is at most twice as long as files are open
            all.retain(|one| one.strong_count() > 0);
        }
        all.push(Arc::downgrade(open));
    }

    /// Drops the segments of those who have not read for a while.
    pub(super) fn release_idle(&self) {
        let all: Vec<Weak<Open>> = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for open in all.iter().filter_map(Weak::upgrade) {
            let mut state = open.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.asked.elapsed() > IDLE {
                state.segments.clear();
            }
        }
    }
}

impl FileSession {
    /// Opens a file for reading. The same request brings its first bytes.
    pub async fn open_read(&self, path: &VPath) -> Result<Download, FileError> {
        let opened = self.open_read_now(path).await;
        match &opened {
            Ok(_) => self.who().opened(path, Mode::Read),
            Err(error) => self.who().failed(Operation::Open, path, None, error),
        }
        opened
    }

    async fn open_read_now(&self, path: &VPath) -> Result<Download, FileError> {
        let proof = self.allowed(path, access::authorize(&self.principal, access::Download, path))?;
        let key = proof.location().file_key();
        let opening = self.shared.objects.open(&proof, FIRST_SEGMENT_BYTES);
        let (opened, _, kept) = tokio::join!(opening, self.partials(), self.kept_time(key.as_ref()));
        let modified = opened.as_ref().ok().map(|(info, _)| info.modified);
        if self.partial_at(key.as_ref(), modified).await.is_some() {
            return Err(unfinished());
        }
        let (info, body) = match opened {
            Ok(opened) => opened,
            Err(ObjectError::NotFound) => {
                let inside = self.shared.objects.peek(&proof).await.map_err(object_failure)?;
                let folder =
                    inside.marker.is_some() || !inside.entries.is_empty() || self.principal.chroot.is_mounted(path);
                return Err(if folder {
                    FileError::new(FileErrorKind::IsAFolder, "this is a folder, not a file")
                } else {
                    FileError::no_such_file()
                });
            }
            Err(error) => return Err(object_failure(error)),
        };
        let entry = Entry {
            name: path.name().unwrap_or_default().to_owned(),
            kind: EntryKind::File,
            bytes: info.bytes,
            modified: times::shown(kept.as_ref(), &info),
        };
        let source = Arc::new(Source { session: self.clone(), proof, etag: info.etag, md5: info.md5 });
        let mut state = State { window: Window::new(info.bytes), segments: VecDeque::new(), asked: Instant::now() };
        let first = 0..info.bytes.min(FIRST_SEGMENT_BYTES);
        // without memory the body is dropped, and the bytes are fetched when they are asked for
        if first.end > 0
            && let Some(memory) = self.shared.budget.try_slot(segment::memory(&first))
        {
            state.window.fetching(&first);
            state.segments.push_back(Segment::begin(Arc::clone(&source), first, memory, Some(body)));
        }
        let moving = self.live.moving(Direction::Download, path);
        let (sent, closed) = (AtomicU64::new(0), AtomicBool::new(false));
        let open = Arc::new(Open { source, entry, state: Mutex::new(state), moving, sent, closed });
        self.shared.reads.add(&open);
        Ok(Download(open))
    }
}

impl Download {
    /// The file as it was at OPEN; all reads answer this version, or fail with `Changed`.
    pub fn entry(&self) -> &Entry {
        &self.0.entry
    }

    /// The MD5 of its bytes, where S3 knows it.
    pub fn md5(&self) -> Option<[u8; 16]> {
        self.0.source.md5
    }

    /// What was opened, for S3 to copy.
    pub(super) fn version(&self) -> (&Authorized<access::Download>, &ETag) {
        (&self.0.source.proof, &self.0.source.etag)
    }

    /// Its path, as it was opened.
    pub fn path(&self) -> &VPath {
        self.0.source.proof.path()
    }

    /// `len` bytes at `offset` in one or more chunks; fewer only where the file ends, none behind its end.
    pub async fn read(&self, offset: u64, len: usize) -> Result<Vec<Bytes>, FileError> {
        let end = offset.saturating_add(len as u64).min(self.0.entry.bytes);
        if offset >= end {
            return Ok(Vec::new());
        }
        let wanted = offset..end;
        let wanted_bytes = end - offset;
        let segments = self.0.segments_for(&wanted);
        let chunks = match segments {
            Some(segments) => {
                let mut chunks = Vec::new();
                for segment in segments {
                    segment.read(&wanted, &mut chunks).await?;
                }
                self.0.free_and_extend(&wanted);
                chunks
            }
            None => segment::fetch_alone(&self.0.source, wanted).await?,
        };
        self.0.sent.fetch_add(wanted_bytes, Ordering::Relaxed);
        self.0.source.session.shared.meters.sent_bytes.add(wanted_bytes);
        self.0.moving.add(wanted_bytes);
        self.0.source.session.pace(Direction::Download, wanted_bytes).await;
        Ok(chunks)
    }

    /// Ends the download and announces it. Dropping the last clone without it frees everything and announces nothing.
    pub async fn close(self) {
        self.0.closed.store(true, Ordering::Relaxed);
        self.0.log_end(true);
        // who opens a file and reads nothing of it has not fetched it
        if self.0.sent.load(Ordering::Relaxed) == 0 && self.0.entry.bytes > 0 {
            return;
        }
        let Source { session, proof, .. } = &*self.0.source;
        session.shared.meters.downloads.add(1);
        let file = file_subject(proof.location(), Some(self.0.entry.bytes));
        let event = session.event(&new_operation(), Topic::FileDownloaded, file);
        session.shared.settler.hand_over(Done::announcing(event, &session.principal)).await;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.closed.load(Ordering::Relaxed) {
            self.log_end(false);
        }
    }
}

impl Open {
    fn log_end(&self, whole: bool) {
        let Source { session, proof, .. } = &*self.source;
        session.who().closed(proof.path(), Moved::Out(self.sent.load(Ordering::Relaxed)), whole);
    }

    /// The segments that hold `wanted`, fetched if need be; `None` if it is to be read alone.
    fn segments_for(&self, wanted: &Range<u64>) -> Option<Vec<Arc<Segment>>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.asked = Instant::now();
        match state.window.read(wanted.start, wanted.end - wanted.start) {
            Access::Sequential => {}
            Access::Restart => state.segments.clear(),
            Access::Random => return None,
        }
        self.extend(&mut state);
        let overlapping =
            |segment: &&Arc<Segment>| segment.range().start < wanted.end && segment.range().end > wanted.start;
        let found: Vec<_> = state.segments.iter().filter(overlapping).cloned().collect();
        let mut covered = wanted.start;
        for segment in &found {
            if segment.range().start > covered {
                return None;
            }
            covered = segment.range().end;
        }
        (covered >= wanted.end).then_some(found)
    }

    /// Starts the segments that the window wants and memory allows.
    fn extend(&self, state: &mut State) {
        while let Some(range) = state.window.wanted() {
            let running = state.segments.iter().filter(|segment| !segment.is_complete()).count();
            if running >= PARALLEL && !state.window.is_needed(&range) {
                return;
            }
            let budget = &self.source.session.shared.budget;
            // what one file reads ahead is never more than what is free for others, so that they all get about the same
            let held: usize = state.segments.iter().map(|segment| segment::memory(segment.range())).sum();
            if !state.window.is_needed(&range) && held + segment::memory(&range) > budget.free_for_slots() {
                return;
            }
            let Some(memory) = budget.try_slot(segment::memory(&range)) else {
                return;
            };
            state.window.fetching(&range);
            state.segments.push_back(Segment::begin(Arc::clone(&self.source), range, memory, None));
        }
    }

    /// Gives back what was read, and goes on ahead.
    fn free_and_extend(&self, read: &Range<u64>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state
            .segments
            .retain(|segment| !segment.is_read() && segment.range().end.saturating_add(BEHIND_BYTES) > read.start);
        self.extend(&mut state);
    }
}
