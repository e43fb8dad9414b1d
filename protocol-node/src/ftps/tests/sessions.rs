//! The control connection beside transfers: ABOR, NOOP, what is sent ahead, ends of sessions, a stopping node.

use super::client::{Client, TLS13};
use super::{PATIENCE, SHORT, Server, Setup, Times, content};
use crate::door::{Limits, Proxy};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What "at once" may take on a busy machine; far below every deadline of the engine.
const AT_ONCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn abor_is_answered_at_once_though_storage_is_stuck() {
    let server = Server::start();
    server.vfs.put("/slow", "x");
    let mut client = server.client().await;
    let begun = Instant::now();
    // storage does not take what was sent
    let address = client.passive().await;
    assert_eq!(client.ask("STOR slow-upload").await, 150);
    let mut data = client.data(address).await.unwrap();
    data.write_all(&content(200_000)).await.unwrap();
    data.shutdown().await.unwrap();
    assert_eq!(client.ask("NOOP").await, 200);
    let (code, status) = client.tell("STAT").await;
    assert!(code == 211 && status.contains("A transfer is under way"), "{status}");
    client.send(b"\xff\xf4\xff\xf2ABOR\r\n").await.unwrap();
    assert_eq!((client.reply().await.0, client.reply().await.0), (426, 226));
    assert_eq!(server.ended(1).await, [("abort", "/slow-upload".to_owned())]);
    // storage does not give what is asked for
    let address = client.passive().await;
    assert_eq!(client.ask("RETR slow").await, 150);
    let mut data = client.data(address).await.unwrap();
    assert_eq!(client.ask("ABOR").await, 426);
    assert_eq!(client.reply().await.0, 226);
    let mut byte = [0; 1];
    assert!(data.read(&mut byte).await.is_err(), "what was aborted does not look whole");
    assert_eq!(client.ask("PWD").await, 257);
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    server.vfs.release();
    assert_eq!(client.upload("STOR after", b"x").await, 226);
    assert!(server.vfs.get("/slow-upload").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn abor_before_the_data_connection_and_before_storage_has_opened() {
    let server = Server::start();
    let mut client = server.client().await;
    client.passive().await;
    assert_eq!(client.ask("STOR a").await, 150);
    assert_eq!(client.ask("ABOR").await, 426);
    assert_eq!(client.reply().await.0, 226);
    server.vfs.put("/d-slow", "x");
    client.send(b"HASH d-slow\r\nABOR\r\n").await.unwrap();
    assert_eq!((client.reply().await.0, client.reply().await.0), (426, 226));
    // what was sent before it is answered before it
    client.send(b"HASH d-slow\r\nPWD\r\nABOR\r\n").await.unwrap();
    assert_eq!([client.reply().await.0, client.reply().await.0, client.reply().await.0], [426, 257, 226]);
    assert_eq!(client.ask("ABOR").await, 226, "nothing is under way");
    assert!(server.vfs.get("/a").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn abor_that_comes_too_late_is_answered_after_what_happened() {
    let server = Server::start();
    let mut client = server.client().await;
    let address = client.passive().await;
    assert_eq!(client.ask("STOR late").await, 150);
    let mut data = client.data(address).await.unwrap();
    data.write_all(b"whole").await.unwrap();
    data.shutdown().await.unwrap();
    let mut rest = Vec::new();
    data.read_to_end(&mut rest).await.unwrap();
    // the server has ended its side, so the upload is finishing or about to
    tokio::time::sleep(SHORT).await;
    client.send(b"ABOR\r\nNOOP\r\n").await.unwrap();
    assert_eq!(client.reply().await.0, 200, "NOOP is answered at once");
    server.vfs.release();
    assert_eq!((client.reply().await.0, client.reply().await.0), (226, 226));
    assert_eq!(server.vfs.get("/late").unwrap(), "whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_data_connection_holds_up_nothing_and_ends() {
    let times = Times { connect: SHORT, stall: SHORT, ..Times::default() };
    let server = Server::with(Setup { times, ..Setup::default() });
    server.vfs.put("/big", content(60_000_000));
    let mut client = server.client().await;
    // nobody comes
    client.passive().await;
    client.send(b"RETR big\r\nNOOP\r\n").await.unwrap();
    let mut codes = [client.reply().await.0, client.reply().await.0];
    codes.sort_unstable();
    assert_eq!(codes, [150, 200]);
    assert_eq!(client.reply().await.0, 425);
    // a connection that says nothing
    let address = client.passive().await;
    let silent = tokio::net::TcpStream::connect(address).await.unwrap();
    assert_eq!(client.ask("RETR big").await, 150);
    assert_eq!(client.ask("NOOP").await, 200);
    assert_eq!(client.reply().await.0, 425);
    drop(silent);
    // one that reads nothing
    let address = client.passive().await;
    assert_eq!(client.ask("RETR big").await, 150);
    let unread = client.data(address).await.unwrap();
    assert_eq!(client.ask("NOOP").await, 200);
    assert_eq!(client.reply().await.0, 426);
    drop(unread);
    // one that sends nothing
    let address = client.passive().await;
    assert_eq!(client.ask("STOR nothing").await, 150);
    let silent = client.data(address).await.unwrap();
    assert_eq!(client.ask("NOOP").await, 200);
    assert_eq!(client.reply().await.0, 426);
    drop(silent);
    assert!(server.vfs.get("/nothing").is_none());
    assert_eq!(client.ask("PWD").await, 257);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_sent_ahead_are_done_in_order_and_too_many_end_the_session() {
    let server = Server::start();
    server.vfs.put("/a", "hello");
    let mut client = server.client().await;
    let address = client.passive().await;
    client.send(b"RETR a\r\nMKD d\r\nCWD d\r\nPWD\r\n").await.unwrap();
    assert_eq!(client.reply().await.0, 150);
    let mut data = client.data(address).await.unwrap();
    let mut content = Vec::new();
    data.read_to_end(&mut content).await.unwrap();
    let codes = [client.reply().await.0, client.reply().await.0, client.reply().await.0];
    assert_eq!((content, codes), (b"hello".to_vec(), [226, 257, 250]));
    assert!(client.reply().await.1.contains("\"/d\""));
    client.passive().await;
    assert_eq!(client.ask("STOR b").await, 150);
    client.send("PWD\r\n".repeat(17).as_bytes()).await.unwrap();
    assert_eq!((client.reply().await.0, client.reply().await.0), (421, 0));
    assert_eq!(server.ended(1).await, [("interrupt", "/d/b".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_stored_only_if_tls_has_ended_and_the_session_is_there() {
    let server = Server::start();
    let mut client = server.client().await;
    // the data connection breaks
    let address = client.passive().await;
    assert_eq!(client.ask("STOR cut").await, 150);
    let mut data = client.data(address).await.unwrap();
    data.write_all(&content(300_000)).await.unwrap();
    data.flush().await.unwrap();
    let (mut socket, _) = data.into_inner();
    socket.shutdown().await.unwrap();
    assert_eq!(client.reply().await.0, 426);
    assert_eq!(server.ended(1).await, [("interrupt", "/cut".to_owned())]);
    // the control connection breaks
    let address = client.passive().await;
    assert_eq!(client.ask("STOR alone").await, 150);
    let mut data = client.data(address).await.unwrap();
    data.write_all(&content(300_000)).await.unwrap();
    drop(client);
    assert_eq!(server.ended(2).await[1], ("interrupt", "/alone".to_owned()));
    // what has its end is finished, though the client goes
    let mut client = server.client().await;
    let address = client.passive().await;
    assert_eq!(client.ask("STOR late").await, 150);
    let mut data = client.data(address).await.unwrap();
    data.write_all(b"whole").await.unwrap();
    data.shutdown().await.unwrap();
    let mut rest = Vec::new();
    data.read_to_end(&mut rest).await.unwrap();
    tokio::time::sleep(SHORT).await;
    drop(client);
    server.vfs.release();
    assert_eq!(server.ended(3).await[2], ("finish", "/late".to_owned()));
    assert!(server.vfs.get("/cut").is_none() && server.vfs.get("/alone").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_node_finishes_transfers_and_says_goodbye() {
    let server = Server::start();
    let (mut idle, mut busy) = (server.client().await, server.client().await);
    let address = busy.passive().await;
    assert_eq!(busy.ask("STOR a").await, 150);
    let mut data = busy.data(address).await.unwrap();
    data.write_all(b"who").await.unwrap();
    let stopping = tokio::spawn(server.doors.clone().stop(PATIENCE));
    assert_eq!((idle.reply().await.0, idle.reply().await.0), (421, 0));
    data.write_all(b"le").await.unwrap();
    data.shutdown().await.unwrap();
    assert_eq!((busy.reply().await.0, busy.reply().await.0), (226, 421));
    drop((idle, busy));
    tokio::time::timeout(PATIENCE, stopping).await.unwrap().unwrap();
    assert_eq!(server.vfs.get("/a").unwrap(), "whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_when_nothing_happens() {
    let times = Times { login: SHORT, idle: SHORT, ..Times::default() };
    let server = Server::with(Setup { times, ..Setup::default() });
    let mut silent = Client::connect(&server, TLS13).await;
    assert_eq!((silent.reply().await.0, silent.reply().await.0), (421, 0));
    let times = Times { idle: SHORT, ..Times::default() };
    let server = Server::with(Setup { times, ..Setup::default() });
    let mut idle = server.client().await;
    // a transfer is not idleness
    let address = idle.passive().await;
    assert_eq!(idle.ask("STOR a").await, 150);
    let mut data = idle.data(address).await.unwrap();
    tokio::time::sleep(SHORT * 3).await;
    data.write_all(b"x").await.unwrap();
    data.shutdown().await.unwrap();
    assert_eq!(idle.reply().await.0, 226);
    assert_eq!((idle.reply().await.0, idle.reply().await.0), (421, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_is_announced_when_all_was_sent_and_not_when_it_was_aborted() {
    let server = Server::start();
    server.vfs.put("/whole", content(300_000));
    server.vfs.put("/big", content(60_000_000));
    let mut client = server.client().await;
    for ending in ["ABOR", "the data connection breaks"] {
        let address = client.passive().await;
        assert_eq!(client.ask("RETR big").await, 150);
        let mut data = client.data(address).await.unwrap();
        data.read_exact(&mut [0; 1000]).await.unwrap();
        if ending == "ABOR" {
            assert_eq!((client.ask("ABOR").await, client.reply().await.0), (426, 226));
        } else {
            drop(data);
            assert_eq!(client.reply().await.0, 426, "{ending}");
        }
    }
    assert_eq!(client.download("RETR whole").await.0, 226);
    assert_eq!(*server.vfs.closed.lock().unwrap(), ["/whole"]);
}

/// What a connection hears first; nothing, if it is closed instead.
async fn greeting(socket: &mut TcpStream) -> usize {
    let mut first = [0; 3];
    tokio::time::timeout(PATIENCE, socket.read(&mut first)).await.expect("neither greeted nor closed").unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_on_connections_count_both_doors() {
    for limits in [Limits { connections: 2, ..Limits::default() }, Limits { per_address: 2, ..Limits::default() }] {
        let server = Server::with(Setup { limits, ..Setup::default() });
        let keys = crate::host_keys::host_keys(&[3; 32]).unwrap();
        let ssh = crate::ssh::Door::bind("127.0.0.1:0".parse().unwrap(), Proxy::Off, &keys, &server.doors).unwrap();
        let (ssh, ftps) = (ssh.open().unwrap(), server.open.explicit);
        let mut first = TcpStream::connect(ssh).await.unwrap();
        assert_eq!(greeting(&mut first).await, 3);
        let mut second = TcpStream::connect(ftps).await.unwrap();
        assert_eq!(greeting(&mut second).await, 3);
        for door in [ssh, ftps] {
            assert_eq!(greeting(&mut TcpStream::connect(door).await.unwrap()).await, 0, "{limits:?}");
        }
        // a place that one door gives back is free for the other
        drop(first);
        let begun = Instant::now();
        while greeting(&mut TcpStream::connect(ftps).await.unwrap()).await == 0 {
            assert!(begun.elapsed() < PATIENCE);
        }
    }
}
