//! The header of the PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): what a balancer writes in front of a
//! connection to say whose it is. Bytes in, a decision out; nothing here reads.
//!
//! Rule: [`parse`] never asks for a byte behind the header, as what follows belongs to SSH or FTP. At [`MAX_LINE`] or
//! [`MAX_BINARY`] it is no header any more. The fuzzer (`fuzz/`) compiles this file, too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The longest line of version 1, with its CR LF.
pub(crate) const MAX_LINE: usize = 107;

/// The longest header of version 2. The form allows 64 KiB; AWS' balancers send less than 100 bytes, and a client certificate
/// that a balancer adds has one or two KiB.
pub(crate) const MAX_BINARY: usize = 4096;

const LINE_START: &[u8] = b"PROXY ";
const BINARY_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The start, version and command, family, length.
const BINARY_FIXED: usize = 16;
/// Two addresses and two ports.
const IPV4_BYTES: usize = 12;
const IPV6_BYTES: usize = 36;
/// Both forms are longer than this, whatever they say.
const EITHER: usize = BINARY_START.len();

/// The extension with the header's checksum.
const CRC32C: u8 = 0x03;

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// A client's.
    Client {
        /// Where the client is.
        source: SocketAddr,
        /// What the client dialled.
        destination: SocketAddr,
    },
    /// The balancer's own: a health check (LOCAL), or one that version 1 calls UNKNOWN.
    Own,
}

/// What the bytes so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// The beginning of a header, to which at least so many more belong.
    Needs(usize),
    /// A header and nothing more.
    Whole(Header),
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAHeader {
    #[error("it does not begin as one")]
    Start,
    #[error("it is too long")]
    TooLong,
    #[error("the line is malformed")]
    Line,
    #[error("the version or the command is unknown")]
    Command,
    #[error("it names no TCP addresses")]
    Family,
    #[error("its length does not fit")]
    Length,
    #[error("its checksum is wrong")]
    Checksum,
}

/// Looks at all that has been read.
pub(crate) fn parse(bytes: &[u8]) -> Result<Parsed, NotAHeader> {
    let begins = |start: &[u8]| bytes.iter().zip(start).all(|(byte, expected)| byte == expected);
    let line = match (begins(LINE_START), begins(BINARY_START)) {
        (false, false) => return Err(NotAHeader::Start),
        (line, _) => line,
    };
    if bytes.len() < EITHER {
        return Ok(Parsed::Needs(EITHER - bytes.len()));
    }
    if line { parse_line(bytes) } else { parse_binary(bytes) }
}

fn parse_line(bytes: &[u8]) -> Result<Parsed, NotAHeader> {
    match bytes.windows(2).position(|pair| pair == b"\r\n") {
        None => {
            let missing = if bytes.ends_with(b"\r") { 1 } else { 2 };
            if bytes.len() + missing > MAX_LINE { Err(NotAHeader::TooLong) } else { Ok(Parsed::Needs(missing)) }
        }
        Some(end) if end + 2 == bytes.len() && bytes.len() <= MAX_LINE => {
            let words = bytes.get(LINE_START.len()..end).and_then(|words| str::from_utf8(words).ok());
            let header = words.and_then(line_header).ok_or(NotAHeader::Line)?;
            Ok(Parsed::Whole(header))
        }
        Some(_) => Err(NotAHeader::TooLong),
    }
}

fn line_header(words: &str) -> Option<Header> {
    if words == "UNKNOWN" || words.starts_with("UNKNOWN ") {
        return Some(Header::Own);
    }
    let mut words = words.split(' ');
    let family = words.next()?;
    let (source, destination) = (words.next()?, words.next()?);
    let (source_port, destination_port) = (port(words.next()?)?, port(words.next()?)?);
    if words.next().is_some() {
        return None;
    }
    let (source, destination) = match family {
        "TCP4" => (
            SocketAddr::from((Ipv4Addr::from_str(source).ok()?, source_port)),
            SocketAddr::from((Ipv4Addr::from_str(destination).ok()?, destination_port)),
        ),
        "TCP6" => (
            SocketAddr::from((Ipv6Addr::from_str(source).ok()?, source_port)),
            SocketAddr::from((Ipv6Addr::from_str(destination).ok()?, destination_port)),
        ),
        _ => return None,
    };
    Some(Header::Client { source, destination })
}

/// Decimal without sign or leading zeros.
fn port(text: &str) -> Option<u16> {
    let plain = text == "0" || (text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

fn parse_binary(bytes: &[u8]) -> Result<Parsed, NotAHeader> {
    let Some((fixed, block)) = bytes.split_first_chunk::<BINARY_FIXED>() else {
        return Ok(Parsed::Needs(BINARY_FIXED - bytes.len()));
    };
    let [.., command, family, high, low] = *fixed;
    let len = usize::from(u16::from_be_bytes([high, low]));
    if BINARY_FIXED + len > MAX_BINARY {
        return Err(NotAHeader::TooLong);
    }
    // what the fixed part rules out is refused before the rest is waited for
    let addresses = match (command, family) {
        // the block behind LOCAL is to be ignored, whatever its family
        (0x20, _) => 0,
        (0x21, 0x11) => IPV4_BYTES,
        (0x21, 0x21) => IPV6_BYTES,
        // UNSPEC, UDP, UNIX: somebody's connection, without an address that rules could be held against
        (0x21, _) => return Err(NotAHeader::Family),
        _ => return Err(NotAHeader::Command),
    };
    if len < addresses {
        return Err(NotAHeader::Length);
    }
    match block.len() {
        so_far if so_far < len => return Ok(Parsed::Needs(len - so_far)),
        so_far if so_far > len => return Err(NotAHeader::TooLong),
        _ => {}
    }
    let (header, extensions) = match addresses {
        0 => return Ok(Parsed::Whole(Header::Own)),
        IPV4_BYTES => addresses_of::<4>(block),
        _ => addresses_of::<16>(block),
    }
    .ok_or(NotAHeader::Length)?;
    check_extensions(bytes, extensions)?;
    Ok(Parsed::Whole(header))
}

/// Two addresses of so many bytes, then two ports; and what is behind them.
fn addresses_of<const BYTES: usize>(block: &[u8]) -> Option<(Header, &[u8])>
where
    IpAddr: From<[u8; BYTES]>,
{
    let (source, rest) = block.split_first_chunk::<BYTES>()?;
    let (destination, rest) = rest.split_first_chunk::<BYTES>()?;
    let (source_port, rest) = rest.split_first_chunk::<2>()?;
    let (destination_port, rest) = rest.split_first_chunk::<2>()?;
    let header = Header::Client {
        source: SocketAddr::new((*source).into(), u16::from_be_bytes(*source_port)),
        destination: SocketAddr::new((*destination).into(), u16::from_be_bytes(*destination_port)),
    };
    Some((header, rest))
}

/// Extensions say nothing that is used here, but they must fill the header exactly, and a checksum must be right.
fn check_extensions(header: &[u8], mut extensions: &[u8]) -> Result<(), NotAHeader> {
    while let Some((kind, rest)) = extensions.split_first() {
        let (len, rest) = rest.split_first_chunk::<2>().ok_or(NotAHeader::Length)?;
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len))).ok_or(NotAHeader::Length)?;
        if *kind == CRC32C {
            let expected = value.try_into().map(u32::from_be_bytes).map_err(|_| NotAHeader::Length)?;
            // it was made over a header with zeros in its own place
            let behind = rest.len();
            let before = header.len() - behind - value.len();
            let (front, _) = header.split_at_checked(before).ok_or(NotAHeader::Length)?;
            let parts = [front, &[0; 4], rest];
            if crc32c(parts.into_iter().flatten()) != expected {
                return Err(NotAHeader::Checksum);
            }
        }
        extensions = rest;
    }
    Ok(())
}

/// CRC-32C (RFC 3720, B.4) bit by bit: there are few bytes, and seldom any.
fn crc32c<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    const REFLECTED: u32 = 0x82f6_3b78;
    !bytes.fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ REFLECTED } else { crc >> 1 })
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const IPV4: (&str, &str) = ("203.0.113.7:51234", "192.0.2.1:22");
    const IPV6: (&str, &str) = ("[2001:db8::7]:51234", "[2001:db8:ffff::1]:22");

    fn client((source, destination): (&str, &str)) -> Header {
        Header::Client { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
    }

    /// A header of version 2 with these extensions.
    pub(crate) fn binary(command: u8, family: u8, block: &[u8], extensions: &[(u8, &[u8])]) -> Vec<u8> {
        let extensions = extensions.iter().flat_map(|(kind, value)| {
            let len = u16::try_from(value.len()).unwrap().to_be_bytes();
            [&[*kind][..], &len, value].concat()
        });
        let block: Vec<u8> = block.iter().copied().chain(extensions).collect();
        let len = u16::try_from(block.len()).unwrap().to_be_bytes();
        [BINARY_START, &[command, family], &len, &block].concat()
    }

    fn block((source, destination): (&str, &str)) -> Vec<u8> {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (source, destination) = (parse(source), parse(destination));
        let octets = |address: SocketAddr| match address.ip() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        let ports = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
        [octets(source), octets(destination), ports].concat()
    }

    fn with_checksum(mut header: Vec<u8>) -> Vec<u8> {
        let sum = crc32c(header.iter()).to_be_bytes();
        let at = header.windows(7).position(|seven| seven == [CRC32C, 0, 4, 0, 0, 0, 0]).unwrap() + 3;
        header[at..at + 4].copy_from_slice(&sum);
        header
    }

    /// As a connection is read: never more than is needed. Answers how many bytes were taken.
    pub(crate) fn read(stream: &[u8]) -> Result<(Option<Header>, usize), NotAHeader> {
        let mut taken = 0;
        loop {
            match parse(&stream[..taken])? {
                Parsed::Whole(header) => return Ok((Some(header), taken)),
                Parsed::Needs(more) => {
                    assert!(more > 0);
                    if taken + more > stream.len() {
                        return Ok((None, taken));
                    }
                    taken += more;
                }
            }
        }
    }

    #[test]
    fn lines_of_the_specification() {
        for (line, header) in [
            ("PROXY TCP4 203.0.113.7 192.0.2.1 51234 22\r\n", client(IPV4)),
            ("PROXY TCP6 2001:db8::7 2001:db8:ffff::1 51234 22\r\n", client(IPV6)),
            (
                "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
                client(("255.255.255.255:65535", "255.255.255.255:65535")),
            ),
            ("PROXY UNKNOWN\r\n", Header::Own),
            (
                "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
                Header::Own,
            ),
        ] {
            assert!(line.len() <= MAX_LINE);
            let stream = format!("{line}SSH-2.0-client\r\n");
            assert_eq!(read(stream.as_bytes()), Ok((Some(header), line.len())), "{line}");
            for end in 0..line.len() {
                assert!(
                    matches!(parse(&line.as_bytes()[..end]), Ok(Parsed::Needs(more)) if end + more <= line.len()),
                    "{end}"
                );
            }
        }
    }

    #[test]
    fn lines_that_are_none() {
        for line in [
            "PROXY TCP4 203.0.113.7 192.0.2.1 51234\r\n",
            "PROXY TCP4 203.0.113.7 192.0.2.1 51234 22 1\r\n",
            "PROXY TCP4  203.0.113.7 192.0.2.1 51234 22\r\n",
            "PROXY TCP4 203.0.113.7 192.0.2.1 51234 22 \r\n",
            "PROXY TCP4 203.0.113.7 192.0.2.1 51234 65536\r\n",
            "PROXY TCP4 203.0.113.7 192.0.2.1 +5123 22\r\n",
            "PROXY TCP4 203.0.113.7 192.0.2.1 051234 22\r\n",
            "PROXY TCP4 203.0.113.07 192.0.2.1 51234 22\r\n",
            "PROXY TCP4 203.0.113 192.0.2.1 51234 22\r\n",
            "PROXY TCP4 2001:db8::7 2001:db8::1 51234 22\r\n",
            "PROXY TCP6 203.0.113.7 192.0.2.1 51234 22\r\n",
            "PROXY TCP6 fe80::1%eth0 2001:db8::1 51234 22\r\n",
            "PROXY TCP5 203.0.113.7 192.0.2.1 51234 22\r\n",
            "PROXY UNKNOWNTCP4\r\n",
            "PROXY tcp4 203.0.113.7 192.0.2.1 51234 22\r\n",
            "PROXY \u{e9}CP4 203.0.113.7 192.0.2.1 51234 22\r\n",
        ] {
            assert_eq!(read(line.as_bytes()), Err(NotAHeader::Line), "{line}");
        }
        for start in ["SSH-2.0-client\r\n", "proxy TCP4 203", "PROXY\tTCP4 203", "\r\n\r\n\0\r\nQUIX\n"] {
            assert_eq!(read(start.as_bytes()), Err(NotAHeader::Start), "{start}");
        }
        assert_eq!(parse(b"PROXY TCP4 203.0.113.7 192.0.2.1 51234 22\r\nS"), Err(NotAHeader::TooLong));
        // a line without an end is given up where no end could make it one
        let endless = format!("PROXY UNKNOWN {}", "x".repeat(200));
        assert_eq!(read(endless.as_bytes()), Err(NotAHeader::TooLong));
        assert_eq!(parse(&endless.as_bytes()[..105]), Ok(Parsed::Needs(2)));
        assert_eq!(parse(&endless.as_bytes()[..106]), Err(NotAHeader::TooLong));
    }

    #[test]
    fn binary_headers() {
        // AWS' endpoint id, a host name, a checksum and something unknown
        let extensions: &[(u8, &[u8])] =
            &[(0xea, b"\x01vpce-08d2bf15fac5001c9"), (2, b"sftp.example.com"), (0xf0, b"")];
        for (family, addresses) in [(0x11, IPV4), (0x21, IPV6)] {
            let plain = binary(0x21, family, &block(addresses), &[]);
            let more = binary(0x21, family, &block(addresses), extensions);
            let summed =
                with_checksum(binary(0x21, family, &block(addresses), &[(4, b"pad"), (CRC32C, &[0; 4]), (4, b"pad")]));
            for header in [plain, more, summed.clone()] {
                let stream = [&header[..], b"SSH-2.0-client\r\n"].concat();
                assert_eq!(read(&stream), Ok((Some(client(addresses)), header.len())));
                for end in 0..header.len() {
                    assert!(
                        matches!(parse(&header[..end]), Ok(Parsed::Needs(more)) if end + more <= header.len()),
                        "{end}"
                    );
                }
            }
            let mut wrong = summed;
            wrong[17] ^= 1;
            assert_eq!(read(&wrong), Err(NotAHeader::Checksum));
        }
        let own = binary(0x20, 0, &[], &[]);
        assert_eq!(read(&own), Ok((Some(Header::Own), 16)));
        let own = binary(0x20, 0x11, &[7; 30], &[]);
        assert_eq!(read(&own), Ok((Some(Header::Own), 46)), "the block of LOCAL is ignored");
    }

    #[test]
    fn binary_headers_that_are_none() {
        let block = block(IPV4);
        for (header, reason) in [
            (binary(0x21, 0, &[], &[]), NotAHeader::Family),
            (binary(0x21, 0x12, &block, &[]), NotAHeader::Family),
            (binary(0x21, 0x31, &[0; 216], &[]), NotAHeader::Family),
            (binary(0x11, 0x11, &block, &[]), NotAHeader::Command),
            (binary(0x22, 0x11, &block, &[]), NotAHeader::Command),
            (binary(0x21, 0x11, &block[..11], &[]), NotAHeader::Length),
            (binary(0x21, 0x21, &block, &[]), NotAHeader::Length),
            (binary(0x21, 0x11, &[&block[..], &[4, 0]].concat(), &[]), NotAHeader::Length),
            (binary(0x21, 0x11, &[&block[..], &[4, 0, 2, 0]].concat(), &[]), NotAHeader::Length),
            (binary(0x21, 0x11, &block, &[(CRC32C, &[0; 3])]), NotAHeader::Length),
            (binary(0x21, 0x11, &block, &[(4, &[0; 4096])]), NotAHeader::TooLong),
            (binary(0x20, 0x11, &[0; 4081], &[]), NotAHeader::TooLong),
        ] {
            assert_eq!(read(&header), Err(reason), "{header:02x?}");
            // most are known before their end
            if reason != NotAHeader::Length {
                assert_eq!(parse(&header[..16]), Err(reason));
            }
        }
        let longest = binary(0x21, 0x11, &block, &[(4, &[0; 4096 - 16 - 12 - 3])]);
        assert_eq!(read(&longest), Ok((Some(client(IPV4)), MAX_BINARY)));
    }

    #[test]
    fn the_checksum_is_crc_32c() {
        assert_eq!(crc32c(b"123456789".iter()), 0xe306_9283);
    }
}
