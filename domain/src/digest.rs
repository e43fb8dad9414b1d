//! Hashes that more than one module makes.

use crate::id::uuid_text;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// HMAC-SHA256. Every key length is allowed, so the error of the constructor cannot happen; an empty signature, which
/// no receiver accepts, stands for it.
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// A hash that only who has the key can make: for caches that must not hold what they know. Each part is preceded by
/// its length, so that no two lists give the same bytes.
pub fn keyed_hash(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let lengths: Vec<[u8; 8]> = parts.iter().map(|part| (part.len() as u64).to_be_bytes()).collect();
    let all: Vec<&[u8]> = lengths.iter().zip(parts).flat_map(|(length, part)| [length.as_slice(), *part]).collect();
    hmac(key, &all).first_chunk::<32>().copied().unwrap_or_default()
}

/// A UUID made from texts; the same texts give the same one.
pub fn derived_id(parts: &[&str]) -> String {
    let digest = hash(parts);
    uuid_text(digest.first_chunk::<16>().copied().unwrap_or_default())
}

/// The first 16 hex digits of a hash of texts: for ETags.
pub fn short_hash(parts: &[&str]) -> String {
    hex::encode(hash(parts).first_chunk::<8>().copied().unwrap_or_default())
}

fn hash(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}
