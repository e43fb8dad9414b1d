//! The parts of `make dev` as processes of the test, so that each can be killed and started again alone.
//!
//! `towpath-dev` starts them once, creates the first accounts and stops; with what it gave its parts (program, arguments,
//! variables) they are started here.

use crate::shared::{self, program};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;
use store::aws::Aws;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

/// In the order of their start.
pub(crate) const PARTS: [&str; 3] = [AWS, FUNCTIONS, NODE];
pub(crate) const AWS: &str = "offline-aws";
pub(crate) const FUNCTIONS: &str = "functions";
pub(crate) const NODE: &str = "protocol-node";

/// How long a start may take. It takes a tenth of a second on a quiet machine.
const START: Duration = Duration::from_secs(60);

/// How a part is started.
struct Recipe {
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
}

/// A running part. It ends when its standard input does, and so with this process, whatever ends that.
struct Running {
    child: Child,
    _stdin: ChildStdin,
}

pub(crate) struct Parts {
    folder: TempDir,
    /// What `dev.env` says.
    env: BTreeMap<String, String>,
    recipes: BTreeMap<&'static str, Recipe>,
    running: BTreeMap<&'static str, Running>,
}

/// A base from which ten ports are free now, below those that the system gives to outgoing connections: a part must
/// find its port free when it comes back.
fn free_ports() -> u16 {
    for _ in 0..500 {
        let base = 1_100 + rand::random_range(0..1_800) * 10;
        if (base..base + 10).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return base;
        }
    }
    panic!("no ten free ports in a row");
}

fn strings(file: &str) -> Vec<String> {
    let bytes = fs::read(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let parts = bytes.split(|byte| *byte == 0).filter(|part| !part.is_empty());
    parts.map(|part| String::from_utf8(part.to_vec()).unwrap()).collect()
}

impl Parts {
    /// Everything, with these variables added to the node's and the functions'.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let state = folder.path().join("state");
        let mut dev = Command::new(program("towpath-dev"))
            .arg("--port-base")
            .arg(free_ports().to_string())
            .env("TOWPATH_STATE_DIR", &state)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        wait_for_line(&mut dev, "ready").await;
        let env = fs::read_to_string(state.join("dev.env")).unwrap();
        let env = env.lines().filter_map(|line| line.split_once('='));
        let env = env.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned())).collect();
        let recipes = PARTS.map(|part| {
            let pid = fs::read_to_string(state.join(format!("{part}.pid"))).unwrap();
            let pid = pid.trim();
            let variables = strings(&format!("/proc/{pid}/environ"));
            let variables = variables.iter().filter_map(|one| one.split_once('='));
            let mut variables: Vec<_> = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            if part != AWS {
                variables.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
            }
            let arguments = strings(&format!("/proc/{pid}/cmdline")).into_iter().skip(1).collect();
            (part, Recipe { arguments, variables })
        });
        let interrupt = Command::new("kill").arg("-INT").arg(dev.id().unwrap().to_string()).status().await.unwrap();
        assert!(interrupt.success());
        let stopped = timeout(START, dev.wait()).await.expect("towpath-dev does not stop").unwrap();
        assert!(stopped.success(), "towpath-dev did not stop well");
        let mut parts = Self { folder, env, recipes: recipes.into_iter().collect(), running: BTreeMap::new() };
        parts.run(&PARTS).await;
        parts
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        shared::named(&self.env, name)
    }

    /// Starts these and waits until they listen.
    pub(crate) async fn run(&mut self, parts: &[&'static str]) {
        for part in parts {
            let recipe = &self.recipes[part];
            let path = self.folder.path().join(format!("{part}.log"));
            let log = OpenOptions::new().create(true).append(true).open(path).unwrap();
            let mut child = Command::new(program(if *part == NODE { NODE } else { "towpath-dev" }))
                .args(&recipe.arguments)
                .env_clear()
                .envs(recipe.variables.iter().map(|(name, value)| (name, value)))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(log)
                .kill_on_drop(true)
                .spawn()
                .unwrap();
            let stdin = child.stdin.take().unwrap();
            self.running.insert(part, Running { child, _stdin: stdin });
        }
        for part in parts {
            wait_for_line(&mut self.running.get_mut(part).unwrap().child, "listening ").await;
        }
    }

    /// Sends kill -9 to all of these before it waits for the first.
    pub(crate) async fn kill(&mut self, parts: &[&'static str]) {
        for part in parts {
            let running = self.running.get_mut(part).unwrap();
            assert!(running.child.try_wait().unwrap().is_none(), "{part} ended by itself:\n{}", self.log_end(part));
            self.running.get_mut(part).unwrap().child.start_kill().unwrap();
        }
        for part in parts {
            let mut running = self.running.remove(part).unwrap();
            running.child.wait().await.unwrap();
        }
    }

    /// The most memory that a part ever had, in MiB, as the kernel counts it.
    pub(crate) fn peak_mib(&self, part: &str) -> u64 {
        let pid = self.running[part].child.id().unwrap();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    /// Lines of all logs that no run may have.
    pub(crate) fn panics(&self) -> Vec<String> {
        let logs = PARTS.iter().map(|part| (part, self.log(part)));
        let found = logs.flat_map(|(part, log)| {
            let lines: Vec<_> = log.lines().filter(|line| line.contains("panicked at")).map(str::to_owned).collect();
            lines.into_iter().map(move |line| format!("{part}: {line}"))
        });
        found.collect()
    }

    fn log(&self, part: &str) -> String {
        let bytes = fs::read(self.folder.path().join(format!("{part}.log"))).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn log_end(&self, part: &str) -> String {
        let log = self.log(part);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// The offline AWS.
    pub(crate) async fn aws(&self) -> Aws {
        shared::aws(&self.env).await
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let kept = std::env::temp_dir().join(format!("towpath-crash-{}", std::process::id()));
            fs::create_dir_all(&kept).unwrap();
            for part in PARTS {
                let _ = fs::write(kept.join(format!("{part}.log")), self.log(part));
                eprintln!("--- {part}.log ---\n{}", self.log_end(part));
            }
            eprintln!("whole logs: {}", kept.display());
        }
    }
}

async fn wait_for_line(child: &mut Child, start: &str) {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let found = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.starts_with(start) {
                return true;
            }
        }
        false
    };
    let found = timeout(START, found).await.unwrap_or_else(|_| panic!("no line `{start}` within {START:?}"));
    assert!(found, "the program ended before it said `{start}`");
    // whatever else it says is read and dropped, so that it never waits for us
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
}
