//! What must hold for any bytes that a client may send as commands, in one function: the fuzzer (`fuzz/`) and the tests call
//! it.
//!
//! The input is cut as [`crate::cutting`] says, into the stream of a control connection.

use super::command::{self, Command, Malformed};
use super::line::{Line, Lines, MAX_LINE};
use crate::cutting::{pieces, split};

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
    use super::exercise;

    #[test]
    fn the_corpus_and_what_is_like_it() {
        crate::mutating::run("lines", exercise);
    }
}
