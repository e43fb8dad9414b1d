//! Real clients against a door with doubles behind it.

mod channels;

use super::Door;
use crate::door::{Doors, Limits, Proxy};
use crate::doubles::{Accounts, PASSWORD, Vfs};
use crate::host_keys::host_keys;
use crate::state::State;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

const SECRET: &[u8] = &[3; 32];
const PATIENCE: Duration = Duration::from_secs(60);

struct Server {
    doors: Doors,
    address: SocketAddr,
    vfs: Vfs,
    folder: tempfile::TempDir,
}

async fn server() -> Server {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("id");
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().await.unwrap();
    assert!(made.success());
    let public = std::fs::read_to_string(folder.path().join("id.pub")).unwrap();
    let accounts =
        Accounts { key: ssh_key::PublicKey::from_openssh(&public).unwrap().to_bytes().unwrap(), both: false };
    let vfs = Vfs::default();
    let budget = app::budget::Budget::new(512).unwrap();
    let state =
        State { accounts, vfs: vfs.clone(), budget, sessions: crate::doubles::sessions(), meters: Default::default() };
    let keys = host_keys(SECRET).unwrap();
    let address = "127.0.0.1:0".parse().unwrap();
    let doors = Doors::new(&state, Limits::default());
    let address = Door::bind(address, Proxy::Off, &keys, &doors).unwrap().open().unwrap();
    let port = address.port();
    let known: String = keys.public_lines().iter().map(|line| format!("[127.0.0.1]:{port} {line}\n")).collect();
    std::fs::write(folder.path().join("known_hosts"), known).unwrap();
    Server { doors, address, vfs, folder }
}

impl Server {
    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// An OpenSSH client with strict host key checking.
    fn client(&self, program: &str, options: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.path())
            .arg("-F/dev/null")
            .arg(format!("-oPort={}", self.address.port()))
            .arg(format!("-oIdentityFile={}", self.path().join("id").display()))
            .arg(format!("-oUserKnownHostsFile={}", self.path().join("known_hosts").display()))
            .args(["-oStrictHostKeyChecking=yes", "-oIdentitiesOnly=yes", "-oLogLevel=ERROR"])
            .args(options)
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a batch of `sftp` and returns whether it succeeded, and what it printed.
    async fn sftp(&self, options: &[&str], batch: &str) -> (bool, String) {
        std::fs::write(self.path().join("batch"), batch).unwrap();
        let mut command = self.client("sftp", options);
        command.args(["-b", "batch", "ann@127.0.0.1"]);
        let output = timeout(PATIENCE, command.output()).await.expect("sftp hangs").unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 7 + at / 65_536).to_le_bytes()[0]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_transfers() {
    let server = server().await;
    let content = content(40 * 1024 * 1024 + 17);
    std::fs::write(server.path().join("local"), &content).unwrap();
    for cipher in ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr"] {
        for requests in ["-R64", "-R1", "-R1024"] {
            let options = [&format!("-oCiphers={cipher}")[..], requests];
            let (ok, text) = server.sftp(&options, "put local remote\nget remote back\n").await;
            assert!(ok, "{cipher} {requests}: {text}");
            assert!(server.vfs.get("/remote").unwrap() == content, "{cipher} {requests}");
            assert!(std::fs::read(server.path().join("back")).unwrap() == content);
        }
    }
    let (ok, text) = server.sftp(&["-R256", "-B262144"], "get remote back\n").await;
    assert!(ok, "{text}");
    server.doors.stop(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_commands() {
    let server = server().await;
    server.vfs.put("/a.txt", "hello");
    let batch = "pwd\nmkdir d\ncd d\npwd\nrename /a.txt b.txt\nls -l\nls -la /d\nchmod 600 b.txt\ndf\n";
    let (_, text) = server.sftp(&[], batch).await;
    assert!(text.contains("Remote working directory: /d"), "{text}");
    assert!(text.contains("b.txt"), "{text}");
    let (ok, text) = server.sftp(&[], "rm /d/b.txt\nrmdir /d\n").await;
    assert!(ok, "{text}");
    assert!(server.vfs.tree.lock().unwrap().is_empty());
    let (ok, text) = server.sftp(&[], "get nothing\n").await;
    assert!(!ok && text.contains("not found"), "{text}");
    let (ok, text) = server.sftp(&[], "ln -s a b\n").await;
    assert!(!ok && text.contains("Operation unsupported"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_names_are_listed() {
    let server = server().await;
    for at in 0..2500 {
        server.vfs.put(&format!("/file-with-a-rather-long-name-{at:05}"), "x");
    }
    let (ok, text) = server.sftp(&[], "ls -1\n").await;
    assert!(ok);
    assert_eq!(text.lines().filter(|line| line.contains("file-with")).count(), 2500);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_sftp_is_offered() {
    let server = server().await;
    for command in [&["id"][..], &[]] {
        let mut ssh = server.client("ssh", &["-T", "ann@127.0.0.1"]);
        let output = timeout(PATIENCE, ssh.args(command).output()).await.unwrap().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("SFTP only"));
    }
    std::fs::write(server.path().join("local"), "x").unwrap();
    let mut scp = server.client("scp", &["local", "ann@127.0.0.1:there"]);
    assert!(timeout(PATIENCE, scp.status()).await.unwrap().unwrap().success());
    assert_eq!(server.vfs.get("/there").unwrap(), "x");
    let mut legacy = server.client("scp", &["-O", "local", "ann@127.0.0.1:other"]);
    let output = timeout(PATIENCE, legacy.output()).await.unwrap().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("SFTP only"));
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_and_strangers() {
    let server = server().await;
    let ask = server.path().join("ask");
    for (password, success) in [(PASSWORD, true), ("wrong", false)] {
        std::fs::write(&ask, format!("#!/bin/sh\necho '{password}'\n")).unwrap();
        let mut permissions = std::fs::metadata(&ask).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o700);
        std::fs::set_permissions(&ask, permissions).unwrap();
        let mut sftp = server.client("sftp", &["-oPubkeyAuthentication=no"]);
        sftp.env("SSH_ASKPASS", &ask)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .arg("-oNumberOfPasswordPrompts=2")
            .arg("ann@127.0.0.1");
        let output = timeout(PATIENCE, sftp.output()).await.unwrap().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.success(), success, "{text}");
    }
}
