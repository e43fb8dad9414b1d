//! An upload's part of its credential's quota ([`crate::quota`]).
//!
//! It reserves what it has received, and a file; where that is not to be had, it looks at the file that it would replace, which
//! makes room. What it replaces is known for sure only when it becomes visible: then each try needs what it adds to *that*
//! version.

use super::Writer;
use crate::quota::{Allowance, NoRoom, Reservation};
use crate::vfs::object_failure;
use domain::file_error::{FileError, FileErrorKind};
use domain::intent::Seen;
use domain::quota::{Amount, Quota};
use futures_util::FutureExt as _;
use store::leases::Leased;

/// The reservation; none where there is no quota.
pub(super) struct Room {
    reserved: Option<Reservation>,
    quota: Quota,
    /// The size of the file that will be replaced, where there is no room for both.
    replaces: Option<u64>,
}

impl Room {
    pub(super) fn new(allowance: Option<&Allowance>) -> Self {
        let quota = allowance.map_or(Quota::default(), Allowance::quota);
        Self { reserved: allowance.map(Allowance::reservation), quota, replaces: None }
    }

    /// The file that is there stays a part of this one.
    pub(super) fn goes_on_behind(&mut self, bytes: u64) {
        self.replaces = Some(bytes);
    }

    /// Whether there is only room for it in the place of another file.
    pub(super) fn depends_on_replacing(&self) -> bool {
        self.reserved.is_some() && self.replaces.is_some()
    }

    /// Makes sure that a file of `bytes` has room in the place of `seen`, which is now known.
    pub(super) async fn for_place_of(&mut self, seen: Option<&Seen>, bytes: u64) -> Result<(), FileError> {
        let need = added(bytes, seen.map(|seen| seen.bytes));
        match &mut self.reserved {
            Some(reserved) => reserved.grow_to(need).await.map_err(|failed| refusal(failed, self.quota)),
            None => Ok(()),
        }
    }

    /// For the transaction that counts the file.
    pub(super) fn use_up(&mut self, seen: Option<&Seen>, bytes: u64) -> Option<Leased> {
        let mut reserved = self.reserved.take()?;
        reserved.shrink_to(added(bytes, seen.map(|seen| seen.bytes)));
        Some(reserved.use_up())
    }

    /// Nobody knows whether the file is there.
    pub(super) fn leave_to_sweep(&mut self) {
        if let Some(reserved) = self.reserved.take() {
            reserved.leave_to_sweep();
        }
    }
}

/// What a file adds to what is stored.
fn added(bytes: u64, replaced: Option<u64>) -> Amount {
    Amount { bytes: bytes.saturating_sub(replaced.unwrap_or(0)), files: u64::from(replaced.is_none()) }
}

fn refusal(failed: NoRoom, quota: Quota) -> FileError {
    match failed {
        NoRoom::Exceeded => {
            let limits = [(quota.bytes, "bytes"), (quota.files, "files")].into_iter().filter(|(limit, _)| *limit > 0);
            let limits: Vec<String> = limits.map(|(limit, what)| format!("{limit} {what}")).collect();
            let text = format!("the quota of {} would be exceeded", limits.join(" and "));
            FileError::new(FileErrorKind::QuotaExceeded, text)
        }
        NoRoom::Unavailable(error) => {
            let text = "the quota cannot be looked at now; try again";
            FileError::new(FileErrorKind::Unavailable, text).with_source(error)
        }
    }
}

impl Writer {
    /// Makes room for `bytes` bytes of this file. `Err`: there is none, also in the place of a file that is there.
    pub(super) async fn reserve(&mut self, bytes: u64) -> Result<(), FileError> {
        let Room { reserved: Some(reserved), quota, replaces } = &mut self.room else {
            return Ok(());
        };
        let failed = match reserved.grow_to(added(bytes, *replaces)).await {
            Ok(()) => return Ok(()),
            Err(failed) => failed,
        };
        if replaces.is_some() || !matches!(failed, NoRoom::Exceeded) {
            return Err(refusal(failed, *quota));
        }
        let there = self.session.shared.objects.head(&*self.proof).boxed().await.map_err(object_failure)?;
        let Some(there) = there.filter(|_| self.proof.action().may_replace() && !self.mode.exclusive) else {
            return Err(refusal(failed, *quota));
        };
        *replaces = Some(there.bytes);
        reserved.grow_to(added(bytes, *replaces)).await.map_err(|failed| refusal(failed, *quota))
    }
}
