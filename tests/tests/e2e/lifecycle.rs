//! Starting, stopping, and being killed.

use crate::clients::Client;
use crate::stack::{Stack, command, free_ports, signal, wait};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn runs(process: u32) -> bool {
    // a zombie has ended; nobody has asked for its status yet
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim_start().starts_with('Z'))
}

fn all_end(processes: &[u32]) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while processes.iter().any(|process| runs(*process)) {
        assert!(Instant::now() < deadline, "a part outlives its supervisor");
        std::thread::sleep(Duration::from_millis(50));
    }
}

const PARTS: [&str; 3] = ["offline-aws", "functions", "protocol-node"];

#[tokio::test]
async fn state_survives_an_orderly_restart_and_a_kill() {
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("state");
    let stack = Stack::start_on(&state, free_ports());
    let client = Client::root(&stack);
    fs::write(client.path("a"), "kept").unwrap();
    client.sftp_ok(&["put a"]);
    let env = stack.env.clone();
    let parts = PARTS.map(|part| stack.part(part));
    let (well, _) = stack.stop();
    assert!(well, "it did not stop cleanly");
    all_end(&parts);

    let mut stack = Stack::start_on(&state, env["TOWPATH_SFTP_PORT"].parse::<u16>().unwrap() - 2);
    assert_eq!(stack.env, env, "dev.env changed with a restart");
    client.sftp_ok(&["get a back", "put a b"]);
    assert_eq!(fs::read(client.path("back")).unwrap(), b"kept");
    let parts = PARTS.map(|part| stack.part(part));
    signal(stack.child().id(), "KILL");
    assert!(!wait(stack.child(), Duration::from_secs(10)));
    all_end(&parts);

    let stack = Stack::start_on(&state, stack.port_base);
    client.sftp_ok(&["get b back"]);
    assert_eq!(fs::read(client.path("back")).unwrap(), b"kept");
    // what was acknowledged right before the kill is there; it is counted and announced when its lease has passed
    assert_eq!(stack.stored().await.len(), 2);
}

#[tokio::test]
async fn two_run_side_by_side_and_see_nothing_of_each_other() {
    let (one, other) = (Stack::start(), Stack::start());
    let client = Client::root(&one);
    fs::write(client.path("a"), "mine").unwrap();
    client.sftp_ok(&["put a"]);
    assert_eq!(other.objects().await.len(), 0);
    assert_ne!(one.get("TOWPATH_API_KEY"), other.get("TOWPATH_API_KEY"));
    assert_ne!(one.get("TOWPATH_SFTP_HOST_KEY"), other.get("TOWPATH_SFTP_HOST_KEY"));
}

fn refused(state: &Path, port_base: u16) -> String {
    let mut child = command(state, port_base).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(!wait(&mut child, Duration::from_secs(60)), "it started");
    let mut stderr = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut stderr).unwrap();
    stderr
}

#[tokio::test]
async fn a_taken_port_and_a_folder_in_use_are_named() {
    let stack = Stack::start();
    let folder = TempDir::new().unwrap();
    let message = refused(folder.path(), stack.port_base);
    assert!(message.contains(&format!("port {}", stack.port_base)) && message.contains("--port-base"), "{message}");
    let message = refused(&stack.state, free_ports());
    assert!(message.contains("another `make dev`") && message.contains("TOWPATH_STATE_DIR"), "{message}");
}

#[tokio::test]
async fn a_part_that_dies_ends_everything_and_says_so() {
    let mut stack = Stack::start();
    let parts = PARTS.map(|part| stack.part(part));
    signal(stack.part("protocol-node"), "KILL");
    assert!(!wait(stack.child(), Duration::from_secs(60)));
    let mut stderr = String::new();
    std::io::Read::read_to_string(&mut stack.child().stderr.take().unwrap(), &mut stderr).unwrap();
    assert!(stderr.contains("protocol-node ended"), "{stderr}");
    all_end(&parts);
}

#[tokio::test]
async fn the_welcome_can_be_pasted() {
    let stack = Stack::start();
    for name in ["TOWPATH_USER", "TOWPATH_PASSWORD", "TOWPATH_SFTP_PORT", "TOWPATH_API_KEY", "TOWPATH_API_URL"] {
        assert!(stack.welcome.contains(stack.get(name)), "{name} is not in the welcome:\n{}", stack.welcome);
    }
    let page = format!("{}/docs", stack.get("TOWPATH_API_URL"));
    assert!(stack.welcome.contains(&page), "{page} is not in the welcome:\n{}", stack.welcome);
    let (well, _folder) = stack.stop();
    assert!(well);
}
