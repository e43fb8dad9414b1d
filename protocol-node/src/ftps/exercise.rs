//! What must hold for any bytes that a client may send as commands, in one function: the fuzzer (`fuzz/`) and the tests call
//! it.
//!
//! The first byte says how many of the next bytes are sizes of pieces; the rest is the stream of a control connection.

use super::command::{self, Command, Malformed};
use super::line::{Line, Lines, MAX_LINE};

/// Panics if a rule is broken.
pub(crate) fn exercise(input: &[u8]) {
    let (sizes, stream) = split(input);
    let whole = lines(std::iter::once(stream));
    assert!(lines(pieces(sizes, stream)) == whole, "where the stream is cut must not matter");
    for line in whole.iter().flatten() {
        one(line);
    }
}

fn one(line: &[u8]) {
    assert!(line.len() <= MAX_LINE && !line.contains(&b'\n'));
    let parsed = command::parse(line);
    assert!(parsed == command::parse(line), "the same line is the same command");
    // the word's case does not matter
    let word = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let mut lower = line.to_vec();
    if let Some(word) = lower.get_mut(..word) {
        word.make_ascii_lowercase();
    }
    assert!(parsed == command::parse(&lower), "the case of a word does not matter");
    match parsed {
        Ok(Command::Retr(path) | Command::Stor(path) | Command::Cwd(path)) => {
            assert!(!path.is_empty() && path.len() < line.len(), "a path is part of its line");
        }
        Ok(Command::Hash { range: Some((start, end)), .. }) => assert!(start <= end),
        Ok(_) | Err(Malformed::Unknown | Malformed::Argument) => {}
    }
}

fn split(input: &[u8]) -> (&[u8], &[u8]) {
    let Some((count, rest)) = input.split_first() else {
        return (&[], &[]);
    };
    rest.split_at_checked(usize::from(*count)).unwrap_or((&[], rest))
}

/// The stream in pieces of these sizes, over and over; whole if there are none.
fn pieces<'a>(sizes: &'a [u8], mut stream: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = sizes.iter().cycle();
    std::iter::from_fn(move || {
        if stream.is_empty() {
            return None;
        }
        let size = sizes.next().map_or(stream.len(), |size| usize::from(*size).max(1));
        let (piece, rest) = stream.split_at_checked(size).unwrap_or((stream, &[]));
        stream = rest;
        Some(piece)
    })
}

/// Each line; `None` for one that is too long.
fn lines<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Option<Vec<u8>>> {
    let mut lines = Lines::default();
    let mut all = Vec::new();
    for piece in pieces {
        // as the connection reads: never more than a line at once
        for piece in piece.chunks(MAX_LINE) {
            lines.buffer().extend_from_slice(piece);
            while let Some(line) = lines.next() {
                all.push(match line {
                    Line::Text(text) => Some(text.to_vec()),
                    Line::TooLong => None,
                });
            }
            assert!(lines.buffer().len() <= MAX_LINE + 1, "no more than a line is kept");
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};
    use std::path::Path;
    use std::time::{Duration, Instant};

    /// How long inputs are mutated in every run of the tests.
    const MUTATING: Duration = Duration::from_secs(4);

    fn corpus() -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/lines");
        let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let all: Vec<Vec<u8>> = files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
        assert!(all.len() >= 20, "the corpus has {} files only", all.len());
        all
    }

    #[test]
    fn the_corpus_and_what_is_like_it() {
        let corpus = corpus();
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
}
