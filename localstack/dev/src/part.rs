//! The parts as processes of their own, as they are in production: each can be killed alone, and the next start finds
//! what it left.
//!
//! A part stops when its standard input ends, so that none outlives this program, whatever ends it. Each is in a process
//! group of its own: Ctrl-C reaches this program alone, which stops the parts in order.

use crate::state_folder::{StateError, StateFolder};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// How much of a dead part's log is shown.
const LAST_LINES: usize = 15;
/// How long a part may take to say that it is ready.
const READY: Duration = Duration::from_secs(30);

/// A running part.
pub(crate) struct Part {
    name: &'static str,
    child: Child,
    stdin: Option<ChildStdin>,
    log: PathBuf,
}

/// What to start.
pub(crate) struct Start<'a> {
    /// Its name, also of its log.
    pub(crate) name: &'static str,
    /// The program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// Its settings: it sees nothing else of the environment but `PATH` and `HOME`.
    pub(crate) variables: &'a [(String, String)],
}

/// Why a part does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PartError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("{name} cannot be started ({program}): {source}")]
    Start { name: &'static str, program: String, source: std::io::Error },
    #[error("{name} {what}; its log, {log}, ends with:\n{tail}")]
    Ended { name: &'static str, what: String, log: String, tail: String },
}

impl Part {
    /// Starts it, and waits for the line on its standard output that begins with `listening`.
    pub(crate) async fn start(folder: &StateFolder, start: Start<'_>) -> Result<Self, PartError> {
        let (log, file) = folder.log(start.name)?;
        let inherited = ["PATH", "HOME", "RUST_BACKTRACE"].into_iter().filter_map(|name| {
            #[expect(clippy::disallowed_methods, reason = "handed on unread to the part")]
            std::env::var_os(name).map(|value| (OsString::from(name), value))
        });
        let mut child = Command::new(&start.program)
            .args(&start.arguments)
            .env_clear()
            .envs(inherited)
            .envs(start.variables.iter().map(|(name, value)| (name, value)))
            .env("TOWPATH_STOP_ON_STDIN_EOF", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| PartError::Start {
                name: start.name,
                program: start.program.display().to_string(),
                source,
            })?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let mut part = Self { name: start.name, child, stdin, log };
        let said_ready = async {
            let mut lines = BufReader::new(stdout?).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if line.starts_with("listening ") {
                    // whatever else it says is read and dropped, so that it never waits for us
                    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                    return Some(());
                }
            }
            None
        };
        match tokio::time::timeout(READY, said_ready).await {
            Ok(Some(())) => Ok(part),
            Ok(None) => {
                let status = part.child.wait().await.ok();
                Err(part.ended(status))
            }
            Err(_) => {
                let mut error = part.ended(None);
                if let PartError::Ended { what, .. } = &mut error {
                    *what = format!("was not ready after {} seconds", READY.as_secs());
                }
                Err(error)
            }
        }
    }

    /// Waits for its end, which nobody asked for.
    pub(crate) async fn unexpected_end(&mut self) -> PartError {
        let status = self.child.wait().await.ok();
        self.ended(status)
    }

    /// Its process id.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Ends it in good order, and by force after `patience`.
    pub(crate) async fn stop(mut self, patience: Duration) {
        drop(self.stdin.take());
        if tokio::time::timeout(patience, self.child.wait()).await.is_err() {
            eprintln!("{} did not stop within {} seconds and is killed", self.name, patience.as_secs());
            if let Err(error) = self.child.kill().await {
                eprintln!("{} cannot be killed: {error}", self.name);
            }
        }
    }

    fn ended(&self, status: Option<ExitStatus>) -> PartError {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines.iter().skip(lines.len().saturating_sub(LAST_LINES));
        PartError::Ended {
            name: self.name,
            what: status.map_or_else(|| "ended".to_owned(), |status| format!("ended ({status})")),
            log: self.log.display().to_string(),
            tail: tail.map(|line| format!("  {line}\n")).collect(),
        }
    }
}
