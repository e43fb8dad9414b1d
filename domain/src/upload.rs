//! How an upload becomes an object: part sizes, limits, and the review before it is made visible.
//!
//! S3 allows 10,000 parts of 5 MiB to 5 GiB (only the last may be smaller). Parts start small, so that a file of a few
//! dozen megabytes is sent in parallel soon, and grow, so that the limit of 10,000 is reached late: at
//! [`MAX_FILE_BYTES`]. A part is held in memory until S3 has it, so 64 MiB is also the largest slot of the node's
//! memory budget.

use std::ops::Range;

/// A file up to this size is one PUT, from one buffer.
pub const SMALL_FILE_BYTES: usize = 256 * 1024;

/// S3's limit for parts in one object.
pub const MAX_PARTS: u32 = 10_000;

/// S3's minimum for every part but the last.
pub const MIN_PART_BYTES: usize = 5 * MIB;

const MIB: usize = 1024 * 1024;

/// Up to which part number a size is used, and the size.
const STEPS: [(u32, usize); 4] = [(64, 8 * MIB), (256, 16 * MIB), (1024, 32 * MIB), (MAX_PARTS, LARGEST_PART_BYTES)];

/// The largest part, and so the smallest memory budget a node can work with.
pub const LARGEST_PART_BYTES: usize = 64 * MIB;

/// The largest file that the plan holds: about 588 GiB.
pub const MAX_FILE_BYTES: u64 = {
    let (mut total, mut from, mut step) = (0, 0, 0);
    while step < STEPS.len() {
        #[expect(clippy::indexing_slicing, reason = "bounded by the loop, evaluated by the compiler")]
        let (to, size) = STEPS[step];
        total += (to - from) as u64 * size as u64;
        from = to;
        step += 1;
    }
    total
};

/// The size of part `number` (from 1), if it is full; `None` after the last.
pub fn part_bytes(number: u32) -> Option<usize> {
    if number == 0 {
        return None;
    }
    STEPS.iter().find(|(to, _)| number <= *to).map(|(_, size)| *size)
}

/// What one part is when S3 copies it from an object: S3 takes 5 GiB, and copies several of this size at the same time.
pub const COPY_PART_BYTES: u64 = 1 << 30;

/// The ranges of an object of `bytes` bytes as parts of at most `most`, of about the same size. Empty for what is too
/// small to be a part at all: less than S3's minimum, which is half of the least `most` that makes sense.
pub fn copy_plan(bytes: u64, most: u64) -> Vec<Range<u64>> {
    if bytes < MIN_PART_BYTES as u64 {
        return Vec::new();
    }
    let count = bytes.div_ceil(most.max(2 * MIN_PART_BYTES as u64));
    let each = bytes.div_ceil(count);
    (0..count).map(|at| at * each..((at + 1) * each).min(bytes)).collect()
}

/// A part that S3 has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPart {
    /// From 1.
    pub number: u32,
    /// Its size in bytes.
    pub bytes: u64,
    /// What S3 answered.
    pub etag: String,
    /// The CRC-32 that was sent and that S3 confirmed, as in the header: base64.
    pub crc32: Option<String>,
}

/// Why an upload cannot be completed. Each is a defect of ours, not of the client, and stops the upload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReviewError {
    /// A number is missing or there twice.
    #[error("part {expected} was expected and part {found} found")]
    Numbering {
        /// What should come.
        expected: u32,
        /// What came.
        found: u32,
    },
    /// A part but the last is below S3's minimum.
    #[error("part {number} has only {bytes} bytes")]
    TooSmall {
        /// Which.
        number: u32,
        /// Its size.
        bytes: u64,
    },
    /// The parts do not add up to what the client sent.
    #[error("the parts hold {stored} bytes and {received} were received")]
    Size {
        /// In S3.
        stored: u64,
        /// From the client.
        received: u64,
    },
}

/// The parts from the first on without a gap, in order: what is left of an upload that was cut off. A part below S3's
/// minimum can only be the last one of a file, so it and what follows it does not count.
pub fn without_gap(mut parts: Vec<StoredPart>) -> Vec<StoredPart> {
    parts.sort_by_key(|part| part.number);
    let whole = (1..)
        .zip(&parts)
        .take_while(|(expected, part)| part.number == *expected && part.bytes >= MIN_PART_BYTES as u64)
        .count();
    parts.truncate(whole);
    parts
}

/// Checks the parts, in any order, against what was received; answers them in order.
pub fn review(mut parts: Vec<StoredPart>, received: u64) -> Result<Vec<StoredPart>, ReviewError> {
    parts.sort_by_key(|part| part.number);
    let last = parts.len();
    for (expected, part) in (1..).zip(&parts) {
        if part.number != expected {
            return Err(ReviewError::Numbering { expected, found: part.number });
        }
        if (expected as usize) < last && part.bytes < MIN_PART_BYTES as u64 {
            return Err(ReviewError::TooSmall { number: part.number, bytes: part.bytes });
        }
    }
    let stored = parts.iter().map(|part| part.bytes).sum();
    if stored == received { Ok(parts) } else { Err(ReviewError::Size { stored, received }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(number: u32, bytes: u64) -> StoredPart {
        StoredPart { number, bytes, etag: format!("e{number}"), crc32: None }
    }

    #[test]
    fn the_plan_holds_half_a_tebibyte_within_s3s_limits() {
        assert_eq!(part_bytes(0), None);
        assert_eq!(part_bytes(1), Some(8 * MIB));
        assert_eq!(part_bytes(65), Some(16 * MIB));
        assert_eq!(part_bytes(10_000), Some(64 * MIB));
        assert_eq!(part_bytes(10_001), None);
        let sum: u64 = (1..=MAX_PARTS).map(|number| part_bytes(number).unwrap() as u64).sum();
        assert_eq!(sum, MAX_FILE_BYTES);
        const { assert!(MAX_FILE_BYTES > 550 * 1024 * 1024 * 1024 && MAX_FILE_BYTES < 5 << 40) };
        assert!((1..=MAX_PARTS).all(|number| part_bytes(number).unwrap() >= MIN_PART_BYTES));
    }

    #[test]
    fn a_review_finds_what_is_wrong() {
        let full = 8 * MIB as u64;
        assert_eq!(review(vec![part(2, 3), part(1, full)], full + 3).unwrap(), vec![part(1, full), part(2, 3)]);
        assert_eq!(review(vec![part(1, full)], full + 1), Err(ReviewError::Size { stored: full, received: full + 1 }));
        assert_eq!(
            review(vec![part(1, full), part(3, 1)], full + 1),
            Err(ReviewError::Numbering { expected: 2, found: 3 })
        );
        assert_eq!(
            review(vec![part(1, full), part(1, full)], 2 * full),
            Err(ReviewError::Numbering { expected: 2, found: 1 })
        );
        assert_eq!(review(vec![part(1, 7), part(2, 1)], 8), Err(ReviewError::TooSmall { number: 1, bytes: 7 }));
    }

    #[test]
    fn what_is_left_ends_at_the_first_gap() {
        let full = 8 * MIB as u64;
        let numbers =
            |parts: Vec<StoredPart>| without_gap(parts).into_iter().map(|part| part.number).collect::<Vec<_>>();
        assert_eq!(numbers(vec![part(4, full), part(2, full), part(1, full)]), [1, 2]);
        assert_eq!(numbers(vec![part(2, full)]), [0; 0]);
        assert_eq!(numbers(vec![part(1, full), part(2, 7)]), [1]);
        assert_eq!(numbers(Vec::new()), [0; 0]);
    }

    #[test]
    fn an_object_is_copied_in_few_parts() {
        const GIB: u64 = 1 << 30;
        let min = MIN_PART_BYTES as u64;
        let ends = |bytes| copy_plan(bytes, GIB).into_iter().map(|range| (range.start, range.end)).collect::<Vec<_>>();
        assert_eq!(ends(0), []);
        assert_eq!(ends(min - 1), []);
        assert_eq!(ends(min), [(0, min)]);
        assert_eq!(ends(GIB), [(0, GIB)]);
        assert_eq!(ends(GIB + 1), [(0, GIB / 2 + 1), (GIB / 2 + 1, GIB + 1)]);
        // what is behind the copied parts still fits: few numbers are used up
        assert!(copy_plan(MAX_FILE_BYTES, COPY_PART_BYTES).len() < 600);
        assert!(copy_plan(5 << 40, COPY_PART_BYTES).len() <= MAX_PARTS as usize);
    }

    proptest! {
        #[test]
        fn copied_parts_are_within_s3s_limits_and_nothing_is_left_out(bytes in 5u64 << 20..5 << 40, most in 100u64 << 20..5 << 30) {
            let plan = copy_plan(bytes, most);
            prop_assert_eq!((plan[0].start, plan[plan.len() - 1].end), (0, bytes));
            prop_assert!(plan.windows(2).all(|pair| pair[0].end == pair[1].start));
            prop_assert!(plan.iter().all(|range| range.end - range.start >= MIN_PART_BYTES as u64 && range.end - range.start <= most));
        }

        #[test]
        fn parts_in_any_order_pass_and_one_less_does_not(count in 1u32..40, tail in 0u64..9, at in 0usize..40) {
            let mut parts: Vec<_> = (1..=count).map(|number| part(number, 8 * MIB as u64)).collect();
            parts.push(part(count + 1, tail));
            let received = u64::from(count) * 8 * MIB as u64 + tail;
            let turn = at % parts.len();
            parts.rotate_left(turn);
            prop_assert!(review(parts.clone(), received).is_ok());
            let gone = parts.remove(at % parts.len());
            prop_assert!(gone.bytes == 0 || review(parts, received).is_err());
        }
    }
}
