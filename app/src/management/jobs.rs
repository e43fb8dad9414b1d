//! Jobs of an organization, and recounts of what is stored ([`crate::jobs`]).

use super::{Caller, Management, ManagementError};
use crate::jobs::AskError;
use domain::credential::UserName;
use domain::folder::{self, FolderName};
use domain::id::OrganizationId;
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
        caller.require(Right::SeeJobs)?;
        let id = JobId::parse(id).ok_or(NO_SUCH)?;
        let found = self.queue.jobs().get(&caller.organization, &id).await?;
        Ok(found.ok_or(NO_SUCH)?.value)
    }

    /// Recounts that are not over.
    pub async fn quota_scans(&self, caller: &Caller) -> Result<Vec<Job>, ManagementError> {
        caller.require(Right::SeeQuotaScans)?;
        let (jobs, _) = self.queue.jobs().list(&caller.organization, None, LOOKED_AT).await?;
        let going_on = jobs.into_iter().map(|job| job.value).filter(|job| !job.state.is_over());
        Ok(going_on.filter(|job| matches!(job.task, Task::QuotaScan { .. })).collect())
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
        self.set_usage(&caller.organization, &Holder::Credential(credential.id), mode, usage).await
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
        self.set_usage(&caller.organization, &Holder::Folder(name.clone()), mode, usage).await
    }

    async fn set_usage(
        &self,
        organization: &OrganizationId,
        holder: &Holder,
        mode: UsageMode,
        usage: UsageChange,
    ) -> Result<(), ManagementError> {
        if usage.bytes < 0 || usage.files < 0 {
            return Err(ManagementError::field("used_quota_size", &Invalid::new("must not be negative")));
        }
        let set = match mode {
            UsageMode::Reset => Set::To(usage),
            UsageMode::Add => Set::By(usage),
        };
        match self.scans.set(organization, holder, set, store::clock::now()).await? {
            true => Ok(()),
            false => Err(ManagementError::Conflict("what is stored is being counted now")),
        }
    }

    /// What an organization has stored, as it is counted.
    pub async fn organization_usage(&self, caller: &Caller) -> Result<Usage, ManagementError> {
        caller.require(Right::SeeOrganization)?;
        let usage = self.settling.usage(&caller.organization, &Holder::Organization).await;
        usage.map_err(|error| ManagementError::Unavailable(error.to_string()))
    }
}
