//! From a stream of bytes to frames: each is a length word and so many bytes (draft-ietf-secsh-filexfer-02, section 3).
//!
//! The stream comes in pieces of the transport's choosing. A frame that lies in one piece is lent; one that crosses
//! pieces is gathered in a buffer of exactly its size, so that data kept from it holds no other frame's memory. A frame
//! that is too long is skipped to its end, so that the stream never gets out of step.

use super::MAX_FRAME;
use bytes::{Bytes, BytesMut};

/// A length above this is not a client that exceeds a limit, it is something else than SFTP: the bytes `GET ` would be
/// 1.2 GB.
const MAX_SKIPPED: usize = 16 * 1024 * 1024;

/// The frame's type and request id.
const HEADER: usize = 5;

/// One frame without its length word, at least one byte long.
#[derive(Debug)]
pub(crate) enum Frame<'a> {
    /// It lies in the piece that was pushed.
    Lent(&'a [u8]),
    /// It crossed pieces.
    Owned(Bytes),
}

impl Frame<'_> {
    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Lent(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }

    /// Its bytes from `at` on, to keep. Copied if they were lent.
    pub(crate) fn keep_from(&self, at: usize) -> Bytes {
        match self {
            Self::Lent(bytes) => Bytes::copy_from_slice(bytes.get(at..).unwrap_or_default()),
            Self::Owned(bytes) => bytes.slice(at.min(bytes.len())..),
        }
    }
}

/// What the stream held next.
#[derive(Debug)]
pub(crate) enum Parsed<'a> {
    /// A frame.
    Frame(Frame<'a>),
    /// A frame that was too long, with its first bytes: type and request id.
    TooLong([u8; HEADER]),
}

/// The stream is not SFTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {0} bytes is not SFTP")]
pub(crate) struct NotSftp(usize);

#[derive(Debug)]
enum State {
    /// Fewer than four bytes of a length word.
    Length { bytes: [u8; 4], have: usize },
    /// A frame that crosses pieces.
    Gathering { buffer: BytesMut, missing: usize },
    /// A frame that is too long.
    Skipping { header: [u8; HEADER], have: usize, left: usize },
}

/// Where a stream stands.
#[derive(Debug)]
pub(crate) struct Frames {
    state: State,
}

const START: State = State::Length { bytes: [0; 4], have: 0 };

impl Frames {
    /// At the beginning of a stream.
    pub(crate) fn new() -> Self {
        Self { state: START }
    }

    /// Whether the stream stands between two frames.
    #[cfg(test)]
    pub(crate) fn is_between(&self) -> bool {
        matches!(self.state, State::Length { have: 0, .. })
    }

    /// The next frame in `input`, which is moved forward; `None` when it is used up. To be called until then.
    pub(crate) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Parsed<'a>>, NotSftp> {
        loop {
            match &mut self.state {
                State::Length { bytes, have } => {
                    for slot in bytes.iter_mut().skip(*have) {
                        let Some((first, rest)) = input.split_first() else {
                            return Ok(None);
                        };
                        *slot = *first;
                        *have += 1;
                        *input = rest;
                    }
                    let length = usize::try_from(u32::from_be_bytes(*bytes)).unwrap_or(usize::MAX);
                    if length == 0 || length > MAX_SKIPPED {
                        return Err(NotSftp(length));
                    }
                    if length > MAX_FRAME {
                        self.state = State::Skipping { header: [0; HEADER], have: 0, left: length };
                        continue;
                    }
                    if let Some((frame, rest)) = input.split_at_checked(length) {
                        *input = rest;
                        self.state = START;
                        return Ok(Some(Parsed::Frame(Frame::Lent(frame))));
                    }
                    self.state = State::Gathering { buffer: BytesMut::with_capacity(length), missing: length };
                }
                State::Gathering { buffer, missing } => {
                    let taken = take(input, *missing);
                    buffer.extend_from_slice(taken);
                    *missing -= taken.len();
                    if *missing > 0 {
                        return Ok(None);
                    }
                    let frame = std::mem::take(buffer).freeze();
                    self.state = START;
                    return Ok(Some(Parsed::Frame(Frame::Owned(frame))));
                }
                State::Skipping { header, have, left } => {
                    let taken = take(input, *left);
                    for (slot, byte) in header.iter_mut().skip(*have).zip(taken) {
                        *slot = *byte;
                        *have += 1;
                    }
                    *left -= taken.len();
                    if *left > 0 {
                        return Ok(None);
                    }
                    let header = *header;
                    self.state = START;
                    return Ok(Some(Parsed::TooLong(header)));
                }
            }
        }
    }
}

fn take<'a>(input: &mut &'a [u8], at_most: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at_checked(at_most).unwrap_or((*input, &[]));
    *input = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, PartialEq, Eq)]
    enum Seen {
        Frame(Vec<u8>),
        TooLong([u8; HEADER]),
    }

    fn all(pieces: &[&[u8]]) -> Result<(Vec<Seen>, bool), NotSftp> {
        let mut frames = Frames::new();
        let mut seen = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            while let Some(parsed) = frames.next(&mut input)? {
                seen.push(match parsed {
                    Parsed::Frame(frame) => {
                        assert_eq!(frame.keep_from(0), frame.bytes());
                        Seen::Frame(frame.bytes().to_vec())
                    }
                    Parsed::TooLong(header) => Seen::TooLong(header),
                });
            }
            assert!(input.is_empty());
        }
        Ok((seen, frames.is_between()))
    }

    fn framed(body: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn a_frame_that_is_too_long_is_skipped_and_the_next_one_is_read() {
        let mut long = vec![0x55; MAX_FRAME + 1];
        long[..5].copy_from_slice(&[6, 0, 0, 0, 9]);
        let mut stream = framed(&long);
        stream.extend(framed(b"\x10next"));
        for size in [1, 3, 1000, stream.len()] {
            let pieces: Vec<&[u8]> = stream.chunks(size).collect();
            let (seen, between) = all(&pieces).unwrap();
            assert_eq!(seen, [Seen::TooLong([6, 0, 0, 0, 9]), Seen::Frame(b"\x10next".to_vec())]);
            assert!(between);
        }
    }

    #[test]
    fn what_is_not_sftp_is_refused() {
        assert!(all(&[b"GET / HTTP/1.1\r\n"]).is_err());
        assert!(all(&[&[0, 0, 0, 0]]).is_err());
    }

    proptest! {
        #[test]
        fn splits_do_not_matter(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..20),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..40),
        ) {
            let stream: Vec<u8> = bodies.iter().flat_map(|body| framed(body)).collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            let (seen, between) = all(&pieces).unwrap();
            prop_assert_eq!(seen, bodies.into_iter().map(Seen::Frame).collect::<Vec<_>>());
            prop_assert!(between);
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..2000), size in 1_usize..100) {
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            let _ = all(&pieces);
        }
    }
}
