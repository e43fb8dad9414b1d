//! What a share link lets somebody do now: its record, its organization and its owner are read at each request, and nothing that was
//! decided before is believed. [`visits`] decides who comes in.

mod visits;

pub use visits::{Admitted, Closed, Entered, Found, How, Knock, Visits};

use crate::accounts::{Login, complete};
use crate::sessions::Sessions;
use crate::vfs::{EntryKind, Vfs};
use domain::access::Principal;
use domain::connection::Grounds;
use domain::event::Origin;
use domain::file_error::{FileError, FileErrorKind};
use domain::id::{CredentialId, OrganizationId};
use domain::organization::Organization;
use domain::share::{LinkUse, Share, Target};
use store::clock;
use store::records::{RecordError, Records};
use tokio_util::sync::CancellationToken;

/// The links of a process. Cheap to clone.
#[derive(Clone)]
pub struct Shares {
    records: Records,
    vfs: Vfs,
    sessions: Sessions,
}

/// Why a link gives nothing.
#[derive(Debug, thiserror::Error)]
pub enum NoShare {
    /// There is none, or it is closed: nobody is told which.
    #[error("no such share link")]
    Closed,
    /// A dependency did not answer.
    #[error(transparent)]
    Unavailable(#[from] RecordError),
    /// The storage did not.
    #[error(transparent)]
    Storage(FileError),
}

/// A link that can be opened now, and who shares.
pub struct OpenShare {
    /// The link, with what its paths are.
    pub share: Share,
    /// Whose.
    pub organization: Organization,
    owner: Principal,
    grounds: Grounds,
}

impl OpenShare {
    /// What a visitor may do.
    pub fn log_in(&self, link: LinkUse) -> Result<Login, NoShare> {
        let principal = self.share.principal(self.owner.clone(), link).ok_or(NoShare::Closed)?;
        Ok(Login { principal, grounds: self.grounds, place: None })
    }
}

impl Shares {
    /// Against these records, on these files.
    pub fn new(records: Records, vfs: Vfs, sessions: Sessions) -> Self {
        Self { records, vfs, sessions }
    }

    /// Its files.
    pub fn vfs(&self) -> &Vfs {
        &self.vfs
    }

    /// Where visitors are listed while they are served.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// A link, if it can be opened now and from there. Three consistent reads side by side, its owner's virtual folders, and a look at
    /// what is shared where nobody has said that.
    pub async fn open(
        &self,
        organization: &OrganizationId,
        (share, owner): (&domain::id::ShareId, Option<&CredentialId>),
        origin: &Origin,
    ) -> Result<OpenShare, NoShare> {
        let owner_there = async {
            match owner {
                Some(owner) => self.records.credential(organization, owner).await,
                None => Ok(None),
            }
        };
        let records = futures_util::future::try_join3(
            self.records.share(organization, share),
            self.records.organization(organization),
            owner_there,
        );
        let (found, settings, owner_there) = records.await?;
        let (Some(found), Some(settings)) = (found, settings) else { return Err(NoShare::Closed) };
        let (share, now) = (found.value, clock::now());
        let credential = match owner_there {
            Some(credential) => Some(credential),
            None => self.records.credential(organization, &share.owner).await?,
        };
        let credential = credential.filter(|credential| credential.value.id == share.owner).ok_or(NoShare::Closed)?;
        if !share.is_open(now, origin.client_ip) || !share.is_allowed_by(&credential.value, now) {
            return Err(NoShare::Closed);
        }
        let owner = credential.value.principal();
        let owner = complete(&self.records, owner, &settings.value, &credential.value).await?;
        let grounds = Grounds { credential_rev: credential.rev, ends_at: None };
        let open = OpenShare { share, organization: settings.value, owner, grounds };
        self.looked_at(open, origin).await
    }

    /// The same with what its paths are, where only S3 knows. What is not there is taken for a folder that will be.
    async fn looked_at(&self, open: OpenShare, origin: &Origin) -> Result<OpenShare, NoShare> {
        if open.share.paths.iter().all(|path| path.target.is_some()) {
            return Ok(open);
        }
        let login = Login { principal: open.owner.clone(), grounds: open.grounds, place: None };
        let session = self.sessions.open(login, origin.clone(), CancellationToken::new());
        let files = self.vfs.session(&session);
        let mut targets = Vec::new();
        for path in &open.share.paths {
            targets.push(match path.target {
                Some(target) => target,
                None => match files.stat(&path.view).await {
                    Ok(entry) if entry.kind == EntryKind::File => Target::File,
                    Ok(_) => Target::Folder,
                    Err(error) if error.kind() == FileErrorKind::Unavailable => return Err(NoShare::Storage(error)),
                    Err(_) => Target::Folder,
                },
            });
        }
        let share = open.share.looked_at(&targets);
        // a file that somebody may write: not what was meant
        if share.check().is_err() {
            return Err(NoShare::Closed);
        }
        Ok(OpenShare { share, ..open })
    }

    /// What a visit may do that began elsewhere: for a ticket.
    pub async fn go_on(&self, organization: &OrganizationId, link: LinkUse, origin: &Origin) -> Result<Login, NoShare> {
        self.open(organization, (&link.id, None), origin).await?.log_in(link)
    }
}
