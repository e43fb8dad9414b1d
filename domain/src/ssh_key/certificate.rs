//! Certificates (X.509, RFC 5280) that clients of FTPS log in with.
//!
//! What counts is the key, exactly as with SSH: TLS shows that the client has it, and it is one of the credential's public
//! keys, or not. Who signed a certificate, its names and its dates mean nothing here: it is trusted because the team has
//! registered it, it ends when the team removes it, and a renewed certificate of the same key goes on working.

use super::{ParsedKey, checked};
use crate::invalid::Invalid;
use pkcs1::RsaPublicKey;
use pkcs1::der::Decode as _;
use ssh_key::public::{EcdsaPublicKey, Ed25519PublicKey, KeyData, RsaPublicKey as SshRsa};
use ssh_key::{Mpint, PublicKey};
use x509_cert::Certificate;
use x509_cert::der::DecodePem as _;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::spki::SubjectPublicKeyInfoOwned;

/// What a certificate in PEM begins with (RFC 7468, section 5.1).
pub const PEM_BEGINS: &str = "-----BEGIN CERTIFICATE-----";

/// The longest certificate that is looked at.
pub const MAX_DER: usize = 8192;

/// RFC 8410, section 3.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// RFC 5480, section 2.1.1.
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// RFC 8017, appendix A.1.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The key of a certificate in DER, in SSH's wire form (RFC 4253, section 6.6), if it is one that could be registered.
pub fn key_of(der: &[u8]) -> Option<Vec<u8>> {
    let certificate = Certificate::from_der(der).ok().filter(|_| der.len() <= MAX_DER)?;
    let key = public_key(certificate.tbs_certificate().subject_public_key_info())?;
    checked(&key, String::new()).ok().map(|parsed| parsed.blob)
}

/// Takes the key of a certificate in PEM. Its comment is the certificate's subject.
pub(super) fn parse(pem: &str) -> Result<ParsedKey, Invalid> {
    let refused = |text| move || Invalid::new(text);
    // base64 makes four bytes of three
    let certificate = Certificate::from_pem(pem).ok().filter(|_| pem.len() <= MAX_DER * 3 / 2);
    let certificate = certificate.ok_or_else(refused("must be one certificate in PEM of at most 8192 bytes"))?;
    let tbs = certificate.tbs_certificate();
    let key = public_key(tbs.subject_public_key_info());
    let mut key = key.ok_or_else(refused("must be a certificate of an Ed25519, ECDSA or RSA key"))?;
    let subject: String = tbs.subject().to_string().chars().filter(|char| !char.is_control()).take(200).collect();
    key.set_comment(subject);
    let line = key.to_openssh().map_err(|_| Invalid::new("must be a key that can be written out again"))?;
    checked(&key, line)
}

fn public_key(info: &SubjectPublicKeyInfoOwned) -> Option<PublicKey> {
    let bits = info.subject_public_key.as_bytes()?;
    let data = match info.algorithm.oid {
        ED25519 => KeyData::Ed25519(Ed25519PublicKey(bits.try_into().ok()?)),
        EC => {
            let curve = info.algorithm.parameters.as_ref()?.decode_as::<ObjectIdentifier>().ok()?;
            // the length of the point tells which of the three it is; other curves of that length are none of them
            let key = EcdsaPublicKey::from_sec1_bytes(bits).ok()?;
            (curve == named_curve(&key)).then_some(KeyData::Ecdsa(key))?
        }
        RSA => {
            let key = RsaPublicKey::from_der(bits).ok()?;
            let number = |bytes: &[u8]| Mpint::from_positive_bytes(bytes);
            let (e, n) = (number(key.public_exponent.as_bytes()), number(key.modulus.as_bytes()));
            KeyData::Rsa(SshRsa::new(e, n).ok()?)
        }
        _ => return None,
    };
    Some(PublicKey::from(data))
}

/// RFC 5480, section 2.1.1.1.
fn named_curve(key: &EcdsaPublicKey) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(match key {
        EcdsaPublicKey::NistP256(_) => "1.2.840.10045.3.1.7",
        EcdsaPublicKey::NistP384(_) => "1.3.132.0.34",
        EcdsaPublicKey::NistP521(_) => "1.3.132.0.35",
    })
}

#[cfg(test)]
mod tests {
    use super::super::{KeyType, parse};
    use super::*;
    use x509_cert::der::Encode as _;

    const ED25519: &str = include_str!("examples/ed25519.pem");

    fn der(pem: &str) -> Vec<u8> {
        Certificate::from_pem(pem).unwrap().to_der().unwrap()
    }

    #[test]
    fn the_key_of_a_certificate_is_the_one_that_ssh_knows() {
        // by `openssl x509 -pubkey -noout` and `ssh-keygen -i -m PKCS8 | ssh-keygen -l`
        for (pem, key_type, fingerprint) in [
            (
                include_str!("examples/ed25519.pem"),
                KeyType::Ed25519,
                "SHA256:NqvhwQTCESDCRKas33Q2bo9vX2MvtLKpWiQqpW9/EwA",
            ),
            (include_str!("examples/p256.pem"), KeyType::Ecdsa, "SHA256:2H8eh6p9WVdXcIbzC/RNsy3rc7Zn4W+DKfmZVHdRVR8"),
            (include_str!("examples/p521.pem"), KeyType::Ecdsa, "SHA256:LLqQdPvKLv35qZddzC5NXXGPlAYqkW5vEEBQY/vz6qE"),
            (include_str!("examples/rsa2048.pem"), KeyType::Rsa, "SHA256:BNBTzYTj2I4g94mixJDpEhlj/W0eMo9U/fqJ0EOrpts"),
        ] {
            let parsed = parse(pem).unwrap();
            assert_eq!((parsed.key_type, &parsed.fingerprint[..]), (key_type, fingerprint));
            assert_eq!(key_of(&der(pem)), Some(parsed.blob.clone()));
            // the line is as good as the certificate
            assert_eq!(parse(&parsed.line).unwrap(), parsed);
            assert!(parsed.comment.contains("CN=Partner"), "{}", parsed.comment);
        }
    }

    #[test]
    fn what_is_refused() {
        let two = format!("{ED25519}{ED25519}");
        let cut = &ED25519[..200];
        for (pem, why) in [
            (include_str!("examples/k1.pem"), "Ed25519, ECDSA or RSA"),
            (include_str!("examples/rsa1024.pem"), "2048 to 16384 bits"),
            (&two, "one certificate"),
            (cut, "one certificate"),
            (PEM_BEGINS, "one certificate"),
        ] {
            let error = parse(pem).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        assert_eq!(key_of(&der(include_str!("examples/rsa1024.pem"))), None);
        assert_eq!(key_of(b""), None);
        let mut longer = der(ED25519);
        longer.push(0);
        assert_eq!(key_of(&longer), None);
    }

    #[test]
    fn no_change_of_a_byte_panics() {
        let der = der(ED25519);
        for at in 0..der.len() {
            let mut changed = der.clone();
            changed[at] ^= 0x5a;
            key_of(&changed);
            key_of(&der[..at]);
        }
    }
}
