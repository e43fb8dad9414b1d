//! A request that is sent twice and happens once: `Idempotency-Key`.
//!
//! Who sends a key claims it first ([`Record`]); the transaction with the effect marks the claim; the answer is noted at last. So of
//! two requests with one key one goes on, a request that died before its effect can be sent again, and one that died after it is
//! never repeated.

use crate::digest::{derived_id, keyed_hash};
use crate::invalid::Invalid;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How long a key is known.
pub const KEPT_MILLIS: i64 = 24 * 3600 * 1000;

/// After this a request without an effect is dead: twice what a function may take.
const DEAD_MILLIS: i64 = 60_000;

/// The longest key.
const MAX_KEY: usize = 255;

/// A key as a client sent it. No Debug output: who has it could try bodies against what is kept.
#[derive(Clone)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Parses a key.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if (1..=MAX_KEY).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("must be 1 to 255 printable ASCII characters without spaces"))
        }
    }

    /// Under which a request of a principal is kept.
    pub fn place(&self, principal: &str, method: &str, path: &str) -> String {
        derived_id(&["idempotency", principal, method, path, &self.0])
    }

    /// What is kept of the body: enough to know it again, and not to guess a password that it holds.
    pub fn body_hash(&self, body: &[u8]) -> String {
        hex::encode(keyed_hash(self.0.as_bytes(), &[body]))
    }
}

/// An answer as it is kept: without secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// The status.
    pub status: u16,
    /// Its headers that say what was made.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// The names of the fields that were left out.
    pub left_out: Vec<String>,
}

/// What is kept of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`IdempotencyKey::body_hash`].
    pub body: String,
    /// Whose claim it is: a random text.
    pub claim: String,
    /// When it was claimed.
    pub claimed_at: Timestamp,
    /// Whether the effect is there.
    #[serde(default)]
    pub effect: bool,
    /// The answer.
    #[serde(default)]
    pub answer: Option<KeptAnswer>,
}

/// What becomes of a request whose key is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is claimed anew: nothing has happened, or it was long ago.
    Free,
    /// Another body.
    Differs,
    /// The first is not finished.
    InProgress,
    /// It has happened, and nobody knows the answer.
    AnswerLost,
    /// It has happened.
    Answered(KeptAnswer),
}

/// Decides.
pub fn judge(record: &Record, body: &str, now: Timestamp) -> Verdict {
    let age = now.millis().saturating_sub(record.claimed_at.millis());
    let dead = age > DEAD_MILLIS;
    if age > KEPT_MILLIS || (dead && !record.effect && record.answer.is_none()) {
        return Verdict::Free;
    }
    if record.body != body {
        return Verdict::Differs;
    }
    match &record.answer {
        Some(answer) => Verdict::Answered(answer.clone()),
        None if dead => Verdict::AnswerLost,
        None => Verdict::InProgress,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let claimed_at = Timestamp::from_millis(0);
        Record { body: "b".into(), claim: "c".into(), claimed_at, effect: false, answer: None }
    }

    #[test]
    fn verdicts() {
        let at = |record: &Record, body: &str, millis| judge(record, body, Timestamp::from_millis(millis));
        assert_eq!(at(&record(), "b", 1), Verdict::InProgress);
        assert_eq!(at(&record(), "x", 1), Verdict::Differs);
        // it died without an effect
        assert_eq!(at(&record(), "b", DEAD_MILLIS + 1), Verdict::Free);
        let done = Record { effect: true, ..record() };
        assert_eq!(at(&done, "b", 1), Verdict::InProgress);
        assert_eq!(at(&done, "b", DEAD_MILLIS + 1), Verdict::AnswerLost);
        assert_eq!(at(&done, "x", DEAD_MILLIS + 1), Verdict::Differs);
        let answer = KeptAnswer { status: 201, headers: vec![], body: "{}".into(), left_out: vec![] };
        let answered = Record { answer: Some(answer.clone()), ..record() };
        assert_eq!(at(&answered, "b", KEPT_MILLIS), Verdict::Answered(answer));
        assert_eq!(at(&answered, "x", KEPT_MILLIS), Verdict::Differs);
        assert_eq!(at(&answered, "b", KEPT_MILLIS + 1), Verdict::Free);
    }

    #[test]
    fn keys() {
        for bad in ["", "a b", "ä", "a\u{7f}", &"x".repeat(256)] {
            assert!(IdempotencyKey::parse(bad).is_err());
        }
        let key =
            IdempotencyKey::parse("8e03978e-40d5-43e8-bc93-6894a57f9324").unwrap_or_else(|error| panic!("{error}"));
        assert_ne!(key.place("a", "POST", "/x"), key.place("b", "POST", "/x"));
        assert_ne!(key.body_hash(b"{}"), key.body_hash(b"{ }"));
        let other = IdempotencyKey::parse("other").unwrap_or_else(|error| panic!("{error}"));
        assert_ne!(key.body_hash(b"{}"), other.body_hash(b"{}"));
    }
}
