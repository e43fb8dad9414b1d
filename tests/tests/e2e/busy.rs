//! Nothing hangs: real clients with many requests in flight, and many uploads at once, inside the smallest budget.

use crate::clients::{Client, run, text};
use crate::node::{LEAST_BUDGET_MIB, NODE_MIB, Node, thorough};
use crate::raw::{Dial, PATIENCE};
use crate::stack::Stack;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// How long a client may take for one file each way: far more than it needs, far less than any deadline of the node.
const TRANSFER: &str = "240";

/// Bytes that no wrong offset or length leaves as they are.
fn content(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|at| ((at / 7) ^ (at / 65_521) ^ seed.wrapping_mul(0x9e37_79b9)).to_le_bytes()[0]).collect()
}

fn check(node: &mut Node, what: &str, begun: Instant) {
    node.check();
    let (peak, bound) = (node.peak_mib(), LEAST_BUDGET_MIB + NODE_MIB);
    println!("{what}: {:?}, {peak} MiB at most, {bound} MiB allowed", begun.elapsed());
    assert!(peak <= bound, "{what}: {peak} MiB, over {bound}");
}

/// With a limit of time, as a hang would otherwise be the test's.
fn limited(client: &Client, program: &str) -> Command {
    let inner = client.command(program);
    let mut command = Command::new("timeout");
    command.arg(TRANSFER).arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.current_dir(inner.get_current_dir().unwrap()).stdin(std::process::Stdio::null());
    command
}

#[tokio::test]
async fn openssh_with_many_requests_in_flight() {
    let stack = Stack::start();
    let mut node = Node::start(&stack, LEAST_BUDGET_MIB);
    let client = node.openssh();
    let content = content(if thorough() { 256 << 20 } else { 48 << 20 }, 1);
    std::fs::write(client.path("a"), &content).unwrap();
    for options in [&["-R", "64"][..], &["-R", "256"], &["-R", "4096"], &["-R", "4096", "-B", "2048"]] {
        let begun = Instant::now();
        std::fs::write(client.path("batch"), "put a\nget a back\n").unwrap();
        let mut command = limited(&client, "sftp");
        command.args(options).arg("-b").arg(client.path("batch")).arg(client.target());
        let output = run(command);
        assert!(output.status.success(), "{options:?}: {}", text(&output));
        assert!(std::fs::read(client.path("back")).unwrap() == content, "{options:?}");
        check(&mut node, &format!("sftp {options:?}"), begun);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_uploads_inside_a_few_part_slots() {
    const UPLOADS: usize = 200;
    let stack = Stack::start();
    let mut node = Node::start(&stack, LEAST_BUDGET_MIB);
    let bytes = if thorough() { 20 << 20 } else { 1_500_000 };
    let begun = Instant::now();
    let mut uploads = JoinSet::new();
    // none begins before all are there
    let all_there = Arc::new(Barrier::new(UPLOADS));
    for at in 0..UPLOADS {
        let from = Ipv4Addr::new(127, 0, 2, u8::try_from(at / 100 + 1).unwrap());
        let ssh = node.session(Dial { from, ..Dial::default() }).await;
        let all_there = Arc::clone(&all_there);
        uploads.spawn(async move {
            let mut sftp = ssh.sftp().await;
            all_there.wait().await;
            sftp.put(&format!("/u/{at}"), &content(bytes, at)).await;
        });
    }
    let all = async { while uploads.join_next().await.transpose().unwrap().is_some() {} };
    tokio::time::timeout(PATIENCE * 4, all).await.expect("uploads hang");
    // the sessions' own share: see `pressure`
    node.check();
    let (peak, bound) = (node.peak_mib(), LEAST_BUDGET_MIB + NODE_MIB + UPLOADS as u64 * 768 / 1024);
    println!("200 uploads of {bytes}: {:?}, {peak} MiB at most, {bound} MiB allowed", begun.elapsed());
    assert!(peak <= bound, "{peak} MiB, over {bound}");
    let stored = stack.objects().await;
    assert_eq!(stored.len(), UPLOADS);
    let ssh = node.session(Dial::default()).await;
    let mut sftp = ssh.sftp().await;
    for at in 0..UPLOADS {
        assert!(sftp.get(&format!("/u/{at}")).await == content(bytes, at), "upload {at} came back different");
    }
}

/// What `make test-clients` has installed.
fn installed(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin").join(name);
    assert!(path.exists(), "{} is missing: `make test-clients` installs it", path.display());
    path
}

/// Runs a client that uploads `a`, downloads it as `back`, and compares nothing itself.
fn transfers(what: &str, client_of: impl Fn(&Node, &Path) -> Command) {
    let stack = Stack::start();
    let mut node = Node::start(&stack, LEAST_BUDGET_MIB);
    let folder = tempfile::TempDir::new().unwrap();
    let content = content(256 << 20, 2);
    std::fs::write(folder.path().join("a"), &content).unwrap();
    let begun = Instant::now();
    let inner = client_of(&node, folder.path());
    let mut command = Command::new("timeout");
    command.arg("900").arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.current_dir(folder.path()).stdin(std::process::Stdio::null());
    let output = run(command);
    assert!(output.status.success(), "{what}: {}", text(&output));
    assert!(std::fs::read(folder.path().join("back")).unwrap() == content, "{what}: it came back different");
    assert!(begun.elapsed() < Duration::from_secs(900));
    check(&mut node, what, begun);
}

fn script(name: &'static str) -> impl Fn(&Node, &Path) -> Command {
    move |node, _| {
        let mut command = Command::new(installed("python"));
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name));
        command.arg(node.address.port().to_string()).arg(&node.user).env("TOWPATH_PASSWORD", &node.password);
        command
    }
}

#[test]
#[ignore = "needs the clients that `make test-clients` installs, and runs them"]
fn paramiko_gets_and_puts_with_its_prefetch() {
    transfers("paramiko", script("paramiko_transfer.py"));
}

#[test]
#[ignore = "needs the clients that `make test-clients` installs, and runs them"]
fn asyncssh_gets_and_puts() {
    transfers("asyncssh", script("asyncssh_transfer.py"));
}

#[test]
#[ignore = "needs the clients that `make test-clients` installs, and runs them"]
fn rclone_copies_both_ways() {
    transfers("rclone", |node, folder| {
        let rclone = installed("rclone");
        let obscured = run({
            let mut command = Command::new(&rclone);
            command.args(["obscure", &node.password]);
            command
        });
        assert!(obscured.status.success(), "{}", text(&obscured));
        let password = String::from_utf8(obscured.stdout).unwrap().trim().to_owned();
        let remote = format!(
            ":sftp,host=127.0.0.1,port={},user={},pass={password},shell_type=none,set_modtime=false:",
            node.address.port(),
            node.user
        );
        let mut command = Command::new("sh");
        command.args(["-ec", "\"$0\" copyto a \"$1\"a\n\"$0\" copyto \"$1\"a back"]);
        command.arg(rclone).arg(remote).env("RCLONE_CONFIG", folder.join("rclone.conf"));
        command
    });
}
