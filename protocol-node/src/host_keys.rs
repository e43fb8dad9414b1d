//! The keys by which clients know this service, made from one secret, so that all nodes are one host to them.
//!
//! Derivation: HKDF-SHA256 (RFC 5869) without salt over the secret, 32 bytes each. `info` is
//! `towpath ssh host key v1 ed25519` for the Ed25519 seed (RFC 8032, section 5.1.5), and
//! `towpath ssh host key v1 ecdsa-p256 <n>` for the P-256 scalar, big-endian, with the first `n` = 0, 1, … whose value
//! lies between 1 and the order of the curve (all but one in 2^32 do). A change of these labels changes the host keys
//! of every installation.

use aws_lc_rs::agreement::{self, ECDH_P256};
use aws_lc_rs::hkdf::{self, HKDF_SHA256, Salt};
use ssh_key::private::{EcdsaKeypair, EcdsaPrivateKey, Ed25519Keypair, KeypairData};
use ssh_key::public::EcdsaPublicKey;
use ssh_key::{LineEnding, PrivateKey};
use zeroize::Zeroizing;

/// The shortest secret that is taken: as long as the keys that come out of it.
pub const MIN_SECRET_BYTES: usize = 32;

/// How many scalars are tried. That none of them is on the curve does not happen.
const SCALARS_TRIED: u8 = 16;

/// The host keys cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostKeyError {
    /// The secret could be guessed.
    #[error("the secret of the host keys must have at least {MIN_SECRET_BYTES} bytes")]
    SecretTooShort,
    /// The cryptographic library refuses; not seen.
    #[error("the host keys cannot be derived")]
    Derivation,
}

/// The host keys: Ed25519, then ECDSA on P-256. Has no `Debug`.
pub struct HostKeys {
    keys: Vec<PrivateKey>,
}

/// Derives the host keys from the shared secret.
pub fn host_keys(secret: &[u8]) -> Result<HostKeys, HostKeyError> {
    if secret.len() < MIN_SECRET_BYTES {
        return Err(HostKeyError::SecretTooShort);
    }
    let seed = expand(secret, "ed25519")?;
    let ed25519 = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
    let p256 = KeypairData::Ecdsa(p256(secret)?);
    let keys = [ed25519, p256]
        .into_iter()
        .map(|key| PrivateKey::new(key, "towpath").map_err(|_| HostKeyError::Derivation))
        .collect::<Result<_, _>>()?;
    Ok(HostKeys { keys })
}

impl HostKeys {
    /// The public keys, each as one line of `known_hosts` without the host: type, base64, comment.
    pub fn public_lines(&self) -> Vec<String> {
        self.keys.iter().filter_map(|key| key.public_key().to_openssh().ok()).collect()
    }

    /// The fingerprints, as `ssh-keygen -l` shows them: `SHA256:…`.
    pub fn fingerprints(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.fingerprint(ssh_key::HashAlg::Sha256).to_string()).collect()
    }

    /// The private keys in OpenSSH's format, for tools that need files.
    pub fn private_pems(&self) -> Vec<Zeroizing<String>> {
        self.keys.iter().filter_map(|key| key.to_openssh(LineEnding::LF).ok()).collect()
    }

    /// For the SSH library.
    pub(crate) fn private_keys(&self) -> Vec<PrivateKey> {
        self.keys.clone()
    }
}

fn expand(secret: &[u8], label: &str) -> Result<Zeroizing<[u8; 32]>, HostKeyError> {
    let mut bytes = Zeroizing::new([0; 32]);
    let info = [b"towpath ssh host key v1 ", label.as_bytes()];
    Salt::new(HKDF_SHA256, &[])
        .extract(secret)
        .expand(&info, Len32)
        .and_then(|okm| okm.fill(bytes.as_mut()))
        .map_err(|_| HostKeyError::Derivation)?;
    Ok(bytes)
}

struct Len32;

impl hkdf::KeyType for Len32 {
    fn len(&self) -> usize {
        32
    }
}

fn p256(secret: &[u8]) -> Result<EcdsaKeypair, HostKeyError> {
    for attempt in 0..SCALARS_TRIED {
        let scalar = expand(secret, &format!("ecdsa-p256 {attempt}"))?;
        // refused: zero, or not below the order of the curve
        let Ok(key) = agreement::PrivateKey::from_private_key(&ECDH_P256, scalar.as_ref()) else {
            continue;
        };
        let point = key.compute_public_key().map_err(|_| HostKeyError::Derivation)?;
        let EcdsaPublicKey::NistP256(public) =
            EcdsaPublicKey::from_sec1_bytes(point.as_ref()).map_err(|_| HostKeyError::Derivation)?
        else {
            return Err(HostKeyError::Derivation);
        };
        let private = EcdsaPrivateKey::from(*scalar);
        return Ok(EcdsaKeypair::NistP256 { public, private });
    }
    Err(HostKeyError::Derivation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_secret_makes_the_same_keys() {
        let lines = host_keys(&[7; 32]).unwrap().public_lines();
        assert_eq!(lines, host_keys(&[7; 32]).unwrap().public_lines());
        assert_ne!(lines, host_keys(&[8; 32]).unwrap().public_lines());
        assert!(lines[0].starts_with("ssh-ed25519 ") && lines[1].starts_with("ecdsa-sha2-nistp256 "));
        assert!(host_keys(&[7; 31]).is_err());
    }

    #[test]
    fn the_public_keys_belong_to_the_private_ones() {
        use ssh_key::HashAlg;
        for key in host_keys(&[7; 40]).unwrap().private_keys() {
            let signature = key.sign("test", HashAlg::Sha512, b"message").unwrap();
            key.public_key().verify("test", b"message", &signature).unwrap();
        }
    }
}
