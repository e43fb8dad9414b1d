//! Retention policies, and checks of what they say ([`crate::jobs`] does them).

use super::announced;
use super::{ATTEMPTS, Caller, Management, ManagementError};
use crate::accounts::complete;
use crate::jobs::JobQueue;
use domain::credential::{Credential, UserName};
use domain::event::{Changed, ChangedHow, ChangedKind};
use domain::id::CredentialId;
use domain::job::{Job, Task};
use domain::path::Located;
use domain::retention::{DAILY_MILLIS, KeptPolicy, RetentionPolicy};
use domain::right::Right;
use domain::time::Timestamp;
use serde_json::{Value, json};
use store::clock;
use store::records::{RecordError, Records};

/// How many other credentials a dry run looks at (one with everything for its home says nothing), and how many overlaps it tells.
const OTHERS: usize = 1_000;
const MOST_OVERLAPS: usize = 100;
/// Items of one read.
const PAGE: u16 = 500;

const NO_POLICY: ManagementError = ManagementError::NotFound("retention policy");

impl Management {
    /// A credential's policy.
    pub async fn retention_policy(&self, caller: &Caller, id: &CredentialId) -> Result<KeptPolicy, ManagementError> {
        caller.require(Right::SeeRetention)?;
        self.load_credential(caller, id).await?;
        let kept = self.records.retention(&caller.organization, id).await?;
        Ok(kept.ok_or(NO_POLICY)?.value)
    }

    /// Gives a credential a policy, which is run daily from now on: for the first time within a few minutes.
    pub async fn keep_retention_policy(
        &self,
        caller: &Caller,
        id: &CredentialId,
        policy: RetentionPolicy,
    ) -> Result<KeptPolicy, ManagementError> {
        caller.require(Right::ChangeRetention)?;
        let credential = self.load_credential(caller, id).await?.value;
        for _ in 0..ATTEMPTS {
            let now = clock::now();
            let (organization, credential_id) = (caller.organization.clone(), credential.id.clone());
            let policy = policy.clone();
            let kept = KeptPolicy { organization, credential: credential_id, policy, due: now, updated_at: now };
            let old = self.records.retention(&caller.organization, id).await?;
            let announced = self.announcing(vec![announced::by(caller, changed(&credential))]);
            let written = announced.records.save_retention(&kept, old.map(|old| old.rev)).await;
            match announced.told(written).await {
                Ok(()) => return Ok(kept),
                Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }

    /// Forgets a credential's policy.
    pub async fn forget_retention_policy(
        &self,
        caller: &Caller,
        id: &CredentialId,
    ) -> Result<KeptPolicy, ManagementError> {
        caller.require(Right::ChangeRetention)?;
        let credential = self.load_credential(caller, id).await?.value;
        for _ in 0..ATTEMPTS {
            let old = self.records.retention(&caller.organization, id).await?.ok_or(NO_POLICY)?;
            let announced = self.announcing(vec![announced::by(caller, changed(&credential))]);
            let written = announced.records.delete_retention(&old).await;
            match announced.told(written).await {
                Ok(()) => return Ok(old.value),
                Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }

    /// Checks once what a policy says; a dry run only tells what would go, and where trees overlap.
    pub async fn check_retention(
        &self,
        caller: &Caller,
        name: &UserName,
        (policy, dry_run, mail): (RetentionPolicy, bool, bool),
    ) -> Result<Job, ManagementError> {
        caller.require(Right::ChangeRetention)?;
        let credential = self.load_user(caller, name).await?.value;
        let result = if dry_run {
            json!({ "Overlaps": self.overlaps(caller, &credential, &policy).await? })
        } else {
            Value::Null
        };
        let task = Task::RetentionCheck { credential: credential.id, name: name.to_string(), policy, dry_run, mail };
        Ok(self.queue.ask_with(&caller.organization, task, caller.actor().id, result).await?)
    }

    /// Checks that are not over.
    pub async fn retention_checks(&self, caller: &Caller) -> Result<Vec<Job>, ManagementError> {
        caller.require(Right::SeeRetention)?;
        self.going_on(caller, |task| matches!(task, Task::RetentionCheck { .. })).await
    }

    /// Where a policy meets others: folders in its folders, and who else sees them.
    async fn overlaps(
        &self,
        caller: &Caller,
        credential: &Credential,
        policy: &RetentionPolicy,
    ) -> Result<Vec<String>, ManagementError> {
        let organization = self.own_organization(caller).await?.value;
        let principal = complete(&self.records, credential.principal(), &organization, credential).await?;
        let mut told = Vec::new();
        let mut trees = Vec::new();
        for folder in policy.folders() {
            for inside in policy.inside(&folder.path) {
                told.push(format!("{}: {} has a retention of its own", folder.path, inside.path));
            }
            let views = principal.chroot.clone().into_views();
            let mounted = views.iter().filter(|view| view.at != folder.path && view.at.below(&folder.path).is_some());
            for view in mounted.filter(|view| policy.at(&view.at).is_some_and(|at| at.path == folder.path)) {
                told.push(format!("{}: the virtual folder {} is not looked at", folder.path, view.at));
            }
            if let (true, Ok(Located::Inside(location))) = (folder.hours > 0, principal.chroot.locate(&folder.path)) {
                trees.push((&folder.path, location.tree_path().clone()));
            }
        }
        let (mut after, mut looked_at) = (None::<String>, 0);
        loop {
            let page = self.records.credentials(&caller.organization, after.as_deref(), PAGE).await?;
            looked_at += page.records.len();
            for other in page
                .records
                .iter()
                .map(|other| &other.value)
                .filter(|other| other.id != credential.id && !other.home.is_root())
            {
                let meets = trees
                    .iter()
                    .filter(|(_, tree)| other.home.below(tree).is_some() || tree.below(&other.home).is_some());
                told.extend(meets.map(|(path, _)| format!("{path}: in the home of {}, or holds it", other.user_name)));
            }
            after = page.next;
            if after.is_none() || looked_at >= OTHERS || told.len() >= MOST_OVERLAPS {
                break;
            }
        }
        told.truncate(MOST_OVERLAPS);
        Ok(told)
    }
}

/// Asks for a check of each policy whose time has come. Answers how many.
pub async fn run_due_policies(records: &Records, queue: &JobQueue, now: Timestamp) -> Result<usize, RecordError> {
    let due = records.due_retentions(now).await?;
    let mut asked = 0;
    for kept in &due {
        let KeptPolicy { organization, credential, policy, .. } = &kept.value;
        let Some(owner) = records.credential(organization, credential).await? else {
            match records.delete_retention(kept).await {
                Ok(()) | Err(RecordError::Conflict) => continue,
                Err(error) => return Err(error),
            }
        };
        let task = Task::RetentionCheck {
            credential: credential.clone(),
            name: owner.value.user_name.to_string(),
            policy: policy.clone(),
            dry_run: false,
            mail: true,
        };
        // one that is still going on is enough
        match queue.ask(organization, task, "retention policy".to_owned()).await {
            Ok(_) => asked += 1,
            Err(crate::jobs::AskError::SameAlready) => {}
            Err(crate::jobs::AskError::Unavailable(error)) => return Err(error),
        }
        // if this is not noted, the check is done twice, which does no harm
        records.put_off_retention(kept, now.plus_millis(DAILY_MILLIS)).await?;
    }
    Ok(asked)
}

fn changed(credential: &Credential) -> Changed {
    let changed =
        announced::changed(ChangedKind::Credential, ChangedHow::Updated, &credential.id, &credential.user_name);
    Changed { fields: vec!["retention_policy".to_owned()], ..changed }
}
