//! Certificates of clients (RFC 8446, section 4.4.2; RFC 4217, section 10): asked for, never needed, and not judged here.
//!
//! TLS shows that the client has the key of the certificate that it sends. Whether that key logs anybody in is decided by
//! `app::accounts` from the keys of the credential, so any certificate is taken that is not too large.

use domain::ssh_key::certificate::{self, MAX_DER};
use std::sync::Arc;
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConnection, SignatureScheme,
};

/// Asks for a certificate and takes any.
#[derive(Debug)]
pub(super) struct AnyKey(pub(super) Arc<CryptoProvider>);

/// The key of the client's certificate in SSH's wire form, if it has shown one that could log somebody in.
pub(super) fn shown(tls: &ServerConnection) -> Option<Vec<u8>> {
    tls.peer_certificates()?.first().and_then(|certificate| certificate::key_of(certificate))
}

impl ClientCertVerifier for AnyKey {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        // all of it goes into the session's tickets, which come back in the ClientHello of each data connection
        let bytes = end_entity.len() + intermediates.iter().map(|certificate| certificate.len()).sum::<usize>();
        if bytes > MAX_DER {
            tracing::info!(bytes, limit = MAX_DER, "a client's certificate with its chain is too large");
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
