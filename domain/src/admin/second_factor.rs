//! One-time codes (TOTP, RFC 6238) and recovery codes.
//!
//! A code counts for its 30 seconds and those before and after it, and only once: who accepts one notes its step, in the same
//! write, and no step that is not later is accepted again (RFC 6238, section 5.2). The secret lies in the table sealed, of
//! recovery codes only hashes do.

use crate::digest::keyed_hash;
use crate::invalid::Invalid;
use crate::password::pick;
use crate::sealed::Sealed;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use totp_rs::{Algorithm, Builder, Secret, Totp};
use zeroize::Zeroizing;

/// The name of the one configuration, as SFTPGo calls its first.
pub const CONFIG: &str = "Default";
/// Its algorithm: the only one that every authenticator knows.
pub const ALGORITHM: &str = "sha1";
/// Who is named in authenticators.
pub const ISSUER: &str = "Towpath";
/// Recovery codes that are made at a time.
pub const RECOVERY_CODES: usize = 12;
/// Wrong codes in an hour, with the right password; after them none is looked at until the hour ends.
pub const MOST_WRONG_CODES: u32 = 20;

const DIGITS: u8 = 6;
const STEP_SECONDS: u64 = 30;
const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Characters of a secret: 160 bits, as RFC 4226, section 4 recommends.
const SECRET_CHARS: usize = 32;
/// Characters of a recovery code: 80 bits, so that a plain hash of it cannot be undone.
const RECOVERY_CHARS: usize = 16;

/// Random bytes that [`generate`] needs.
pub const GENERATE_BYTES: usize = 4 * SECRET_CHARS;
/// Random bytes that [`generate_recovery`] needs.
pub const RECOVERY_BYTES: usize = 4 * RECOVERY_CHARS * RECOVERY_CODES;

/// A second factor as it is kept. No Debug output.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondFactor {
    /// The secret, in base32, sealed.
    pub secret: Sealed,
    /// The recovery codes.
    #[serde(default)]
    pub recovery: Vec<RecoveryCode>,
}

/// Whether an account's codes are still those of the same secret.
pub fn same_secret(old: Option<&SecondFactor>, new: Option<&SecondFactor>) -> bool {
    old.map(|factor| &factor.secret) == new.map(|factor| &factor.secret)
}

/// A recovery code as it is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryCode {
    /// [`recovery_hash`].
    pub hash: String,
    /// Whether it was used.
    #[serde(default)]
    pub used: bool,
}

/// A new secret, in base32.
pub fn generate(random: &[u8; GENERATE_BYTES]) -> Zeroizing<String> {
    Zeroizing::new(pick(random, std::iter::repeat(BASE32)).collect())
}

/// New recovery codes: four groups of four characters.
pub fn generate_recovery(random: &[u8; RECOVERY_BYTES]) -> Vec<Zeroizing<String>> {
    let all: Zeroizing<Vec<char>> = Zeroizing::new(pick(random, std::iter::repeat(BASE32)).collect());
    let code = |characters: &[char]| {
        let groups: Vec<String> = characters.chunks(4).map(|group| group.iter().collect()).collect();
        Zeroizing::new(groups.join("-"))
    };
    all.chunks(RECOVERY_CHARS).map(code).collect()
}

/// What is kept of a recovery code. `account` makes it another one for everybody.
pub fn recovery_hash(account: &str, code: &str) -> String {
    let bare: Zeroizing<String> =
        Zeroizing::new(code.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_ascii_uppercase()).collect());
    hex::encode(keyed_hash(b"towpath recovery code v1", &[account.as_bytes(), bare.as_bytes()]))
}

fn totp(secret: &str) -> Result<Totp, Invalid> {
    let invalid = || Invalid::new("must be 26 to 128 characters of base32, as it was generated");
    if secret.len() > 128 {
        return Err(invalid());
    }
    let secret = Secret::try_from_base32(secret).map_err(|_| invalid())?;
    let builder = Builder::new().with_algorithm(Algorithm::SHA1).with_digits(DIGITS).with_skew(1);
    builder.with_step_duration(STEP_SECONDS).with_secret(secret).build().map_err(|_| invalid())
}

/// Whether it can be a secret.
pub fn check_secret(secret: &str) -> Result<(), Invalid> {
    totp(secret).map(|_| ())
}

/// The step of the code, if it is one of the secret's now.
pub fn accepted_step(secret: &str, code: &str, now: Timestamp) -> Option<u64> {
    let code = code.trim();
    if code.len() != usize::from(DIGITS) || !code.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    totp(secret).ok()?.check(code, u64::try_from(now.seconds()).ok()?)
}

/// What authenticators read from a QR code. (Key Uri Format of Google Authenticator.)
pub fn url(secret: &str, name: &str) -> Zeroizing<String> {
    let name = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    Zeroizing::new(format!(
        "otpauth://totp/{ISSUER}:{name}?secret={secret}&issuer={ISSUER}&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B: `12345678901234567890`.
    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn codes_of_the_rfc() {
        // its codes have 8 digits, of which these are the last 6
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924")] {
            assert_eq!(accepted_step(SECRET, code, at(seconds)), Some(u64::try_from(seconds).unwrap() / 30));
            assert!(accepted_step(SECRET, code, at(seconds + 30)).is_some());
            assert_eq!(accepted_step(SECRET, code, at(seconds + 90)), None);
        }
        for bad in ["", "28708", "2870822", "28708x", "２８７０８２"] {
            assert_eq!(accepted_step(SECRET, bad, at(59)), None, "{bad}");
        }
    }

    #[test]
    fn generated_secrets_and_codes() {
        let secret = generate(&[9; GENERATE_BYTES]);
        assert!(secret.len() == 32 && check_secret(&secret).is_ok());
        for bad in ["", "AAAA", "not base32!", &"A".repeat(129)] {
            assert!(check_secret(bad).is_err(), "{bad}");
        }
        let mut random = [0; RECOVERY_BYTES];
        random.iter_mut().zip(0_u32..).for_each(|(byte, at)| *byte = ((at + at / 64) % 251).to_le_bytes()[0]);
        let codes = generate_recovery(&random);
        assert_eq!(codes.len(), RECOVERY_CODES);
        let code = codes.first().unwrap();
        assert_eq!(code.len(), 19);
        assert_eq!(recovery_hash("a", code), recovery_hash("a", &code.replace('-', "").to_lowercase()));
        assert_ne!(recovery_hash("a", code), recovery_hash("b", code));
        assert_ne!(recovery_hash("a", code), recovery_hash("a", codes.get(1).unwrap()));
    }

    #[test]
    fn a_url_names_the_account_and_survives_odd_names() {
        let url = url(SECRET, "ana@example.com");
        assert!(url.starts_with("otpauth://totp/Towpath:ana%40example%2Ecom?secret=GEZD"), "{}", url.as_str());
    }
}
