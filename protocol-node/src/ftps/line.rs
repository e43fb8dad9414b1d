//! Bytes into command lines (RFC 959, section 5.3): a line ends with LF, with or without CR before it.
//!
//! At most [`MAX_LINE`] bytes of an unfinished line are kept. A longer one is reported once, and its rest is skipped, so
//! that the next line is read as what it is.

use bytes::{Buf as _, BytesMut};

/// The longest line without its end: the longest path, twice over, and room for a command.
pub(crate) const MAX_LINE: usize = 2048;

/// One line.
#[derive(PartialEq, Eq)]
pub(crate) enum Line {
    /// Without its end.
    Text(BytesMut),
    /// It had more than [`MAX_LINE`] bytes.
    TooLong,
}

/// The lines of a connection.
#[derive(Default)]
pub(crate) struct Lines {
    buffer: BytesMut,
    /// How much of the buffer has been looked at for an end.
    searched: usize,
    /// The rest of a line that was too long is being skipped.
    skipping: bool,
}

impl Lines {
    /// Where received bytes are appended.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Whether nothing is left of what was received.
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty() && !self.skipping
    }

    /// The next line that is there.
    pub(crate) fn next(&mut self) -> Option<Line> {
        loop {
            let found = self.buffer.iter().skip(self.searched).position(|byte| *byte == b'\n');
            let Some(end) = found.map(|at| at + self.searched) else {
                self.searched = self.buffer.len();
                return self.unfinished();
            };
            let mut line = self.buffer.split_to(end);
            self.buffer.advance(1);
            self.searched = 0;
            if self.buffer.is_empty() {
                self.buffer = BytesMut::new();
            }
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if line.last() == Some(&b'\r') {
                line.truncate(line.len() - 1);
            }
            return Some(if line.len() > MAX_LINE { Line::TooLong } else { Line::Text(line) });
        }
    }

    /// No end has come yet. One byte more than the longest line may be its CR.
    fn unfinished(&mut self) -> Option<Line> {
        if self.skipping {
            self.buffer = BytesMut::new();
            self.searched = 0;
            return None;
        }
        if self.buffer.len() <= MAX_LINE + 1 {
            return None;
        }
        self.buffer = BytesMut::new();
        self.searched = 0;
        self.skipping = true;
        Some(Line::TooLong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::default();
        lines.buffer().extend_from_slice(bytes);
        std::iter::from_fn(|| lines.next())
            .map(|line| match line {
                Line::Text(text) => Some(text.to_vec()),
                Line::TooLong => None,
            })
            .collect()
    }

    #[test]
    fn both_line_ends_and_no_end() {
        let text = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(lines(b"NOOP\r\nPWD\n\r\nQUI"), [text("NOOP"), text("PWD"), text("")]);
    }

    #[test]
    fn a_line_that_is_too_long_is_told_once_and_the_next_is_read() {
        let long = vec![b'x'; 3 * MAX_LINE];
        let all = [&long[..], b"\r\nNOOP\r\n"].concat();
        assert_eq!(lines(&all), [None, Some(b"NOOP".to_vec())]);
        let mut piecewise = Lines::default();
        let mut told = 0;
        for piece in all.chunks(100) {
            piecewise.buffer().extend_from_slice(piece);
            while let Some(line) = piecewise.next() {
                match line {
                    Line::TooLong => told += 1,
                    Line::Text(text) => assert_eq!(&text[..], b"NOOP"),
                }
            }
            assert!(piecewise.buffer().len() <= MAX_LINE + 101);
        }
        assert_eq!(told, 1);
        assert!(piecewise.is_empty());
        let longest = [&vec![b'x'; MAX_LINE][..], b"\r\n"].concat();
        assert_eq!(lines(&longest), [Some(vec![b'x'; MAX_LINE])]);
    }
}
