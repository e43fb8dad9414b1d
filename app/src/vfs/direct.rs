//! Bytes that do not pass us: addresses at S3 that are signed for a client ([`domain::direct_upload`]).
//!
//! A download is announced when its address is handed out, because S3 does not tell us whether it was used. An upload becomes a
//! file only by [`FileSession::finish_direct`], which looks at what S3 has, and then goes the way of every other
//! upload: intent, room in the quota, one conditional call, settling.

use super::partial::unfinished;
use super::upload::room::exceeded;
use super::upload::too_large;
use super::{FileSession, WriteMode, file_subject, new_operation, object_failure};
use crate::activity::{Mode, Moved, Operation};
use crate::settler::Done;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::access;
use domain::direct_upload::{
    DirectLink, DirectUpload, MAX_OPEN, MAX_OPEN_OF_LINK, MAX_OPEN_OF_LINKS, OPEN_MILLIS, part_bytes,
};
use domain::event::Topic;
use domain::file_error::{FileError, FileErrorKind};
use domain::path::VPath;
use domain::preview::shown_as;
use domain::quota::Quota;
use domain::share::LinkUse;
use domain::time::Timestamp;
use domain::upload::MAX_FILE_BYTES;
use std::time::Duration;
use store::clock;
use store::objects::{ObjectError, Shown};
use store::records::RecordError;

/// How long an address of a download counts: for a client to follow a redirect. What has begun goes on.
const GET_LIFE: Duration = Duration::from_secs(60);

/// How long an address of a part counts: a browser sends them one after the other, and may ask for others.
const PUT_LIFE: Duration = Duration::from_secs(15 * 60);

/// Addresses of parts that are given at once.
pub const ADDRESSES: u32 = 100;

/// Where a part goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The part's number.
    pub number: u32,
    /// Its exact size.
    pub bytes: u64,
    /// Where its client sends it, by PUT.
    pub url: String,
}

impl FileSession {
    /// Begins an upload of exactly `bytes` bytes.
    pub async fn begin_direct(
        &self,
        path: &VPath,
        bytes: u64,
        modified: Option<Timestamp>,
    ) -> Result<DirectUpload, FileError> {
        let begun = self.begin_direct_now(path, bytes, modified).await;
        match &begun {
            Ok(_) => self.who().opened(path, Mode::Write(WriteMode::WHOLE)),
            Err(error) => self.who().failed(Operation::Open, path, None, error),
        }
        begun
    }

    async fn begin_direct_now(
        &self,
        path: &VPath,
        bytes: u64,
        modified: Option<Timestamp>,
    ) -> Result<DirectUpload, FileError> {
        if bytes > MAX_FILE_BYTES {
            return Err(too_large());
        }
        let proof = self.allowed(path, access::authorize_upload(&self.principal, path))?;
        let Some(key) = proof.location().file_key() else {
            return Err(FileError::new(FileErrorKind::IsAFolder, "this is a folder, not a file"));
        };
        let now = clock::now();
        let (organization, credential) = (&self.principal.organization, &self.principal.credential);
        let open =
            self.shared.resuming.direct.of_credential(organization, credential, now).await.map_err(unavailable)?;
        check_room(&open, self.principal.link.as_deref())?;
        if !proof.action().may_replace() && self.shared.objects.head(&proof).await.map_err(object_failure)?.is_some() {
            let text = "a file of this name exists, and may not be replaced";
            return Err(FileError::new(FileErrorKind::PermissionDenied, text));
        }
        // room is taken when it is complete; what can never fit fails now
        let too_small = |quota: Quota| quota.bytes > 0 && bytes > quota.bytes;
        if let Some(never) = self.allowances(proof.location().counted()).find(|one| too_small(one.quota())) {
            return Err(exceeded(never.holder(), never.quota()));
        }
        let operation = new_operation();
        let upload = self.shared.objects.begin_direct(&proof, &operation).await.map_err(object_failure)?;
        let direct = DirectUpload {
            id: URL_SAFE_NO_PAD.encode(clock::random::<18>()),
            organization: organization.clone(),
            credential: credential.clone(),
            link: self.principal.link.as_deref().map(DirectLink::from),
            path: path.clone(),
            key: key.as_str().to_owned(),
            upload: upload.id().to_owned(),
            operation,
            bytes,
            part_bytes: part_bytes(bytes),
            modified,
            begun_at: now,
            until: now.plus_millis(OPEN_MILLIS),
        };
        if let Err(error) = self.shared.resuming.direct.put(&direct).await {
            // without a record nobody can use it: housekeeping would end it an hour later
            let _ = self.shared.objects.abort_multipart(&upload).await;
            return Err(unavailable(error));
        }
        Ok(direct)
    }

    /// An upload of this session's credential that is open.
    pub async fn direct_upload(&self, id: &str) -> Result<DirectUpload, FileError> {
        let known = id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        let (organization, credential) = (&self.principal.organization, &self.principal.credential);
        let found = match known {
            true => self
                .shared
                .resuming
                .direct
                .get(organization, credential, id, clock::now())
                .await
                .map_err(unavailable)?,
            false => None,
        };
        // what a visitor of a link has begun is neither its owner's nor another visitor's
        let here = self.principal.link.as_deref().map(DirectLink::from);
        found.filter(|direct| direct.link == here).ok_or_else(no_such_upload)
    }

    /// Where parts `first` and following go; at most [`ADDRESSES`] of them.
    pub async fn direct_addresses(&self, direct: &DirectUpload, first: u32) -> Result<Vec<Address>, FileError> {
        let (proof, upload) = self.direct(direct)?;
        let last = direct.parts().min(first.saturating_add(ADDRESSES - 1));
        let mut addresses = Vec::new();
        for number in first.max(1)..=last {
            let Some(bytes) = direct.bytes_of(number) else { break };
            let signed = self.shared.objects.presign_part(&proof, &upload, (number, bytes), PUT_LIFE).await;
            addresses.push(Address { number, bytes, url: signed.map_err(object_failure)? });
        }
        Ok(addresses)
    }

    /// The numbers of the parts that S3 has.
    pub async fn direct_received(&self, direct: &DirectUpload) -> Result<Vec<u32>, FileError> {
        let (_, upload) = self.direct(direct)?;
        let stored = match self.shared.objects.stored_parts(&upload).await {
            Err(ObjectError::NoSuchUpload) => return Err(no_such_upload()),
            stored => stored.map_err(object_failure)?,
        };
        let whole = stored.iter().filter(|part| direct.bytes_of(part.number) == Some(part.bytes));
        Ok(whole.map(|part| part.number).collect())
    }

    /// Makes it a file. `Changed` if somebody else completes or ends it; what is only incomplete stays open.
    pub async fn finish_direct(&self, direct: &DirectUpload) -> Result<(), FileError> {
        let (_, upload) = self.direct(direct)?;
        let received = self.direct_received(direct).await?.len();
        let parts = usize::try_from(direct.parts()).unwrap_or(usize::MAX);
        if received < parts {
            let text = format!("{received} of {parts} parts have been received: send the others first");
            return Err(FileError::new(FileErrorKind::BadRequest, text));
        }
        if !self.shared.resuming.direct.take(direct).await.map_err(unavailable)? {
            return Err(no_such_upload());
        }
        match self.received_upload(direct, upload).await {
            Ok(upload) => upload.finish().await,
            Err(error) => {
                // nothing has happened yet: it stays open, for when there is room again
                if let Err(error) = self.shared.resuming.direct.put(direct).await {
                    tracing::warn!(%error, upload = direct.id, "an upload could not be put back");
                }
                Err(error)
            }
        }
    }

    /// Throws it away.
    pub async fn abort_direct(&self, direct: &DirectUpload) -> Result<(), FileError> {
        let (_, upload) = self.direct(direct)?;
        if !self.shared.resuming.direct.take(direct).await.map_err(unavailable)? {
            return Err(no_such_upload());
        }
        self.who().closed(&direct.path, Moved::In(0), false);
        self.shared.objects.abort_multipart(&upload).await.map_err(object_failure)
    }
}

impl FileSession {
    /// An address at S3 that gives a file for a minute, and the download's event.
    pub async fn download_address(&self, path: &VPath, inline: bool) -> Result<String, FileError> {
        let given = self.download_address_now(path, inline).await;
        match &given {
            Ok(_) => self.who().opened(path, Mode::Read),
            Err(error) => self.who().failed(Operation::Open, path, None, error),
        }
        given
    }

    async fn download_address_now(&self, path: &VPath, inline: bool) -> Result<String, FileError> {
        // the right to read first: who has none must not learn what is there
        let proof = self.allowed(path, access::authorize(&self.principal, access::Download, path))?;
        let (file, _) = tokio::join!(self.shared.objects.head(&proof), self.partials());
        let file = file.map_err(object_failure)?;
        let modified = file.as_ref().map(|info| info.modified);
        if self.partial_at(proof.location().file_key().as_ref(), modified).await.is_some() {
            return Err(unfinished());
        }
        let Some(info) = file else {
            // a folder says so, and what is not there as well
            self.stat(path).await?;
            return Err(FileError::new(FileErrorKind::IsAFolder, "this is a folder, not a file"));
        };
        let shown = inline.then(|| shown_as(path.name().unwrap_or_default())).flatten();
        let shown = shown.map_or(Shown::Saved, Shown::As);
        let address = self.shared.objects.presign_get(&proof, shown, GET_LIFE).await.map_err(object_failure)?;
        self.shared.meters.downloads.add(1);
        let file = file_subject(proof.location(), Some(info.bytes));
        let event = self.event(&new_operation(), Topic::FileDownloaded, file);
        self.shared.settler.hand_over(Done::announcing(event, &self.principal)).await;
        Ok(address)
    }
}

/// Whether one more can be open: the credential's own and those of visitors of its links do not take each other's room.
fn check_room(open: &[DirectUpload], link: Option<&LinkUse>) -> Result<(), FileError> {
    let count = |of: &dyn Fn(&DirectLink) -> bool| {
        open.iter().filter_map(|one| one.link.as_ref()).filter(|link| of(link)).count()
    };
    let of_links = count(&|_| true);
    let (is_full, most) = match link {
        None => (open.len() - of_links >= MAX_OPEN, MAX_OPEN),
        Some(here) if count(&|link| link.id == here.id) >= MAX_OPEN_OF_LINK => (true, MAX_OPEN_OF_LINK),
        Some(_) => (of_links >= MAX_OPEN_OF_LINKS, MAX_OPEN_OF_LINKS),
    };
    if is_full {
        let text = format!("at most {most} uploads can be open at the same time: complete or end some");
        return Err(FileError::new(FileErrorKind::Unavailable, text));
    }
    Ok(())
}

fn no_such_upload() -> FileError {
    FileError::new(FileErrorKind::NoSuchFile, "no such upload, or its time has passed")
}

fn unavailable(error: RecordError) -> FileError {
    FileError::new(FileErrorKind::Unavailable, "uploads cannot be recorded now; try again").with_source(error)
}
