//! TLS 1.2 and 1.3 (RFC 5246, 8446) for control and data connections (RFC 4217): the certificate, which is read again
//! when its files change, and the settings of one session.
//!
//! Rule: what binds a data connection to its control connection is resumption ([`super::tickets`]). Early data (0-RTT) is
//! off: it could be replayed.

use super::client_keys::AnyKey;
use super::tickets::{NoKey, Tickets, UploadTickets};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig, version};

/// How often the files are looked at.
pub(super) const LOOK: Duration = Duration::from_secs(5);

/// Tickets with which a client of TLS 1.3 begins: some use each for one data connection only.
const TICKETS: usize = 4;

/// What a client may ask for (RFC 9149).
const MAX_TICKETS: usize = 16;

/// Certificate and key as files, and what is asked of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// `TOWPATH_FTPS_CERTIFICATE_FILE`: the chain in PEM, the server's own certificate first.
    pub certificate: PathBuf,
    /// `TOWPATH_FTPS_KEY_FILE`: its private key in PEM.
    pub key: PathBuf,
    /// `TOWPATH_FTPS_CLIENT_CERTIFICATES`: whether clients are asked for one of theirs.
    pub ask_clients: bool,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read as PEM.
    #[error("{path} cannot be read: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// There is no certificate in the file.
    #[error("{0} holds no certificate")]
    Empty(PathBuf),
    /// The two do not belong together, or the key is of a kind that cannot be used.
    #[error("certificate and key cannot be used: {0}")]
    Pair(#[from] rustls::Error),
}

/// The certificate in use.
pub(crate) struct Certificates {
    files: CertificateFiles,
    current: RwLock<Arc<ServerConfig>>,
}

/// When the files were written, and how long they are.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Certificates {
    /// Reads the files.
    pub(crate) fn load(files: CertificateFiles) -> Result<Arc<Self>, CertificateError> {
        let current = RwLock::new(Arc::new(config(&files)?));
        Ok(Arc::new(Self { files, current }))
    }

    /// For a new control connection.
    pub(crate) fn session(&self) -> Result<SessionTls, NoKey> {
        let current = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        SessionTls::new(&current)
    }

    /// Looks at the files so often, for ever, and reads them again when they have changed. What cannot be used is logged, and the old pair stays.
    pub(crate) async fn follow(self: Arc<Self>, every: Duration) {
        let mut seen = self.stamp().await;
        loop {
            tokio::time::sleep(every).await;
            let now = self.stamp().await;
            if now != seen {
                seen = now;
                self.reload().await;
            }
        }
    }

    async fn stamp(&self) -> Stamp {
        let of = async |path: &Path| {
            let metadata = tokio::fs::metadata(path).await.ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        [of(&self.files.certificate).await, of(&self.files.key).await]
    }

    async fn reload(&self) {
        let files = self.files.clone();
        match tokio::task::spawn_blocking(move || config(&files)).await {
            Ok(Ok(config)) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                tracing::info!("the FTPS certificate was read again");
            }
            Ok(Err(error)) => tracing::error!(%error, "the new FTPS certificate cannot be used, the old one stays"),
            Err(error) => tracing::error!(%error, "the FTPS certificate could not be read"),
        }
    }
}

fn config(files: &CertificateFiles) -> Result<ServerConfig, CertificateError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| CertificateError::File { path, source }
    };
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(failed(&files.certificate))?;
    if chain.is_empty() {
        return Err(CertificateError::Empty(files.certificate.clone()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(failed(&files.key))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])?;
    let builder = if files.ask_clients {
        builder.with_client_cert_verifier(Arc::new(AnyKey(provider)))
    } else {
        builder.with_no_client_auth()
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.send_tls13_tickets = TICKETS;
    config.max_tls13_tickets = MAX_TICKETS;
    config.max_early_data_size = 0;
    Ok(config)
}

/// The settings of one control connection and its data connections.
#[derive(Clone)]
pub(crate) struct SessionTls {
    pub(crate) tickets: Arc<Tickets>,
    /// Of the control connection.
    pub(crate) control: Arc<ServerConfig>,
    /// Of data connections on which the client reads.
    pub(crate) reading: Arc<ServerConfig>,
    /// Of data connections on which it writes.
    pub(crate) writing: Arc<ServerConfig>,
}

impl SessionTls {
    fn new(base: &ServerConfig) -> Result<Self, NoKey> {
        let tickets = Tickets::new()?;
        let mut control = base.clone();
        control.session_storage = Arc::clone(&tickets) as _;
        control.ticketer = Arc::clone(&tickets) as _;
        let mut reading = control.clone();
        reading.send_tls13_tickets = 1;
        reading.max_tls13_tickets = 0;
        let mut writing = reading.clone();
        writing.ticketer = Arc::new(UploadTickets(Arc::clone(&tickets)));
        Ok(Self { tickets, control: Arc::new(control), reading: Arc::new(reading), writing: Arc::new(writing) })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use tempfile::TempDir;

    /// A certificate for loopback, its own authority, in a folder.
    pub(crate) fn files() -> (TempDir, CertificateFiles) {
        let folder = tempfile::tempdir().unwrap();
        let files = CertificateFiles {
            certificate: folder.path().join("certificate"),
            key: folder.path().join("key"),
            ask_clients: true,
        };
        let (certificate, key) = pair();
        std::fs::write(&files.certificate, certificate).unwrap();
        std::fs::write(&files.key, key).unwrap();
        (folder, files)
    }

    pub(crate) fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_pair_that_does_not_belong_together_is_refused() {
        let (_folder, files) = files();
        assert!(Certificates::load(files.clone()).is_ok());
        let (other, _) = pair();
        std::fs::write(&files.certificate, other).unwrap();
        assert!(matches!(Certificates::load(files.clone()), Err(CertificateError::Pair(_))));
        std::fs::write(&files.certificate, "nothing").unwrap();
        assert!(matches!(Certificates::load(files.clone()), Err(CertificateError::Empty(_))));
        std::fs::remove_file(&files.key).unwrap();
        let error = Certificates::load(files).err().unwrap().to_string();
        assert!(!error.is_empty());
    }

    #[tokio::test]
    async fn a_changed_certificate_is_taken_and_a_broken_one_is_not() {
        let (_folder, files) = files();
        let certificates = Certificates::load(files.clone()).unwrap();
        let current = |certificates: &Certificates| Arc::as_ptr(&certificates.current.read().unwrap());
        let first = current(&certificates);
        let following = tokio::spawn(Arc::clone(&certificates).follow(Duration::from_millis(1)));
        let seen = certificates.stamp().await;
        std::fs::write(&files.key, "broken").unwrap();
        assert_ne!(certificates.stamp().await, seen);
        certificates.reload().await;
        assert_eq!(current(&certificates), first, "the old one stays");
        let (certificate, key) = pair();
        std::fs::write(&files.certificate, certificate).unwrap();
        std::fs::write(&files.key, key).unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while current(&certificates) == first {
            assert!(std::time::Instant::now() < deadline, "the new certificate is not taken");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        following.abort();
    }
}
