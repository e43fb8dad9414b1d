//! The certificate of FTPS on this machine: an authority of its own and a server certificate, made at the first start.
//! Clients are given the authority (`TOWPATH_FTPS_CA_FILE`); its key is thrown away.

use crate::state_folder::{StateError, StateFolder};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use std::path::PathBuf;

/// Where the certificates lie.
pub(crate) struct Files {
    /// What clients trust.
    pub(crate) authority: PathBuf,
    /// What the server shows.
    pub(crate) certificate: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("no certificate for FTPS can be made: {0}")]
    Make(#[from] rcgen::Error),
}

/// The names under which the server is reached here.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The files, made if one of them is missing.
pub(crate) fn files(folder: &StateFolder) -> Result<Files, CertificateError> {
    let (authority, certificate, key) = ("ftps-ca.pem", "ftps-certificate.pem", "ftps-key.pem");
    let files =
        Files { authority: folder.join(authority), certificate: folder.join(certificate), key: folder.join(key) };
    if [&files.authority, &files.certificate, &files.key].iter().all(|path| path.is_file()) {
        return Ok(files);
    }
    let authority_key = KeyPair::generate()?;
    let mut params = dated(CertificateParams::default());
    params.distinguished_name.push(DnType::CommonName, "Towpath on this machine");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let issued = params.self_signed(&authority_key)?;
    let issuer = Issuer::new(params, authority_key);
    let server_key = KeyPair::generate()?;
    let mut params = dated(CertificateParams::new(NAMES.map(str::to_owned))?);
    params.distinguished_name.push(DnType::CommonName, "localhost");
    params.use_authority_key_identifier_extension = true;
    let server = params.signed_by(&server_key, &issuer)?;
    folder.write_private(authority, &issued.pem())?;
    folder.write_private(certificate, &server.pem())?;
    folder.write_private(key, &server_key.serialize_pem())?;
    Ok(files)
}

fn dated(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2055, 1, 1);
    params
}
