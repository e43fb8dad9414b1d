//! One ranged request and its bytes, handed out while they still arrive.

use super::Source;
use crate::budget::Reserved;
use crate::vfs::object_failure;
use crate::vfs::resumed::Resumed;
use bytes::Bytes;
use domain::file_error::{FileError, FileErrorKind};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use store::objects::{Body, ObjectError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Part of a window.
pub(super) struct Segment {
    range: Range<u64>,
    chunks: Arc<Chunks>,
    progress: watch::Receiver<Progress>,
    /// How many bytes were handed out. When all are, the segment can go.
    read: AtomicU64,
    task: JoinHandle<()>,
    _memory: Reserved,
}

/// What has arrived, in order, each with its offset in the file.
type Chunks = Mutex<Vec<(u64, Bytes)>>;

#[derive(Clone)]
enum Progress {
    /// All bytes below this offset are there.
    Until(u64),
    Failed(Arc<FileError>),
}

/// How much memory a segment is to reserve.
pub(super) fn memory(range: &Range<u64>) -> usize {
    usize::try_from(range.end - range.start).unwrap_or(usize::MAX)
}

impl Segment {
    /// Starts fetching; `body` if its first bytes are on their way already.
    pub(super) fn begin(source: Arc<Source>, range: Range<u64>, memory: Reserved, body: Option<Body>) -> Arc<Self> {
        let (sender, progress) = watch::channel(Progress::Until(range.start));
        let chunks: Arc<Chunks> = Arc::default();
        let (arrived, asked) = (Arc::clone(&chunks), range.clone());
        let task = tokio::spawn(async move {
            let mut at = asked.start;
            let result = fetch(&source, asked, body, |chunk| {
                let end = at + chunk.len() as u64;
                arrived.lock().unwrap_or_else(PoisonError::into_inner).push((at, chunk));
                at = end;
                sender.send_replace(Progress::Until(end));
            })
            .await;
            if let Err(error) = result {
                sender.send_replace(Progress::Failed(Arc::new(error)));
            }
        });
        Arc::new(Self { range, chunks, progress, read: AtomicU64::new(0), task, _memory: memory })
    }

    /// Where it lies in the file.
    pub(super) fn range(&self) -> &Range<u64> {
        &self.range
    }

    /// Whether nothing more will come.
    pub(super) fn is_complete(&self) -> bool {
        match &*self.progress.borrow() {
            Progress::Until(end) => *end >= self.range.end,
            Progress::Failed(_) => true,
        }
    }

    /// Whether every byte was handed out.
    pub(super) fn is_read(&self) -> bool {
        self.read.load(Ordering::Relaxed) >= self.range.end - self.range.start
    }

    /// Appends its share of `wanted`, when it has arrived.
    pub(super) async fn read(&self, wanted: &Range<u64>, into: &mut Vec<Bytes>) -> Result<(), FileError> {
        let wanted = wanted.start.max(self.range.start)..wanted.end.min(self.range.end);
        let mut progress = self.progress.clone();
        let arrived = progress
            .wait_for(|progress| match progress {
                Progress::Until(end) => *end >= wanted.end,
                Progress::Failed(_) => true,
            })
            .await
            .map(|progress| match &*progress {
                Progress::Until(_) => Ok(()),
                Progress::Failed(error) => Err(error.repeat()),
            });
        match arrived {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(FileError::new(FileErrorKind::Internal, "the read was interrupted")),
        }
        let chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        let first = chunks.partition_point(|(at, chunk)| at + chunk.len() as u64 <= wanted.start);
        for (at, chunk) in chunks.iter().skip(first) {
            if *at >= wanted.end {
                break;
            }
            let from = usize::try_from(wanted.start.saturating_sub(*at)).unwrap_or(usize::MAX).min(chunk.len());
            let to = usize::try_from(wanted.end - at).unwrap_or(usize::MAX).min(chunk.len());
            into.push(chunk.slice(from..to));
        }
        drop(chunks);
        self.read.fetch_add(wanted.end - wanted.start, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Fetches a range of the source's version, asking again from where it broke.
async fn fetch(
    source: &Source,
    mut range: Range<u64>,
    body: Option<Body>,
    mut take: impl FnMut(Bytes),
) -> Result<(), FileError> {
    let mut body = Resumed::new(body);
    while range.start < range.end {
        let objects = &source.session.shared.objects;
        let missing = body.next(|| objects.read(&source.proof, &source.etag, range.clone())).await;
        let chunk = missing.map_err(|failure| match failure {
            // deleted or replaced since OPEN: an error, not a mix of two versions
            ObjectError::PreconditionFailed | ObjectError::NotFound | ObjectError::RangeBehindEnd => {
                FileError::new(FileErrorKind::Changed, "the file was replaced or deleted while it was read")
            }
            error => object_failure(error),
        })?;
        let room = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let chunk = chunk.slice(..chunk.len().min(room));
        range.start += chunk.len() as u64;
        take(chunk);
    }
    Ok(())
}

/// A range by itself, as large as a read. Its memory is small and short-lived: what the door allows in reads at a time.
pub(super) async fn fetch_alone(source: &Source, range: Range<u64>) -> Result<Vec<Bytes>, FileError> {
    let mut chunks = Vec::new();
    fetch(source, range, None, |chunk| chunks.push(chunk)).await?;
    Ok(chunks)
}
