//! READ and READDIR.

use super::handles::Slot;
use super::reply::{Body, Names};
use super::{MAX_NAMES_BYTES, MAX_READ, OPERATION_DEADLINE};
use crate::backend::{Download, Listing};
use app::vfs::Entry;
use bytes::Bytes;
use domain::file_error::FileError;
use domain::time::Timestamp;
use tokio::time::timeout;

/// How many bytes a READ will hold: what it asks for, cut at [`MAX_READ`] and at the end of the file.
pub(crate) fn read_len(download: &Download, offset: u64, len: u32) -> usize {
    let left = download.entry().bytes.saturating_sub(offset);
    usize::try_from(u64::from(len.min(MAX_READ)).min(left)).unwrap_or(0)
}

/// Answers a READ of `len` bytes that the file has.
pub(crate) async fn read(download: Download, offset: u64, len: usize) -> Body {
    match timeout(OPERATION_DEADLINE, download.read(offset, len)).await {
        Ok(Ok(chunks)) if chunks.iter().all(Bytes::is_empty) => Body::EOF,
        Ok(Ok(chunks)) => Body::Data(chunks),
        Ok(Err(error)) => error.into(),
        Err(_) => FileError::too_slow(OPERATION_DEADLINE).into(),
    }
}

/// A folder being listed: a page of the storage is several answers.
pub(crate) struct Folder {
    listing: Listing,
    page: std::vec::IntoIter<Entry>,
    ended: bool,
    _slot: Slot,
}

impl Folder {
    /// At the beginning of a listing.
    pub(crate) fn new(listing: Listing, slot: Slot) -> Self {
        Self { listing, page: Vec::new().into_iter(), ended: false, _slot: slot }
    }

    /// Answers a READDIR.
    pub(crate) async fn read(&mut self, now: Timestamp) -> Body {
        let mut names = Names::default();
        loop {
            for entry in self.page.by_ref() {
                names.push(&entry, now);
                if names.len() >= MAX_NAMES_BYTES {
                    return Body::Names(names);
                }
            }
            // what is there goes out before the next page is waited for
            if !names.is_empty() {
                return Body::Names(names);
            }
            if self.ended {
                return Body::EOF;
            }
            match timeout(OPERATION_DEADLINE, self.listing.next_page()).await {
                Ok(Ok(Some(page))) => self.page = page.into_iter(),
                Ok(Ok(None)) => self.ended = true,
                Ok(Err(error)) => return error.into(),
                Err(_) => return FileError::too_slow(OPERATION_DEADLINE).into(),
            }
        }
    }
}
