//! Passwords that were right a moment ago. Holds keyed hashes, never passwords; bounded in number and time.

use domain::digest::keyed_hash;
use domain::id::CredentialId;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// How long a check that passed stands for the next one, if the credential has not changed.
const LIFETIME: Duration = Duration::from_secs(60);
/// 40 bytes each; beyond it the cache starts anew, which only costs hashes.
const MOST: usize = 10_000;

/// One right password of one revision of one credential.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Memory([u8; 32]);

pub(super) struct Remembered {
    secret: Zeroizing<[u8; 32]>,
    until: Mutex<HashMap<Memory, Instant>>,
}

impl Remembered {
    pub(super) fn new() -> Self {
        Self { secret: Zeroizing::new(store::clock::random()), until: Mutex::default() }
    }

    /// The revision is part of it, so that any change of the credential makes it useless.
    pub(super) fn key(&self, credential: &CredentialId, rev: u64, password: &str) -> Memory {
        Memory(keyed_hash(
            self.secret.as_slice(),
            &[credential.as_str().as_bytes(), &rev.to_be_bytes(), password.as_bytes()],
        ))
    }

    pub(super) fn holds(&self, memory: &Memory, now: Instant) -> bool {
        let until = self.until.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        until.get(memory).is_some_and(|until| now < *until)
    }

    pub(super) fn add(&self, memory: Memory, now: Instant) {
        let mut until = self.until.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if until.len() >= MOST {
            until.retain(|_, until| now < *until);
        }
        if until.len() >= MOST {
            until.clear();
        }
        until.insert(memory, now + LIFETIME);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_for_a_minute_and_for_one_revision() {
        let (remembered, now) = (Remembered::new(), Instant::now());
        let credential = CredentialId::from_random([1; 15]);
        remembered.add(remembered.key(&credential, 7, "right"), now);
        assert!(remembered.holds(&remembered.key(&credential, 7, "right"), now));
        assert!(!remembered.holds(&remembered.key(&credential, 8, "right"), now));
        assert!(!remembered.holds(&remembered.key(&credential, 7, "wrong"), now));
        assert!(!remembered.holds(&remembered.key(&credential, 7, "right"), now + LIFETIME));
    }

    #[test]
    fn is_bounded() {
        let (remembered, now) = (Remembered::new(), Instant::now());
        let credential = CredentialId::from_random([1; 15]);
        for rev in 0..=MOST as u64 {
            remembered.add(remembered.key(&credential, rev, "p"), now);
        }
        assert_eq!(remembered.until.lock().unwrap().len(), 1);
    }
}
