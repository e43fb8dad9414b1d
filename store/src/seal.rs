//! Secrets that must be read back lie in the table encrypted: AES-256-GCM under a key derived from
//! `TOWPATH_SEALING_SECRET`, which is never in the table.
//!
//! The place of a secret (organization, record, field) is authenticated with it, so a ciphertext that somebody copies
//! into another record does not open there. The text form starts with the version of this scheme: `1.<base64>`.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use domain::sealed::Sealed;
use std::sync::Arc;
use zeroize::Zeroizing;

const VERSION: &str = "1";
const MIN_SECRET_BYTES: usize = 32;

/// Where a secret lives.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Whose it is.
    pub organization: &'a str,
    /// The record's id.
    pub record: &'a str,
    /// The field.
    pub field: &'a str,
}

impl Place<'_> {
    fn associated_data(&self) -> Vec<u8> {
        format!("{}|{}|{}|{VERSION}", self.organization, self.record, self.field).into_bytes()
    }
}

/// Why the sealing secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SealerError {
    /// Too short to be random enough.
    #[error("TOWPATH_SEALING_SECRET must have at least {MIN_SECRET_BYTES} characters")]
    TooShort,
    /// The library refused.
    #[error("no key could be derived from TOWPATH_SEALING_SECRET")]
    Derivation,
}

/// A value that does not open: another key, another place, or damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value could not be sealed or opened; was TOWPATH_SEALING_SECRET changed?")]
pub struct SealError;

/// Seals and opens. Cheap to clone. No Debug output.
#[derive(Clone)]
pub struct Sealer(Arc<LessSafeKey>);

impl Sealer {
    /// Derives the key.
    pub fn new(secret: &str) -> Result<Self, SealerError> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(SealerError::TooShort);
        }
        let salt = Salt::new(HKDF_SHA256, b"towpath sealing v1");
        let mut key = Zeroizing::new([0; 32]);
        salt.extract(secret.as_bytes())
            .expand(&[b"aes-256-gcm"], HKDF_SHA256)
            .and_then(|derived| derived.fill(key.as_mut_slice()))
            .map_err(|_| SealerError::Derivation)?;
        let key = UnboundKey::new(&AES_256_GCM, key.as_slice()).map_err(|_| SealerError::Derivation)?;
        Ok(Self(Arc::new(LessSafeKey::new(key))))
    }

    /// Encrypts `secret` for this place.
    pub fn seal(&self, place: Place<'_>, secret: &str) -> Result<Sealed, SealError> {
        // a random nonce is safe for 2^32 values under one key (NIST SP 800-38D, section 8.3); secrets are far fewer
        let nonce = crate::clock::random::<NONCE_LEN>();
        let mut bytes = nonce.to_vec();
        let mut ciphertext = secret.as_bytes().to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place.associated_data()),
                &mut ciphertext,
            )
            .map_err(|_| SealError)?;
        bytes.append(&mut ciphertext);
        Ok(Sealed::from_text(format!("{VERSION}.{}", STANDARD_NO_PAD.encode(bytes))))
    }

    /// Decrypts what was sealed for this place.
    pub fn open(&self, place: Place<'_>, sealed: &Sealed) -> Result<Zeroizing<String>, SealError> {
        let encoded = sealed.as_text().strip_prefix("1.").ok_or(SealError)?;
        let mut bytes = Zeroizing::new(STANDARD_NO_PAD.decode(encoded).map_err(|_| SealError)?);
        let (nonce, ciphertext) = bytes.split_first_chunk_mut::<NONCE_LEN>().ok_or(SealError)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain =
            self.0.open_in_place(nonce, Aad::from(place.associated_data()), ciphertext).map_err(|_| SealError)?;
        String::from_utf8(plain.to_vec()).map(Zeroizing::new).map_err(|_| SealError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place<'_> = Place { organization: "o", record: "r", field: "password" };

    fn sealer(secret: &str) -> Sealer {
        Sealer::new(secret).map_err(|error| error.to_string()).unwrap()
    }

    #[test]
    fn opens_only_with_its_key_and_in_its_place() {
        let sealer = sealer("0123456789abcdef0123456789abcdef");
        let sealed = sealer.seal(HERE, "secret ä").unwrap_or_else(|error| panic!("{error}"));
        assert!(!sealed.as_text().contains("secret"));
        assert_eq!(sealer.open(HERE, &sealed).as_ref().map(|text| text.as_str()), Ok("secret ä"));
        for place in
            [Place { organization: "p", ..HERE }, Place { record: "s", ..HERE }, Place { field: "secret", ..HERE }]
        {
            assert!(sealer.open(place, &sealed).is_err());
        }
        assert!(self::sealer("another secret of enough characters").open(HERE, &sealed).is_err());
        assert!(sealer.open(HERE, &Sealed::from_text("1.AAAA".into())).is_err());
    }

    #[test]
    fn two_seals_of_one_secret_differ() {
        let sealer = sealer("0123456789abcdef0123456789abcdef");
        let (a, b) = (sealer.seal(HERE, "x"), sealer.seal(HERE, "x"));
        assert!(a.map(|sealed| sealed.as_text().to_owned()) != b.map(|sealed| sealed.as_text().to_owned()));
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert!(matches!(Sealer::new("short"), Err(SealerError::TooShort)));
    }
}
