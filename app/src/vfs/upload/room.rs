//! An upload's part of the quotas that apply where it goes ([`crate::quota`]).
//!
//! It reserves what it has received, and a file; where that is not to be had, it looks at the file that it would replace, which
//! makes room. What it replaces is known for sure only when it becomes visible: then each try needs what it adds to *that*
//! version.

use super::Writer;
use crate::quota::{Allowance, NoRoom, Reservation};
use crate::vfs::object_failure;
use domain::file_error::{FileError, FileErrorKind};
use domain::intent::Seen;
use domain::quota::{Amount, Holder, Quota};
use futures_util::FutureExt as _;
use store::leases::Leased;

/// The reservations, one of each quota that applies here; none where there is no quota.
pub(in crate::vfs) struct Room {
    reserved: Vec<Reservation>,
    /// The size of the file that will be replaced, where there is no room for both.
    replaces: Option<u64>,
}

impl Room {
    pub(in crate::vfs) fn new<'a>(allowances: impl IntoIterator<Item = &'a Allowance>) -> Self {
        Self { reserved: allowances.into_iter().map(Allowance::reservation).collect(), replaces: None }
    }

    /// The file that is there stays a part of this one.
    pub(super) fn goes_on_behind(&mut self, bytes: u64) {
        self.replaces = Some(bytes);
    }

    /// Whether there is only room for it in the place of another file.
    pub(super) fn depends_on_replacing(&self) -> bool {
        !self.reserved.is_empty() && self.replaces.is_some()
    }

    /// Makes sure that a file of `bytes` has room in the place of `seen`, which is now known.
    pub(in crate::vfs) async fn for_place_of(&mut self, seen: Option<&Seen>, bytes: u64) -> Result<(), FileError> {
        let need = added(bytes, seen.map(|seen| seen.bytes));
        self.grow_to(need).await.map_err(|(failed, holder, quota)| refusal(failed, &holder, quota))
    }

    /// All of them, or it says which could not.
    async fn grow_to(&mut self, need: Amount) -> Result<(), (NoRoom, Holder, Quota)> {
        for reserved in &mut self.reserved {
            if let Err(failed) = reserved.grow_to(need).await {
                let allowance = reserved.allowance();
                return Err((failed, allowance.holder().clone(), allowance.quota()));
            }
        }
        Ok(())
    }

    /// For the transaction that counts the file.
    pub(in crate::vfs) fn use_up(&mut self, seen: Option<&Seen>, bytes: u64) -> Vec<Leased> {
        let used = self.reserved.drain(..).map(|mut reserved| {
            reserved.shrink_to(added(bytes, seen.map(|seen| seen.bytes)));
            reserved.use_up()
        });
        used.collect()
    }

    /// Nobody knows whether the file is there.
    pub(in crate::vfs) fn leave_to_sweep(&mut self) {
        self.reserved.drain(..).for_each(Reservation::leave_to_sweep);
    }
}

/// What a file adds to what is stored.
fn added(bytes: u64, replaced: Option<u64>) -> Amount {
    Amount { bytes: bytes.saturating_sub(replaced.unwrap_or(0)), files: u64::from(replaced.is_none()) }
}

fn refusal(failed: NoRoom, holder: &Holder, quota: Quota) -> FileError {
    match failed {
        NoRoom::Exceeded => {
            let limits = [(quota.bytes, "bytes"), (quota.files, "files")].into_iter().filter(|(limit, _)| *limit > 0);
            let limits: Vec<String> = limits.map(|(limit, what)| format!("{limit} {what}")).collect();
            let whose = match holder {
                Holder::Credential(_) => "the quota",
                Holder::Folder(_) => "this folder's quota",
                Holder::Organization => "the organization's quota",
            };
            let text = format!("{whose} of {} would be exceeded", limits.join(" and "));
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
        if self.room.reserved.is_empty() {
            return Ok(());
        }
        let (failed, holder, quota) = match self.room.grow_to(added(bytes, self.room.replaces)).await {
            Ok(()) => return Ok(()),
            Err(failed) => failed,
        };
        if self.room.replaces.is_some() || !matches!(failed, NoRoom::Exceeded) {
            return Err(refusal(failed, &holder, quota));
        }
        let there = self.session.shared.objects.head(&*self.proof).boxed().await.map_err(object_failure)?;
        let Some(there) = there.filter(|_| self.proof.action().may_replace() && !self.mode.exclusive) else {
            return Err(refusal(failed, &holder, quota));
        };
        self.room.replaces = Some(there.bytes);
        let grown = self.room.grow_to(added(bytes, self.room.replaces)).await;
        grown.map_err(|(failed, holder, quota)| refusal(failed, &holder, quota))
    }
}
