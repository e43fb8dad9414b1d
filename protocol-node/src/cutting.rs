//! How the rules for any bytes (`sftp/exercise.rs`, `ftps/exercise.rs`) read their input: the first byte says how many of the
//! next bytes are sizes of pieces, the rest is a stream. The fuzzer (`fuzz/`) compiles this file, too.

/// The sizes and the stream.
pub(crate) fn split(input: &[u8]) -> (&[u8], &[u8]) {
    let Some((count, rest)) = input.split_first() else {
        return (&[], &[]);
    };
    rest.split_at_checked(usize::from(*count)).unwrap_or((&[], rest))
}

/// The stream in pieces of these sizes, over and over; whole if there are none.
pub(crate) fn pieces<'a>(sizes: &'a [u8], mut stream: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
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
