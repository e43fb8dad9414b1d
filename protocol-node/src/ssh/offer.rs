//! What a client offers at the beginning of a connection, and what follows from it: the names of the algorithms, for the log. The
//! library does not tell a server what it has agreed on.
//!
//! A client's first packet (SSH_MSG_KEXINIT, RFC 4253, section 7.1) is not encrypted and holds its lists; of each, the first name
//! counts that we have as well. So a look at what comes until that packet is whole is enough.

use std::sync::{Arc, OnceLock};

/// A first packet is one or two kilobytes. Whoever needs more than this for it is not looked at.
const MOST: usize = 16 * 1024;

const MSG_KEXINIT: u8 = 20;
const COOKIE: usize = 16;

/// What both sides will use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Negotiated {
    /// The key exchange.
    pub(super) kex: String,
    /// The client's cipher and ours, between them a comma.
    pub(super) ciphers: String,
}

/// Known after the first packet of the client, if it ever is.
pub(super) type Outcome = Arc<OnceLock<Negotiated>>;

/// Looks at what comes.
pub(super) struct Tap {
    ours: Ours,
    seen: Vec<u8>,
    outcome: Outcome,
}

/// The names that we have.
#[derive(Clone, Copy)]
pub(super) struct Ours {
    pub(super) kex: fn(&str) -> bool,
    pub(super) cipher: fn(&str) -> bool,
}

/// How far a look has come.
enum Look {
    More,
    Enough(Option<Negotiated>),
}

impl Tap {
    pub(super) fn new(ours: Ours, outcome: Outcome) -> Self {
        Self { ours, seen: Vec::new(), outcome }
    }

    /// Takes the next bytes; `true` when it needs no more.
    pub(super) fn take(&mut self, bytes: &[u8]) -> bool {
        let room = MOST.saturating_sub(self.seen.len());
        self.seen.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        match look(&self.seen, self.ours) {
            Look::More => self.seen.len() >= MOST,
            Look::Enough(found) => {
                if let Some(found) = found {
                    let _ = self.outcome.set(found);
                }
                true
            }
        }
    }
}

/// Behind the line with the client's identification comes its first packet.
fn look(seen: &[u8], ours: Ours) -> Look {
    let Some(line) = seen.iter().position(|byte| *byte == b'\n') else {
        return Look::More;
    };
    let packet = seen.get(line + 1..).unwrap_or_default();
    let Some((length, packet)) = packet.split_first_chunk::<4>() else {
        return Look::More;
    };
    let length = u32::from_be_bytes(*length);
    let Some(length) = usize::try_from(length).ok().filter(|length| *length <= MOST) else {
        return Look::Enough(None);
    };
    match packet.get(..length) {
        None => Look::More,
        Some(packet) => Look::Enough(negotiated(packet, ours)),
    }
}

/// From a packet without its length: the padding's, the type, a cookie, and ten lists.
fn negotiated(packet: &[u8], ours: Ours) -> Option<Negotiated> {
    let [_, MSG_KEXINIT, rest @ ..] = packet else { return None };
    let mut rest = rest.get(COOKIE..)?;
    let (kex, _host_keys) = (list(&mut rest)?, list(&mut rest)?);
    let (to_us, from_us) = (list(&mut rest)?, list(&mut rest)?);
    let first = |names: &str, has: fn(&str) -> bool| names.split(',').find(|name| has(name)).map(str::to_owned);
    let kex = first(kex, ours.kex)?;
    let ciphers = format!("{},{}", first(to_us, ours.cipher)?, first(from_us, ours.cipher)?);
    Some(Negotiated { kex, ciphers })
}

fn list<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let (length, behind) = rest.split_first_chunk::<4>()?;
    let (names, behind) = behind.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *rest = behind;
    std::str::from_utf8(names).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Ours = Ours {
        kex: |name| ["curve25519-sha256", "ecdh-sha2-nistp256"].contains(&name),
        cipher: |name| ["aes128-gcm@openssh.com", "aes256-ctr"].contains(&name),
    };

    fn hello(lists: &[&str]) -> Vec<u8> {
        let mut packet = vec![4, MSG_KEXINIT];
        packet.extend([7; COOKIE]);
        for names in lists {
            packet.extend(u32::try_from(names.len()).unwrap().to_be_bytes());
            packet.extend(names.bytes());
        }
        packet.extend([0; 9]);
        let mut all = b"SSH-2.0-Some_1.0 with a comment\r\n".to_vec();
        all.extend(u32::try_from(packet.len()).unwrap().to_be_bytes());
        all.extend(packet);
        all
    }

    fn seen(pieces: &[&[u8]]) -> (bool, Option<Negotiated>) {
        let outcome = Outcome::default();
        let mut tap = Tap::new(OURS, Arc::clone(&outcome));
        let done = pieces.iter().any(|piece| tap.take(piece));
        (done, outcome.get().cloned())
    }

    #[test]
    fn the_first_of_the_clients_names_that_we_have() {
        let lists = [
            "sntrup761x25519-sha512,ecdh-sha2-nistp256,curve25519-sha256",
            "ssh-ed25519",
            "chacha20-poly1305@openssh.com,aes256-ctr",
            "aes128-gcm@openssh.com,aes256-ctr",
        ];
        let expected = Negotiated {
            kex: "ecdh-sha2-nistp256".to_owned(),
            ciphers: "aes256-ctr,aes128-gcm@openssh.com".to_owned(),
        };
        let hello = hello(&lists);
        assert_eq!(seen(&[&hello]), (true, Some(expected.clone())));
        // byte by byte, with what comes behind it
        let bytes: Vec<&[u8]> = hello.chunks(1).collect();
        assert_eq!(seen(&bytes), (true, Some(expected)));
        assert_eq!(seen(&bytes[..bytes.len() - 1]), (false, None));
    }

    #[test]
    fn what_makes_no_sense_is_not_looked_at_any_more() {
        let nothing_in_common = hello(&["a", "b", "c", "d"]);
        assert_eq!(seen(&[&nothing_in_common]), (true, None));
        let too_few = hello(&["curve25519-sha256"]);
        assert_eq!(seen(&[&too_few]), (true, None));
        assert_eq!(seen(&[b"SSH-2.0-x\r\n", &[0xff; 8]]), (true, None));
        let endless = vec![b'x'; MOST];
        assert_eq!(seen(&[&endless[1..]]), (false, None));
        assert_eq!(seen(&[&endless]), (true, None));
        let mut other = hello(&["curve25519-sha256", "", "aes256-ctr", "aes256-ctr"]);
        other[b"SSH-2.0-Some_1.0 with a comment\r\n".len() + 5] = 21;
        assert_eq!(seen(&[&other]), (true, None));
    }
}
