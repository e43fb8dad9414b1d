//! A fuzzer's corpus in every run of the tests, and for some seconds what is like it.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long inputs are mutated.
const MUTATING: Duration = Duration::from_secs(4);

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let all: Vec<Vec<u8>> = files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(all.len() >= 20, "the corpus has {} files only", all.len());
    all
}

/// Exercises the corpus of a fuzz target and mutations of it.
pub(crate) fn run(target: &str, exercise: fn(&[u8])) {
    let corpus = corpus(target);
    for input in &corpus {
        exercise(input);
    }
    let mutated = (
        prop::sample::select(corpus.clone()),
        prop::sample::select(corpus),
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        any::<prop::sample::Index>(),
    );
    let end = Instant::now() + MUTATING;
    let mut runner = TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
    while Instant::now() < end {
        let outcome = runner.run(&mutated, |(mut input, other, changes, cut)| {
            for (at, byte) in changes {
                if !input.is_empty() {
                    let at = at.index(input.len());
                    input[at] = byte;
                }
            }
            input.extend_from_slice(&other[cut.index(other.len() + 1)..]);
            exercise(&input);
            Ok(())
        });
        outcome.unwrap();
    }
}
