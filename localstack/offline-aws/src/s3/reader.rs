//! Streams the bytes of an object out, in large blocks, reading one file block ahead of the network.

use super::blobs::{Blob, Blobs, FileBlob};
use super::failure::{Failure, Outcome};
use super::record::Segment;
use bytes::Bytes;
use futures_util::Stream;
use s3s::StdError;
use s3s::stream::{ByteStream, RemainingLength};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::task::JoinHandle;

/// Small first answers start quickly, and a block costs one trip to the blocking pool.
const FILE_BLOCK: u64 = 512 * 1024;

enum Piece {
    Memory(Bytes),
    File { blob: Arc<FileBlob>, offset: u64, len: usize },
}

/// The bytes of some segments, pinned: replacing or deleting the object does not disturb it.
pub(super) struct SegmentStream {
    pieces: VecDeque<Piece>,
    ahead: Option<JoinHandle<io::Result<Bytes>>>,
    remaining: u64,
}

impl SegmentStream {
    /// Call under the index lock, so that no blob can be removed between reading the row and pinning it.
    pub(super) fn pin(blobs: &Blobs, segments: &[Segment]) -> Outcome<Self> {
        let mut pieces = VecDeque::new();
        let mut remaining = 0;
        for segment in segments {
            let blob = blobs.pin(segment.blob).ok_or(Failure::Broken("an object's blob is missing"))?;
            remaining += segment.len;
            match blob {
                Blob::Memory(blocks) => memory_pieces(&blocks, segment, &mut pieces),
                Blob::File(blob) => file_pieces(&blob, segment, &mut pieces),
            }
        }
        Ok(Self { pieces, ahead: None, remaining })
    }

    /// Feeds everything to `sink`. Blocking: for hashing during copies.
    pub(super) fn drain_blocking(self, mut sink: impl FnMut(&[u8])) -> io::Result<()> {
        for piece in self.pieces {
            match piece {
                Piece::Memory(bytes) => sink(&bytes),
                Piece::File { blob, offset, len } => sink(&blob.read(offset, len)?),
            }
        }
        Ok(())
    }
}

fn memory_pieces(blocks: &[Bytes], segment: &Segment, pieces: &mut VecDeque<Piece>) {
    let (from, to) = (segment.offset, segment.offset.saturating_add(segment.len));
    let mut position = 0u64;
    for block in blocks {
        let (start, end) = (position, position + block.len() as u64);
        position = end;
        if end <= from {
            continue;
        }
        if start >= to {
            break;
        }
        // both are inside a block that is in memory, so they fit
        let low = usize::try_from(from.saturating_sub(start)).unwrap_or(usize::MAX).min(block.len());
        let high = usize::try_from(to - start).unwrap_or(usize::MAX).min(block.len());
        pieces.push_back(Piece::Memory(block.slice(low..high)));
    }
}

fn file_pieces(blob: &Arc<FileBlob>, segment: &Segment, pieces: &mut VecDeque<Piece>) {
    let mut done = 0;
    while done < segment.len {
        let len = FILE_BLOCK.min(segment.len - done);
        pieces.push_back(Piece::File {
            blob: blob.clone(),
            offset: segment.offset + done,
            len: usize::try_from(len).unwrap_or(usize::MAX),
        });
        done += len;
    }
}

impl SegmentStream {
    fn read_ahead(&mut self) {
        if self.ahead.is_none()
            && let Some(Piece::File { .. }) = self.pieces.front()
            && let Some(Piece::File { blob, offset, len }) = self.pieces.pop_front()
        {
            self.ahead = Some(tokio::task::spawn_blocking(move || blob.read(offset, len)));
        }
    }
}

impl Stream for SegmentStream {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let me = &mut *self;
        me.read_ahead();
        let bytes = if let Some(ahead) = me.ahead.as_mut() {
            let read = ready!(Pin::new(ahead).poll(cx));
            me.ahead = None;
            match read {
                Ok(Ok(bytes)) => bytes,
                Ok(Err(error)) => return Poll::Ready(Some(Err(StdError::from(error)))),
                Err(error) => return Poll::Ready(Some(Err(StdError::from(error)))),
            }
        } else {
            match me.pieces.pop_front() {
                Some(Piece::Memory(bytes)) => bytes,
                // read_ahead takes file pieces, so what is left here is the end
                Some(Piece::File { .. }) | None => return Poll::Ready(None),
            }
        };
        me.remaining = me.remaining.saturating_sub(bytes.len() as u64);
        me.read_ahead();
        Poll::Ready(Some(Ok(bytes)))
    }
}

impl ByteStream for SegmentStream {
    fn remaining_length(&self) -> RemainingLength {
        RemainingLength::new_exact(usize::try_from(self.remaining).unwrap_or(usize::MAX))
    }
}
