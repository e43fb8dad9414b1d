//! The node's memory stays under its budget, a constant and a little for each session, whatever the sessions do at the
//! same time; and those who only work get on meanwhile.

use crate::node::{Innocent, LEAST_BUDGET_MIB, NODE_MIB, Node, thorough};
use crate::raw::{Dial, PATIENCE, Sftp, Ssh, fields, frame};
use crate::stack::Stack;
use bytes::Bytes;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What a session may cost beside the budget while its uploads wait: one frame, and the transport's buffers.
const UPLOADING_KIB: u64 = 768;

/// The same while its client asks and does not read: one answer in the buffers that S3's answer came in (400 KiB), and what
/// the transport has encrypted and cannot send (16 packets).
const DOWNLOADING_KIB: u64 = 1280;

fn sessions() -> usize {
    if thorough() { 1000 } else { 150 }
}

/// A session from one of several addresses, as the node limits what comes from one.
async fn session(node: &Node, at: usize) -> Ssh {
    let from = Ipv4Addr::new(127, 0, 1, u8::try_from(at / 150 + 1).unwrap());
    node.session(Dial { from, ..Dial::default() }).await
}

/// Waits until the node's memory has stopped growing.
async fn settled(node: &Node) {
    let deadline = Instant::now() + PATIENCE;
    let (mut most, mut since) = (node.memory_mib(), Instant::now());
    while since.elapsed() < Duration::from_secs(2) {
        assert!(Instant::now() < deadline, "the node grows and grows: {most} MiB");
        tokio::time::sleep(Duration::from_millis(50)).await;
        if node.memory_mib() > most {
            (most, since) = (node.memory_mib(), Instant::now());
        }
    }
}

fn check(node: &mut Node, what: &str, session_kib: u64) {
    node.check();
    let count = sessions() as u64;
    let (peak, bound) = (node.peak_mib(), LEAST_BUDGET_MIB + NODE_MIB + count * session_kib / 1024);
    println!("{what}: {count} sessions, {peak} MiB at most, {bound} MiB allowed");
    assert!(peak <= bound, "{what}: {peak} MiB, over {bound}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_uploads_that_do_not_end() {
    let stack = Stack::start();
    let mut node = Node::start(&stack, LEAST_BUDGET_MIB);
    let mut sending = JoinSet::new();
    for at in 0..sessions() {
        let ssh = session(&node, at).await;
        let mut sftp = ssh.sftp().await;
        let handle = sftp.open(&format!("/up-{at}"), 26).await;
        sending.spawn(async move {
            // all that the node takes: two megabytes, of which an upload without memory takes nothing
            for piece in 0..8_u64 {
                let write = fields().string(&handle).u64(piece * 261_120).string(vec![7; 261_120]);
                let bytes = Bytes::from(frame(6, sftp.next_id(), &write));
                if !sftp.try_send_raw(bytes, Duration::from_secs(10)).await {
                    break;
                }
            }
            (ssh, sftp)
        });
    }
    let mut open: Vec<(Ssh, Sftp)> = Vec::new();
    while let Some(sent) = sending.join_next().await {
        open.push(sent.unwrap());
    }
    settled(&node).await;
    assert_eq!(open.len(), sessions());
    check(&mut node, "uploads that do not end", UPLOADING_KIB);
    drop(open);
    // all that was held is free again
    let ssh = session(&node, 0).await;
    let deadline = Instant::now() + PATIENCE * 2;
    let content = vec![3; 9 << 20];
    ssh.sftp().await.put("/after", &content).await;
    assert!(Instant::now() < deadline);
    assert!(ssh.sftp().await.get("/after").await == content);
    node.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_downloads_that_nobody_reads() {
    let stack = Stack::start();
    let mut node = Node::start(&stack, LEAST_BUDGET_MIB);
    let first = session(&node, 0).await;
    let content: Vec<u8> = (0..4_u32 << 20).map(|at| (at / 3).to_le_bytes()[0]).collect();
    first.sftp().await.put("/big", &content).await;
    let innocent = Innocent::start(&node, "downloads").await;
    let mut open = Vec::new();
    for at in 0..sessions() {
        let ssh = session(&node, at).await;
        let mut sftp = ssh.sftp().await;
        let read = sftp.open("/big", 1).await;
        ssh.tap.deaf.store(true, Ordering::SeqCst);
        let mut bytes = Vec::new();
        for piece in 0..16_u64 {
            // backwards, so that each is fetched by itself
            let ask = fields().string(&read).u64((15 - piece) * 261_120).u32(261_120);
            bytes.extend_from_slice(&frame(5, sftp.next_id(), &ask));
        }
        sftp.send_raw(&bytes).await;
        open.push((ssh, sftp));
    }
    settled(&node).await;
    check(&mut node, "downloads that nobody reads", DOWNLOADING_KIB);
    innocent.finish().await;
    assert!(first.sftp().await.get("/big").await == content);
    node.check();
}

/// What a session of FTPS may cost beside the budget: a piece of an upload, or a read and what TLS has encrypted, with the
/// read buffers of its two sockets, and two states of TLS.
const FTPS_KIB: u64 = 640;

/// Bytes a second. The first 256 KiB of an upload take longer than the test: after them each would hold one of the few part
/// slots of the least budget, and whoever works would wait for one until its deadline (ARCHITECTURE.md, limits).
const SLOW: &str = "2k";

#[tokio::test(flavor = "multi_thread")]
async fn ftps_transfers_that_move_a_little_now_and_then() {
    let stack = Stack::start();
    let mut node = Node::start(&stack, LEAST_BUDGET_MIB);
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("big"), vec![7; 20 << 20]).unwrap();
    let curl = |options: &[&str], name: &str| {
        let mut curl = Command::new("curl");
        curl.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        curl.args(["-sS", "--ssl-reqd", "--cacert", stack.get("TOWPATH_FTPS_CA_FILE")]);
        curl.args(["-u", &format!("{}:{}", node.user, node.password)]).args(options);
        curl.arg(format!("ftp://{}/{name}", node.ftps));
        curl
    };
    assert!(curl(&["-T", "big"], "big").status().unwrap().success());
    // with the one that follows, nearly as many as one address may have
    let (before, count) = (node.memory_mib(), if thorough() { 95 } else { 40 });
    let mut all = Vec::new();
    for at in 0..count {
        all.push(curl(&["-T", "big", "--limit-rate", SLOW], &format!("up-{at}")).spawn().unwrap());
        all.push(curl(&["-o", "/dev/null", "--limit-rate", SLOW], "big").spawn().unwrap());
    }
    settled(&node).await;
    let (grown, bound) = (node.memory_mib() - before, count * 2 * FTPS_KIB / 1024 + LEAST_BUDGET_MIB);
    println!("{} transfers of FTPS, {grown} MiB more, {bound} MiB allowed", all.len());
    assert!(grown <= bound, "{grown} MiB more, over {bound}");
    // somebody who works gets on
    let worked = curl(&["-T", "big"], "other").stderr(Stdio::piped()).output().unwrap();
    assert!(worked.status.success(), "{}", String::from_utf8_lossy(&worked.stderr));
    for mut one in all {
        assert!(one.try_wait().unwrap().is_none(), "a transfer was ended");
        one.kill().unwrap();
        one.wait().unwrap();
    }
    node.check();
}
