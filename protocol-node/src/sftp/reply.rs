//! Answers on the wire (draft-ietf-secsh-filexfer-02, section 7).

use super::attributes::{self, Shown};
use super::request::Handle;
use super::status::Status;
use super::{ADVERTISED_DATA, ADVERTISED_PACKET, MAX_HANDLES};
use app::vfs::Entry;
use bytes::{BufMut, Bytes, BytesMut};
use domain::file_error::FileError;
use domain::time::Timestamp;

/// Version 3 is what every client speaks; later drafts were abandoned.
const VERSION: u32 = 3;

/// What is offered beside the draft.
const EXTENSIONS: &[(&str, &str)] = &[
    ("posix-rename@openssh.com", "1"),
    ("limits@openssh.com", "1"),
    ("fsync@openssh.com", "1"),
    ("lsetstat@openssh.com", "1"),
    ("home-directory", "1"),
    ("expand-path@openssh.com", "1"),
    ("statvfs@openssh.com", "2"),
    ("copy-data", "1"),
    ("check-file", "1"),
    ("check-file-name", "1"),
    ("check-file-handle", "1"),
    ("md5-hash", "1"),
    ("md5-hash-handle", "1"),
];

/// What class of request is answered; each class has its own bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// READ and WRITE.
    Data,
    /// Everything else.
    Other,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The request's id.
    pub(crate) id: u32,
    /// The request's class.
    pub(crate) class: Class,
    /// What is said.
    pub(crate) body: Body,
}

/// What an answer says.
#[derive(Debug)]
pub(crate) enum Body {
    /// Done.
    Ok,
    /// A status with its message.
    Status(Status, &'static str),
    /// It failed.
    Failed(Box<FileError>),
    /// A file's bytes.
    Data(Vec<Bytes>),
    /// A handle.
    Handle(Handle),
    /// Attributes.
    Attributes(Shown),
    /// Names.
    Names(Names),
    /// What an extension answers.
    Extended(Bytes),
    /// Our limits.
    Limits,
    /// Our version. Has no id.
    Version,
}

impl From<FileError> for Body {
    fn from(error: FileError) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl Body {
    /// Nothing more to read.
    pub(crate) const EOF: Self = Self::Status(Status::Eof, "end of file");
}

/// The names of one NAME answer.
#[derive(Debug, Default)]
pub(crate) struct Names {
    count: u32,
    encoded: BytesMut,
}

impl Names {
    /// One name without attributes, as REALPATH answers.
    pub(crate) fn path(path: &str) -> Self {
        let mut names = Self { count: 1, encoded: BytesMut::new() };
        put_string(&mut names.encoded, path.as_bytes());
        put_string(&mut names.encoded, path.as_bytes());
        names.encoded.put_u32(0);
        names
    }

    /// Adds a folder's entry.
    pub(crate) fn push(&mut self, entry: &Entry, now: Timestamp) {
        self.count += 1;
        put_string(&mut self.encoded, entry.name.as_bytes());
        put_string(&mut self.encoded, attributes::long_name(entry, now).as_bytes());
        Shown::from(entry).put(&mut self.encoded);
    }

    /// How long it is.
    pub(crate) fn len(&self) -> usize {
        self.encoded.len()
    }

    /// Whether it holds nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Appends an answer as a frame.
pub(crate) fn put(out: &mut BytesMut, id: u32, body: Body) {
    match body {
        Body::Ok => status(out, id, Status::Ok, ""),
        Body::Status(code, message) => status(out, id, code, message),
        Body::Failed(error) => status(out, id, Status::of(error.kind()), error.message()),
        Body::Data(chunks) => data(out, id, &chunks),
        Body::Handle(handle) => frame(out, 102, id, 12, |out| put_string(out, &handle.to_be_bytes())),
        Body::Attributes(shown) => frame(out, 105, id, 32, |out| shown.put(out)),
        Body::Names(names) => frame(out, 104, id, names.len() + 4, |out| {
            out.put_u32(names.count);
            out.extend_from_slice(&names.encoded);
        }),
        Body::Extended(fields) => frame(out, 201, id, fields.len(), |out| out.extend_from_slice(&fields)),
        Body::Limits => frame(out, 201, id, 32, |out| {
            out.put_u64(ADVERTISED_PACKET);
            out.put_u64(ADVERTISED_DATA);
            out.put_u64(ADVERTISED_DATA);
            out.put_u64(MAX_HANDLES as u64);
        }),
        Body::Version => version(out),
    }
}

fn status(out: &mut BytesMut, id: u32, code: Status, message: &str) {
    frame(out, 101, id, message.len() + 14, |out| {
        out.put_u32(code.code());
        put_string(out, message.as_bytes());
        put_string(out, b"en");
    });
}

/// The one copy of a downloaded byte in this engine.
fn data(out: &mut BytesMut, id: u32, chunks: &[Bytes]) {
    let len: usize = chunks.iter().map(Bytes::len).sum();
    frame(out, 103, id, len + 4, |out| {
        out.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
        for chunk in chunks {
            out.extend_from_slice(chunk);
        }
    });
}

fn version(out: &mut BytesMut) {
    let len: usize = EXTENSIONS.iter().map(|(name, data)| 8 + name.len() + data.len()).sum();
    // the field where answers have their id holds the version
    frame(out, 2, VERSION, len, |out| {
        for (name, data) in EXTENSIONS {
            put_string(out, name.as_bytes());
            put_string(out, data.as_bytes());
        }
    });
}

/// A frame whose fields after the id are `len` bytes long.
fn frame(out: &mut BytesMut, kind: u8, id: u32, len: usize, fields: impl FnOnce(&mut BytesMut)) {
    out.reserve(len + 9);
    out.put_u32(u32::try_from(len + 5).unwrap_or(u32::MAX));
    out.put_u8(kind);
    out.put_u32(id);
    let start = out.len();
    fields(out);
    debug_assert_eq!(out.len() - start, len, "a frame's length is what was announced");
}

fn put_string(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::vfs::EntryKind;
    use domain::file_error::FileErrorKind;

    #[test]
    fn every_answer_announces_its_length() {
        let entry =
            Entry { name: "ä".to_owned(), kind: EntryKind::File, bytes: 3, modified: Timestamp::from_millis(0) };
        let mut names = Names::default();
        names.push(&entry, Timestamp::from_millis(0));
        names.push(&entry, Timestamp::from_millis(0));
        let bodies = [
            Body::Ok,
            Body::EOF,
            FileError::new(FileErrorKind::QuotaExceeded, "the quota of 5 GB is used up").into(),
            Body::Data(vec![Bytes::from_static(b"ab"), Bytes::from_static(b"c")]),
            Body::Handle(5),
            Body::Attributes(Shown::from(&entry)),
            Body::Names(names),
            Body::Names(Names::path("/a")),
            Body::Extended(Bytes::from_static(b"hash")),
            Body::Limits,
            Body::Version,
        ];
        for body in bodies {
            let text = format!("{body:?}");
            let mut out = BytesMut::new();
            put(&mut out, 9, body);
            let len = u32::from_be_bytes(out[..4].try_into().unwrap());
            assert_eq!(len as usize + 4, out.len(), "{text}");
        }
    }

    #[test]
    fn data_is_put_together() {
        let mut out = BytesMut::new();
        put(&mut out, 0x0102_0304, Body::Data(vec![Bytes::from_static(b"ab"), Bytes::from_static(b"c")]));
        assert_eq!(&out[..], b"\0\0\0\x0c\x67\x01\x02\x03\x04\0\0\0\x03abc");
    }
}
