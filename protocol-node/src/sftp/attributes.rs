//! File attributes on the wire (draft-ietf-secsh-filexfer-02, section 5) and the `ls -l` line of a listing.

use app::vfs::{Entry, EntryKind};
use bytes::{BufMut, BytesMut};
use domain::time::Timestamp;
use time::OffsetDateTime;

const SIZE: u32 = 0x0000_0001;
const UID_GID: u32 = 0x0000_0002;
const PERMISSIONS: u32 = 0x0000_0004;
const TIMES: u32 = 0x0000_0008;
const EXTENDED: u32 = 0x8000_0000;

const FILE_MODE: u32 = 0o100_644;
const FOLDER_MODE: u32 = 0o040_755;

/// `ls` shows the year instead of the time for what is older than half a year.
const HALF_A_YEAR_SECONDS: i64 = 182 * 24 * 3600;

/// What a client asks to be set. Modes and owners are parsed and not kept: objects have none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The size.
    pub(crate) size: Option<u64>,
    /// The time of the last change; when it was last read is not kept.
    pub(crate) modified: Option<Timestamp>,
}

/// Parses attributes; `None` if they are cut short.
pub(crate) fn parse(fields: &mut super::request::Fields<'_>) -> Option<Wanted> {
    let flags = fields.u32()?;
    let size = if flags & SIZE != 0 { Some(fields.u64()?) } else { None };
    if flags & UID_GID != 0 {
        fields.u64()?;
    }
    if flags & PERMISSIONS != 0 {
        fields.u32()?;
    }
    let modified = if flags & TIMES != 0 {
        let (_read, written) = (fields.u32()?, fields.u32()?);
        Some(Timestamp::from_millis(i64::from(written) * 1000))
    } else {
        None
    };
    if flags & EXTENDED != 0 {
        for _ in 0..fields.u32()? {
            fields.string()?;
            fields.string()?;
        }
    }
    Some(Wanted { size, modified })
}

/// What a client is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    kind: EntryKind,
    bytes: u64,
    modified: Timestamp,
}

impl From<&Entry> for Shown {
    fn from(entry: &Entry) -> Self {
        Self { kind: entry.kind, bytes: entry.bytes, modified: entry.modified }
    }
}

impl Shown {
    /// A file.
    pub(crate) fn file(bytes: u64, modified: Timestamp) -> Self {
        Self { kind: EntryKind::File, bytes, modified }
    }

    /// Appends it.
    pub(crate) fn put(&self, out: &mut BytesMut) {
        // times are 32 bits in this version; what does not fit is shown as the nearest that does
        let seconds = u32::try_from(self.modified.seconds().max(0)).unwrap_or(u32::MAX);
        out.put_u32(SIZE | UID_GID | PERMISSIONS | TIMES);
        out.put_u64(self.bytes);
        out.put_u32(0);
        out.put_u32(0);
        out.put_u32(match self.kind {
            EntryKind::File => FILE_MODE,
            EntryKind::Folder => FOLDER_MODE,
        });
        out.put_u32(seconds);
        out.put_u32(seconds);
    }
}

/// The line that `ls -l` shows, in the form that section 7 recommends (clients do parse it).
pub(crate) fn long_name(entry: &Entry, now: Timestamp) -> String {
    let (mode, links) = match entry.kind {
        EntryKind::File => ("-rw-r--r--", 1),
        EntryKind::Folder => ("drwxr-xr-x", 2),
    };
    format!("{mode} {links:>4} {:<8} {:<8} {:>8} {} {}", 0, 0, entry.bytes, date(entry.modified, now), entry.name)
}

fn date(at: Timestamp, now: Timestamp) -> String {
    let time = OffsetDateTime::from_unix_timestamp(at.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let month = time.month().to_string();
    let month = month.get(..3).unwrap_or("Jan");
    let age = now.seconds().saturating_sub(at.seconds());
    if (0..HALF_A_YEAR_SECONDS).contains(&age) {
        format!("{month} {:>2} {:02}:{:02}", time.day(), time.hour(), time.minute())
    } else {
        format!("{month} {:>2} {:>5}", time.day(), time.year())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_look_like_ls() {
        let mut entry = Entry {
            name: "a b.txt".to_owned(),
            kind: EntryKind::File,
            bytes: 1_073_741_824,
            modified: Timestamp::from_millis(1_739_120_350_624),
        };
        let now = Timestamp::from_millis(1_739_200_000_000);
        assert_eq!(long_name(&entry, now), "-rw-r--r--    1 0        0        1073741824 Feb  9 16:59 a b.txt");
        entry.kind = EntryKind::Folder;
        entry.bytes = 0;
        assert_eq!(
            long_name(&entry, Timestamp::from_millis(1_839_200_000_000)),
            "drwxr-xr-x    2 0        0               0 Feb  9  2025 a b.txt"
        );
    }

    #[test]
    fn times_out_of_range_do_not_wrap() {
        let mut out = BytesMut::new();
        Shown::file(1, Timestamp::from_millis(i64::MAX)).put(&mut out);
        assert_eq!(&out[out.len() - 4..], [0xff; 4]);
        out.clear();
        Shown::file(1, Timestamp::from_millis(-1)).put(&mut out);
        assert_eq!(&out[out.len() - 4..], [0; 4]);
        assert!(date(Timestamp::from_millis(i64::MAX), Timestamp::from_millis(0)).starts_with("Jan"));
    }
}
