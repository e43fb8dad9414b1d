//! What must hold for any bytes at the beginning of a connection that should have a PROXY header, in one function: the
//! fuzzer (`fuzz/`) and the tests call it.

use super::header::{Header, MAX_BINARY, MAX_LINE, NotAHeader, Parsed, parse};
use std::net::IpAddr;

/// Panics if a rule is broken.
pub(crate) fn exercise(stream: &[u8]) {
    let mut taken = 0;
    // as a connection is read: never more than is needed
    let outcome = loop {
        match parse(stream.get(..taken).unwrap_or_default()) {
            Ok(Parsed::Needs(more)) => {
                assert!(more > 0, "asks for nothing");
                assert!(taken + more <= MAX_BINARY, "asks for more than a header can have");
                if taken + more > stream.len() {
                    break None;
                }
                taken += more;
            }
            Ok(Parsed::Whole(header)) => break Some(Ok(header)),
            Err(error) => break Some(Err(error)),
        }
    };
    // bytes that trickle in come to the same
    for end in 0..taken {
        match (parse(stream.get(..end).unwrap_or_default()), outcome) {
            (Ok(Parsed::Needs(more)), Some(Ok(_))) => assert!(end + more <= taken, "asks for bytes behind the header"),
            (Ok(Parsed::Needs(_)), Some(Err(_)) | None) | (Err(_), Some(Err(_))) => {}
            (Ok(Parsed::Whole(_)), _) => panic!("a header ends before it ends"),
            (Err(error), Some(Ok(_)) | None) => panic!("refused with fewer bytes: {error}"),
        }
    }
    if let Some(Ok(header)) = outcome {
        let line = stream.starts_with(b"P");
        assert!(taken <= if line { MAX_LINE } else { MAX_BINARY });
        written_anew(header);
        let mut longer = stream.get(..taken).unwrap_or_default().to_vec();
        longer.push(b'x');
        assert!(parse(&longer) == Err(NotAHeader::TooLong), "a byte too many is told");
    }
}

/// What was understood is the same when it is said again, in both forms.
fn written_anew(header: Header) {
    let Header::Client { source, destination } = header else { return };
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    let line = format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port());
    assert!(parse(line.as_bytes()) == Ok(Parsed::Whole(header)), "{line}");
    let octets = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let ports = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
    let block = [octets(from), octets(to), ports].concat();
    let fixed: &[u8] = if source.is_ipv4() { &[0x21, 0x11, 0, 12] } else { &[0x21, 0x21, 0, 36] };
    let binary = [b"\r\n\r\n\0\r\nQUIT\n", fixed, &block].concat();
    assert!(parse(&binary) == Ok(Parsed::Whole(header)));
}

#[cfg(test)]
mod tests {
    use super::exercise;

    #[test]
    fn the_corpus_and_what_is_like_it() {
        crate::mutating::run("headers", exercise);
    }
}
