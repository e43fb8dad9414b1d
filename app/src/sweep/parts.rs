//! Multipart uploads that nobody works on any more: kept for their sender to go on with, or ended.

use super::{Sweep, SweepError, recorded_key};
use crate::vfs::DiscardError;
use domain::direct_upload::DirectUpload;
use domain::id::OrganizationId;
use domain::intent::{Evidence, Intent};
use domain::partial::PartialUpload;
use domain::time::Timestamp;
use domain::upload::without_gap;
use std::collections::HashMap;
use store::objects::{FoundUpload, MultipartUpload, ObjectError};
use tracing::{info, warn};

/// How many old multipart uploads one round ends at most; S3 names 1,000 at a time.
const PAGES: usize = 10;

impl Sweep {
    /// Ends the parts of an upload whose node died before it made them an object, or keeps them for the sender. `false` if
    /// they have become the object after all.
    pub(super) async fn end_parts(
        &self,
        intent: &Intent,
        upload: &str,
        evidence: &Evidence,
        now: Timestamp,
    ) -> Result<bool, SweepError> {
        let key = recorded_key(intent, &intent.key)?;
        let upload = MultipartUpload::recorded(key.clone(), upload.to_owned());
        if let Some(partial) = self.left(intent, &upload, evidence, now).await?
            && self.resuming.partials.put_if_none(&partial).await.map_err(DiscardError::from)?
        {
            info!(bytes = partial.bytes, operation = %intent.operation, "an upload of a node that died is kept");
            return Ok(true);
        }
        self.objects.abort_multipart(&upload).await?;
        let there = self.objects.head_recorded(&key).await?;
        Ok(there.and_then(|info| info.operation).as_ref() != Some(&intent.operation))
    }

    /// What its sender may go on with. The last part does not count: the client may have sent all and waited for the
    /// answer to CLOSE, and must not find a file of full size that is none.
    async fn left(
        &self,
        intent: &Intent,
        upload: &MultipartUpload,
        evidence: &Evidence,
        now: Timestamp,
    ) -> Result<Option<PartialUpload>, ObjectError> {
        let keeps = self.resuming.keeps() && !intent.appends;
        let Some(begun) = intent.event.as_ref().map(|event| event.created_at).filter(|_| keeps) else {
            return Ok(None);
        };
        if evidence.now.as_ref().is_some_and(|object| object.modified >= begun) {
            // somebody has sent a newer file since
            return Ok(None);
        }
        let mut parts = match self.objects.stored_parts(upload).await {
            Ok(parts) => without_gap(parts),
            Err(ObjectError::NoSuchUpload) => return Ok(None),
            Err(error) => return Err(error),
        };
        parts.pop();
        let bytes = parts.iter().map(|part| part.bytes).sum();
        Ok((bytes > 0).then(|| PartialUpload {
            organization: intent.organization.clone(),
            credential: intent.credential.clone(),
            key: intent.key.clone(),
            upload: upload.id().to_owned(),
            operation: intent.operation.clone(),
            bytes,
            kept_at: begun,
            until: self.resuming.until(now),
        }))
    }

    /// Aborts multipart uploads that were begun before `before`, that no operation works on any more, and that nobody may
    /// still go on with: their time has passed, or a crash left them, or an answer with an upload's id got lost. Answers
    /// how many.
    pub async fn abort_orphans(&self, before: Timestamp, now: Timestamp) -> Result<usize, ObjectError> {
        let mut aborted = 0;
        let (mut kept, mut direct) = (HashMap::new(), HashMap::new());
        let mut from = None;
        for _ in 0..PAGES {
            let (found, next) = self.objects.multiparts_before(before, from).await?;
            for one in found {
                match self.is_orphan(&one, (&mut kept, &mut direct), now).await {
                    Ok(true) => {}
                    Ok(false) => continue,
                    Err(error) => {
                        warn!(%error, "whether a multipart upload is still of use cannot be told now");
                        continue;
                    }
                }
                self.objects.abort_multipart(&one.upload).await?;
                aborted += 1;
            }
            match next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
        if aborted > 0 {
            info!(aborted, "aborted multipart uploads that were left behind");
        }
        Ok(aborted)
    }

    async fn is_orphan(
        &self,
        found: &FoundUpload,
        (kept, kept_direct): (&mut Kept, &mut Direct),
        now: Timestamp,
    ) -> Result<bool, SweepError> {
        let organization = &found.organization;
        if !kept.contains_key(organization) {
            let partials = self.resuming.partials.of_organization(organization).await.map_err(DiscardError::from)?;
            kept.insert(organization.clone(), partials);
        }
        let partial = kept.get(organization).and_then(|all| all.iter().find(|one| one.upload == found.upload.id()));
        if let Some(partial) = partial {
            if now < partial.until {
                return Ok(false);
            }
            // of a sweep and a client that meet here, one takes the record
            return Ok(self.resuming.partials.take(partial).await.map_err(DiscardError::from)?);
        }
        if !kept_direct.contains_key(organization) {
            let direct = self.resuming.direct.of_organization(organization).await?;
            kept_direct.insert(organization.clone(), direct);
        }
        let direct =
            kept_direct.get(organization).and_then(|all| all.iter().find(|one| one.upload == found.upload.id()));
        if let Some(direct) = direct {
            return Ok(now >= direct.until && self.resuming.direct.take(direct).await?);
        }
        let intents = self.stores.intents.on_key(organization, found.key().as_str()).await?;
        Ok(intents.is_empty())
    }
}

/// The uploads straight to S3 of those organizations.
type Direct = HashMap<OrganizationId, Vec<DirectUpload>>;

/// The interrupted uploads of the organizations that were asked about in one round.
type Kept = HashMap<OrganizationId, Vec<PartialUpload>>;
