//! Clients of the HTTPS door that do not behave, and its end; with routes that do nothing but send and take.

use super::{Door, Settings, Times};
use crate::backend::{Accounts, Vfs};
use crate::door::certificate_tests::files;
use crate::door::{Doors, Limits, Proxy};
use app::tickets::Tickets;
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Long enough for a test on a busy machine.
const SOON: Duration = Duration::from_secs(30);

struct Server {
    doors: Doors,
    address: SocketAddr,
}

impl Server {
    /// In plain HTTP, or with TLS, with short deadlines and these limits.
    fn start(tls: bool, limits: Limits) -> Self {
        let budget = app::budget::Budget::new(app::budget::Budget::LEAST_MIB).unwrap();
        let state = crate::state::State {
            accounts: Accounts::default(),
            vfs: Vfs::default(),
            budget,
            sessions: crate::doubles::sessions(),
            meters: Default::default(),
        };
        let doors = Doors::new(&state, limits);
        let endless = || async {
            let piece = Bytes::from(vec![0; 64 * 1024]);
            Body::from_stream(futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone())))
        };
        let slow = || async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            "done"
        };
        let routes = Router::new().route("/", get("here")).route("/endless", get(endless)).route("/slow", get(slow));
        let (_folder, certificate) = files();
        let settings = Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            certificate: tls.then_some(certificate),
            proxy: Proxy::Off,
            tickets: Tickets::new("a secret of at least 32 characters").ok().unwrap(),
        };
        let short = Duration::from_millis(300);
        let times = Times { handshake: short, head: short, stall: short };
        let address = Door::bind_with(settings, routes, &doors, times).unwrap().open().unwrap();
        Self { doors, address }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// What a connection answers to these bytes, to its end.
    async fn answer(&self, request: &[u8]) -> String {
        let mut socket = self.connect().await;
        socket.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        // one that is closed at once may be reset
        let _ = tokio::time::timeout(SOON, socket.read_to_end(&mut answer)).await.expect("the connection stays open");
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn is_empty(&self) {
        let deadline = Instant::now() + SOON;
        while self.doors.open_connections() > 0 {
            assert!(Instant::now() < deadline, "connections stay");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn who_says_nothing_or_not_all_of_it_is_gone() {
    for tls in [false, true] {
        let server = Server::start(tls, Limits::default());
        for begun in [&b""[..], b"GET", b"GET / HTTP/1.1\r\nHost:", b"\x16\x03\x01"] {
            server.answer(begun).await;
        }
        server.is_empty().await;
    }
}

#[tokio::test]
async fn what_is_no_http_is_refused_and_others_are_served() {
    let server = Server::start(false, Limits::default());
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1 << 20));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(1000));
    for wrong in [
        &b"SSH-2.0-OpenSSH_9.9\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nzzz",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        long.as_bytes(),
        many.as_bytes(),
    ] {
        let answer = server.answer(wrong).await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    }
    assert!(server.answer(GET).await.ends_with("here"));
    server.is_empty().await;
}

#[tokio::test]
async fn who_takes_nothing_is_gone() {
    let server = Server::start(false, Limits::default());
    let mut socket = server.connect().await;
    socket.write_all(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    server.is_empty().await;
    // who takes it goes on
    let mut socket = server.connect().await;
    socket.write_all(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let (began, mut taken) = (Instant::now(), vec![0; 64 * 1024]);
    while began.elapsed() < Duration::from_secs(1) {
        assert!(socket.read(&mut taken).await.unwrap() > 0);
    }
}

#[tokio::test]
async fn one_address_has_so_many_connections() {
    let server = Server::start(false, Limits { per_address: 2, ..Limits::default() });
    let (mut one, mut two) = (server.connect().await, server.connect().await);
    for socket in [&mut one, &mut two] {
        socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert!(socket.read(&mut [0; 4096]).await.unwrap() > 0);
    }
    assert_eq!(server.answer(GET).await, "");
    drop((one, two));
    server.is_empty().await;
    assert!(server.answer(GET).await.ends_with("here"));
}

#[tokio::test]
async fn a_stop_waits_for_requests_and_not_for_connections() {
    let server = Server::start(false, Limits::default());
    let mut idle = server.connect().await;
    idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(idle.read(&mut [0; 4096]).await.unwrap() > 0);
    let mut busy = server.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut endless = server.connect().await;
    endless.write_all(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(endless.read(&mut [0; 4096]).await.unwrap() > 0);
    let taking = tokio::spawn(async move {
        let mut taken = vec![0; 64 * 1024];
        while endless.read(&mut taken).await.is_ok_and(|bytes| bytes > 0) {}
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let doors = server.doors.clone();
    let stopping = tokio::spawn(doors.stop(Duration::from_secs(2)));
    let mut answer = String::new();
    tokio::time::timeout(SOON, busy.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.ends_with("done"), "{answer}");
    assert_eq!(tokio::time::timeout(SOON, idle.read(&mut [0; 16])).await.unwrap().unwrap(), 0);
    // what never ends is ended
    tokio::time::timeout(SOON, taking).await.unwrap().unwrap();
    stopping.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}
