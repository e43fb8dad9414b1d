//! Sessions seen and ended from outside, with real clients in the middle of a transfer.

use crate::accounts::Api;
use crate::clients::{Client, Proof, key_pair};
use crate::ftps::{Begin, Ftps};
use crate::node::{LEAST_BUDGET_MIB, Node};
use crate::raw::{Dial, Ssh};
use crate::stack::{Stack, signal, wait};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What the end of a session may take, from the order on.
const SOON: Duration = Duration::from_secs(5);

/// SFTPGo's dialect with the site-wide key.
struct SftpGo<'a>(&'a Stack, reqwest::Client);

impl SftpGo<'_> {
    async fn call(&self, method: &str, path: &str) -> (u16, Value) {
        let url = format!("{}/api/v2{path}", self.0.get("TOWPATH_API_URL"));
        let request =
            self.1.request(method.parse().unwrap(), url).header("x-sftpgo-api-key", self.0.get("TOWPATH_API_KEY"));
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }

    /// Waits for a session that `wanted` accepts.
    async fn connection(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let (status, found) = self.call("GET", "/connections").await;
            assert_eq!(status, 200, "{found}");
            if let Some(one) = found.as_array().unwrap().iter().find(|one| wanted(one)) {
                return one.clone();
            }
            assert!(began.elapsed() < Duration::from_secs(10), "not listed within ten seconds: {found}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn moves(path: &str, operation: &str) -> impl Fn(&Value) -> bool {
    move |one| {
        let transfers = one["active_transfers"].as_array().unwrap();
        transfers
            .iter()
            .any(|it| it["path"] == path && it["operation_type"] == operation && it["size"].as_u64() > Some(0))
    }
}

/// A client that sends a large file slowly.
fn slow_upload(client: &Client) -> Child {
    std::fs::write(client.path("large"), vec![7; 40_000_000]).unwrap();
    std::fs::write(client.path("batch"), "put large slowly\n").unwrap();
    let mut command = client.command("sftp");
    command.args(["-l", "4000", "-b"]).arg(client.path("batch")).arg(client.target());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// It fails, and soon.
fn is_ended(mut client: Child, ordered: Instant) {
    assert!(!wait(&mut client, SOON + Duration::from_secs(5)), "it succeeded");
    assert!(ordered.elapsed() < SOON, "it took {:?}", ordered.elapsed());
}

#[tokio::test]
async fn transfers_are_seen_and_sessions_closed_from_outside() {
    let stack = Stack::start();
    let sftpgo = SftpGo(&stack, reqwest::Client::new());
    let client = Client::root(&stack);
    let uploading = slow_upload(&client);
    let seen = sftpgo.connection(moves("/slowly", "upload")).await;
    assert_eq!(seen["username"], stack.get("TOWPATH_USER"));
    assert!(seen["client_version"].as_str().unwrap().starts_with("SSH-2.0-OpenSSH"), "{seen}");
    let path = format!("/connections/{}", seen["connection_id"].as_str().unwrap());
    let ordered = Instant::now();
    assert_eq!(sftpgo.call("DELETE", &path).await.0, 200);
    is_ended(uploading, ordered);

    // the same over FTPS
    std::fs::write(client.path("large"), vec![7; 40_000_000]).unwrap();
    let ftps = Ftps::root(&stack);
    let mut command = ftps.curl(Begin::Explicit, "slowly-2");
    command.args(["--limit-rate", "500k", "-T"]).arg(client.path("large"));
    let uploading = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let seen = sftpgo.connection(moves("/slowly-2", "upload")).await;
    assert_eq!(seen["protocol"], "FTP");
    let path = format!("/connections/{}", seen["connection_id"].as_str().unwrap());
    let ordered = Instant::now();
    assert_eq!(sftpgo.call("DELETE", &path).await.0, 200);
    is_ended(uploading, ordered);
    let (status, _) = sftpgo.call("DELETE", "/connections/SFTP_nobody").await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_node_that_is_killed_takes_its_sessions_off_the_list() {
    let stack = Stack::start();
    let sftpgo = SftpGo(&stack, reqwest::Client::new());
    let client = Client::root(&stack);
    let mut uploading = slow_upload(&client);
    sftpgo.connection(moves("/slowly", "upload")).await;
    // the part that is stopped is not gone, but gives no sign of life
    signal(stack.part("protocol-node"), "STOP");
    let began = Instant::now();
    while sftpgo.call("GET", "/connections").await.1 != json!([]) {
        assert!(began.elapsed() < Duration::from_secs(30), "still listed");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    signal(stack.part("protocol-node"), "CONT");
    sftpgo.connection(moves("/slowly", "upload")).await;
    uploading.kill().unwrap();
    uploading.wait().unwrap();
}

#[tokio::test]
async fn a_rotated_password_ends_sessions_where_the_organization_wants_it() {
    let stack = Stack::start();
    let api = Api::of(&stack);
    api.changed("", json!({"CloseSessionsOnChange": true})).await;
    let ana =
        api.made("/users", json!({"UserName": "ana-partner", "Permission": "read-write", "MaxSessions": 1})).await;
    let password = Proof::Password(ana["Password"].as_str().unwrap().to_owned());
    let client = Client::new(&stack, "ana-partner", password.clone());
    let uploading = slow_upload(&client);
    SftpGo(&stack, reqwest::Client::new()).connection(moves("/slowly", "upload")).await;
    // and it is the only one that it may have
    Client::new(&stack, "ana-partner", password).sftp_fails(&["ls"]);
    let ordered = Instant::now();
    api.rotated(ana["Id"].as_str().unwrap(), "another password 1").await;
    is_ended(uploading, ordered);
    let client = Client::new(&stack, "ana-partner", Proof::Password("another password 1".into()));
    let began = Instant::now();
    while !client.sftp(&["ls"]).status.success() {
        assert!(began.elapsed() < SOON, "the place of the ended session is not free");
    }
}

#[tokio::test]
async fn openssh_shows_a_key_and_then_a_password_where_both_are_needed() {
    let stack = Stack::start();
    let api = Api::of(&stack);
    let ana =
        api.made("/users", json!({"UserName": "ana-partner", "Permission": "full", "KeyAndPassword": true})).await;
    let folder = TempDir::new().unwrap();
    let (private, public) = key_pair(folder.path(), "ed25519");
    let keys = format!("/users/{}/ssh-public-keys", ana["Id"].as_str().unwrap());
    api.made(&keys, json!({"SshPublicKeyBody": public})).await;
    let password = ana["Password"].as_str().unwrap().to_owned();
    Client::new(&stack, "ana-partner", Proof::Password(password.clone())).sftp_fails(&["ls"]);
    Client::new(&stack, "ana-partner", Proof::Key(private.clone())).sftp_fails(&["ls"]);
    let both = |key: &Path, password: &str| {
        let proof = Proof::Both(key.to_owned(), password.to_owned());
        Client::new(&stack, "ana-partner", proof).sftp(&["ls"]).status.success()
    };
    assert!(both(&private, &password));
    assert!(!both(&private, "not the password"));
    let elsewhere = TempDir::new().unwrap();
    let (other, _) = key_pair(elsewhere.path(), "ed25519");
    assert!(!both(&other, &password));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_as_long_as_the_settings_say() {
    let stack = Stack::start();
    let settings = [("TOWPATH_LOGIN_SECONDS", "5"), ("TOWPATH_IDLE_SECONDS", "10")];
    let mut node = Node::start_with(&stack, LEAST_BUDGET_MIB, &settings);
    let began = Instant::now();
    let silent = Ssh::dial(node.address, Dial::default()).await.unwrap();
    let idle = node.session(Dial::default()).await;
    assert!(silent.is_closed_in(Duration::from_secs(15)).await);
    assert!(began.elapsed() >= Duration::from_secs(4), "{:?}", began.elapsed());
    assert!(idle.is_closed_in(Duration::from_secs(40)).await);
    assert!(began.elapsed() >= Duration::from_secs(9), "{:?}", began.elapsed());
    node.check();
}
