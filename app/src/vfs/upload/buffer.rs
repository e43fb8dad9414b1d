//! What the client has sent and S3 does not have yet: one buffer of a part's size, and a little that arrived early.

use super::unsupported;
use crate::budget::{Budget, Reserved};
use bytes::{Bytes, BytesMut};
use domain::file_error::{FileError, FileErrorKind};
use domain::upload::SMALL_FILE_BYTES;
use std::collections::{BTreeMap, VecDeque};

/// How far ahead of the first gap writes may arrive, in bytes: clients with several requests in flight reorder by a few
/// of them. More would be a client that writes at random, which S3 cannot hold.
const EARLY_BYTES: u64 = 4 * 1024 * 1024;
/// How many such writes are kept: each costs memory beside its bytes.
const EARLY_WRITES: usize = 1024;

/// The buffer of one upload.
pub(super) struct Buffer {
    /// Where the buffered part starts in the file: all before is with S3.
    start: u64,
    part: BytesMut,
    capacity: usize,
    /// Sequential bytes that do not fit the part.
    more: VecDeque<Bytes>,
    /// What arrived before its turn, by offset.
    early: BTreeMap<u64, Bytes>,
    early_bytes: u64,
    early_memory: Option<Reserved>,
    memory: Option<Reserved>,
}

impl Buffer {
    /// An empty one that holds a small file.
    pub(super) fn new() -> Self {
        Self {
            start: 0,
            part: BytesMut::new(),
            capacity: SMALL_FILE_BYTES,
            more: VecDeque::new(),
            early: BTreeMap::new(),
            early_bytes: 0,
            early_memory: None,
            memory: None,
        }
    }

    /// An empty one for what follows the first `start` bytes, which S3 has.
    pub(super) fn from(start: u64) -> Self {
        Self { start, ..Self::new() }
    }

    /// Whether nothing has come.
    pub(super) fn is_untouched(&self) -> bool {
        self.end() == 0 && self.early.is_empty()
    }

    /// Whether it has no memory reserved yet: an upload that sends nothing holds none.
    pub(super) fn needs_memory(&self) -> bool {
        self.memory.is_none()
    }

    /// Gives the small first buffer its memory.
    pub(super) fn reserve(&mut self, memory: Reserved) {
        self.memory = Some(memory);
    }

    /// The end of what has arrived without a gap.
    pub(super) fn end(&self) -> u64 {
        self.start + self.part.len() as u64 + self.more.iter().map(|data| data.len() as u64).sum::<u64>()
    }

    /// Whether the buffer still is the small first one.
    pub(super) fn is_small(&self) -> bool {
        self.capacity == SMALL_FILE_BYTES
    }

    /// The first gap, if something lies behind one.
    pub(super) fn gap(&self) -> Option<u64> {
        if self.early.is_empty() { None } else { Some(self.end()) }
    }

    /// Takes a write. What does not fit waits: see [`Buffer::overflows`].
    pub(super) fn take(&mut self, offset: u64, data: Bytes, budget: &Budget) -> Result<(), FileError> {
        if data.is_empty() {
            return Ok(());
        }
        if offset > self.end() {
            return self.keep_early(offset, data, budget);
        }
        self.overwrite(offset, data)?;
        while self.early.first_key_value().is_some_and(|(offset, _)| *offset <= self.end()) {
            if let Some((offset, data)) = self.early.pop_first() {
                self.early_bytes -= data.len() as u64;
                self.overwrite(offset, data)?;
            }
        }
        if self.early.is_empty() {
            self.early_memory = None;
        }
        Ok(())
    }

    fn keep_early(&mut self, offset: u64, data: Bytes, budget: &Budget) -> Result<(), FileError> {
        let bytes = data.len() as u64;
        if self.early.len() >= EARLY_WRITES {
            return Err(unsupported("writes must arrive in order, or few of them early"));
        }
        if self.early_memory.is_none() {
            // not waited for: this upload may hold a slot, and who holds memory never waits for memory
            self.early_memory = budget.try_slot(usize::try_from(EARLY_BYTES).unwrap_or(usize::MAX));
            if self.early_memory.is_none() {
                let text = "the server has no memory for writes that arrive out of order; try again";
                return Err(FileError::new(FileErrorKind::Unavailable, text));
            }
        }
        if offset + bytes > self.end() + EARLY_BYTES || self.early_bytes + bytes > EARLY_BYTES {
            return Err(unsupported("writes must arrive in order, or at most 4 MiB early"));
        }
        if let Some(before) = self.early.insert(offset, data) {
            self.early_bytes -= before.len() as u64;
        }
        self.early_bytes += bytes;
        Ok(())
    }

    /// Writes at or before the end: over what is still here, and on from there.
    fn overwrite(&mut self, offset: u64, mut data: Bytes) -> Result<(), FileError> {
        let over = (self.end() - offset).min(data.len() as u64);
        if over > 0 {
            let in_part = offset.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
            let over = usize::try_from(over).unwrap_or(usize::MAX);
            let target = in_part.and_then(|at| self.part.get_mut(at..at.checked_add(over)?));
            match target {
                Some(target) => target.copy_from_slice(&data.split_to(over)),
                None => {
                    return Err(unsupported("what was sent before cannot be changed: send the file again"));
                }
            }
        }
        self.append(data);
        Ok(())
    }

    /// Appends to the part as much as fits; the rest waits.
    fn append(&mut self, data: Bytes) {
        if !data.is_empty() {
            self.more.push_back(data);
            self.refill();
        }
    }

    /// Moves into the part what waits for room.
    fn refill(&mut self) {
        while let Some(mut data) = self.more.pop_front() {
            let room = self.capacity.saturating_sub(self.part.len());
            self.part.extend_from_slice(&data.split_to(room.min(data.len())));
            if !data.is_empty() {
                self.more.push_front(data);
                return;
            }
        }
    }

    /// Whether something waits for room, which [`Buffer::grow`] makes.
    pub(super) fn overflows(&self) -> bool {
        !self.more.is_empty()
    }

    /// Makes room: `capacity` bytes, covered by `memory`.
    pub(super) fn grow(&mut self, capacity: usize, memory: Reserved) {
        let mut part = BytesMut::with_capacity(capacity);
        part.extend_from_slice(&self.part);
        self.part = part;
        self.capacity = capacity;
        self.memory = Some(memory);
        self.refill();
    }

    /// Takes the part out, with its memory.
    pub(super) fn cut(&mut self) -> (Bytes, Option<Reserved>) {
        let part = std::mem::take(&mut self.part).freeze();
        self.start += part.len() as u64;
        (part, self.memory.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn budget() -> Budget {
        Budget::new(Budget::LEAST_MIB).unwrap()
    }

    fn memory() -> Reserved {
        budget().try_slot(1).unwrap()
    }

    #[test]
    fn what_has_left_cannot_be_changed_and_what_is_here_can() {
        let mut buffer = Buffer::new();
        buffer.take(0, Bytes::from_static(b"0123456789"), &budget()).unwrap();
        buffer.take(2, Bytes::from_static(b"ab"), &budget()).unwrap();
        assert_eq!(buffer.cut().0, &b"01ab456789"[..]);
        buffer.grow(16, memory());
        assert!(buffer.take(9, Bytes::from_static(b"x"), &budget()).is_err());
        buffer.take(10, Bytes::from_static(b"yz"), &budget()).unwrap();
        assert_eq!((buffer.end(), buffer.cut().0), (12, Bytes::from_static(b"yz")));
    }

    #[test]
    fn random_writes_are_refused() {
        let mut buffer = Buffer::new();
        assert!(buffer.take(EARLY_BYTES, Bytes::from_static(b"x"), &budget()).is_err());
        buffer.take(7, Bytes::from_static(b"x"), &budget()).unwrap();
        assert_eq!(buffer.gap(), Some(0));
    }

    proptest! {
        /// Whatever the order within the window, and wherever the parts are cut, the bytes come out as sent.
        #[test]
        fn bytes_come_out_in_order(sizes in prop::collection::vec(1usize..40_000, 1..60), swaps in prop::collection::vec(0usize..59, 0..40)) {
            let mut writes = Vec::new();
            let mut sent = Vec::new();
            for (at, size) in sizes.iter().enumerate() {
                let data = vec![u8::try_from(at % 251).unwrap(); *size];
                writes.push((sent.len() as u64, Bytes::from(data.clone())));
                sent.extend(data);
            }
            for at in swaps {
                if at + 1 < writes.len() {
                    writes.swap(at, at + 1);
                }
            }
            let mut buffer = Buffer::new();
            let mut out = Vec::new();
            for (offset, data) in writes {
                buffer.take(offset, data, &budget()).unwrap();
                while buffer.overflows() {
                    if !buffer.is_small() {
                        out.extend_from_slice(&buffer.cut().0);
                    }
                    buffer.grow(300_000, memory());
                }
            }
            prop_assert_eq!(buffer.gap(), None);
            prop_assert_eq!(buffer.end(), sent.len() as u64);
            out.extend_from_slice(&buffer.cut().0);
            prop_assert!(out == sent);
        }
    }
}
