//! Public keys that credentials log in with: by SSH, and in FTPS by a certificate of the same key ([`certificate`]).

pub mod certificate;

use crate::id::{CredentialId, uuid_text};
use crate::invalid::Invalid;
use crate::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use ssh_key::public::KeyData;
use ssh_key::{HashAlg, PublicKey};

/// The most keys that one credential has.
pub const MAX_KEYS: u32 = 50;

/// The longest line: an RSA key of 16,384 bits has about 2,800 characters.
const MAX_LINE: usize = 8192;
const MIN_RSA_BITS: u32 = 2048;
/// Verifying with a larger key is work that an attacker would choose for us.
const MAX_RSA_BITS: u32 = 16_384;

/// `Type` of SFTP To Go's object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyType {
    /// RSA, at least 2,048 bits.
    Rsa,
    /// ECDSA on P-256, P-384 or P-521.
    Ecdsa,
    /// Ed25519.
    Ed25519,
}

/// A key as it was parsed from a line of `authorized_keys` or a `.pub` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedKey {
    /// What kind.
    pub key_type: KeyType,
    /// `SHA256:…`, as `ssh-keygen -l` shows it.
    pub fingerprint: String,
    /// What stands behind the key; often `user@host`.
    pub comment: String,
    /// The line, without spaces around it.
    pub line: String,
    /// The SSH wire form (RFC 4253, section 6.6), which is what a client shows.
    pub blob: Vec<u8>,
}

/// Parses one line in OpenSSH's form, or a certificate in PEM, of which the key is taken.
pub fn parse(text: &str) -> Result<ParsedKey, Invalid> {
    let line = text.trim();
    if line.starts_with(certificate::PEM_BEGINS) {
        return certificate::parse(line);
    }
    if line.len() > MAX_LINE || line.chars().any(char::is_control) {
        return Err(Invalid::new("must be one line of at most 8192 characters"));
    }
    let key = PublicKey::from_openssh(line).map_err(|_| {
        Invalid::new("must be one public key in OpenSSH's form, `<type> <base64> [<comment>]`, or a certificate in PEM")
    })?;
    checked(&key, line.to_owned())
}

fn checked(key: &PublicKey, line: String) -> Result<ParsedKey, Invalid> {
    let key_type = match key.key_data() {
        KeyData::Ed25519(_) => KeyType::Ed25519,
        KeyData::Ecdsa(_) => KeyType::Ecdsa,
        KeyData::Rsa(rsa) => {
            if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&rsa.key_size()) {
                return Err(Invalid::new("must be an RSA key of 2048 to 16384 bits"));
            }
            KeyType::Rsa
        }
        _ => return Err(Invalid::new("must be an Ed25519, ECDSA or RSA key")),
    };
    Ok(ParsedKey {
        key_type,
        fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
        comment: key.comment().as_str_lossy().to_owned(),
        line,
        blob: key.to_bytes().map_err(|_| Invalid::new("must be a key that can be written out again"))?,
    })
}

/// A credential's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshKey {
    /// A UUID, made from the credential and the key: see [`key_id`].
    pub id: String,
    /// Whose key it is.
    pub credential: CredentialId,
    /// What kind.
    pub key_type: KeyType,
    /// `SHA256:…`.
    pub fingerprint: String,
    /// What stands behind the key.
    pub comment: String,
    /// The line as it was sent.
    pub body: String,
    /// The wire form, in base64.
    pub blob: String,
    /// When it was added.
    pub created_at: Timestamp,
}

impl SshKey {
    /// A record for a parsed key.
    pub fn new(credential: CredentialId, parsed: ParsedKey, now: Timestamp) -> Self {
        Self {
            id: key_id(&credential, &parsed.blob),
            credential,
            key_type: parsed.key_type,
            fingerprint: parsed.fingerprint,
            comment: parsed.comment,
            body: parsed.line,
            blob: STANDARD.encode(parsed.blob),
            created_at: now,
        }
    }

    /// Whether a client that shows `blob` shows this key.
    pub fn is(&self, blob: &[u8]) -> bool {
        self.blob == STANDARD.encode(blob)
    }
}

/// The id of a key: the same key has the same id in the same credential, so it can be added only once, and the key that
/// a client shows at a login is found by one read, not by a query over all keys.
pub fn key_id(credential: &CredentialId, blob: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(b"towpath ssh key\0");
    hash.update(credential.as_str());
    hash.update(blob);
    let digest: [u8; 32] = hash.finalize().into();
    let (id, _) = digest.split_first_chunk::<16>().map_or(([0; 16], &[][..]), |(id, rest)| (*id, rest));
    uuid_text(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti user@example.com";

    #[test]
    fn an_ed25519_key() {
        let key = parse(&format!("  {ED25519}\n")).unwrap();
        assert_eq!(key.key_type, KeyType::Ed25519);
        assert_eq!(key.fingerprint, "SHA256:UCUiLr7Pjs9wFFJMDByLgc3NrtdU344OgUM45wZPcIQ");
        assert_eq!(key.comment, "user@example.com");
        assert_eq!(key.blob.len(), 51);
    }

    #[test]
    fn what_is_refused() {
        let private = "-----BEGIN OPENSSH PRIVATE KEY-----";
        let two = format!("{ED25519}\n{ED25519}");
        let option = format!("command=\"x\" {ED25519}");
        let short_rsa = rsa_line(1024);
        for bad in
            ["", "ssh-ed25519", "ssh-ed25519 AAAA", private, &two, &option, &short_rsa, "ssh-dss AAAAB3NzaC1kc3M="]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(parse(&rsa_line(2048)).map(|key| key.key_type), Ok(KeyType::Rsa));
    }

    /// An RSA line with a modulus of so many bits (RFC 4253, section 6.6): not a usable key, but of the right size.
    fn rsa_line(bits: usize) -> String {
        let mut blob = Vec::new();
        let mut modulus = vec![0; bits / 8 + 1];
        modulus[1] = 0xc1;
        modulus[bits / 8] = 1;
        for field in [b"ssh-rsa".as_slice(), &[1, 0, 1], &modulus] {
            blob.extend_from_slice(&u32::try_from(field.len()).unwrap().to_be_bytes());
            blob.extend_from_slice(field);
        }
        format!("ssh-rsa {}", STANDARD.encode(blob))
    }

    #[test]
    fn an_id_belongs_to_one_key_of_one_credential() {
        let (a, b) = (CredentialId::from_random([1; 15]), CredentialId::from_random([2; 15]));
        assert_eq!(key_id(&a, b"k"), key_id(&a, b"k"));
        assert_ne!(key_id(&a, b"k"), key_id(&b, b"k"));
        assert_ne!(key_id(&a, b"k"), key_id(&a, b"l"));
        assert!(crate::id::is_uuid(&key_id(&a, b"k")));
    }
}
