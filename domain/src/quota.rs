//! How much may be stored, and how a node comes to a part of what is left.
//!
//! A node does not ask for each file: it *leases* a block of what is left of a quota and gives its uploads parts of it. What is
//! stored and all leases together never exceed the quota, so several nodes cannot exceed it together.

mod holder;

pub use holder::{Counted, Holder};

use serde::{Deserialize, Serialize};

/// Limits; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Bytes.
    #[serde(default)]
    pub bytes: u64,
    /// Files.
    #[serde(default)]
    pub files: u64,
}

impl Quota {
    /// Whether there is no limit at all.
    pub const fn is_unlimited(self) -> bool {
        self.bytes == 0 && self.files == 0
    }

    /// The smaller of each limit.
    #[must_use]
    pub const fn stricter(self, other: Self) -> Self {
        const fn one(a: u64, b: u64) -> u64 {
            // 0 is no limit
            if a == 0 || (b != 0 && b < a) { b } else { a }
        }
        Self { bytes: one(self.bytes, other.bytes), files: one(self.files, other.files) }
    }
}

/// Some bytes and files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Bytes.
    pub bytes: u64,
    /// Files.
    pub files: u64,
}

impl Amount {
    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.bytes == 0 && self.files == 0
    }

    /// Both.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_add(other.bytes), files: self.files.saturating_add(other.files) }
    }

    /// This without `other`, or nothing of what `other` has more of.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_sub(other.bytes), files: self.files.saturating_sub(other.files) }
    }

    /// Whether `other` is a part of it.
    pub const fn holds(self, other: Self) -> bool {
        other.bytes <= self.bytes && other.files <= self.files
    }
}

/// Beside what a node needs now, it gets this part of what is left, …
const SHARE: u64 = 8;
/// … at most this much: what a stream brings in a second, and files for as long.
const BLOCK: Amount = Amount { bytes: 64 << 20, files: 256 };

/// Why a node gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotGranted {
    /// What is stored leaves too little.
    Exceeded,
    /// It would fit, if others gave back what they may not need.
    Leased,
}

/// What a node gets that needs `need`, when `stored` is counted and `leased` is out on leases.
pub fn grant(quota: Quota, stored: Amount, leased: Amount, need: Amount) -> Result<Amount, NotGranted> {
    let bytes = one(quota.bytes, stored.bytes, leased.bytes, need.bytes, BLOCK.bytes);
    let files = one(quota.files, stored.files, leased.files, need.files, BLOCK.files);
    match (bytes, files) {
        (Err(NotGranted::Exceeded), _) | (_, Err(NotGranted::Exceeded)) => Err(NotGranted::Exceeded),
        (Ok(bytes), Ok(files)) => Ok(Amount { bytes, files }),
        _ => Err(NotGranted::Leased),
    }
}

fn one(quota: u64, stored: u64, leased: u64, need: u64, block: u64) -> Result<u64, NotGranted> {
    if quota == 0 {
        return Ok(need.saturating_add(block));
    }
    let left = quota.saturating_sub(stored);
    if need > left {
        return Err(NotGranted::Exceeded);
    }
    let free = left.saturating_sub(leased);
    if need > free {
        return Err(NotGranted::Leased);
    }
    Ok(need + ((free - need) / SHARE).min(block))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_node_gets_what_it_needs_and_a_part_of_the_rest() {
        let quota = Quota { bytes: 100 * MIB, files: 0 };
        let amount = |bytes, files| Amount { bytes, files };
        let need = amount(4 * MIB, 1);
        assert_eq!(grant(quota, amount(0, 0), amount(0, 0), need), Ok(amount(16 * MIB, 257)));
        assert_eq!(grant(quota, amount(96 * MIB, 9), amount(0, 0), need), Ok(amount(4 * MIB, 257)));
        assert_eq!(grant(quota, amount(97 * MIB, 9), amount(0, 0), need), Err(NotGranted::Exceeded));
        assert_eq!(grant(quota, amount(90 * MIB, 9), amount(7 * MIB, 9), need), Err(NotGranted::Leased));
        let files = Quota { bytes: 0, files: 2 };
        assert_eq!(grant(files, amount(0, 1), amount(0, 0), need), Ok(amount(4 * MIB + BLOCK.bytes, 1)));
        assert_eq!(grant(files, amount(0, 1), amount(0, 1), need), Err(NotGranted::Leased));
        assert_eq!(grant(files, amount(0, 2), amount(0, 0), need), Err(NotGranted::Exceeded));
        // a quota that was made smaller than what is there
        assert_eq!(grant(files, amount(0, 3), amount(0, 0), amount(MIB, 0)), Ok(amount(MIB + BLOCK.bytes, 0)));
    }

    proptest! {
        #[test]
        fn nothing_that_is_granted_exceeds_the_quota(
            quota in 1_u64..1_000_000, stored in 0_u64..1_000_000, leased in 0_u64..1_000_000, need in 0_u64..1_000_000,
        ) {
            let (stored, leased, need) = (Amount { bytes: stored, files: 0 }, Amount { bytes: leased, files: 0 },
                Amount { bytes: need, files: 0 });
            let granted = grant(Quota { bytes: quota, files: 0 }, stored, leased, need);
            if let Ok(granted) = granted {
                prop_assert!(granted.holds(need));
                prop_assert!(need.is_zero() || stored.bytes + leased.bytes + granted.bytes <= quota);
            } else {
                prop_assert!(stored.bytes + leased.bytes + need.bytes > quota);
            }
        }
    }
}
