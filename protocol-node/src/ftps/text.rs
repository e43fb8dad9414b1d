//! Entries of listings and addresses of data connections as text: MLST and MLSD (RFC 3659, section 7), LIST in the form of
//! `ls -l` (RFC 959 leaves it open, and this is what clients parse), NLST, times (RFC 3659, section 2.3), PASV (RFC 959)
//! and EPSV (RFC 2428).
//!
//! Pure. Names hold no control characters ([`domain::path`]), so a name never ends a line.

use app::vfs::{Entry, EntryKind};
use domain::time::Timestamp;
use std::net::Ipv4Addr;
use time::{Date, Month, OffsetDateTime};

/// Which facts a client wants to see of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    kind: bool,
    size: bool,
    modify: bool,
}

impl Default for Facts {
    fn default() -> Self {
        Self { kind: true, size: true, modify: true }
    }
}

impl Facts {
    /// What OPTS MLST chooses: names with semicolons; unknown ones are left out.
    pub(crate) fn chosen(text: &str) -> Self {
        let has = |name: &str| text.split(';').any(|fact| fact.trim().eq_ignore_ascii_case(name));
        Self { kind: has("type"), size: has("size"), modify: has("modify") }
    }

    /// The line of FEAT: those that are on have a star.
    pub(crate) fn feature(self) -> String {
        let star = |on| if on { "*" } else { "" };
        format!("MLST type{};size{};modify{};", star(self.kind), star(self.size), star(self.modify))
    }

    /// What OPTS MLST answers.
    pub(crate) fn names(self) -> String {
        let name = |on, text| if on { text } else { "" };
        [name(self.kind, "type;"), name(self.size, "size;"), name(self.modify, "modify;")].concat()
    }

    /// The facts of an entry and the space after them. A folder has no time of its own.
    pub(crate) fn of(self, entry: &Entry) -> String {
        let file = entry.kind == EntryKind::File;
        let mut text = String::new();
        if self.kind {
            text.push_str(if file { "type=file;" } else { "type=dir;" });
        }
        if self.size && file {
            text.push_str(&format!("size={};", entry.bytes));
        }
        if self.modify && file {
            text.push_str(&format!("modify={};", time_value(entry.modified)));
        }
        text.push(' ');
        text
    }
}

/// What a listing shows of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// MLSD.
    Facts(Facts),
    /// LIST; dates are seen from here.
    Long(Timestamp),
    /// NLST; what stands before each name.
    Names(String),
}

impl Form {
    /// Appends the line of an entry.
    pub(crate) fn put(&self, out: &mut Vec<u8>, entry: &Entry) {
        let line = match self {
            Self::Facts(facts) => facts.of(entry) + &entry.name,
            Self::Long(now) => crate::sftp::long_name(entry, *now),
            Self::Names(before) => format!("{before}{}", entry.name),
        };
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// `YYYYMMDDHHMMSS.sss`, in UTC.
pub(crate) fn time_value(at: Timestamp) -> String {
    let time = OffsetDateTime::from_unix_timestamp(at.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let millis = at.millis().rem_euclid(1000);
    format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}.{millis:03}",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// The same read back; fractions of any length.
pub(crate) fn parse_time(text: &[u8]) -> Option<Timestamp> {
    let (whole, fraction) = match text.iter().position(|byte| *byte == b'.') {
        Some(dot) => (text.get(..dot)?, text.get(dot + 1..).filter(|fraction| !fraction.is_empty())?),
        None => (text, &[][..]),
    };
    if whole.len() != 14 || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return None;
    }
    let number = |digits: &[u8]| digits.iter().fold(0_i32, |sum, digit| sum * 10 + i32::from(digit - b'0'));
    let part = |range: std::ops::Range<usize>| u8::try_from(number(whole.get(range)?)).ok();
    let month = Month::try_from(part(4..6)?).ok()?;
    let date = Date::from_calendar_date(number(whole.get(..4)?), month, part(6..8)?).ok()?;
    let seconds = date.with_hms(part(8..10)?, part(10..12)?, part(12..14)?).ok()?.assume_utc().unix_timestamp();
    let millis = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(3).collect::<Vec<_>>();
    Some(Timestamp::from_millis(seconds * 1000 + i64::from(number(&millis))))
}

/// What MFMT is followed by, and MDTM by clients that want a time to be set: a time, a space, a path.
pub(crate) fn time_and_path(argument: &[u8]) -> Option<(Timestamp, &[u8])> {
    let space = argument.iter().position(|byte| *byte == b' ')?;
    let path = argument.get(space + 1..).filter(|path| !path.is_empty())?;
    Some((parse_time(argument.get(..space)?)?, path))
}

/// A path in quotes; quotes in it are doubled (RFC 959, appendix II).
pub(crate) fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace('"', "\"\""))
}

/// What PASV answers.
pub(crate) fn passive(address: Ipv4Addr, port: u16) -> String {
    let [a, b, c, d] = address.octets();
    let [high, low] = port.to_be_bytes();
    format!("Entering Passive Mode ({a},{b},{c},{d},{high},{low})")
}

/// What EPSV answers.
pub(crate) fn extended_passive(port: u16) -> String {
    format!("Entering Extended Passive Mode (|||{port}|)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(name: &str, bytes: u64, millis: i64) -> Entry {
        Entry { name: name.to_owned(), kind: EntryKind::File, bytes, modified: Timestamp::from_millis(millis) }
    }

    fn line(form: &Form, entry: &Entry) -> String {
        let mut out = Vec::new();
        form.put(&mut out, entry);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_of_every_form() {
        let mut entry = file("a b", 12, 1_739_120_350_624);
        assert_eq!(
            line(&Form::Facts(Facts::default()), &entry),
            "type=file;size=12;modify=20250209165910.624; a b\r\n"
        );
        assert_eq!(line(&Form::Facts(Facts::chosen("SIZE;unknown;")), &entry), "size=12; a b\r\n");
        assert_eq!(line(&Form::Names("dir/".to_owned()), &entry), "dir/a b\r\n");
        let now = Timestamp::from_millis(1_739_200_000_000);
        let long = line(&Form::Long(now), &entry);
        assert_eq!(long, "-rw-r--r--    1 0        0              12 Feb  9 16:59 a b\r\n");
        entry.kind = EntryKind::Folder;
        assert_eq!(line(&Form::Facts(Facts::default()), &entry), "type=dir; a b\r\n");
    }

    #[test]
    fn facts_are_announced_and_chosen() {
        assert_eq!(Facts::default().feature(), "MLST type*;size*;modify*;");
        let some = Facts::chosen("size;TYPE;");
        assert_eq!((some.feature().as_str(), some.names().as_str()), ("MLST type*;size*;modify;", "type;size;"));
    }

    #[test]
    fn addresses_and_quotes() {
        assert_eq!(passive([192, 0, 2, 7].into(), 50_001), "Entering Passive Mode (192,0,2,7,195,81)");
        assert_eq!(extended_passive(50_001), "Entering Extended Passive Mode (|||50001|)");
        assert_eq!(quoted("/a \"b\""), "\"/a \"\"b\"\"\"");
    }

    #[test]
    fn times_with_paths() {
        let at = Timestamp::from_millis(1_739_120_350_624);
        assert_eq!(time_and_path(b"20250209165910.624 a b"), Some((at, &b"a b"[..])));
        assert_eq!(time_and_path(b"20250209165910.6249999 a").map(|(at, _)| at), Some(at));
        assert_eq!(parse_time(b"20250209165910.6").map(Timestamp::millis), Some(1_739_120_350_600));
        for text in [
            &b"2025"[..],
            b"20251309165910",
            b"20250230165910",
            b"20250209256110",
            b"20250209165910.",
            b"2025020916591x",
        ] {
            assert_eq!(parse_time(text), None, "{}", String::from_utf8_lossy(text));
        }
        assert!(time_and_path(b"20250209165910").is_none() && time_and_path(b"20250209165910 ").is_none());
    }

    proptest! {
        #[test]
        fn a_time_is_read_back(millis in 0..4_000_000_000_000_i64) {
            prop_assert_eq!(parse_time(time_value(Timestamp::from_millis(millis)).as_bytes()), Some(Timestamp::from_millis(millis)));
        }

        #[test]
        fn any_bytes_are_a_time_or_not(text in prop::collection::vec(any::<u8>(), 0..30)) {
            parse_time(&text);
        }

        #[test]
        fn an_mlsd_line_is_read_back(name in "[^\u{0}-\u{1f}\u{7f}-\u{9f}/]{1,40}", bytes: u64, millis in 0..4_000_000_000_000_i64) {
            let entry = file(&name, bytes, millis);
            let text = line(&Form::Facts(Facts::default()), &entry);
            let (facts, shown) = text.strip_suffix("\r\n").unwrap().split_once(' ').unwrap();
            prop_assert_eq!(shown, &name);
            let size = format!("size={bytes};");
            prop_assert!(facts.contains(&size));
            let modify = facts.split(';').find_map(|fact| fact.strip_prefix("modify=")).unwrap();
            prop_assert_eq!(modify.len(), 18);
            prop_assert!(!text.trim_end().contains(['\r', '\n']));
        }

        #[test]
        fn times_never_panic(millis: i64) {
            prop_assert!(time_value(Timestamp::from_millis(millis)).len() >= 18);
        }
    }
}
