//! Hostile input below SFTP: before the handshake, in the transport, at the login, and in the channels.

use crate::node::{Innocent, NODE_MIB, Node, thorough};
use crate::raw::{Dial, PATIENCE, Ssh, fields, tcp};
use crate::stack::Stack;
use russh::ChannelMsg;
use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const BUDGET_MIB: u64 = 128;

/// The node gives a client so long to log in, and a little to say goodbye.
const LOGIN: Duration = Duration::from_secs(60 + 15);

async fn scene(name: &str) -> (Stack, Node, Innocent) {
    let stack = Stack::start();
    let node = Node::start(&stack, BUDGET_MIB);
    let innocent = Innocent::start(&node, name).await;
    (stack, node, innocent)
}

async fn end(mut node: Node, innocent: Innocent) {
    innocent.finish().await;
    node.check();
    let peak = node.peak_mib();
    assert!(peak <= BUDGET_MIB + NODE_MIB, "{peak} MiB");
}

/// Reads until the node closes.
async fn closed(mut socket: TcpStream, patience: Duration) -> Vec<u8> {
    let mut said = Vec::new();
    let reading = async {
        let mut piece = [0; 4096];
        // a reset is an end as well
        while let Ok(len @ 1..) = socket.read(&mut piece).await {
            said.extend_from_slice(&piece[..len]);
        }
    };
    timeout(patience, reading).await.expect("the node does not close");
    said
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..len).map(|_| next()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_before_and_after_the_handshake() {
    let (_stack, node, innocent) = scene("garbage").await;
    let hello = b"SSH-2.0-hostile\r\n";
    let after = |bytes: &[u8]| [&hello[..], bytes].concat();
    let too_long = after(&[0xff, 0xff, 0xff, 0xff, 4, 20]);
    let lying = after(&[&[0, 0, 0, 64, 4, 20][..], &[0xff; 62]].concat());
    let zero = after(&[0; 64]);
    for bytes in [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"SSH-1.5-old\r\n".to_vec(),
        vec![b'A'; 100_000],
        noise(50_000),
        vec![0; 1000],
        after(&noise(50_000)),
        too_long,
        lying,
        zero,
    ] {
        let mut socket = tcp(node.address, Ipv4Addr::LOCALHOST).await.unwrap();
        // it may be closed before all is sent
        let _ = timeout(PATIENCE, socket.write_all(&bytes)).await.expect("the node neither reads nor closes");
        let begun = Instant::now();
        closed(socket, LOGIN).await;
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?} {:?}", begun.elapsed(), &bytes[..20]);
    }
    // after the keys are exchanged, and after the login
    let ssh = Ssh::dial(node.address, Dial::default()).await.unwrap();
    ssh.tap.garble.store(true, Ordering::SeqCst);
    let _ = ssh.handle.send_keepalive(true).await;
    assert!(ssh.is_closed_in(PATIENCE).await);
    let ssh = node.session(Dial::default()).await;
    let mut sftp = ssh.sftp().await;
    ssh.tap.garble.store(true, Ordering::SeqCst);
    sftp.send(17, &fields().string("/")).await;
    assert!(ssh.is_closed_in(PATIENCE).await);
    end(node, innocent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_that_never_come_to_an_end() {
    let (_stack, node, innocent) = scene("slow").await;
    let from = Ipv4Addr::new(127, 0, 0, 2);
    let before = node.memory_mib();
    let mut slow = Vec::new();
    for at in 0..60 {
        let mut socket = tcp(node.address, from).await.unwrap();
        // nothing, half a greeting, or a packet that is announced and does not come
        let begun: &[u8] = match at % 3 {
            0 => b"",
            1 => b"SSH-2.0-slow",
            _ => b"SSH-2.0-slow\r\n\x00\x03\xff\xff\x04\x14",
        };
        socket.write_all(begun).await.unwrap();
        slow.push(socket);
    }
    let mut handshaken = Vec::new();
    for _ in 0..40 {
        handshaken.push(Ssh::dial(node.address, Dial { from, ..Dial::default() }).await.unwrap());
    }
    let begun = Instant::now();
    innocent.goes_on().await;
    let grown = node.memory_mib().saturating_sub(before);
    assert!(grown < 32, "{grown} MiB more for a hundred connections that do not log in");
    for socket in slow {
        closed(socket, LOGIN).await;
    }
    for ssh in handshaken {
        assert!(ssh.is_closed_in(LOGIN).await);
    }
    assert!(begun.elapsed() < LOGIN + PATIENCE, "{:?}", begun.elapsed());
    end(node, innocent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_that_fail() {
    let (_stack, node, innocent) = scene("logins").await;
    let count = if thorough() { 1000 } else { 120 };
    let address = node.address;
    let attack = move |name: usize| async move {
        let from = Ipv4Addr::new(127, 0, 0, 3);
        let mut ssh = Ssh::dial(address, Dial { from, ..Dial::default() }).await.unwrap();
        let mut refused = 0;
        // the attempt after the last one is answered with the end of the connection
        while let Ok(accepted) = ssh.log_in(&format!("nobody-{name}"), "wrong").await
            && !ssh.handle.is_closed()
        {
            assert!(!accepted);
            refused += 1;
            assert!(refused <= 6, "attempts have a limit");
        }
        refused
    };
    let mut tasks = tokio::task::JoinSet::new();
    let (mut refused, mut next) = (0, 0);
    while refused < count {
        while tasks.len() < 30 {
            next += 1;
            tasks.spawn(attack(next));
        }
        let attempts = timeout(PATIENCE * 2, tasks.join_next()).await.expect("logins hang").unwrap().unwrap();
        assert!(attempts > 0);
        refused += attempts;
    }
    tasks.shutdown().await;
    let very_long = "n".repeat(200_000);
    let mut ssh = Ssh::dial(node.address, Dial::default()).await.unwrap();
    assert!(!matches!(ssh.log_in(&very_long, &very_long).await, Ok(true)));
    end(node, innocent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_and_what_is_asked_of_them() {
    let (_stack, mut node, innocent) = scene("channels").await;
    let ssh = node.session(Dial::default()).await;
    let mut open = Vec::new();
    for _ in 0..10 {
        open.push(ssh.sftp().await);
    }
    for _ in 0..200 {
        assert!(ssh.handle.channel_open_session().await.is_err(), "channels have a limit");
        let forwarded = ssh.handle.channel_open_direct_tcpip("127.0.0.1", 22, "127.0.0.1", 1).await;
        assert!(forwarded.is_err(), "nothing is forwarded");
        assert!(ssh.handle.tcpip_forward("127.0.0.1", 0).await.is_err());
    }
    for sftp in &mut open {
        assert_eq!(sftp.call(16, &fields().string(".")).await.kind, 104);
        for _ in 0..20 {
            sftp.channel().request_pty(true, "xterm", 80, 24, 0, 0, &[]).await.unwrap();
            sftp.channel().exec(true, "id").await.unwrap();
            sftp.channel().request_shell(true).await.unwrap();
            sftp.channel().set_env(true, "LD_PRELOAD", "x").await.unwrap();
            sftp.channel().request_subsystem(true, "shell").await.unwrap();
        }
        assert_eq!(sftp.call(16, &fields().string(".")).await.kind, 104);
    }
    drop(open);

    // one after the other there may be many, whoever ends them
    let ssh = node.session(Dial::default()).await;
    for round in 0..60 {
        let mut channel = timeout(PATIENCE, ssh.handle.channel_open_session()).await.unwrap();
        let channel = channel.as_mut().unwrap_or_else(|error| panic!("channel {round}: {error}"));
        channel.exec(true, "id").await.unwrap();
        let ended = async { while !matches!(channel.wait().await, Some(ChannelMsg::Close) | None) {} };
        timeout(PATIENCE, ended).await.expect("a refused command does not end its channel");
    }
    for round in 0..30 {
        let mut sftp = ssh.sftp().await;
        sftp.put("/channels", format!("{round}").as_bytes()).await;
        sftp.finish().await;
        assert!(sftp.answer().await.is_none(), "the channel is closed");
    }
    node.check();
    end(node, innocent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_exchanged_again_and_again() {
    let (_stack, node, innocent) = scene("keys").await;
    let ssh = node.session(Dial::default()).await;
    let mut sftp = ssh.sftp().await;
    let before = node.memory_mib();
    for round in 0..if thorough() { 1000 } else { 100 } {
        ssh.handle.rekey_soon().await.unwrap();
        assert_eq!(sftp.call(16, &fields().string(".")).await.kind, 104, "{round}");
    }
    let content = noise(3 << 20);
    ssh.handle.rekey_soon().await.unwrap();
    sftp.put("/keys", &content).await;
    ssh.handle.rekey_soon().await.unwrap();
    assert!(sftp.get("/keys").await == content);
    let grown = node.memory_mib().saturating_sub(before);
    assert!(grown < 24, "{grown} MiB more");
    end(node, innocent).await;
}
