//! The lines of the log that say who did what: sessions, logins, files. Field names and values are those of AWS Transfer
//! Family's structured log, so that queries, alarms and dashboards written for it find them here.
//!
//! Rule: these names are spelled here and in the doors' spans, and nowhere else. A line holds no secret; paths are as their
//! user sees them. The target is `activity`, so that a filter can choose these lines or leave them out.

use crate::sessions::Session;
use domain::access::Principal;
use domain::event::Origin;
use domain::file_error::FileError;
use domain::path::VPath;
use std::fmt::{self, Display};
use std::net::IpAddr;

/// What a client did with a file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Open,
    Close,
    Delete,
    Rename,
    MakeFolder,
    RemoveFolder,
    SetStat,
}

/// How a file was opened, as `CREATE|TRUNCATE|WRITE`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    Read,
    Write(crate::vfs::WriteMode),
}

/// How far a transfer came.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moved {
    In(u64),
    Out(u64),
}

/// What the two sides of a session agreed on, and the client's own name for itself; what is not known is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// The client's software.
    pub client: Option<String>,
    /// The key exchange.
    pub kex: Option<String>,
    /// The ciphers.
    pub ciphers: Option<String>,
}

/// A client has logged in.
pub fn connected(session: &Session, agreed: &Agreed) {
    let Agreed { client, kex, ciphers } = agreed;
    let (origin, principal) = (session.origin(), session.principal());
    tracing::info!(
        target: "activity",
        protocol = protocol(origin),
        "activity-type" = "CONNECTED",
        "session-id" = origin.session_id,
        "source-ip" = %origin.client_ip,
        user = principal.user_name,
        "home-dir" = %principal.chroot.login_folder(),
        client,
        kex,
        ciphers,
    );
}

/// Somebody has a token for the API.
pub(crate) fn signed_in(origin: &Origin, user: &str) {
    tracing::info!(
        target: "activity",
        protocol = protocol(origin),
        "activity-type" = "SIGNED_IN",
        "session-id" = origin.session_id,
        "source-ip" = %origin.client_ip,
        user,
    );
}

/// A session has ended.
pub(crate) fn disconnected(origin: &Origin, principal: &Principal) {
    tracing::info!(
        target: "activity",
        protocol = protocol(origin),
        "activity-type" = "DISCONNECTED",
        "session-id" = origin.session_id,
        "source-ip" = %origin.client_ip,
        user = principal.user_name,
    );
}

/// The node ends a session, and why.
pub fn exit_reason(origin: &Origin, reason: &str) {
    tracing::info!(
        target: "activity",
        protocol = protocol(origin),
        "activity-type" = "EXIT_REASON",
        "session-id" = origin.session_id,
        "source-ip" = %origin.client_ip,
        "{reason}"
    );
}

/// A login was refused. The reason is for the log alone.
pub(crate) fn auth_failure(origin: &Origin, user: &str, method: &'static str, reason: &dyn Display) {
    tracing::info!(
        target: "activity",
        protocol = protocol(origin),
        "activity-type" = "AUTH_FAILURE",
        "session-id" = origin.session_id,
        "source-ip" = %origin.client_ip,
        user,
        method,
        "{reason}"
    );
}

/// A connection that is not served: a limit, or no word of a balancer that is believed.
pub fn connection_rejected(address: IpAddr, reason: &dyn Display) {
    tracing::info!(
        target: "activity",
        { "activity-type" = "CONNECTION_REJECTED", "source-ip" = %address.to_canonical() },
        "{reason}"
    );
}

/// A data connection of FTPS that does not continue the TLS session of its control connection.
pub fn tls_resume_failure(origin: &Origin) {
    tracing::info!(
        target: "activity",
        protocol = protocol(origin),
        "activity-type" = "TLS_RESUME_FAILURE",
        "session-id" = origin.session_id,
        "source-ip" = %origin.client_ip,
        "a data connection does not continue the TLS session of its control connection"
    );
}

/// Who acts: the session and the user of a file operation.
#[derive(Clone, Copy)]
pub(crate) struct Who<'a> {
    pub(crate) origin: &'a Origin,
    pub(crate) user: &'a str,
}

impl Who<'_> {
    /// A file is open.
    pub(crate) fn opened(self, path: &VPath, mode: Mode) {
        tracing::info!(
            target: "activity",
            protocol = protocol(self.origin),
            "activity-type" = "OPEN",
            "session-id" = self.origin.session_id,
            "source-ip" = %self.origin.client_ip,
            user = self.user,
            path = %path,
            mode = %mode,
        );
    }

    /// A transfer has ended; `whole`: as its client wanted it.
    pub(crate) fn closed(self, path: &VPath, moved: Moved, whole: bool) {
        let (bytes_in, bytes_out) = moved.fields();
        tracing::info!(
            target: "activity",
            protocol = protocol(self.origin),
            "activity-type" = if whole { "CLOSE" } else { "PARTIAL_CLOSE" },
            "session-id" = self.origin.session_id,
            "source-ip" = %self.origin.client_ip,
            user = self.user,
            path = %path,
            "bytes-in" = bytes_in,
            "bytes-out" = bytes_out,
        );
    }

    /// Something was done to a path; a rename has a new one.
    fn done(self, operation: Operation, path: &VPath, new: Option<&VPath>) {
        tracing::info!(
            target: "activity",
            protocol = protocol(self.origin),
            "activity-type" = operation.text(),
            "session-id" = self.origin.session_id,
            "source-ip" = %self.origin.client_ip,
            user = self.user,
            path = %path,
            "new-path" = new.map(tracing::field::display),
        );
    }

    /// Something was refused or failed; the message is the one that the client gets.
    pub(crate) fn failed(self, operation: Operation, path: &VPath, moved: Option<Moved>, error: &FileError) {
        let (bytes_in, bytes_out) = moved.map_or((None, None), Moved::fields);
        tracing::info!(
            target: "activity",
            protocol = protocol(self.origin),
            "activity-type" = "ERROR",
            operation = operation.text(),
            "session-id" = self.origin.session_id,
            "source-ip" = %self.origin.client_ip,
            user = self.user,
            path = %path,
            "bytes-in" = bytes_in,
            "bytes-out" = bytes_out,
            "{}", error.message()
        );
    }

    /// How an operation on a path has ended; a rename has a new path.
    pub(crate) fn ended(
        self,
        operation: Operation,
        path: &VPath,
        new: Option<&VPath>,
        outcome: &Result<(), FileError>,
    ) {
        match outcome {
            Ok(()) => self.done(operation, path, new),
            Err(error) => self.failed(operation, path, None, error),
        }
    }
}

impl Operation {
    const fn text(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Close => "CLOSE",
            Self::Delete => "DELETE",
            Self::Rename => "RENAME",
            Self::MakeFolder => "MKDIR",
            Self::RemoveFolder => "RMDIR",
            Self::SetStat => "SETSTAT",
        }
    }
}

impl Moved {
    const fn fields(self) -> (Option<u64>, Option<u64>) {
        match self {
            Self::In(bytes) => (Some(bytes), None),
            Self::Out(bytes) => (None, Some(bytes)),
        }
    }
}

impl Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Write(mode) = self else { return f.write_str("READ") };
        for (set, word) in [
            (mode.create, "CREATE|"),
            (mode.exclusive, "EXCLUSIVE|"),
            (mode.truncate, "TRUNCATE|"),
            (mode.append, "APPEND|"),
        ] {
            if set {
                f.write_str(word)?;
            }
        }
        f.write_str("WRITE")
    }
}

fn protocol(origin: &Origin) -> &'static str {
    use domain::event::Protocol;
    match origin.protocol {
        Protocol::Sftp => "SFTP",
        Protocol::Ftps => "FTPS",
        Protocol::WebPortal => "WEB_PORTAL",
        Protocol::Api => "API",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::WriteMode;

    #[test]
    fn modes_are_written_as_aws_writes_them() {
        let mode = WriteMode { create: true, truncate: true, ..WriteMode::default() };
        assert_eq!(Mode::Write(mode).to_string(), "CREATE|TRUNCATE|WRITE");
        assert_eq!(Mode::Write(WriteMode { append: true, ..WriteMode::default() }).to_string(), "APPEND|WRITE");
        assert_eq!(Mode::Read.to_string(), "READ");
    }
}
