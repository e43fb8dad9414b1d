//! A node behind a balancer that writes PROXY headers: who is believed, what else is closed, and that the address in the
//! header is the client's for limits, inbound rules, logs and events.

use crate::accounts::Api;
use crate::clients::{Client, Proof, run, text};
use crate::ftps::Ftps;
use crate::node::Node;
use crate::raw::{Dial, PATIENCE, Ssh, tcp};
use crate::receiver::Receiver;
use crate::stack::Stack;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

const BALANCER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 40);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 41);
const CLIENT: &str = "203.0.113.7";

fn node(stack: &Stack, more: &[(&str, &str)]) -> Node {
    let proxy = [("TOWPATH_PROXY_PROTOCOL", "required"), ("TOWPATH_PROXY_TRUSTED", "127.0.0.40")];
    Node::start_with(stack, 128, &[&proxy[..], more].concat())
}

fn line(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 192.0.2.1 40000 22\r\n").into_bytes()
}

fn binary(client: &str) -> Vec<u8> {
    let client: Ipv4Addr = client.parse().unwrap();
    // with the extension that AWS' balancers send
    let extension = b"\xea\x00\x17\x01vpce-08d2bf15fac5001c9";
    let fixed = [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00", &[12 + 26][..]].concat();
    [&fixed[..], &client.octets(), &[192, 0, 2, 1, 156, 64, 0, 22], extension].concat()
}

/// What the node says to these bytes until it closes, and how long it takes.
async fn told(node: SocketAddr, from: Ipv4Addr, bytes: &[u8]) -> (Vec<u8>, Duration) {
    let begun = Instant::now();
    let mut socket = tcp(node, from).await.unwrap();
    let _ = socket.write_all(bytes).await;
    let mut said = Vec::new();
    let mut piece = [0; 1024];
    let reading = async {
        while let Ok(len @ 1..) = socket.read(&mut piece).await {
            said.extend_from_slice(&piece[..len]);
        }
    };
    timeout(PATIENCE, reading).await.expect("the node does not close");
    (said, begun.elapsed())
}

async fn log_in(node: &Node, header: Vec<u8>) -> bool {
    let dial = Dial { from: BALANCER, first: header, ..Dial::default() };
    Ssh::dial(node.address, dial).await.unwrap().log_in(&node.user, &node.password).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_cut_slow_and_long_headers_and_strangers_are_closed() {
    let stack = Stack::start();
    let mut node = node(&stack, &[]);
    let (right, ssh) = (line(CLIENT), b"SSH-2.0-client\r\n");
    for (from, bytes) in [
        (STRANGER, right.clone()),
        (STRANGER, ssh.to_vec()),
        (BALANCER, ssh.to_vec()),
        (BALANCER, b"PROXY TCP4 203.0.113.7 192.0.2.1 40000\r\n".to_vec()),
        (BALANCER, [b"PROXY UNKNOWN ", &[b'x'; 200][..]].concat()),
        (BALANCER, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff".to_vec()),
        (BALANCER, b"\r\n\r\n\0\r\nQUIT\n\x21\x00\x00\x00".to_vec()),
    ] {
        let (said, after) = told(node.address, from, &bytes).await;
        assert_eq!(said, b"", "{from} {bytes:?}");
        assert!(after < Duration::from_secs(4), "{from} {bytes:?}: {after:?}");
    }
    // who says nothing, half of it, or a byte now and then has 5 seconds
    let slow = async |bytes: &[u8], every: Option<Duration>| {
        let begun = Instant::now();
        let mut socket = tcp(node.address, BALANCER).await.unwrap();
        let mut said = [0; 64];
        for byte in bytes {
            let _ = socket.write_all(&[*byte]).await;
            if let Some(every) = every {
                sleep(every).await;
            }
        }
        let end = timeout(PATIENCE, socket.read(&mut said)).await.expect("the node does not close");
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
        begun.elapsed()
    };
    let whole = binary(CLIENT);
    let half = &whole[..20];
    let (nothing, cut, trickle) =
        tokio::join!(slow(b"", None), slow(half, None), slow(&right[..20], Some(Duration::from_millis(300))),);
    for after in [nothing, cut, trickle] {
        assert!(after >= Duration::from_millis(4900) && after < Duration::from_secs(20), "{after:?}");
    }
    // a health check is greeted
    for own in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"] {
        let mut check = tcp(node.address, BALANCER).await.unwrap();
        check.write_all(own).await.unwrap();
        let mut greeting = [0; 8];
        timeout(PATIENCE, check.read_exact(&mut greeting)).await.unwrap().unwrap();
        assert_eq!(&greeting, b"SSH-2.0-");
    }
    // and byte by byte a right header is one
    let mut slowly = tcp(node.address, BALANCER).await.unwrap();
    for byte in binary(CLIENT) {
        slowly.write_all(&[byte]).await.unwrap();
        sleep(Duration::from_millis(2)).await;
    }
    let mut greeting = [0; 8];
    timeout(PATIENCE, slowly.read_exact(&mut greeting)).await.unwrap().unwrap();
    assert!(log_in(&node, line(CLIENT)).await && log_in(&node, binary(CLIENT)).await);
    node.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_in_the_header_is_the_clients() {
    let stack = Stack::start();
    let api = Api::of(&stack);
    let rules = |source: &str| {
        let rule = json!({"Protocol": "*", "Source": source, "State": "enabled", "Action": "allow"});
        json!({"Settings": {"Network": {"InboundRules": Value::Array(vec![rule])}}})
    };
    let mut node = node(&stack, &[("TOWPATH_MAX_CONNECTIONS_PER_ADDRESS", "3")]);
    api.changed("", rules("203.0.113.0/24")).await;
    for (client, let_in) in [(CLIENT, true), ("198.51.100.1", false)] {
        for header in [line(client), binary(client)] {
            assert_eq!(log_in(&node, header).await, let_in, "{client}");
        }
    }
    assert!(!log_in(&node, b"PROXY UNKNOWN\r\n".to_vec()).await, "the balancer's own address is let in by no rule");
    let log = node.log();
    for address in [CLIENT, "198.51.100.1"] {
        assert!(log.contains(address), "{address} is not in the log:\n{log}");
    }
    // the limit for an address counts clients, of which a balancer has many
    let dial = |client: &str| Dial { from: BALANCER, first: line(client), ..Dial::default() };
    let mut open = Vec::new();
    for at in 0..8 {
        open.push(Ssh::dial(node.address, dial(&format!("203.0.113.{}", 100 + at))).await.unwrap());
    }
    for _ in 0..3 {
        open.push(Ssh::dial(node.address, dial("203.0.113.50")).await.unwrap());
    }
    assert!(Ssh::dial(node.address, dial("203.0.113.50")).await.is_err(), "a fourth connection of one client");
    node.check();
}

/// A balancer: relays each connection at its own address to the same port of the node, with a header in front.
fn relay(ports: Vec<u16>, client: &'static str) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut listeners = tokio::task::JoinSet::new();
        for port in ports {
            let listener = TcpListener::bind((BALANCER, port)).await.unwrap();
            listeners.spawn(async move {
                loop {
                    let (mut outside, _) = listener.accept().await.unwrap();
                    let header = format!("PROXY TCP4 {client} {BALANCER} 40000 {port}\r\n");
                    tokio::spawn(async move {
                        let mut inside: TcpStream = tcp((Ipv4Addr::LOCALHOST, port).into(), BALANCER).await.unwrap();
                        inside.write_all(header.as_bytes()).await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                    });
                }
            });
        }
        listeners.join_all().await;
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn real_clients_come_through_a_balancer() {
    let stack = Stack::start();
    let receiver = Receiver::start().await;
    let hook = json!({"Alias": "erp", "Url": receiver.url, "Type": "webhook", "Topics": ["file.downloaded"]});
    Api::of(&stack).made("/webhooks", hook).await;
    let data = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut node = node(&stack, &[("TOWPATH_FTPS_PASSIVE_PORTS", &data.to_string())]);
    let relay = relay(vec![node.address.port(), node.ftps.port(), data], CLIENT);
    let content: Vec<u8> = (0..3_000_000_u32).flat_map(|at| at.wrapping_mul(0x9E37_79B9).to_le_bytes()).collect();

    let proof = Proof::Password(node.password.clone());
    let client = Client::anywhere(node.address.port(), &node.user, proof).at(BALANCER);
    std::fs::write(client.path("a"), &content).unwrap();
    client.sftp_ok(&["put a sftp-a", "get sftp-a back"]);
    assert!(std::fs::read(client.path("back")).unwrap() == content);

    let ftps = Ftps::root(&stack);
    std::fs::write(ftps.path("a"), &content).unwrap();
    for (at, passive) in
        [["--disable-epsv", "--no-ftp-skip-pasv-ip"], ["--ftp-pasv", "--ftp-skip-pasv-ip"]].iter().enumerate()
    {
        let url = format!("ftp://{BALANCER}:{}/ftps-{at}", node.ftps.port());
        for direction in [["-T", "a"], ["-o", "back"]] {
            let mut curl = ftps.curl_at(&url);
            // its certificate is for another address
            curl.arg("-k").args(passive).args(direction);
            let output = tokio::task::spawn_blocking(move || run(curl)).await.unwrap();
            assert!(output.status.success(), "{passive:?} {direction:?}: {}", text(&output));
        }
        assert!(std::fs::read(ftps.path("back")).unwrap() == content, "{passive:?}");
    }
    for event in receiver.wait_for(3).await {
        let event = event.json();
        assert_eq!(event["Data"]["Metadata"]["ClientIp"], CLIENT, "{event}");
    }
    relay.abort();
    node.check();
}
