//! Behind a balancer that writes PROXY headers: whose sessions and data connections these are.

use super::client::{Client, TLS13, begin, connect_from, is_closed};
use super::{Server, Setup, content};
use crate::door::Proxy;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const BALANCER: Ipv4Addr = Ipv4Addr::LOCALHOST;
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
const DIALLED: &str = "192.0.2.1";

fn server() -> Server {
    let trusted = vec![BALANCER.to_string().parse::<std::net::IpAddr>().unwrap().into()];
    Server::with(Setup { proxy: Proxy::Required(trusted.into()), ..Setup::default() })
}

fn header(client: &str, port: u16) -> Vec<u8> {
    format!("PROXY TCP4 {client} {DIALLED} 40000 {port}\r\n").into_bytes()
}

/// A data connection that says that it is this client's.
async fn data(client: &str, to: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(to).await.unwrap();
    socket.write_all(&header(client, to.port())).await.unwrap();
    socket
}

async fn session(server: &Server, client: &str) -> Client {
    let mut session = Client::connect_with(server, TLS13, &header(client, 21)).await;
    session.secure().await;
    session.log_in().await;
    session
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_connection_is_its_clients_by_the_header() {
    let server = server();
    let mut ann = session(&server, "203.0.113.7").await;
    let content = content(300_000);
    for way in ["EPSV", "PASV"] {
        // PASV names what the client dialled, which is the balancer
        let (_, text) = ann.tell(way).await;
        assert!(way == "EPSV" || text.contains("(192,0,2,1,"), "{text}");
        let port = if way == "EPSV" {
            text.split('|').nth(3).unwrap().parse().unwrap()
        } else {
            let numbers: Vec<u16> = text.split(&['(', ')', ','][..]).filter_map(|part| part.parse().ok()).collect();
            numbers[4] * 256 + numbers[5]
        };
        let address = SocketAddr::new(BALANCER.into(), port);
        assert_eq!(ann.ask("STOR a").await, 150);
        // without a header, or with one that names somebody else, it is nobody's
        let mut bare = TcpStream::connect(address).await.unwrap();
        bare.write_all(b"\x16\x03\x01\x00\x05").await.unwrap();
        assert!(is_closed(&mut bare).await);
        let mut others = data("203.0.113.8", address).await;
        assert!(is_closed(&mut others).await);
        let mut stranger = connect_from(STRANGER, address).await;
        let _ = stranger.write_all(&header("203.0.113.7", port)).await;
        assert!(is_closed(&mut stranger).await);
        let mut own = begin(&ann.sessions(), data("203.0.113.7", address).await).await.unwrap();
        own.write_all(&content).await.unwrap();
        own.shutdown().await.unwrap();
        let _ = own.read_to_end(&mut Vec::new()).await;
        assert_eq!(ann.reply().await.0, 226);
        assert!(server.vfs.get("/a").unwrap() == content);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn control_connections_must_begin_with_a_header() {
    let server = server();
    for (from, bytes) in [
        (BALANCER, b"AUTH TLS\r\nFEAT\r\n".to_vec()),
        (BALANCER, b"PROXY TCP4 203.0.113.7 192.0.2.1 40000\r\n".to_vec()),
        (STRANGER, header("203.0.113.7", 21)),
    ] {
        for door in [server.open.explicit, server.open.implicit] {
            let mut socket = connect_from(from, door).await;
            let _ = socket.write_all(&bytes).await;
            let mut said = Vec::new();
            let _ = socket.read_to_end(&mut said).await;
            assert_eq!(said, b"", "nothing is said to {from}");
        }
    }
    // a health check is greeted
    let mut check = Client::connect_with(&server, TLS13, b"PROXY UNKNOWN\r\n").await;
    assert_eq!(check.ask("QUIT").await, 221);
    // both headers at the front of the connection: the second is not the balancer's
    let twice = [header("203.0.113.7", 21), header("198.51.100.1", 21)].concat();
    let mut twice = Client::connect_with(&server, TLS13, &twice).await;
    assert_eq!(twice.reply().await.0, 500);
    assert_eq!(server.doors.connections_without_header(), (2, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_header_is_expected_it_is_garbage() {
    let server = Server::start();
    let mut client = Client::connect_with(&server, TLS13, &header("203.0.113.7", 21)).await;
    assert_eq!(client.reply().await.0, 500);
    client.secure().await;
}
