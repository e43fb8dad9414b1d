//! Deleting what has been kept for long enough ([`domain::retention`]).
//!
//! A check goes through the folders of its policy, each by itself, in the order of their keys. A file goes if it still is what was
//! looked at. A slice that dies begins anew with the first folder: what was deleted is not found again, and what was counted is in
//! the job.

use super::Slice;
use super::folders::{FolderError, PassedOver};
use super::hands::{Hands, OpenError, Opened};
use super::run::Run;
use crate::vfs::{FileSession, FoundFile};
use domain::event::Topic;
use domain::file_error::FileError;
use domain::id::{CredentialId, OrganizationId};
use domain::job::{JobId, Progress};
use domain::path::VPath;
use domain::retention::{FolderReport, RetainedFolder, RetentionPolicy};
use domain::time::Timestamp;
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use store::clock;
use tokio::time::Instant;

/// Files that are deleted at the same time.
const PARALLEL: usize = 16;
/// Names of files that a dry run tells; the others are counted.
const MOST_TOLD: usize = 1_000;
/// Their bytes: a job's record holds 400 KB.
const MOST_TOLD_BYTES: usize = 100_000;
/// Folders that one look keeps in memory; what is left is found by the next check.
const MOST_FOLDERS: usize = 20_000;

/// A check to be done.
pub(super) struct Check<'a> {
    pub(super) hands: &'a Hands,
    pub(super) organization: OrganizationId,
    pub(super) credential: CredentialId,
    pub(super) policy: RetentionPolicy,
    pub(super) dry_run: bool,
    pub(super) mail: bool,
}

/// The credential's files.
pub(super) struct Files {
    /// As it may use them.
    own: Opened,
    /// All of them, if a folder of the policy wants that.
    all: Option<Opened>,
}

/// Where a check goes on.
#[derive(Default, Serialize, Deserialize)]
struct Place {
    folder: usize,
    after: Option<String>,
}

/// What a check has found, as it stands in its job.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Report {
    dry_run: bool,
    folders: Vec<FolderReport>,
    would_delete: Vec<String>,
    overlaps: Vec<String>,
}

impl Files {
    fn of(&self, folder: &RetainedFolder) -> &FileSession {
        match &self.all {
            Some(all) if folder.ignore_permissions => &all.files,
            _ => &self.own.files,
        }
    }
}

impl Check<'_> {
    pub(super) async fn open(&self, job: &JobId) -> Result<Files, OpenError> {
        let own = self.hands.keeping(&self.organization, (&self.credential, false), job).await?;
        let wanted = self.policy.folders().iter().any(|folder| folder.ignore_permissions);
        let all = if wanted {
            Some(self.hands.keeping(&self.organization, (&self.credential, true), job).await?)
        } else {
            None
        };
        Ok(Files { own, all })
    }

    /// Goes on until it is done or the slice is over.
    pub(super) async fn slice(&self, files: Files, run: &mut Run, until: Instant) -> Result<Slice, FolderError> {
        let mut place: Place = serde_json::from_str(&run.job().place).unwrap_or_default();
        let mut report: Report = serde_json::from_value(run.job().result.clone()).unwrap_or_default();
        report.dry_run = self.dry_run;
        if self.dry_run && run.job().place.is_empty() {
            // nothing is gone of what was told before a failure
            report.folders.clear();
            report.would_delete.clear();
        }
        let now = clock::now();
        for (at, folder) in self.policy.folders().iter().enumerate().skip(place.folder) {
            let Some(limit) = folder.limit(now) else { continue };
            let session = files.of(folder);
            let mut after = place.after.take();
            loop {
                let (next, failed) = self.page(session, (folder, limit), after.as_deref(), &mut report, run).await?;
                report.note(folder, failed);
                run.set_result(report.shown());
                after = next;
                if after.is_none() {
                    break;
                }
                if Instant::now() >= until {
                    let place = Place { folder: at, after };
                    return Ok(Slice::GoesOn(serde_json::to_string(&place).unwrap_or_default()));
                }
            }
            if folder.delete_empty_folders && !self.dry_run {
                self.empty_folders(session, (folder, limit), &mut report, run).await?;
            }
            run.set_result(report.shown());
        }
        let note = report.note_for_people();
        if !self.dry_run {
            // what it did is told before it is told to be done
            self.hands.settle().await;
            let id = run.job().id.clone();
            files.own.files.announce_system(Topic::RetentionCompleted, id.as_str(), (note.clone(), self.mail)).await?;
        }
        Ok(Slice::Ended(note))
    }

    /// One page of a folder; where the next begins.
    async fn page(
        &self,
        files: &FileSession,
        (folder, limit): (&RetainedFolder, Timestamp),
        after: Option<&str>,
        report: &mut Report,
        run: &mut Run,
    ) -> Result<(Option<String>, PassedOver), FolderError> {
        let mut passed = PassedOver::default();
        let page = match files.deep(&folder.path, after).await {
            Ok(page) => page,
            Err(error) => {
                passed.take(&folder.path, error)?;
                return Ok((None, passed));
            }
        };
        let looked = page.files.len();
        let due = page.files.into_iter().filter(|file| file.written < limit && self.decides(folder, &file.path));
        let due = due.map(async |file| {
            let done = self.one(files, &file, limit).await;
            (file, done)
        });
        let mut due = stream::iter(due).buffered(PARALLEL);
        let mut progress = run.job().progress;
        progress.files += u64::try_from(looked).unwrap_or(0);
        while let Some((file, done)) = due.next().await {
            match done {
                Ok(true) => {
                    progress.bytes += file.bytes;
                    report.went(folder, &file, self.dry_run);
                }
                // it is another one by now, or did not come when S3 says
                Ok(false) => {}
                Err(error) => passed.take(&file.path, error)?,
            }
            run.progress(progress).await?;
        }
        run.progress(progress).await?;
        Ok((page.next, passed))
    }

    fn decides(&self, folder: &RetainedFolder, path: &VPath) -> bool {
        self.policy.at(path).is_some_and(|deciding| deciding.path == folder.path)
    }

    /// Whether a file has gone, or would.
    async fn one(&self, files: &FileSession, file: &FoundFile, limit: Timestamp) -> Result<bool, FileError> {
        if files.arrived(file).await? >= limit {
            return Ok(false);
        }
        if self.dry_run {
            return files.may_delete(&file.path).map(|()| true);
        }
        files.delete_found(file).await
    }

    /// Deletes folders that hold nothing and are as old, the deepest first; never one that the policy names.
    async fn empty_folders(
        &self,
        files: &FileSession,
        (folder, limit): (&RetainedFolder, Timestamp),
        report: &mut Report,
        run: &mut Run,
    ) -> Result<(), FolderError> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = match files.deep(&folder.path, after.as_deref()).await {
                Err(error) if !error.is_for_now() => return Ok(()),
                page => page?,
            };
            let inside = page.folders.into_iter().filter(|path| self.decides(folder, path));
            found.extend(inside);
            after = page.next;
            if after.is_none() || found.len() >= MOST_FOLDERS {
                break;
            }
        }
        let progress: Progress = run.job().progress;
        while let Some(path) = found.pop() {
            match files.delete_old_folder(&path, limit).await {
                Ok(()) => report.tell(folder, |of| of.folders += 1),
                Err(error) if error.is_for_now() => return Err(error.into()),
                // it holds something, or is too young, or may not go
                Err(_) => {}
            }
            run.progress(progress).await?;
        }
        Ok(())
    }
}

impl Report {
    /// Changes what is told of a folder.
    fn tell(&mut self, folder: &RetainedFolder, change: impl FnOnce(&mut FolderReport)) {
        let path = folder.path.to_string();
        if let Some(known) = self.folders.iter_mut().find(|one| one.path == path) {
            return change(known);
        }
        let mut new = FolderReport { path, hours: folder.hours, ..FolderReport::default() };
        change(&mut new);
        self.folders.push(new);
    }

    fn went(&mut self, folder: &RetainedFolder, file: &FoundFile, dry_run: bool) {
        self.tell(folder, |of| {
            of.files += 1;
            of.bytes += file.bytes;
        });
        let told: usize = self.would_delete.iter().map(String::len).sum();
        if dry_run && self.would_delete.len() < MOST_TOLD && told < MOST_TOLD_BYTES {
            self.would_delete.push(file.path.to_string());
        }
    }

    fn note(&mut self, folder: &RetainedFolder, failed: PassedOver) {
        self.tell(folder, |of| {
            of.failed += failed.count();
            if of.error.is_empty() {
                of.error = failed.first().to_owned();
            }
        });
    }

    fn shown(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn note_for_people(&self) -> String {
        let sum = |of: fn(&FolderReport) -> u64| self.folders.iter().map(of).sum::<u64>();
        let (files, bytes, folders, failed) =
            (sum(|one| one.files), sum(|one| one.bytes), sum(|one| one.folders), sum(|one| one.failed));
        let verb = if self.dry_run { "would delete" } else { "deleted" };
        let mut note = format!("{verb} files: {files}, bytes: {bytes}, folders: {folders}");
        if failed > 0 {
            note.push_str(&format!("; could not be deleted: {failed}"));
        }
        note
    }
}
