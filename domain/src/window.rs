//! Which bytes to fetch before the client asks for them.
//!
//! S3 answers after some ten milliseconds and then at some ninety megabytes a second for each connection, so a fast
//! download is several ranged requests at once, started before their bytes are wanted. But a client that looks at a
//! file's head must not cost megabytes. So the window starts with one small segment, stays three times as far ahead of the
//! reader as the reader has come, and its segments double up to 8 MiB. A jump starts a new small window; after
//! two jumps in a row without reading on, single ranges are fetched.

use std::ops::Range;

const MIB: u64 = 1024 * 1024;

/// The first segment of a window; a file up to this size is one request.
pub const FIRST_SEGMENT_BYTES: u64 = 256 * 1024;
/// No segment is larger.
pub const LARGEST_SEGMENT_BYTES: u64 = 8 * MIB;
/// How far ahead of the reader a window reaches at most.
pub const MAX_AHEAD_BYTES: u64 = 96 * MIB;
/// The window reaches so many times as far ahead as the reader has come, so it grows fourfold with each of S3's round trips:
/// twofold, a fast reader of a gigabyte would wait for a tenth of its time until the window is wide.
const AHEAD_FOR_EACH_BYTE_READ: u64 = 3;
/// After this many jumps in a row, reads are taken as random.
const JUMPS_UNTIL_RANDOM: u32 = 2;
/// A read that starts this close behind the window's end is a reader that skips a little, not a jump.
const SKIP_BYTES: u64 = FIRST_SEGMENT_BYTES;

/// How a read relates to the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// In the window, or just behind its end: extend the window.
    Sequential,
    /// Elsewhere: forget the segments, start a window at the read.
    Restart,
    /// Elsewhere again: fetch this range alone, leave the window as it is.
    Random,
}

/// The read-ahead window of one open file. It decides; the caller fetches.
#[derive(Clone, Debug)]
pub struct Window {
    file: u64,
    /// Where the window began.
    start: u64,
    /// The end of what has been asked for since.
    asked: u64,
    /// The end of what is fetched or being fetched.
    fetched: u64,
    next_segment: u64,
    jumps: u32,
    /// Where the latest random read ended: a read that goes on there is no jump.
    random_end: u64,
}

impl Window {
    /// For a file of `file` bytes, of which nothing has been fetched.
    pub fn new(file: u64) -> Self {
        Self { file, start: 0, asked: 0, fetched: 0, next_segment: FIRST_SEGMENT_BYTES, jumps: 0, random_end: u64::MAX }
    }

    /// The file's size in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.file
    }

    /// Notes a read of `len` bytes at `offset` (which lies in the file) and says how to serve it.
    pub fn read(&mut self, offset: u64, len: u64) -> Access {
        let end = offset.saturating_add(len).min(self.file);
        if offset >= self.start && offset <= self.fetched.saturating_add(SKIP_BYTES) {
            if end > self.asked && offset <= self.asked.saturating_add(SKIP_BYTES) {
                self.jumps = 0;
            }
            self.asked = self.asked.max(end);
            return Access::Sequential;
        }
        if offset == self.random_end {
            self.jumps = 0;
        }
        self.jumps += 1;
        self.random_end = end;
        if self.jumps > JUMPS_UNTIL_RANDOM {
            return Access::Random;
        }
        *self = Self { start: offset, asked: end, fetched: offset, next_segment: FIRST_SEGMENT_BYTES, ..self.clone() };
        Access::Restart
    }

    /// The next segment that should be fetched now, or `None` if the window reaches far enough. The caller calls
    /// [`Window::fetching`] when it does.
    pub fn wanted(&self) -> Option<Range<u64>> {
        let come = self.asked.saturating_sub(self.start);
        let target = self
            .asked
            .saturating_add(come.saturating_mul(AHEAD_FOR_EACH_BYTE_READ).min(MAX_AHEAD_BYTES))
            .min(self.file);
        if self.fetched >= target {
            return None;
        }
        let end = self.fetched.saturating_add(self.next_segment).min(self.file);
        Some(self.fetched..end)
    }

    /// Whether the reader waits for the wanted segment, or it is only read ahead.
    pub fn is_needed(&self, segment: &Range<u64>) -> bool {
        segment.start < self.asked
    }

    /// Notes that a wanted segment is being fetched.
    pub fn fetching(&mut self, segment: &Range<u64>) {
        self.fetched = self.fetched.max(segment.end);
        self.next_segment = (self.next_segment * 2).min(LARGEST_SEGMENT_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fetch_all(window: &mut Window) -> Vec<Range<u64>> {
        std::iter::from_fn(|| {
            let segment = window.wanted()?;
            window.fetching(&segment);
            Some(segment)
        })
        .collect()
    }

    #[test]
    fn a_small_file_is_one_request() {
        let mut window = Window::new(4096);
        assert_eq!(window.read(0, 32_768), Access::Sequential);
        assert_eq!(fetch_all(&mut window), vec![0..4096]);
    }

    #[test]
    fn a_look_at_the_head_costs_one_small_segment() {
        let mut window = Window::new(1 << 40);
        window.read(0, 4096);
        assert_eq!(fetch_all(&mut window), vec![0..FIRST_SEGMENT_BYTES]);
    }

    #[test]
    fn a_reader_that_goes_on_is_met_by_a_growing_window_up_to_its_limit() {
        let mut window = Window::new(1 << 40);
        let mut largest = 0;
        let mut offset = 0;
        let mut fetched = 0;
        while offset < 1 << 30 {
            assert_eq!(window.read(offset, 261_120), Access::Sequential);
            offset += 261_120;
            for segment in fetch_all(&mut window) {
                assert_eq!(segment.start, fetched);
                fetched = segment.end;
                largest = largest.max(segment.end - segment.start);
            }
            assert!(fetched >= offset && fetched - offset <= MAX_AHEAD_BYTES + LARGEST_SEGMENT_BYTES);
        }
        assert_eq!(largest, LARGEST_SEGMENT_BYTES);
        assert!(fetched - offset >= MAX_AHEAD_BYTES);
    }

    #[test]
    fn jumps_start_small_windows_and_then_single_ranges() {
        let mut window = Window::new(1 << 40);
        window.read(0, 4096);
        fetch_all(&mut window);
        assert_eq!(window.read(1 << 30, 4096), Access::Restart);
        assert_eq!(fetch_all(&mut window), vec![1 << 30..(1 << 30) + FIRST_SEGMENT_BYTES]);
        assert_eq!(window.read(1 << 35, 4096), Access::Restart);
        assert_eq!(window.read(1 << 20, 4096), Access::Random);
        assert_eq!(window.read(5, 4096), Access::Random);
        // reading on where the window is makes it a reader again
        assert_eq!(window.read((1 << 35) + 4096, 4096), Access::Sequential);
        assert_eq!(window.read(5, 4096), Access::Restart);
    }

    #[test]
    fn a_reader_that_settles_down_after_jumps_gets_a_window_again() {
        let mut window = Window::new(1 << 40);
        for jump in 1..5 {
            window.read(jump << 30, 4096);
        }
        assert_eq!(window.read(9 << 30, 4096), Access::Random);
        assert_eq!(window.read((9 << 30) + 4096, 4096), Access::Restart);
        assert_eq!(window.read((9 << 30) + 8192, 4096), Access::Sequential);
    }

    proptest! {
        #[test]
        fn segments_lie_in_the_file_touch_and_cover_what_is_asked(
            file in 1u64..1 << 36, reads in prop::collection::vec((0u64..1 << 36, 1u64..300_000, any::<bool>()), 1..60)
        ) {
            let mut window = Window::new(file);
            let mut position = 0;
            let mut covered = 0..0;
            for (at, len, jump) in reads {
                let offset = if jump { at % file } else { position % file };
                position = offset + len;
                match window.read(offset, len) {
                    Access::Random => continue,
                    Access::Restart => covered = offset..offset,
                    Access::Sequential => {}
                }
                for segment in fetch_all(&mut window) {
                    prop_assert!(segment.start < segment.end && segment.end <= file);
                    prop_assert!(segment.end - segment.start <= LARGEST_SEGMENT_BYTES);
                    prop_assert_eq!(segment.start, covered.end);
                    covered.end = segment.end;
                }
                prop_assert!(covered.start <= offset && covered.end >= position.min(file));
            }
        }
    }
}
