//! Everything that is answered on the control connection (RFC 959, section 4.2), and which code a failure gets.

use domain::file_error::{FileError, FileErrorKind};
use std::borrow::Cow;

/// One reply: a code, a text, and for replies of several lines what stands between the first and the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    code: u16,
    text: Cow<'static, str>,
    lines: Vec<String>,
}

impl Reply {
    /// One line.
    pub(crate) const fn new(code: u16, text: &'static str) -> Self {
        Self { code, text: Cow::Borrowed(text), lines: Vec::new() }
    }

    /// One line that was made now.
    pub(crate) fn with(code: u16, text: String) -> Self {
        Self { code, text: Cow::Owned(text), lines: Vec::new() }
    }

    /// Several lines, the last of which says `End`.
    pub(crate) fn lines(code: u16, first: String, lines: Vec<String>) -> Self {
        Self { code, text: Cow::Owned(first), lines }
    }

    /// The code.
    pub(crate) fn code(&self) -> u16 {
        self.code
    }

    /// As sent. A line between the first and the last begins with a space, so that none looks like the last.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self { code, text, lines } = self;
        let text = one_line(text);
        if lines.is_empty() {
            return format!("{code} {text}\r\n").into_bytes();
        }
        let mut all = format!("{code}-{text}\r\n");
        for line in lines {
            all.push(' ');
            all.push_str(&one_line(line));
            all.push_str("\r\n");
        }
        all.push_str(&format!("{code} End\r\n"));
        all.into_bytes()
    }
}

/// Nothing that a client sent may begin a line of its own.
fn one_line(text: &str) -> Cow<'_, str> {
    if text.contains(['\r', '\n']) { Cow::Owned(text.replace(['\r', '\n'], " ")) } else { Cow::Borrowed(text) }
}

/// Which code a kind of failure gets. Its first digit is what clients act on: 4 is tried again, 5 is not.
pub(crate) const fn code_of(kind: FileErrorKind) -> u16 {
    match kind {
        FileErrorKind::NoSuchFile
        | FileErrorKind::AlreadyExists
        | FileErrorKind::IsAFolder
        | FileErrorKind::NotAFolder
        | FileErrorKind::FolderNotEmpty
        | FileErrorKind::PermissionDenied => 550,
        FileErrorKind::InvalidPath => 553,
        FileErrorKind::QuotaExceeded | FileErrorKind::TooLarge => 552,
        FileErrorKind::Unsupported => 504,
        FileErrorKind::Changed => 450,
        FileErrorKind::BadRequest => 503,
        FileErrorKind::Unavailable | FileErrorKind::Internal => 451,
    }
}

impl From<FileError> for Reply {
    /// Logs the source, which is not for the client.
    fn from(error: FileError) -> Self {
        if let Some(source) = std::error::Error::source(&error) {
            tracing::warn!(error = %error, source, "a file operation failed");
        }
        Self::with(code_of(error.kind()), capitalized(error.message()))
    }
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

// the connection
pub(crate) const GREETING: Reply = Reply::new(220, "Towpath. Log in after AUTH TLS");
pub(crate) const GREETING_IMPLICIT: Reply = Reply::new(220, "Towpath");
pub(crate) const BYE: Reply = Reply::new(221, "Goodbye");
pub(crate) const STOPPING: Reply = Reply::new(421, "The server is stopping");
pub(crate) const ENDED: Reply = Reply::new(421, "The session was ended by the server");
pub(crate) const IDLE: Reply = Reply::new(421, "Idle for too long");
pub(crate) const NOT_LOGGED_IN_IN_TIME: Reply = Reply::new(421, "No login in time");
pub(crate) const TOO_MUCH_AHEAD: Reply = Reply::new(421, "Too many commands during a transfer");
pub(crate) const TOO_MUCH_NONSENSE: Reply = Reply::new(421, "Too many lines that are no commands");

// any command
pub(crate) const UNKNOWN: Reply = Reply::new(500, "Unknown command");
pub(crate) const LINE_TOO_LONG: Reply = Reply::new(500, "The line is too long");
pub(crate) const ARGUMENT: Reply = Reply::new(501, "The argument is missing or makes no sense");
pub(crate) const NOT_OFFERED: Reply = Reply::new(502, "This command is not offered");
pub(crate) const LOG_IN_FIRST: Reply = Reply::new(530, "Log in first");
pub(crate) const TLS_FIRST: Reply = Reply::new(530, "Passwords travel over TLS only: send AUTH TLS first");
pub(crate) const OK: Reply = Reply::new(200, "OK");
pub(crate) const SUPERFLUOUS: Reply = Reply::new(202, "Not needed here");

// login and security
pub(crate) const START_TLS: Reply = Reply::new(234, "Start TLS now");
pub(crate) const TLS_ALREADY: Reply = Reply::new(503, "TLS is on already");
pub(crate) const AUTH_UNKNOWN: Reply = Reply::new(504, "Only AUTH TLS is offered");
pub(crate) const PBSZ: Reply = Reply::new(200, "PBSZ=0");
pub(crate) const PBSZ_FIRST: Reply = Reply::new(503, "Send PBSZ 0 first");
pub(crate) const PRIVATE: Reply = Reply::new(200, "Data connections are private");
pub(crate) const CLEAR_REFUSED: Reply = Reply::new(534, "Data connections must be private: send PROT P");
pub(crate) const PROT_UNKNOWN: Reply = Reply::new(536, "Only PROT P is offered");
pub(crate) const CCC_REFUSED: Reply = Reply::new(533, "The control connection stays protected");
pub(crate) const PASSWORD_NEEDED: Reply = Reply::new(331, "Password, please");
pub(crate) const USER_FIRST: Reply = Reply::new(503, "Send USER first");
/// RFC 2228, section 3: nobody needs to ask for a password.
pub(crate) const LOGGED_IN_BY_CERTIFICATE: Reply = Reply::new(232, "Logged in by your certificate");
pub(crate) const LOGGED_IN: Reply = Reply::new(230, "Logged in");
pub(crate) const LOGGED_IN_ALREADY: Reply = Reply::new(503, "Logged in already");
pub(crate) const LOGIN_REFUSED: Reply = Reply::new(530, "Login incorrect");
pub(crate) const LOGIN_UNAVAILABLE: Reply = Reply::new(421, "The service is not available; try again");
pub(crate) const TOO_MANY_LOGINS: Reply = Reply::new(421, "Too many logins were refused");

// features
pub(crate) const SYSTEM: Reply = Reply::new(215, "UNIX Type: L8");
pub(crate) const TYPE_UNKNOWN: Reply = Reply::new(504, "Only the types A and I are offered");
pub(crate) const MODE_UNKNOWN: Reply = Reply::new(504, "Only mode S is offered");
pub(crate) const STRU_UNKNOWN: Reply = Reply::new(504, "Only structure F is offered");
pub(crate) const OPTION_UNKNOWN: Reply = Reply::new(501, "Unknown option");
pub(crate) const SITE_NOTHING: Reply = Reply::new(502, "There are no SITE commands");

// folders and files
pub(crate) const DONE: Reply = Reply::new(250, "Done");
pub(crate) const RENAME_FROM: Reply = Reply::new(350, "Now RNTO");
pub(crate) const RNFR_FIRST: Reply = Reply::new(503, "Send RNFR first");
pub(crate) const NOT_A_FOLDER: Reply = Reply::new(550, "This is a file, not a folder");
pub(crate) const NOT_A_FILE: Reply = Reply::new(550, "This is a folder, not a file");

// data connections and transfers
pub(crate) const PASSIVE_FIRST: Reply = Reply::new(425, "Send PASV or EPSV first");
pub(crate) const ACTIVE_REFUSED: Reply = Reply::new(502, "The server opens no connections: use PASV or EPSV");
pub(crate) const EPSV_ONLY: Reply = Reply::new(503, "Only EPSV after EPSV ALL");
pub(crate) const EPSV_ALL: Reply = Reply::new(200, "Only EPSV from now on");
pub(crate) const EPSV_OVER_IPV6: Reply = Reply::new(425, "PASV cannot name an IPv6 address: use EPSV");
pub(crate) const FAMILY_IPV4: Reply = Reply::new(522, "Network protocol not supported, use (1)");
pub(crate) const FAMILY_IPV6: Reply = Reply::new(522, "Network protocol not supported, use (2)");
pub(crate) const PRIVATE_FIRST: Reply = Reply::new(521, "Data connections must be private: send PBSZ 0 and PROT P");
pub(crate) const OPENING: Reply = Reply::new(150, "Opening the data connection");
pub(crate) const TRANSFERRED: Reply = Reply::new(226, "Transfer complete");
pub(crate) const NO_CONNECTION: Reply = Reply::new(425, "No data connection came in time");
pub(crate) const NOT_REUSED: Reply =
    Reply::new(425, "The data connection must reuse the TLS session of the control connection");
pub(crate) const NO_TLS: Reply = Reply::new(425, "TLS failed on the data connection");
pub(crate) const CUT: Reply = Reply::new(
    426,
    "The data connection broke before its TLS end: the file is not stored, what is durable can be continued",
);
pub(crate) const BROKEN: Reply = Reply::new(426, "The data connection broke");
pub(crate) const STALLED: Reply = Reply::new(426, "The data connection stood still for too long");
pub(crate) const ABORTED: Reply = Reply::new(426, "Aborted");
pub(crate) const ABOR_DONE: Reply = Reply::new(226, "Nothing is under way");
pub(crate) const NOTHING_SENT: Reply = Reply::new(550, "Nothing was sent, and the file does not end there");
pub(crate) const INTERNAL: Reply = Reply::new(451, "The transfer was interrupted");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_line_and_several() {
        assert_eq!(OK.encode(), b"200 OK\r\n");
        let several = Reply::lines(211, "Features:".to_owned(), vec!["UTF8".to_owned(), "211 x".to_owned()]);
        assert_eq!(several.encode(), b"211-Features:\r\n UTF8\r\n 211 x\r\n211 End\r\n");
    }

    #[test]
    fn a_failure_says_what_went_wrong() {
        let reply = Reply::from(FileError::no_such_file());
        assert_eq!(reply.encode(), b"550 No such file or folder\r\n");
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_form(text in "\\PC{0,40}[\r\n]{0,3}\\PC{0,40}", lines in prop::collection::vec("[\\PC\r\n]{0,40}", 0..4)) {
            let count = lines.len();
            let encoded = Reply::lines(211, text, lines).encode();
            let encoded = String::from_utf8(encoded).unwrap();
            let seen: Vec<&str> = encoded.split_terminator("\r\n").collect();
            prop_assert_eq!(seen.len(), if count == 0 { 1 } else { count + 2 });
            prop_assert!(seen.iter().all(|line| !line.contains(['\r', '\n'])));
            prop_assert!(seen[..seen.len() - 1].iter().all(|line| line.starts_with("211-") || line.starts_with(' ')));
            prop_assert!(seen[seen.len() - 1].starts_with("211 "));
        }
    }
}
