//! A protocol node of its own beside a running stack, whose settings, memory and log a test can see.

use crate::clients::{Client, Proof};
use crate::raw::{Dial, PATIENCE, Ssh};
use crate::shared::program;
use crate::stack::Stack;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// The program itself, its threads, the AWS clients, what the allocator keeps: what a node may have beside its budget and
/// its sessions.
pub(crate) const NODE_MIB: u64 = 96;

/// The smallest budget: eight parts of uploads, in MiB.
pub(crate) const LEAST_BUDGET_MIB: u64 = 86;

/// Whether sizes and counts are those of `make test-clients`, or those of every run.
#[expect(clippy::disallowed_methods, reason = "the one setting of these tests")]
pub(crate) fn thorough() -> bool {
    std::env::var_os("TOWPATH_TEST_THOROUGH").is_some_and(|value| value == "1")
}

pub(crate) struct Node {
    child: Child,
    folder: TempDir,
    pub(crate) address: SocketAddr,
    /// Explicit FTPS, with the stack's certificate.
    pub(crate) ftps: SocketAddr,
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Node {
    pub(crate) fn start(stack: &Stack, budget_mib: u64) -> Self {
        Self::start_with(stack, budget_mib, &[])
    }

    /// The same with further settings.
    pub(crate) fn start_with(stack: &Stack, budget_mib: u64, settings: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let ready = folder.path().join("ready");
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(program("protocol-node"));
        for name in [
            "AWS_ENDPOINT_URL",
            "AWS_REGION",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "TOWPATH_BUCKET",
            "TOWPATH_TABLE",
            "TOWPATH_EVENTS_QUEUE_URL",
        ] {
            command.env(name, stack.get(name));
        }
        let child = command
            .env("TOWPATH_SEALING_SECRET", "a secret for tests that is long enough")
            .env("TOWPATH_HOST_KEY_SECRET", "a secret for tests that is long enough")
            .env("TOWPATH_SFTP_LISTEN", "127.0.0.1:0")
            .env("TOWPATH_FTPS_LISTEN", "127.0.0.1:0")
            .env("TOWPATH_FTPS_IMPLICIT_LISTEN", "127.0.0.1:0")
            .env("TOWPATH_FTPS_PASSIVE_PORTS", "0")
            .env("TOWPATH_FTPS_CERTIFICATE_FILE", stack.state.join("ftps-certificate.pem"))
            .env("TOWPATH_FTPS_KEY_FILE", stack.state.join("ftps-key.pem"))
            .env("TOWPATH_MEMORY_BUDGET_MIB", budget_mib.to_string())
            .env("TOWPATH_STOP_ON_STDIN_EOF", "1")
            .env("TOWPATH_READY_FILE", &ready)
            .env("TOWPATH_LOG", "info,russh=error")
            .envs(settings.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        let line = loop {
            let line = std::fs::read_to_string(&ready).unwrap_or_default();
            if line.ends_with('\n') {
                break line;
            }
            assert!(Instant::now() < deadline, "the node does not start");
            std::thread::sleep(Duration::from_millis(10));
        };
        let listening = |door: &str| line.lines().find_map(|line| line.strip_prefix(door)).unwrap().parse().unwrap();
        let (address, ftps) = (listening("listening sftp "), listening("listening ftps "));
        let (user, password) = (stack.get("TOWPATH_USER").to_owned(), stack.get("TOWPATH_PASSWORD").to_owned());
        Self { child, folder, address, ftps, user, password }
    }

    fn memory_kib(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the node has ended");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// What it has now.
    pub(crate) fn memory_mib(&self) -> u64 {
        self.memory_kib("VmRSS:") / 1024
    }

    /// The most it ever had.
    pub(crate) fn peak_mib(&self) -> u64 {
        self.memory_kib("VmHWM:") / 1024
    }

    /// A session's connection.
    pub(crate) async fn session(&self, dial: Dial) -> Ssh {
        let mut ssh = Ssh::dial(self.address, dial).await.unwrap();
        assert!(ssh.log_in(&self.user, &self.password).await.unwrap(), "the login is refused");
        ssh
    }

    /// OpenSSH's clients for this node.
    pub(crate) fn openssh(&self) -> Client {
        Client::anywhere(self.address.port(), &self.user, Proof::Password(self.password.clone()))
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// It must not have panicked.
    pub(crate) fn check(&mut self) {
        let log = self.log();
        assert!(!log.contains("panicked"), "{log}");
        assert!(self.child.try_wait().unwrap().is_none(), "the node has ended:\n{log}");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- the node's log ---\n{}", lines[lines.len().saturating_sub(30)..].join("\n"));
        }
    }
}

/// Somebody who works with the node while others attack it: files go up and come back, all the time.
pub(crate) struct Innocent {
    rounds: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    working: JoinHandle<()>,
}

impl Innocent {
    pub(crate) async fn start(node: &Node, name: &str) -> Self {
        let ssh = node.session(Dial { from: [127, 0, 0, 77].into(), ..Dial::default() }).await;
        let mut sftp = ssh.sftp().await;
        let (rounds, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, stopped, path) = (Arc::clone(&rounds), Arc::clone(&stop), format!("/innocent-{name}"));
        let working = tokio::spawn(async move {
            let _ssh = ssh;
            while !stopped.load(Ordering::SeqCst) {
                let round = counted.load(Ordering::SeqCst);
                let content: Vec<u8> = (0..50_000 + round).map(|at| (at * 31 + round).to_le_bytes()[0]).collect();
                let begun = Instant::now();
                sftp.put(&path, &content).await;
                assert!(sftp.get(&path).await == content, "an innocent file came back different");
                assert!(begun.elapsed() < PATIENCE / 2, "an innocent session was held up for {:?}", begun.elapsed());
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        let innocent = Self { rounds, stop, working };
        innocent.goes_on().await;
        innocent
    }

    /// Waits for a whole round that begins from now on.
    pub(crate) async fn goes_on(&self) {
        let from = self.rounds.load(Ordering::SeqCst);
        let deadline = Instant::now() + PATIENCE;
        while self.rounds.load(Ordering::SeqCst) < from + 2 {
            assert!(!self.working.is_finished(), "the innocent session was disturbed");
            assert!(Instant::now() < deadline, "the innocent session stands still");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn finish(self) {
        self.goes_on().await;
        self.stop.store(true, Ordering::SeqCst);
        self.working.await.expect("the innocent session was disturbed");
    }
}
