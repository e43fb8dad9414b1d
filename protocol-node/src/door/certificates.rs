//! The certificate that a door shows over TLS 1.2 and 1.3 (RFC 5246, 8446), read again when its files change. A pair that cannot
//! be used is logged, and the old one stays; connections keep what they began with.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{self, ServerConfig, version};

/// How often the files are looked at.
pub(crate) const LOOK: Duration = Duration::from_secs(5);

/// Certificate and key as files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain in PEM, the server's own certificate first.
    pub certificate: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
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
    /// Who looks at those of clients, if they are asked for one.
    clients: Option<Clients>,
    current: RwLock<Arc<ServerConfig>>,
}

/// Who looks at the certificates of clients.
pub(crate) type Clients = Arc<dyn ClientCertVerifier>;

/// When the files were written, and how long they are.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Certificates {
    /// Reads the files.
    pub(crate) fn load(files: CertificateFiles, clients: Option<Clients>) -> Result<Arc<Self>, CertificateError> {
        let current = RwLock::new(Arc::new(config(&files, clients.clone())?));
        Ok(Arc::new(Self { files, clients, current }))
    }

    /// For a new connection.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
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
        let (files, clients) = (self.files.clone(), self.clients.clone());
        let certificate = self.files.certificate.display();
        match tokio::task::spawn_blocking(move || config(&files, clients)).await {
            Ok(Ok(config)) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                tracing::info!(%certificate, "a certificate was read again");
            }
            Ok(Err(error)) => tracing::error!(%error, "a new certificate cannot be used, the old one stays"),
            Err(error) => tracing::error!(%error, %certificate, "a certificate could not be read"),
        }
    }
}

fn config(files: &CertificateFiles, clients: Option<Clients>) -> Result<ServerConfig, CertificateError> {
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
    let builder =
        ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&version::TLS13, &version::TLS12])?;
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key)?;
    // early data could be replayed
    config.max_early_data_size = 0;
    Ok(config)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use tempfile::TempDir;

    /// A certificate for loopback, its own authority, in a folder.
    pub(crate) fn files() -> (TempDir, CertificateFiles) {
        let folder = tempfile::tempdir().unwrap();
        let files = CertificateFiles { certificate: folder.path().join("certificate"), key: folder.path().join("key") };
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
        assert!(Certificates::load(files.clone(), None).is_ok());
        let (other, _) = pair();
        std::fs::write(&files.certificate, other).unwrap();
        assert!(matches!(Certificates::load(files.clone(), None), Err(CertificateError::Pair(_))));
        std::fs::write(&files.certificate, "nothing").unwrap();
        assert!(matches!(Certificates::load(files.clone(), None), Err(CertificateError::Empty(_))));
        std::fs::remove_file(&files.key).unwrap();
        let error = Certificates::load(files, None).err().unwrap().to_string();
        assert!(!error.is_empty());
    }

    #[tokio::test]
    async fn a_changed_certificate_is_taken_and_a_broken_one_is_not() {
        let (_folder, files) = files();
        let certificates = Certificates::load(files.clone(), None).unwrap();
        let current = |certificates: &Certificates| Arc::as_ptr(&certificates.current());
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
