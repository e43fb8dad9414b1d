//! What must hold for any bytes a client may send, in one function: the fuzzer (`fuzz/`) and the tests call it.
//!
//! The input is cut as [`crate::cutting`] says, into the stream of a channel.

use super::attributes::{self, Shown, Wanted};
use super::frame::{Frame, Frames, Parsed};
use super::reply::{self, Body, Names};
use super::request::{self, Ask, Fields, HandleAsk, Malformed};
use super::status::Status;
use crate::cutting::{pieces, split};
use app::vfs::{Entry, EntryKind};
use bytes::{Bytes, BytesMut};
use domain::time::Timestamp;

/// What a stream held, apart from how it was cut.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Frame(Vec<u8>),
    TooLong([u8; 5]),
    NotSftp,
}

/// Panics if a rule is broken.
pub(crate) fn exercise(input: &[u8]) {
    let (sizes, stream) = split(input);
    let whole = frames(std::iter::once(stream));
    assert_eq!(frames(pieces(sizes, stream)), whole, "where the stream is cut must not matter");
    for seen in &whole {
        if let Seen::Frame(frame) = seen {
            requests(frame);
            replies(frame);
        }
    }
}

fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Seen> {
    let mut frames = Frames::new();
    let mut all = Vec::new();
    for mut piece in pieces {
        loop {
            match frames.next(&mut piece) {
                Ok(Some(Parsed::Frame(frame))) => {
                    assert!(!frame.bytes().is_empty());
                    assert_eq!(frame.keep_from(0), frame.bytes());
                    all.push(Seen::Frame(frame.bytes().to_vec()));
                }
                Ok(Some(Parsed::TooLong(header))) => all.push(Seen::TooLong(header)),
                Ok(None) => break,
                Err(_) => {
                    all.push(Seen::NotSftp);
                    return all;
                }
            }
        }
        assert!(piece.is_empty(), "a piece is used up");
    }
    all
}

fn requests(frame: &[u8]) {
    let lent = Frame::Lent(frame);
    let owned = Frame::Owned(Bytes::copy_from_slice(frame));
    let parsed = request::parse(&lent);
    assert_eq!(parsed, request::parse(&owned), "whether a frame crossed pieces must not matter");
    assert_eq!(request::parse_init(&lent).is_some(), frame.len() >= 5 && frame.first() == Some(&1));
    let id = frame.get(1..5).and_then(|id| id.try_into().ok()).map(u32::from_be_bytes);
    match parsed {
        Err(Malformed { id: told }) => assert_eq!(told, id, "the answer must carry the request's id"),
        Ok(request) => {
            assert_eq!(Some(request.id), id);
            if let Ask::Handle(_, HandleAsk::Write { data, .. }) = request.ask {
                assert!(frame.ends_with(&data), "a WRITE's data ends its frame");
            }
        }
    }
}

/// Answers made of the same bytes come back as what they say.
fn replies(frame: &[u8]) {
    let number = |at: usize| frame.iter().skip(at).take(8).fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    let (bytes, modified) = (number(1), Timestamp::from_millis(number(9).cast_signed()));
    let text = String::from_utf8_lossy(frame);
    let shown = Shown::file(bytes, modified);
    let told = modified.seconds().clamp(0, i64::from(u32::MAX));
    let told = Timestamp::from_millis(told * 1000);
    let mut encoded = BytesMut::new();
    shown.put(&mut encoded);
    assert_eq!(attributes::parse(&mut Fields::new(&encoded)), Some(Wanted { size: Some(bytes), modified: Some(told) }));

    let mut names = Names::default();
    let kind = if bytes % 2 == 0 { EntryKind::File } else { EntryKind::Folder };
    let entry = Entry { name: text.clone().into_owned(), kind, bytes, modified };
    names.push(&entry, Timestamp::from_millis(0));
    let bodies = [
        Body::Ok,
        Body::Status(Status::BadMessage, "malformed packet"),
        Body::Data(vec![Bytes::copy_from_slice(frame), Bytes::new()]),
        Body::Handle(bytes),
        Body::Attributes(shown),
        Body::Names(names),
        Body::Names(Names::path(&text)),
        Body::Limits,
    ];
    let id = u32::try_from(bytes % 0x1_0000_0000).unwrap_or_default();
    let mut out = BytesMut::new();
    for body in bodies {
        out.clear();
        reply::put(&mut out, id, body);
        let (length, rest) = out.split_first_chunk::<4>().expect("an answer has a length");
        assert_eq!(usize::try_from(u32::from_be_bytes(*length)), Ok(rest.len()), "an answer is as long as it says");
        assert_eq!(rest.get(1..5), Some(&id.to_be_bytes()[..]), "an answer carries its request's id");
    }
}

#[cfg(test)]
mod tests {
    use super::exercise;

    #[test]
    fn the_corpus_and_what_is_like_it() {
        crate::mutating::run("frames", exercise);
    }
}
