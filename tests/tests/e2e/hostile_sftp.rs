//! Hostile input inside an SFTP channel: a clear status or a closed connection, no panic, no growth, and nobody else
//! notices.

use crate::node::{Innocent, NODE_MIB, Node, thorough};
use crate::raw::{Dial, Fields, PATIENCE, Sftp, Ssh, fields, frame};
use crate::stack::Stack;
use bytes::Bytes;
use std::sync::atomic::Ordering;
use std::time::Duration;

const BUDGET_MIB: u64 = 128;

const NO_SUCH_FILE: u32 = 2;
const FAILURE: u32 = 4;
const BAD_MESSAGE: u32 = 5;
const UNSUPPORTED: u32 = 8;

struct Scene {
    node: Node,
    innocent: Innocent,
    _stack: Stack,
}

impl Scene {
    async fn start(name: &str) -> Self {
        let stack = Stack::start();
        let node = Node::start(&stack, BUDGET_MIB);
        let innocent = Innocent::start(&node, name).await;
        Self { node, innocent, _stack: stack }
    }

    async fn sftp(&self) -> (Ssh, Sftp) {
        let ssh = self.node.session(Dial::default()).await;
        let sftp = ssh.sftp().await;
        (ssh, sftp)
    }

    async fn end(mut self) {
        self.innocent.finish().await;
        self.node.check();
        let peak = self.node.peak_mib();
        assert!(peak <= BUDGET_MIB + NODE_MIB, "{peak} MiB");
    }
}

/// The session goes on.
async fn lives(sftp: &mut Sftp) {
    let answer = sftp.call(16, &fields().string(".")).await;
    assert_eq!((answer.kind, &answer.body[4..9]), (104, &b"\0\0\0\x01/"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_of_wrong_lengths() {
    let scene = Scene::start("lengths").await;
    let (_ssh, mut sftp) = scene.sftp().await;
    // longer than allowed: answered, skipped, and the next one is read
    assert_eq!(sftp.status(17, &fields().string(vec![b'x'; 300_000])).await, BAD_MESSAGE);
    lives(&mut sftp).await;
    // lengths that lie inside a packet
    for kind in [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 200] {
        for length in [1, 7, 0x7fff_ffff, u32::MAX] {
            assert_eq!(sftp.status(kind, &fields().u32(length)).await, BAD_MESSAGE, "{kind} {length}");
        }
    }
    // attributes that announce four billion extensions
    let huge = fields().u32(0x8000_0000).u32(u32::MAX);
    let attributes = |path: Fields| Fields([path.0, huge.0.clone()].concat());
    assert_eq!(sftp.status(9, &attributes(fields().string("/a"))).await, BAD_MESSAGE);
    assert_eq!(sftp.status(14, &attributes(fields().string("/a"))).await, BAD_MESSAGE);
    assert_eq!(sftp.status(3, &attributes(fields().string("/a").u32(26))).await, BAD_MESSAGE);
    // a WRITE with more than its data behind it
    let handle = sftp.open("/lengths", 26).await;
    let write = fields().string(&handle).u64(0).string("data").u32(0);
    assert_eq!(sftp.status(6, &write).await, BAD_MESSAGE);
    lives(&mut sftp).await;

    // what cannot be SFTP closes the connection
    for bytes in [&[0; 4][..], b"GET / HTTP/1.1\r\n\r\n", &[0xff; 64], &[1, 0, 0, 1, 3]] {
        let (ssh, sftp) = scene.sftp().await;
        sftp.send_raw(bytes).await;
        assert!(ssh.is_closed_in(PATIENCE).await, "{bytes:?}");
    }
    // a packet without a request id, too
    for short in [&[0, 0, 0, 1, 17][..], &[0, 0, 0, 3, 17, 0, 0]] {
        let (ssh, sftp) = scene.sftp().await;
        sftp.send_raw(short).await;
        assert!(ssh.is_closed_in(PATIENCE).await, "{short:?}");
    }
    // a packet that stops in the middle ends with its channel
    let (_ssh, mut sftp) = scene.sftp().await;
    sftp.send_raw(&frame(17, 1, &fields().string("/a"))[..9]).await;
    sftp.finish().await;
    assert!(sftp.answer().await.is_none());
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_make_no_sense() {
    let scene = Scene::start("sense").await;
    // before INIT, and INIT twice
    for kind in [3, 5, 6, 17, 99, 200] {
        let ssh = scene.node.session(Dial::default()).await;
        ssh.subsystem().await.send_raw(&frame(kind, 1, &fields().string("/a").u64(1))).await;
        assert!(ssh.is_closed_in(PATIENCE).await, "{kind}");
    }
    let (ssh, mut sftp) = scene.sftp().await;
    assert_eq!(sftp.status(1, &fields()).await, UNSUPPORTED);
    for kind in (21..=199).chain(201..=255).chain([0, 2]) {
        assert_eq!(sftp.status(kind, &fields().string("/a").u64(7)).await, UNSUPPORTED, "{kind}");
    }
    // handles that are closed, and that never were
    let closed = sftp.open("/sense", 26).await;
    assert_eq!(sftp.status(4, &fields().string(&closed)).await, 0);
    for handle in [&closed[..], b"", b"x", &[0; 8], &[0xff; 8], &[7; 256]] {
        let handle = fields().string(handle);
        let with = |more: Fields| Fields([handle.0.clone(), more.0].concat());
        assert_eq!(sftp.status(4, &handle).await, FAILURE);
        assert_eq!(sftp.status(5, &with(fields().u64(0).u32(1))).await, FAILURE);
        assert_eq!(sftp.status(6, &with(fields().u64(0).string("x"))).await, FAILURE);
        assert_eq!(sftp.status(8, &handle).await, FAILURE);
        assert_eq!(sftp.status(10, &with(fields().u32(0))).await, FAILURE);
        assert_eq!(sftp.status(12, &handle).await, FAILURE);
    }
    // offsets and lengths at the ends of their types
    let write = sftp.open("/offsets", 26).await;
    for offset in [1 << 63, u64::MAX, u64::MAX - 1] {
        let other = sftp.open("/far", 26).await;
        let refused = sftp.status(6, &fields().string(&other).u64(offset).string("xy")).await;
        assert!([FAILURE, UNSUPPORTED].contains(&refused), "{offset}: {refused}");
        assert_ne!(sftp.status(4, &fields().string(&other)).await, 0, "a file with a gap");
    }
    assert_eq!(sftp.status(6, &fields().string(&write).u64(0).string(vec![7; 1000])).await, 0);
    assert_eq!(sftp.status(4, &fields().string(&write)).await, 0);
    let read = sftp.open("/offsets", 1).await;
    assert_eq!(sftp.status(5, &fields().string(&read).u64(0).u32(0)).await, 1);
    for offset in [1000, 1 << 63, u64::MAX] {
        assert_eq!(sftp.status(5, &fields().string(&read).u64(offset).u32(u32::MAX)).await, 1);
    }
    let all = sftp.call(5, &fields().string(&read).u64(0).u32(u32::MAX)).await;
    assert_eq!((all.kind, all.string()), (103, &[7; 1000][..]));
    lives(&mut sftp).await;
    drop(ssh);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_lead_nowhere() {
    let scene = Scene::start("paths").await;
    let (_ssh, mut sftp) = scene.sftp().await;
    let up = "../".repeat(300) + "etc/passwd";
    let long = [b"/".as_slice(), &[b'n'; 5000]].concat();
    for path in [&b"nul\0byte"[..], b"\xff\xfe", b"\xc3", b"new\nline", b"\x1b[2J", &long] {
        for kind in [7, 11, 13, 15, 16, 17] {
            assert_eq!(sftp.status(kind, &fields().string(path)).await, FAILURE, "{kind} {path:?}");
        }
        assert_eq!(sftp.status(3, &fields().string(path).u32(26).u32(0)).await, FAILURE);
        assert_eq!(sftp.status(9, &fields().string(path).u32(0)).await, FAILURE);
        assert_eq!(sftp.status(14, &fields().string(path).u32(0)).await, FAILURE);
        assert_eq!(sftp.status(18, &fields().string("/a").string(path)).await, FAILURE);
        assert_eq!(sftp.status(18, &fields().string(path).string("/a")).await, FAILURE);
    }
    for (path, resolved) in [(up.as_str(), "/etc/passwd"), ("/a/../../..", "/"), ("././/b", "/b")] {
        let answer = sftp.call(16, &fields().string(path)).await;
        assert_eq!(answer.kind, 104);
        let length = u32::from_be_bytes(answer.body[4..8].try_into().unwrap()) as usize;
        assert_eq!(&answer.body[8..8 + length], resolved.as_bytes());
    }
    assert_eq!(sftp.status(17, &fields().string(&up)).await, NO_SUCH_FILE);
    lives(&mut sftp).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_opens_and_listings_without_a_close() {
    let scene = Scene::start("opens").await;
    let (ssh, mut sftp) = scene.sftp().await;
    sftp.put("/one", b"content").await;
    let before = scene.node.memory_mib();
    let (mut opened, mut refused) = (0, 0);
    for round in 0..100 {
        for _ in 0..100 {
            let open = if round % 2 == 0 { fields().string("/one").u32(1).u32(0) } else { fields().string("/") };
            sftp.send(if round % 2 == 0 { 3 } else { 11 }, &open).await;
        }
        for _ in 0..100 {
            match sftp.answer().await.expect("an answer").status() {
                None => opened += 1,
                Some(FAILURE) => refused += 1,
                Some(other) => panic!("status {other}"),
            }
        }
    }
    assert_eq!((opened, opened + refused), (256, 10_000));
    // and one folder is read over and over
    let (_second, mut reader) = scene.sftp().await;
    let folder = reader.call(11, &fields().string("/")).await.string().to_vec();
    for _ in 0..20 {
        for _ in 0..250 {
            reader.send(12, &fields().string(&folder)).await;
        }
        for _ in 0..250 {
            let answer = reader.answer().await.expect("an answer");
            assert!(answer.kind == 104 || answer.status() == Some(1));
        }
    }
    drop(ssh);
    let grown = scene.node.memory_mib().saturating_sub(before);
    assert!(grown < 48, "{grown} MiB more");
    scene.end().await;
}

/// Sends as many as are taken; whether the connection was closed for it.
async fn flood(ssh: &Ssh, sftp: &mut Sftp, request: impl Fn(u32) -> (u8, Fields), count: u32) -> bool {
    for batch in 0..count / 500 {
        let mut bytes = Vec::new();
        for at in 0..500 {
            let (kind, fields) = request(batch * 500 + at);
            let id = sftp.next_id();
            bytes.extend_from_slice(&frame(kind, id, &fields));
        }
        if ssh.handle.is_closed() || !sftp.try_send_raw(Bytes::from(bytes), Duration::from_secs(5)).await {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_whose_answers_nobody_reads() {
    let scene = Scene::start("flood").await;
    let (_first, mut sftp) = scene.sftp().await;
    let content: Vec<u8> = (0..4 << 20).map(|at: u32| (at / 5).to_le_bytes()[0]).collect();
    sftp.put("/big", &content).await;
    let before = scene.node.memory_mib();
    let mut attackers = Vec::new();
    for round in 0..if thorough() { 10 } else { 1 } {
        // tiny READs, READs of megabytes, WRITEs of a byte, STATs; by a client that does not read its socket, and by one
        // that gives no window
        for (kind, deaf) in (0..4).flat_map(|kind| [(kind, true), (kind, false)]) {
            let dial = if deaf { Dial::default() } else { Dial { window: 65_536, narrow: true, ..Dial::default() } };
            let ssh = scene.node.session(dial).await;
            let mut sftp = ssh.sftp().await;
            let read = sftp.open("/big", 1).await;
            let write = sftp.open(&format!("/w{round}-{deaf}"), 26).await;
            ssh.tap.deaf.store(deaf, Ordering::SeqCst);
            let request = |at: u32| match kind {
                0 => (5, fields().string(&read).u64(u64::from(at % 4096)).u32(1)),
                1 => (5, fields().string(&read).u64(u64::from(at % 16) << 18).u32(261_120)),
                2 => (6, fields().string(&write).u64(u64::from(at)).string("x")),
                _ => (17, fields().string("/big")),
            };
            flood(&ssh, &mut sftp, request, 100_000).await;
            scene.innocent.goes_on().await;
            attackers.push((ssh, sftp));
        }
    }
    let grown = scene.node.memory_mib().saturating_sub(before);
    let bound = attackers.len() as u64 * 3 + BUDGET_MIB / 16 + 16;
    assert!(grown < bound, "{grown} MiB more for {} attackers, over {bound}", attackers.len());
    drop(attackers);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_is_never_adjusted() {
    let scene = Scene::start("window").await;
    let (_first, mut sftp) = scene.sftp().await;
    sftp.put("/big", &vec![9; 4 << 20]).await;
    let before = scene.node.memory_mib();
    let mut attackers = Vec::new();
    for _ in 0..10 {
        let dial = Dial { window: 65_536, narrow: true, ..Dial::default() };
        let ssh = scene.node.session(dial).await;
        let mut sftp = ssh.sftp().await;
        let read = sftp.open("/big", 1).await;
        for at in 0..256 {
            sftp.send(5, &fields().string(&read).u64((at % 16) << 18).u32(261_120)).await;
        }
        attackers.push((ssh, sftp));
    }
    scene.innocent.goes_on().await;
    let grown = scene.node.memory_mib().saturating_sub(before);
    assert!(grown < 48, "{grown} MiB more");
    // a client that takes packets of a byte is not served
    let tiny = scene.node.session(Dial { packet: 1, ..Dial::default() }).await;
    assert!(tiny.handle.channel_open_session().await.is_err());
    drop(attackers);
    scene.end().await;
}
