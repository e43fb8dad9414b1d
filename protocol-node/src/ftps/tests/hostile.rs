//! Clients that want what they must not have, or everything at once.

use super::client::{self, Client, TLS12, TLS13, begin, connect_from, is_closed};
use super::{PATIENCE, SHORT, Server, Setup, Times};
use crate::doubles::PASSWORD;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_in_the_clear() {
    let server = Server::start();
    server.vfs.put("/a", "hello");
    let mut client = Client::connect(&server, TLS13).await;
    for command in ["USER ann", &format!("PASS {PASSWORD}"), "PBSZ 0", "PROT P", "RETR a", "EPSV", "LIST", "PWD"] {
        assert_eq!(client.ask(command).await, 530, "{command}");
    }
    assert_eq!(client.ask("AUTH KERBEROS").await, 504);
    assert_eq!(client.ask("AUTH TLS").await, 234);
    client.begin_tls().await.unwrap();
    assert_eq!(client.ask("PROT P").await, 503);
    client.log_in().await;
    let address = client.passive().await;
    assert_eq!(client.ask("RETR a").await, 521, "no data before PROT P");
    assert_eq!(client.ask("PBSZ 0").await, 200);
    assert_eq!(client.ask("PROT C").await, 534);
    assert_eq!(client.ask("PROT S").await, 536);
    assert_eq!(client.ask("LIST").await, 521);
    // who speaks no TLS on the data connection gets nothing
    assert_eq!(client.ask("PROT P").await, 200);
    let mut clear = TcpStream::connect(address).await.unwrap();
    assert_eq!(client.ask("STOR b").await, 150);
    clear.write_all(b"clear bytes that are no hello").await.unwrap();
    assert!(is_closed(&mut clear).await);
    assert_eq!(client.ask("ABOR").await, 426);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_the_clear_after_auth_ends_the_connection() {
    let server = Server::start();
    let mut client = Client::connect(&server, TLS13).await;
    client.send(b"AUTH TLS\r\nUSER ann\r\n").await.unwrap();
    assert_eq!(client.reply().await.0, 234);
    assert!(client.begin_tls().await.is_err(), "what was sent in the clear would count as sent under TLS");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_connection_without_the_session_of_its_control_connection_is_refused() {
    let times = Times { own_after_stranger: SHORT, ..Times::default() };
    let server = Server::with(Setup { times, passive_ports: 1, ..Setup::default() });
    server.vfs.put("/a", "hello");
    for version in [TLS12, TLS13] {
        let mut victim = Client::logged_in(&server, version).await;
        let mut other = Client::logged_in(&server, version).await;
        let strangers = [client::connector(&server, version), other.sessions()];
        for tls in &strangers {
            let address = victim.passive().await;
            assert_eq!(victim.ask("RETR a").await, 150);
            let stream = begin(tls, TcpStream::connect(address).await.unwrap()).await;
            // TLS 1.3 lets a client believe that it has begun before the server has agreed
            if let Ok(mut stream) = stream {
                let mut got = Vec::new();
                assert!(stream.read_to_end(&mut got).await.is_err() && got.is_empty());
            }
            let (code, text) = victim.reply().await;
            assert!(code == 425 && text.contains("reuse the TLS session"), "{text}");
        }
        // the own connection is taken though a stranger came first
        let address = victim.passive().await;
        assert_eq!(victim.ask("RETR a").await, 150);
        let mut stranger = TcpStream::connect(address).await.unwrap();
        stranger.write_all(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00").await.unwrap();
        let mut data = victim.data(address).await.unwrap();
        let mut content = Vec::new();
        data.read_to_end(&mut content).await.unwrap();
        assert_eq!((victim.reply().await.0, content), (226, b"hello".to_vec()));
        assert!(is_closed(&mut stranger).await);
        assert_eq!(other.download("RETR a").await.0, 226, "the other session is as it was");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reuse_can_be_optional() {
    let server = Server::with(Setup { reuse_required: false, ..Setup::default() });
    server.vfs.put("/a", "hello");
    let mut client = server.client().await;
    let address = client.passive().await;
    assert_eq!(client.ask("RETR a").await, 150);
    let stranger = client::connector(&server, TLS13);
    let mut data = begin(&stranger, TcpStream::connect(address).await.unwrap()).await.unwrap();
    let mut content = Vec::new();
    data.read_to_end(&mut content).await.unwrap();
    assert_eq!((client.reply().await.0, content), (226, b"hello".to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_connection_from_another_address_is_closed() {
    let server = Server::start();
    server.vfs.put("/a", "hello");
    let mut client = server.client().await;
    let address = client.passive().await;
    let mut other = connect_from([127, 0, 0, 9].into(), address).await;
    assert!(is_closed(&mut other).await);
    assert_eq!(client.ask("RETR a").await, 150);
    let stream = client.sessions();
    let socket = connect_from([127, 0, 0, 9].into(), address).await;
    assert!(begin(&stream, socket).await.is_err(), "even with the right session");
    assert_eq!(client.ask("ABOR").await, 426);
    assert_eq!(client.reply().await.0, 226);
    assert_eq!(client.download("RETR a").await.0, 226);
    // and nobody waits any more
    let mut late = TcpStream::connect(address).await.unwrap();
    assert!(is_closed(&mut late).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_without_a_hello_are_few() {
    let server = Server::with(Setup { passive_ports: 1, ..Setup::default() });
    let mut client = server.client().await;
    let address = client.passive().await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let mut closed = 0;
    for socket in &mut silent {
        let mut byte = [0; 1];
        if let Ok(Ok(0) | Err(_)) = tokio::time::timeout(SHORT, socket.read(&mut byte)).await {
            closed += 1;
        }
    }
    assert_eq!(silent.len() - closed, 9);
    // when nobody waits any more they are closed as well
    assert_eq!(client.ask("QUIT").await, 221);
    for mut socket in silent {
        assert!(is_closed(&mut socket).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_are_few_and_refusals_the_same() {
    let server = Server::start();
    let mut client = Client::connect(&server, TLS13).await;
    client.secure().await;
    assert_eq!(client.ask("PASS x").await, 503);
    assert_eq!(client.ask("LIST").await, 530);
    let mut texts = Vec::new();
    for user in ["ann", "nobody", &"x".repeat(1000), "ann", "ann"] {
        assert_eq!(client.ask(&format!("USER {user}")).await, 331);
        let (code, text) = client.tell("PASS wrong").await;
        assert_eq!(code, 530);
        texts.push(text);
    }
    assert!(texts.windows(2).all(|two| two[0] == two[1]));
    assert_eq!(client.ask("USER ann").await, 331);
    assert_eq!((client.ask("PASS wrong").await, client.reply().await.0), (421, 0));
    let mut client = server.client().await;
    assert_eq!(client.ask("USER ann").await, 503);
    assert_eq!(client.ask(&format!("PASS {PASSWORD}")).await, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_too_long_or_no_commands_end_the_session() {
    let server = Server::start();
    for line in [vec![b'x'; 100_000], b"GET / HTTP/1.1".to_vec(), Vec::new()] {
        let mut client = server.client().await;
        let line = [&line[..], b"\r\n"].concat();
        for round in 0..2 {
            for _ in 0..9 {
                client.send(&line).await.unwrap();
                assert_eq!(client.reply().await.0, 500);
            }
            assert_eq!(client.ask("PWD").await, 257, "{round}");
        }
        for _ in 0..9 {
            client.send(&line).await.unwrap();
            assert_eq!(client.reply().await.0, 500);
        }
        let _ = client.send(&line).await;
        assert_eq!((client.reply().await.0, client.reply().await.0), (421, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_dribbles_is_disconnected() {
    let times = Times { login: SHORT * 6, pace_window: SHORT * 2, pace_bytes: 1000, ..Times::default() };
    let server = Server::with(Setup { times, ..Setup::default() });
    // on the control connection
    let mut client = Client::connect(&server, TLS13).await;
    let begun = Instant::now();
    while client.send(b"x").await.is_ok() {
        assert!(begun.elapsed() < PATIENCE, "the login never ends");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // whole lines, as fast as they are taken
    let mut client = Client::connect(&server, TLS13).await;
    let begun = Instant::now();
    while client.send(&b"NOOP\r\n".repeat(50)).await.is_ok() {
        assert!(begun.elapsed() < PATIENCE, "the login never ends");
        for _ in 0..50 {
            if client.reply().await.0 != 200 {
                break;
            }
        }
    }
    // on a data connection
    let mut client = server.client().await;
    let address = client.passive().await;
    assert_eq!(client.ask("STOR a").await, 150);
    let mut data = client.data(address).await.unwrap();
    let dribbling = tokio::spawn(async move {
        while data.write_all(b"x").await.is_ok() && data.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert_eq!(client.reply().await.0, 426);
    tokio::time::timeout(PATIENCE, dribbling).await.unwrap().unwrap();
    assert!(server.vfs.get("/a").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_no_replies_is_disconnected() {
    let times = Times { reply: SHORT, ..Times::default() };
    let server = Server::with(Setup { times, ..Setup::default() });
    let mut client = Client::connect(&server, TLS13).await;
    client.secure().await;
    client.log_in().await;
    let begun = Instant::now();
    // replies are longer than their commands, so the way back is full first
    while let Ok(Ok(())) = tokio::time::timeout(SHORT * 20, client.send(&b"HELP\r\n".repeat(100))).await {
        assert!(begun.elapsed() < PATIENCE, "the session never ends");
    }
    let deadline = Instant::now() + PATIENCE;
    while !server.doors.tasks.is_empty() && server.doors.tasks.len() > 2 {
        assert!(Instant::now() < deadline, "the session is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
