//! PROXY protocol as a listener's mode: required or refused, never detected. A balancer in front of the node says in a
//! header whose connection it is; the addresses in the header are then what limits, inbound rules, logs and events go by.
//!
//! Rule: only peers in the operator's networks are believed, and nothing is read from others. A connection without a right
//! header within [`HEADER_DEADLINE`] is closed, and nobody is told why but the log.
//!
//! A header that names nobody (LOCAL, or UNKNOWN in version 1) is a balancer's own connection, a health check most often. It
//! is served under the balancer's address, as the specification demands: checks that look for a greeting find one, and
//! whoever logs in that way must come from an address that the inbound rules let in.

#[cfg(test)]
mod exercise;
pub(crate) mod header;

use header::{Header, NotAHeader, Parsed};
use ipnet::IpNet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// From the connection to the end of its header. Balancers send it with their first packet.
pub(crate) const HEADER_DEADLINE: Duration = Duration::from_secs(5);

/// Whether the connections of a listener begin with a header. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Proxy {
    /// None does: a header is garbage like any other.
    #[default]
    Off,
    /// Every one does, and comes from one of these networks.
    Required(Arc<[IpNet]>),
}

/// Both ends of a connection as the client sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    /// The client.
    pub(crate) client: SocketAddr,
    /// What it dialled.
    pub(crate) dialled: SocketAddr,
}

/// Why a connection has no header.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoHeader {
    #[error("the connection begins with no PROXY header: {0}")]
    Wrong(#[from] NotAHeader),
    #[error("the connection ended before its PROXY header")]
    Ended,
    #[error("no PROXY header came within {} s", HEADER_DEADLINE.as_secs())]
    Late,
    #[error("the connection broke before its PROXY header: {0}")]
    Broken(#[from] io::Error),
}

impl Proxy {
    /// Whether this peer may connect at all.
    pub(crate) fn takes(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        match self {
            Self::Off => true,
            Self::Required(trusted) => trusted.iter().any(|network| network.contains(&peer)),
        }
    }

    /// Whose connection it is; reads its header if there has to be one, and nothing behind that.
    pub(crate) async fn ends(&self, socket: &mut TcpStream, peer: SocketAddr) -> Result<Ends, NoHeader> {
        let own = Ends { client: peer, dialled: socket.local_addr()? };
        if matches!(self, Self::Off) {
            return Ok(own);
        }
        match timeout(HEADER_DEADLINE, read(socket)).await.map_err(|_| NoHeader::Late)?? {
            Header::Client { source, destination } => Ok(Ends { client: source, dialled: destination }),
            Header::Own => Ok(own),
        }
    }
}

async fn read(socket: &mut (impl AsyncRead + Unpin)) -> Result<Header, NoHeader> {
    let mut read = Vec::new();
    loop {
        match header::parse(&read)? {
            Parsed::Whole(header) => return Ok(header),
            Parsed::Needs(more) => {
                let mut needed = (&mut *socket).take(more as u64);
                if needed.read_buf(&mut read).await? == 0 {
                    return Err(NoHeader::Ended);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use header::tests::binary;

    #[tokio::test]
    async fn nothing_behind_a_header_is_read() {
        let block = [203, 0, 113, 7, 192, 0, 2, 1, 200, 34, 0, 22];
        for header in [b"PROXY TCP4 203.0.113.7 192.0.2.1 51234 22\r\n".to_vec(), binary(0x21, 0x11, &block, &[])] {
            let stream = [&header[..], b"SSH-2.0-client\r\n"].concat();
            let mut rest = &stream[..];
            let read = read(&mut rest).await.unwrap();
            let (source, destination) = ("203.0.113.7:51234".parse().unwrap(), "192.0.2.1:22".parse().unwrap());
            assert_eq!(read, Header::Client { source, destination });
            assert_eq!(rest, b"SSH-2.0-client\r\n");
        }
        let error = read(&mut &b"PROXY TCP4 203.0"[..]).await.unwrap_err();
        assert!(matches!(error, NoHeader::Ended), "{error}");
    }

    #[test]
    fn only_peers_in_the_networks_are_taken() {
        let networks = ["10.0.0.0/8", "2001:db8::/32"].map(|text| text.parse().unwrap());
        let proxy = Proxy::Required(networks.to_vec().into());
        for (peer, taken) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("11.1.2.3", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(proxy.takes(peer.parse().unwrap()), taken, "{peer}");
            assert!(Proxy::Off.takes(peer.parse().unwrap()));
        }
    }
}
