//! Passwords: what they must look like, how they are made, and how they are checked.
//!
//! Argon2id with m=19456 KiB, t=2, p=1 (OWASP's first choice; about 21 ms and 19 MiB each). Callers run [`hash`] and
//! [`verify`] on a blocking thread, a bounded number at a time.

use crate::invalid::Invalid;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The longest password, in bytes: more is work for the server and no gain for its owner.
pub const MAX_BYTES: usize = 256;

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
/// A hash that was brought from elsewhere may ask for more than ours, but not for so much that a login hurts.
const MAX_MEMORY_KIB: u32 = 65_536;
const MAX_PASSES: u32 = 10;

/// What an organization asks of passwords. The default asks for length only, as NIST SP 800-63B does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordPolicy {
    /// Characters.
    pub min_length: u32,
    /// At least one upper-case letter.
    pub uppercase: bool,
    /// At least one lower-case letter.
    pub lowercase: bool,
    /// At least one digit.
    pub digit: bool,
    /// At least one character that is neither letter nor digit.
    pub symbol: bool,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self { min_length: 12, uppercase: false, lowercase: false, digit: false, symbol: false }
    }
}

/// Whether a class is asked for, what is in it, and its name.
type Class = (bool, fn(char) -> bool, &'static str);

impl PasswordPolicy {
    /// Whether `password` meets it. The problem lists everything that is missing.
    pub fn check(&self, password: &str) -> Result<(), Invalid> {
        let mut missing = Vec::new();
        let characters = u32::try_from(password.chars().count()).unwrap_or(u32::MAX);
        if characters < self.min_length {
            missing.push(format!("at least {} characters", self.min_length));
        }
        if password.len() > MAX_BYTES {
            missing.push(format!("at most {MAX_BYTES} bytes"));
        }
        let classes: [Class; 4] = [
            (self.uppercase, char::is_uppercase, "an upper-case letter"),
            (self.lowercase, char::is_lowercase, "a lower-case letter"),
            (self.digit, char::is_numeric, "a digit"),
            (self.symbol, |c| !c.is_alphanumeric(), "a character that is neither letter nor digit"),
        ];
        for (asked, is_in_class, what) in classes {
            if asked && !password.chars().any(is_in_class) {
                missing.push(what.to_owned());
            }
        }
        // a NUL ends the string in some clients, a line feed ends FTP's PASS
        if password.chars().any(char::is_control) {
            missing.push("no control characters".to_owned());
        }
        if missing.is_empty() { Ok(()) } else { Err(Invalid::new(format!("needs {}", missing.join(", ")))) }
    }
}

const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const DIGITS: &[u8] = b"0123456789";
/// Symbols that mean nothing in a URI, a shell word or an `.env` file.
const SYMBOLS: &[u8] = b"-_.~";
const LETTERS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Random bytes that [`generate`] needs: 4 for each of at most 128 characters.
pub const GENERATE_BYTES: usize = 512;

/// A password that meets `policy`: 24 characters (142 bits), or as many as the policy asks for.
pub fn generate(policy: &PasswordPolicy, random: &[u8; GENERATE_BYTES]) -> Zeroizing<String> {
    let length = usize::try_from(policy.min_length).unwrap_or(usize::MAX).clamp(24, 128);
    let classes = [UPPER, LOWER, DIGITS, if policy.symbol { SYMBOLS } else { LETTERS }];
    let alphabets = classes.into_iter().chain(std::iter::repeat(LETTERS));
    Zeroizing::new(pick(random, alphabets).take(length).collect())
}

/// One character of each alphabet, from 4 random bytes each: the bias of the remainder is below 2^-25.
pub(crate) fn pick<'a>(
    random: &'a [u8],
    alphabets: impl Iterator<Item = &'a [u8]> + 'a,
) -> impl Iterator<Item = char> + 'a {
    random.as_chunks::<4>().0.iter().zip(alphabets).filter_map(|(bytes, alphabet)| {
        let number = usize::try_from(u32::from_be_bytes(*bytes)).ok()?;
        alphabet.get(number.checked_rem(alphabet.len())?).map(|byte| char::from(*byte))
    })
}

/// Why a password could not be hashed; not the client's fault.
#[derive(Debug, thiserror::Error)]
#[error("the password could not be hashed: {0}")]
pub struct HashError(argon2::password_hash::Error);

/// The hash to store, as a PHC string.
pub fn hash(password: &str, salt: &[u8; 16]) -> Result<String, HashError> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|error| HashError(error.into()))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash: PasswordHash = argon2.hash_password_with_salt(password.as_bytes(), salt).map_err(HashError)?;
    Ok(hash.to_string())
}

/// Whether `password` is the one that `stored` was made from. A hash that cannot be read, or that asks for more work
/// than we do for a login, fits no password.
pub fn verify(password: &str, stored: &str) -> bool {
    if password.len() > MAX_BYTES {
        return false;
    }
    let Ok(parsed) = PasswordHash::new(stored) else {
        return false;
    };
    let Ok(params) = Params::try_from(&parsed) else {
        return false;
    };
    let too_much = params.m_cost() > MAX_MEMORY_KIB || params.t_cost() > MAX_PASSES || params.p_cost() > 4;
    !too_much && Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_same_password_verifies() {
        let stored = hash("correct horse battery", &[7; 16]).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(verify("correct horse battery", &stored));
        assert!(!verify("correct horse batterz", &stored));
        assert!(!verify("", &stored));
        assert!(!verify("x", "not a hash"));
        assert_ne!(stored, hash("correct horse battery", &[8; 16]).unwrap());
    }

    #[test]
    fn a_hash_that_asks_for_a_gigabyte_is_not_computed() {
        let stored = hash("p", &[7; 16]).unwrap().replace("m=19456", "m=1048576");
        assert!(!verify("p", &stored));
    }

    #[test]
    fn a_policy_lists_everything_that_is_missing() {
        let policy = PasswordPolicy { min_length: 8, uppercase: true, lowercase: true, digit: true, symbol: true };
        let problem = policy.check("abc").unwrap_err().to_string();
        assert!(
            problem.contains("8 characters") && problem.contains("upper") && problem.contains("digit"),
            "{problem}"
        );
        assert!(policy.check("VeryC0mplexP@ssw0rdThatMeetsThe8olicy").is_ok());
        assert!(PasswordPolicy::default().check("my-secret-password").is_ok());
        assert!(PasswordPolicy::default().check("long enough\0 but NUL").is_err());
        assert!(PasswordPolicy::default().check(&"x".repeat(257)).is_err());
    }

    proptest! {
        #[test]
        fn a_generated_password_meets_the_policy(
            random in proptest::collection::vec(any::<u8>(), GENERATE_BYTES),
            min_length in 0u32..=128, uppercase: bool, lowercase: bool, digit: bool, symbol: bool,
        ) {
            let policy = PasswordPolicy { min_length, uppercase, lowercase, digit, symbol };
            let password = generate(&policy, random.as_slice().try_into().unwrap());
            prop_assert_eq!(policy.check(&password), Ok(()));
            prop_assert!(password.len() >= 24);
        }
    }
}
