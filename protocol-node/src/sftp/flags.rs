//! The flags of OPEN (draft-ietf-secsh-filexfer-02, section 6.3) as clients use them.

use app::vfs::WriteMode;
use domain::file_error::{FileError, FileErrorKind};

const READ: u32 = 0x01;
const WRITE: u32 = 0x02;
const APPEND: u32 = 0x04;
const CREATE: u32 = 0x08;
const TRUNCATE: u32 = 0x10;
const EXCLUSIVE: u32 = 0x20;

/// How a file is opened. Never both: an object is read or replaced, so READ beside WRITE, which rclone and others ask
/// for, opens for writing, and a READ on that handle fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Open {
    /// For reading.
    Read,
    /// For writing.
    Write(WriteMode),
}

/// What the flags ask for.
pub(crate) fn parse(flags: u32) -> Result<Open, FileError> {
    let has = |flag| flags & flag != 0;
    if has(WRITE) || has(APPEND) {
        return Ok(Open::Write(WriteMode {
            create: has(CREATE),
            // without CREATE it has no meaning; the draft lets a server ignore it then
            exclusive: has(EXCLUSIVE) && has(CREATE),
            truncate: has(TRUNCATE),
            append: has(APPEND),
        }));
    }
    if has(READ) && !has(CREATE) && !has(TRUNCATE) {
        return Ok(Open::Read);
    }
    Err(FileError::new(FileErrorKind::BadRequest, "a file must be opened for reading or for writing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(text: &str) -> Open {
        Open::Write(WriteMode {
            create: text.contains('c'),
            exclusive: text.contains('x'),
            truncate: text.contains('t'),
            append: text.contains('a'),
        })
    }

    #[test]
    fn as_clients_use_them() {
        for (flags, expected) in [
            (READ, Open::Read),
            (WRITE | CREATE | TRUNCATE, mode("ct")),
            (READ | WRITE | CREATE | TRUNCATE, mode("ct")),
            (READ | WRITE, mode("")),
            (WRITE | CREATE, mode("c")),
            (WRITE | CREATE | EXCLUSIVE, mode("cx")),
            (WRITE | EXCLUSIVE, mode("")),
            (WRITE | APPEND | CREATE, mode("ca")),
            (APPEND, mode("a")),
        ] {
            assert_eq!(parse(flags).unwrap(), expected, "{flags:#x}");
        }
        for flags in [0, CREATE, READ | CREATE, READ | TRUNCATE] {
            assert!(parse(flags).is_err(), "{flags:#x}");
        }
    }
}
