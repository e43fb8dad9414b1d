//! Jobs of an organization, and recounts of what is stored ([`crate::jobs`]).

use super::{Caller, Management, ManagementError, announced};
use crate::jobs::AskError;
use domain::credential::UserName;
use domain::event::{Changed, ChangedHow, ChangedKind};
use domain::folder::{self, FolderName};
use domain::intent::UsageChange;
use domain::invalid::Invalid;
use domain::job::{Job, JobId, Task};
use domain::path::VPath;
use domain::quota::Holder;
use domain::right::Right;
use store::scans::Set;
use store::settling::Usage;

/// How many jobs are looked at for those that are not over.
const LOOKED_AT: u16 = 200;

/// How usage is set by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageMode {
    /// To these numbers.
    Reset,
    /// By these numbers.
    Add,
}

const NO_SUCH: ManagementError = ManagementError::NotFound("job");

impl From<AskError> for ManagementError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::SameAlready => Self::Conflict("the same is being done already"),
            AskError::Unavailable(error) => error.into(),
        }
    }
}

impl Management {
    /// Up to `limit` jobs, the newest first, older than `before`; and whether there may be more.
    pub async fn jobs(
        &self,
        caller: &Caller,
        before: Option<&JobId>,
        limit: u16,
    ) -> Result<(Vec<Job>, bool), ManagementError> {
        caller.require(Right::SeeJobs)?;
        let (jobs, more) = self.queue.jobs().list(&caller.organization, before, limit).await?;
        Ok((jobs.into_iter().map(|job| job.value).collect(), more))
    }

    /// One job.
    pub async fn job(&self, caller: &Caller, id: &str) -> Result<Job, ManagementError> {
        // who has asked for a table may see how far it is
        let sees_jobs = caller.require(Right::SeeJobs);
        if caller.require(Right::SeeEvents).is_err() {
            sees_jobs?;
            return self.load_job(caller, id).await;
        }
        let job = self.load_job(caller, id).await?;
        if !matches!(job.task, Task::EventExport(_)) {
            sees_jobs?;
        }
        Ok(job)
    }

    async fn load_job(&self, caller: &Caller, id: &str) -> Result<Job, ManagementError> {
        let id = JobId::parse(id).ok_or(NO_SUCH)?;
        let found = self.queue.jobs().get(&caller.organization, &id).await?;
        Ok(found.ok_or(NO_SUCH)?.value)
    }

    /// Recounts that are not over.
    pub async fn quota_scans(&self, caller: &Caller) -> Result<Vec<Job>, ManagementError> {
        caller.require(Right::SeeQuotaScans)?;
        self.going_on(caller, |task| matches!(task, Task::QuotaScan { .. })).await
    }

    /// The last jobs of a kind that are not over.
    pub(super) async fn going_on(&self, caller: &Caller, of: fn(&Task) -> bool) -> Result<Vec<Job>, ManagementError> {
        let (jobs, _) = self.queue.jobs().list(&caller.organization, None, LOOKED_AT).await?;
        let jobs = jobs.into_iter().map(|job| job.value);
        Ok(jobs.filter(|job| !job.state.is_over() && of(&job.task)).collect())
    }

    /// Counts again what lies in a credential's home, and in the virtual folders whose files count for it.
    pub async fn scan_user(&self, caller: &Caller, name: &UserName) -> Result<Job, ManagementError> {
        caller.require(Right::StartQuotaScans)?;
        let credential = self.load_user(caller, name).await?.value;
        let mut folders = vec![credential.home.clone()];
        if !credential.folders.is_empty() {
            let own = credential.folders.iter().filter(|mounted| mounted.quota.is_none());
            let names: Vec<&FolderName> = own.map(|mounted| &mounted.name).collect();
            let found = self.records.folders_named(&caller.organization, names).await?;
            folders.extend(folder::views(&credential.folders, &found).into_iter().map(|view| view.tree));
        }
        self.scan(caller, Holder::Credential(credential.id), name.to_string(), folders).await
    }

    /// Counts again what lies in a virtual folder.
    pub async fn scan_folder(&self, caller: &Caller, name: &FolderName) -> Result<Job, ManagementError> {
        caller.require(Right::StartQuotaScans)?;
        let folder = self.load_folder(caller, name).await?.value;
        self.scan(caller, Holder::Folder(name.clone()), name.to_string(), vec![folder.tree]).await
    }

    /// Counts again all that the organization has.
    pub async fn scan_organization(&self, caller: &Caller) -> Result<Job, ManagementError> {
        caller.require(Right::StartQuotaScans)?;
        self.scan(caller, Holder::Organization, String::new(), vec![VPath::root()]).await
    }

    async fn scan(
        &self,
        caller: &Caller,
        holder: Holder,
        name: String,
        folders: Vec<VPath>,
    ) -> Result<Job, ManagementError> {
        let task = Task::QuotaScan { holder, name, folders };
        Ok(self.queue.ask(&caller.organization, task, caller.actor().id).await?)
    }

    /// Sets by hand what a credential has stored.
    pub async fn set_user_usage(
        &self,
        caller: &Caller,
        name: &UserName,
        (mode, usage): (UsageMode, UsageChange),
    ) -> Result<(), ManagementError> {
        caller.require(Right::ChangeCredentials)?;
        let credential = self.load_user(caller, name).await?.value;
        let update = announced::changed(ChangedKind::Credential, ChangedHow::Updated, &credential.id, name);
        self.set_usage(caller, &Holder::Credential(credential.id), (mode, usage), update).await
    }

    /// The same for a virtual folder.
    pub async fn set_folder_usage(
        &self,
        caller: &Caller,
        name: &FolderName,
        (mode, usage): (UsageMode, UsageChange),
    ) -> Result<(), ManagementError> {
        caller.require(Right::ChangeFolders)?;
        self.load_folder(caller, name).await?;
        let update = announced::changed(ChangedKind::Folder, ChangedHow::Updated, name, name);
        self.set_usage(caller, &Holder::Folder(name.clone()), (mode, usage), update).await
    }

    async fn set_usage(
        &self,
        caller: &Caller,
        holder: &Holder,
        (mode, usage): (UsageMode, UsageChange),
        update: Changed,
    ) -> Result<(), ManagementError> {
        if usage.bytes < 0 || usage.files < 0 {
            return Err(ManagementError::field("used_quota_size", &Invalid::new("must not be negative")));
        }
        let set = match mode {
            UsageMode::Reset => Set::To(usage),
            UsageMode::Add => Set::By(usage),
        };
        if !self.scans.set(&caller.organization, holder, set, store::clock::now()).await? {
            return Err(ManagementError::Conflict("what is stored is being counted now"));
        }
        let update = Changed { fields: vec!["usage".to_owned()], ..update };
        Ok(self.announce(announced::by(caller, update)).await?)
    }

    /// What an organization has stored, as it is counted.
    pub async fn organization_usage(&self, caller: &Caller) -> Result<Usage, ManagementError> {
        caller.require(Right::SeeOrganization)?;
        let usage = self.settling.usage(&caller.organization, &Holder::Organization).await;
        usage.map_err(|error| ManagementError::Unavailable(error.to_string()))
    }
}
