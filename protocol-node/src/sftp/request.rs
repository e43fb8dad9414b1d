//! From a frame to a request (draft-ietf-secsh-filexfer-02, sections 4 and 6; extensions: OpenSSH's PROTOCOL file).
//!
//! Handles are eight bytes: a number that a channel never issues twice. A handle of any other form is number 0, which
//! is never issued. Paths stay bytes here; they become a `VPath` where the login folder is known.

use super::attributes::{self, Wanted};
use super::frame::Frame;
use bytes::Bytes;

/// A handle's number.
pub(crate) type Handle = u64;

/// The version that the client speaks, from its first frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Init {
    /// Its highest version.
    pub(crate) version: u32,
}

/// A request and the id that its answer must carry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    /// The id.
    pub(crate) id: u32,
    /// What is asked.
    pub(crate) ask: Ask<'a>,
}

/// What is asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ask<'a> {
    /// On a handle.
    Handle(Handle, HandleAsk),
    /// On a path.
    Path(PathAsk<'a>),
    /// The limits of this server.
    Limits,
    /// Something that this server does not do; the text says what.
    Unsupported(&'static str),
}

/// What is asked of a handle.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HandleAsk {
    /// READ.
    Read { offset: u64, len: u32 },
    /// WRITE.
    Write { offset: u64, data: Bytes },
    /// FSTAT.
    Stat,
    /// FSETSTAT.
    SetStat(Wanted),
    /// READDIR.
    ReadFolder,
    /// `fsync@openssh.com`.
    Sync,
    /// CLOSE.
    Close,
    /// `copy-data`: so many bytes (0: all) from here to another handle.
    CopyData { offset: u64, length: u64, to: Handle, at: u64 },
    /// `check-file-handle`, paramiko's `check-file`, `md5-hash-handle`.
    Hash(HashAsk),
}

/// A hash of part of a file, or of its blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HashAsk {
    /// The first of the client's that is known.
    pub(crate) algorithm: Algorithm,
    /// From where.
    pub(crate) offset: u64,
    /// How much; 0: all.
    pub(crate) length: u64,
    /// One hash for each block of this size; 0: one for all.
    pub(crate) block: u32,
    /// How it is answered.
    pub(crate) form: HashForm,
}

/// Which extension asks for a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HashForm {
    /// `md5-hash`, and the hash of the beginning that the client has.
    Md5 { quick: Option<[u8; 16]> },
    /// `check-file`; paramiko wants its name echoed.
    CheckFile { echoed: bool },
}

/// A hash algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    const ALL: [Self; 5] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// Its name in the draft.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// How long its hashes are.
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// What is asked of a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PathAsk<'a> {
    /// OPEN.
    Open { path: &'a [u8], flags: u32 },
    /// OPENDIR.
    OpenFolder(&'a [u8]),
    /// STAT and LSTAT: there are no links.
    Stat(&'a [u8]),
    /// SETSTAT and `lsetstat@openssh.com`.
    SetStat(&'a [u8], Wanted),
    /// REMOVE.
    Remove(&'a [u8]),
    /// MKDIR.
    MakeFolder(&'a [u8]),
    /// RMDIR.
    RemoveFolder(&'a [u8]),
    /// REALPATH.
    RealPath(&'a [u8]),
    /// `expand-path@openssh.com`: `~` is the login folder.
    ExpandPath(&'a [u8]),
    /// `statvfs@openssh.com`.
    Space(&'a [u8]),
    /// `check-file-name`, `md5-hash`.
    Hash(&'a [u8], HashAsk),
    /// `home-directory`: the login folder, whoever is asked for.
    HomeFolder,
    /// RENAME and `posix-rename@openssh.com`, which replaces.
    Rename { from: &'a [u8], to: &'a [u8], replace: bool },
}

/// A frame that is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// The id, if the frame has that much.
    pub(crate) id: Option<u32>,
}

/// Reads fields from the front of a frame; `None` when it is cut short.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Of these bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }
    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }
    /// A 32-bit number.
    pub(crate) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }
    /// A 64-bit number.
    pub(crate) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }
    /// A string: its length and so many bytes.
    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.u32()?).ok()?;
        self.take(len)
    }
    fn handle(&mut self) -> Option<Handle> {
        let handle = self.string()?;
        Some(handle.try_into().map_or(0, u64::from_be_bytes))
    }
}

/// Parses the first frame of a channel, which must be INIT.
pub(crate) fn parse_init(frame: &Frame<'_>) -> Option<Init> {
    let mut fields = Fields::new(frame.bytes());
    (fields.u8()? == 1).then_some(())?;
    Some(Init { version: fields.u32()? })
}

/// Parses any later frame.
pub(crate) fn parse<'a>(frame: &'a Frame<'_>) -> Result<Request<'a>, Malformed> {
    let mut fields = Fields::new(frame.bytes());
    let kind = fields.u8().ok_or(Malformed { id: None })?;
    let id = fields.u32().ok_or(Malformed { id: None })?;
    let ask = ask(kind, &mut fields, frame).ok_or(Malformed { id: Some(id) })?;
    Ok(Request { id, ask })
}

fn ask<'a>(kind: u8, fields: &mut Fields<'a>, frame: &Frame<'_>) -> Option<Ask<'a>> {
    Some(match kind {
        3 => {
            let (path, flags) = (fields.string()?, fields.u32()?);
            attributes::parse(fields)?;
            Ask::Path(PathAsk::Open { path, flags })
        }
        4 => Ask::Handle(fields.handle()?, HandleAsk::Close),
        5 => {
            let (handle, offset, len) = (fields.handle()?, fields.u64()?, fields.u32()?);
            Ask::Handle(handle, HandleAsk::Read { offset, len })
        }
        6 => {
            let (handle, offset, data) = (fields.handle()?, fields.u64()?, fields.string()?);
            // what follows the data belongs to no field: only an exact fit is a WRITE, so that its bytes end the frame
            if !fields.0.is_empty() {
                return None;
            }
            let data = frame.keep_from(frame.bytes().len() - data.len());
            Ask::Handle(handle, HandleAsk::Write { offset, data })
        }
        7 | 17 => Ask::Path(PathAsk::Stat(fields.string()?)),
        8 => Ask::Handle(fields.handle()?, HandleAsk::Stat),
        9 => Ask::Path(PathAsk::SetStat(fields.string()?, attributes::parse(fields)?)),
        10 => Ask::Handle(fields.handle()?, HandleAsk::SetStat(attributes::parse(fields)?)),
        11 => Ask::Path(PathAsk::OpenFolder(fields.string()?)),
        12 => Ask::Handle(fields.handle()?, HandleAsk::ReadFolder),
        13 => Ask::Path(PathAsk::Remove(fields.string()?)),
        14 => {
            let path = fields.string()?;
            attributes::parse(fields)?;
            Ask::Path(PathAsk::MakeFolder(path))
        }
        15 => Ask::Path(PathAsk::RemoveFolder(fields.string()?)),
        16 => Ask::Path(PathAsk::RealPath(fields.string()?)),
        18 => Ask::Path(PathAsk::Rename { from: fields.string()?, to: fields.string()?, replace: false }),
        19 | 20 => Ask::Unsupported("symbolic links are not supported"),
        200 => extended(fields)?,
        _ => Ask::Unsupported("unknown request"),
    })
}

fn extended<'a>(fields: &mut Fields<'a>) -> Option<Ask<'a>> {
    Some(match fields.string()? {
        b"posix-rename@openssh.com" => {
            Ask::Path(PathAsk::Rename { from: fields.string()?, to: fields.string()?, replace: true })
        }
        b"limits@openssh.com" => Ask::Limits,
        b"fsync@openssh.com" => Ask::Handle(fields.handle()?, HandleAsk::Sync),
        b"lsetstat@openssh.com" => Ask::Path(PathAsk::SetStat(fields.string()?, attributes::parse(fields)?)),
        b"expand-path@openssh.com" => Ask::Path(PathAsk::ExpandPath(fields.string()?)),
        b"home-directory" => {
            fields.string()?;
            Ask::Path(PathAsk::HomeFolder)
        }
        b"statvfs@openssh.com" => Ask::Path(PathAsk::Space(fields.string()?)),
        b"copy-data" => {
            let (from, offset, length) = (fields.handle()?, fields.u64()?, fields.u64()?);
            Ask::Handle(from, HandleAsk::CopyData { offset, length, to: fields.handle()?, at: fields.u64()? })
        }
        b"check-file-name" => {
            let path = fields.string()?;
            check_file(fields, false)?.map_or_else(Ask::Unsupported, |ask| Ask::Path(PathAsk::Hash(path, ask)))
        }
        name @ (b"check-file-handle" | b"check-file") => {
            let handle = fields.handle()?;
            let asked = check_file(fields, name == b"check-file")?;
            asked.map_or_else(Ask::Unsupported, |ask| Ask::Handle(handle, HandleAsk::Hash(ask)))
        }
        b"md5-hash" => Ask::Path(PathAsk::Hash(fields.string()?, md5_hash(fields)?)),
        b"md5-hash-handle" => Ask::Handle(fields.handle()?, HandleAsk::Hash(md5_hash(fields)?)),
        b"hardlink@openssh.com" => Ask::Unsupported("hard links are not supported"),
        _ => Ask::Unsupported("unknown extension"),
    })
}

/// What follows the name or handle of `check-file`; or why it is not done.
fn check_file(fields: &mut Fields<'_>, echoed: bool) -> Option<Result<HashAsk, &'static str>> {
    let wanted = fields.string()?;
    let (offset, length, block) = (fields.u64()?, fields.u64()?, fields.u32()?);
    let known = |name: &[u8]| Algorithm::ALL.into_iter().find(|known| known.name().as_bytes() == name);
    let Some(algorithm) = wanted.split(|byte| *byte == b',').find_map(known) else {
        return Some(Err("none of these hash algorithms is known"));
    };
    // the draft's least
    if (1..256).contains(&block) {
        return Some(Err("a block has at least 256 bytes"));
    }
    Some(Ok(HashAsk { algorithm, offset, length, block, form: HashForm::CheckFile { echoed } }))
}

fn md5_hash(fields: &mut Fields<'_>) -> Option<HashAsk> {
    let (offset, length) = (fields.u64()?, fields.u64()?);
    let quick = fields.string()?.try_into().ok();
    Some(HashAsk { algorithm: Algorithm::Md5, offset, length, block: 0, form: HashForm::Md5 { quick } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn string(bytes: &[u8]) -> Vec<u8> {
        [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
    }

    #[test]
    fn a_write_keeps_exactly_its_data() {
        let frame =
            [&[6, 0, 0, 0, 7][..], &string(&9_u64.to_be_bytes()), &5_u64.to_be_bytes(), &string(b"data")].concat();
        let expected =
            Request { id: 7, ask: Ask::Handle(9, HandleAsk::Write { offset: 5, data: Bytes::from_static(b"data") }) };
        assert_eq!(parse(&Frame::Lent(&frame)), Ok(expected));
        let owned = Frame::Owned(Bytes::from(frame.clone()));
        assert!(matches!(
            parse(&owned).unwrap().ask,
            Ask::Handle(9, HandleAsk::Write { offset: 5, data }) if data == "data"
        ));
        let longer = [&frame[..], b"x"].concat();
        assert_eq!(parse(&Frame::Lent(&longer)), Err(Malformed { id: Some(7) }));
    }

    #[test]
    fn foreign_handles_are_number_zero() {
        for handle in [&b""[..], b"abc", b"123456789"] {
            let frame = [&[4, 0, 0, 0, 1][..], &string(handle)].concat();
            assert_eq!(parse(&Frame::Lent(&frame)).unwrap().ask, Ask::Handle(0, HandleAsk::Close));
        }
    }

    #[test]
    fn unknown_kinds_and_extensions_are_answered() {
        let frame = [&[200, 0, 0, 0, 1][..], &string(b"who@example")].concat();
        assert_eq!(parse(&Frame::Lent(&frame)).unwrap().ask, Ask::Unsupported("unknown extension"));
        assert!(matches!(parse(&Frame::Lent(&[99, 0, 0, 0, 1])).unwrap().ask, Ask::Unsupported(_)));
    }

    proptest! {
        #[test]
        fn cut_short_is_malformed_and_keeps_the_id(kind in prop_oneof![3_u8..=18, Just(200)], cut in any::<proptest::sample::Index>()) {
            let tail = [
                string(if kind == 200 { b"posix-rename@openssh.com" } else { b"/some/path" }),
                string(b"/other"),
                string(b"third"),
            ].concat();
            let frame = [&[kind, 0, 0, 0, 3][..], &tail].concat();
            let cut = 1 + cut.index(frame.len());
            match parse(&Frame::Lent(&frame[..cut])) {
                Ok(request) => prop_assert_eq!(request.id, 3),
                Err(malformed) => prop_assert_eq!(malformed.id, (cut >= 5).then_some(3)),
            }
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&Frame::Lent(&bytes));
            let _ = parse_init(&Frame::Lent(&bytes));
        }

        #[test]
        fn garbage_behind_a_good_type_never_panics(kind in prop_oneof![1_u8..=20, Just(200)], bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&Frame::Owned(Bytes::from([&[kind][..], &bytes].concat())));
        }
    }
}
