//! One `towpath-dev` with a state folder and ports of its own.

use crate::shared::{self, program};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use store::aws::Aws;
use tempfile::TempDir;

/// How long a start may take. It takes a tenth of a second on a quiet machine.
const START: Duration = Duration::from_secs(60);

pub(crate) struct Stack {
    child: Child,
    /// What `dev.env` says.
    pub(crate) env: BTreeMap<String, String>,
    /// What was printed until `ready`.
    pub(crate) welcome: String,
    pub(crate) state: PathBuf,
    pub(crate) port_base: u16,
    folder: Option<TempDir>,
}

/// A base from which ten ports are free now: below those that the system gives to outgoing connections, of which one could take a port
/// before it is used.
pub(crate) fn free_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // test processes run side by side: each starts somewhere else
    let start = u16::try_from(std::process::id() % 600).unwrap() * 20;
    for _ in 0..500 {
        let base = 20_000 + (start + NEXT.fetch_add(20, Ordering::Relaxed)) % 12_000;
        if (base..base + 10).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return base;
        }
    }
    panic!("no ten free ports in a row");
}

pub(crate) fn command(state: &Path, port_base: u16) -> Command {
    let mut command = Command::new(program("towpath-dev"));
    command.arg("--port-base").arg(port_base.to_string()).env("TOWPATH_STATE_DIR", state);
    command.env_remove("TOWPATH_PORT_BASE").stdin(Stdio::null());
    command
}

impl Stack {
    /// A new one.
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let state = folder.path().join("state");
        let mut stack = Self::start_on(&state, free_ports());
        stack.folder = Some(folder);
        stack
    }

    /// One on a state folder that may have been used before.
    pub(crate) fn start_on(state: &Path, port_base: u16) -> Self {
        let mut child = command(state, port_base).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let deadline = Instant::now() + START;
        let mut welcome = String::new();
        loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line == "ready" => break,
                Ok(line) => welcome = welcome + &line + "\n",
                Err(error) => {
                    let _ = child.kill();
                    let mut stderr = String::new();
                    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
                    panic!("not ready ({error}):\n{welcome}\n{stderr}");
                }
            }
        }
        let env = read_env(&state.join("dev.env"));
        Self { child, env, welcome, state: state.to_owned(), port_base, folder: None }
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        shared::named(&self.env, name)
    }

    /// Ends it as Ctrl-C does; whether it said that all went well.
    pub(crate) fn stop(mut self) -> (bool, Option<TempDir>) {
        signal(self.child.id(), "INT");
        (wait(&mut self.child, Duration::from_secs(60)), self.folder.take())
    }

    /// The process id of one of its parts.
    pub(crate) fn part(&self, name: &str) -> u32 {
        std::fs::read_to_string(self.state.join(format!("{name}.pid"))).unwrap().trim().parse().unwrap()
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The offline AWS behind it.
    pub(crate) async fn aws(&self) -> Aws {
        shared::aws(&self.env).await
    }

    /// All keys with sizes, without the organization's prefix; and the promise that nothing is left behind.
    pub(crate) async fn objects(&self) -> BTreeMap<String, i64> {
        let aws = self.aws().await;
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let items = aws.dynamodb.scan().table_name(&aws.settings.table).send().await.unwrap();
            // those that were given up expire
            let intents = items.items().iter().filter(|item| item["pk"].as_s().unwrap().starts_with("INTENT#"));
            let open = intents.filter(|item| !item.contains_key("ttl")).count();
            if open == 0 {
                break;
            }
            assert!(Instant::now() < deadline, "{open} intents were left behind");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.stored().await
    }

    /// The same while operations of a killed part may still wait for the sweep.
    pub(crate) async fn stored(&self) -> BTreeMap<String, i64> {
        let aws = self.aws().await;
        let bucket = &aws.settings.bucket;
        let open = aws.s3.list_multipart_uploads().bucket(bucket).send().await.unwrap();
        assert!(open.uploads().is_empty(), "a multipart upload was left behind");
        let prefix = format!("{}/files/", self.get("TOWPATH_ORGANIZATION_ID"));
        let mut objects = BTreeMap::new();
        let mut pages = aws.s3.list_objects_v2().bucket(bucket).into_paginator().send();
        while let Some(page) = pages.next().await {
            for object in page.unwrap().contents() {
                let key = object.key().unwrap().strip_prefix(&prefix).expect("a key outside the organization's files");
                objects.insert(key.to_owned(), object.size().unwrap());
            }
        }
        objects
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // a failed test must leave no process behind; the parts end with their supervisor
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            for part in ["protocol-node", "functions", "offline-aws"] {
                let log = std::fs::read_to_string(self.state.join("logs").join(format!("{part}.log")));
                let log = log.unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                eprintln!("--- {part}.log ---\n{}", lines[lines.len().saturating_sub(30)..].join("\n"));
            }
        }
    }
}

pub(crate) fn signal(process: u32, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(process.to_string()).status().unwrap();
    assert!(status.success(), "kill -{name} {process}");
}

/// Waits for an end; whether it was a good one.
pub(crate) fn wait(child: &mut Child, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.success();
        }
        assert!(Instant::now() < deadline, "the program did not end within {patience:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Reads `dev.env` as a shell does.
fn read_env(path: &Path) -> BTreeMap<String, String> {
    let script = ". \"$1\"; for name in $(grep -o '^[A-Z_]*' \"$1\"); do eval \"printf '%s=%s\\n' $name \\\"\\$$name\\\"\"; done";
    let output = Command::new("sh").args(["-c", script, "sh"]).arg(path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.split_once('=').unwrap()).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}
