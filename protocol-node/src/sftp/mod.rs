//! SFTP version 3 (draft-ietf-secsh-filexfer-02), one engine for each channel.
//!
//! The SSH library delivers a channel's bytes by calling us, and reads nothing else from the connection until that call
//! returns. Replies need the client's window adjustments, which arrive on the same connection. So the rule of this
//! engine: **what runs inside that call never waits for anything that waits for output**, or both sides stop for ever.
//!
//! ```text
//! Intake (inside the library's call)     one task each                       Worker (one task)
//!   frames -> requests ──► WRITE, FSTAT, CLOSE of an upload ─► Writer ──┐
//!                      └─► READ, READDIR, … ─────────────────────────── │ ─► lane of handles ─┐
//!                      └─► OPEN, STAT, RENAME, … ────────────────────── │ ─► lane of paths ───┼─► replies ─► channel
//!                                                                       └─────────────────────┘
//! ```
//!
//! Bounds, and what happens there:
//!
//! | what | bound | at the bound |
//! |---|---|---|
//! | WRITE bytes that no upload has taken | `memory::Pool`: one frame, and leases to [`WRITE_LEASES`] | the connection is not read until an upload takes some |
//! | unanswered READs and WRITEs | [`MAX_DATA_REQUESTS`] | the connection is closed |
//! | other unanswered requests | [`MAX_OTHER_REQUESTS`] | the connection is closed |
//! | bytes of answers to READs and READDIRs | `memory::Pool`: one answer, and leases to [`ANSWER_LEASES`] | later ones wait in their lane |
//! | records of unanswered requests | `memory::Requests` | the connection is closed |
//! | replies not taken by the transport | [`REPLY_HIGH`] and one `SEND_BYTES` | nothing new is started |
//! | open handles | [`MAX_HANDLES`], of them [`MAX_FOLDERS`] folders | OPEN fails, naming the limit |

mod attributes;
#[cfg(test)]
mod exercise;
mod flags;
mod frame;
mod handles;
mod hash;
mod intake;
mod memory;
mod order;
mod paths;
mod reader;
mod reply;
mod request;
mod status;
mod worker;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use intake::{Activity, Channel};
pub(crate) use memory::Memory;
pub(crate) use worker::{Gone, Output};

use std::time::Duration;

/// The longest frame, without its length word: OpenSSH's `SFTP_MAX_MSG_LENGTH`, and room for the header of a WRITE
/// whose data alone is that long, as some clients send it.
pub(crate) const MAX_FRAME: usize = 256 * 1024 + 1024;

/// `max-packet-length` of `limits@openssh.com`.
pub(crate) const ADVERTISED_PACKET: u64 = 256 * 1024;

/// `max-read-length` and `max-write-length`: OpenSSH's own value, a packet less 1 KiB for headers.
pub(crate) const ADVERTISED_DATA: u64 = ADVERTISED_PACKET - 1024;

/// What a READ is answered with at most, as OpenSSH's server does. With more, the answer to a READ of 256 KiB would be
/// longer than the 256 KiB that OpenSSH's client takes, which then ends the session. Below this a short answer means the
/// end of the file: lftp hangs on any other.
pub(crate) const MAX_READ: u32 = 256 * 1024 - 1024;

/// Bytes of WRITEs that no upload has taken, beyond the frame that a connection always may hold.
pub(crate) const WRITE_LEASES: usize = 768 * 1024;

/// What a WRITE is charged at least, so that tiny ones are bounded by the budget as well.
pub(crate) const WRITE_CHARGE_MIN: usize = 512;

/// READs and WRITEs that may wait for their answer. paramiko asks for a whole file at once: this is 8 GiB in its pieces
/// of 32 KiB.
pub(crate) const MAX_DATA_REQUESTS: usize = 262_144;

/// Other requests that may wait for their answer.
pub(crate) const MAX_OTHER_REQUESTS: usize = 8_192;

/// Bytes of answers to READs and READDIRs, from the request until they are encrypted, beyond the one answer that a
/// connection always may hold.
pub(crate) const ANSWER_LEASES: usize = 2 * 1024 * 1024;

/// What an unanswered READ or WRITE costs beside its bytes: its places in the queues of jobs and answers.
pub(crate) const DATA_RECORD: usize = 64;

/// What any other unanswered request costs: two paths of the longest kind, and its places.
pub(crate) const OTHER_RECORD: usize = 2304;

/// Records of unanswered requests, beyond those that a connection always may have.
pub(crate) const REQUEST_LEASES: usize = 32 * 1024 * 1024;

/// READs and READDIRs under way for one channel.
pub(crate) const MAX_RUNNING_READS: usize = 128;

/// Operations on paths under way, or waiting for earlier ones on the same paths, for one channel.
pub(crate) const MAX_RUNNING_PATHS: usize = 32;

/// How many reply bytes go to the transport at once.
pub(crate) const SEND_BYTES: usize = 256 * 1024;

/// With so many reply bytes not yet handed to the transport, nothing new is started.
pub(crate) const REPLY_HIGH: usize = SEND_BYTES;

/// Handles that one channel may have open.
pub(crate) const MAX_HANDLES: usize = 256;

/// Folders among them: each holds a page of names.
pub(crate) const MAX_FOLDERS: usize = 16;

/// A READDIR's answer is not made longer than this.
pub(crate) const MAX_NAMES_BYTES: usize = 64 * 1024;

/// How long one operation on a path or a READ may take before the client hears that it failed.
pub(crate) const OPERATION_DEADLINE: Duration = Duration::from_secs(120);

/// How long an upload may wait for storage to take what one WRITE holds.
pub(crate) const WRITE_DEADLINE: Duration = Duration::from_secs(180);

/// How long making an upload visible may take: the last parts, and for very large files the completion itself.
pub(crate) const CLOSE_DEADLINE: Duration = Duration::from_secs(900);

/// How long a client may leave replies unread.
pub(crate) const OUTPUT_DEADLINE: Duration = Duration::from_secs(300);
