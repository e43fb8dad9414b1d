//! A version of a file: its bytes follow from a number and a size, so that a ledger needs no copies.

use bytes::Bytes;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Version {
    /// Different for every version of a run that has bytes.
    pub(crate) number: u64,
    pub(crate) bytes: usize,
}

impl Version {
    /// Every word depends on the number and on its place: a part that is missing, doubled, in the wrong place or of
    /// another version shows.
    pub(crate) fn content(self) -> Bytes {
        let mut content = Vec::with_capacity(self.bytes + 8);
        let mut at = 0u64;
        while content.len() < self.bytes {
            let word = (at ^ (self.number << 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            content.extend_from_slice(&(word ^ (word >> 29)).to_le_bytes());
            at += 1;
        }
        content.truncate(self.bytes);
        Bytes::from(content)
    }
}

#[test]
fn versions_of_one_size_differ() {
    let (one, other) = (Version { number: 1, bytes: 100 }.content(), Version { number: 2, bytes: 100 }.content());
    assert_eq!(one.len(), 100);
    assert_ne!(one, other);
    assert_eq!(one, Version { number: 1, bytes: 101 }.content().slice(..100));
}
