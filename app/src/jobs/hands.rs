//! The files that jobs work on, opened as whoever a job works for.

use crate::accounts::{Known, KnownError};
use crate::quota::Quotas;
use crate::sessions::{Session, Sessions};
use crate::vfs::{FileSession, Vfs};
use domain::event::{Origin, Protocol};
use domain::id::{CredentialId, OrganizationId};
use domain::job::{By, JobId};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use store::records::RecordError;
use tokio_util::sync::CancellationToken;

/// How long the end of a slice waits until what it did is counted and announced. What is not done then, the sweep does.
const SETTLING: Duration = Duration::from_secs(60);

/// What opens them. Cheap to clone.
#[derive(Clone)]
pub struct Hands {
    known: Known,
    vfs: Vfs,
    sessions: Sessions,
    quotas: Quotas,
}

/// Files that are open as long as this lives.
pub(super) struct Opened {
    pub(super) files: FileSession,
    _session: Session,
}

/// Why they do not open.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// For good.
    #[error("the credential is gone, or may not connect any more")]
    Refused,
    /// For now.
    #[error(transparent)]
    Unavailable(#[from] RecordError),
}

impl From<KnownError> for OpenError {
    fn from(error: KnownError) -> Self {
        match error {
            KnownError::Refused => Self::Refused,
            KnownError::Unavailable(error) => Self::Unavailable(error),
        }
    }
}

impl Hands {
    /// Over these files.
    pub fn new(known: Known, vfs: Vfs, sessions: Sessions, quotas: Quotas) -> Self {
        Self { known, vfs, sessions, quotas }
    }

    /// As the credential that asked, with what it may do now.
    pub(super) async fn of(&self, organization: &OrganizationId, by: &By, job: &JobId) -> Result<Opened, OpenError> {
        let origin = Origin { protocol: Protocol::Api, client_ip: by.client_ip, session_id: job.to_string() };
        let login = self.known.log_in(organization, (&by.credential, by.key.as_ref()), &origin).await?;
        Ok(self.open(login, origin))
    }

    /// As Towpath itself, in a credential's place: with its rights, or with all rights where it is. It need not be able to
    /// connect.
    pub(super) async fn keeping(
        &self,
        organization: &OrganizationId,
        (credential, unlimited): (&CredentialId, bool),
        job: &JobId,
    ) -> Result<Opened, OpenError> {
        let client_ip = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let origin = Origin { protocol: Protocol::Api, client_ip, session_id: job.to_string() };
        let login = self.known.in_place_of(organization, credential, unlimited).await?;
        Ok(self.open(login, origin))
    }

    fn open(&self, login: crate::accounts::Login, origin: Origin) -> Opened {
        let session = self.sessions.open(login, origin, CancellationToken::new());
        Opened { files: self.vfs.session(&session), _session: session }
    }

    /// Waits until what was done is counted and announced, because the process may be stopped after that.
    pub(super) async fn settle(&self) {
        if !self.vfs.settled(SETTLING).await {
            tracing::warn!("operations of a job are left to the sweep");
        }
        self.quotas.release().await;
    }
}
