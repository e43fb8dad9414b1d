//! Credentials made by REST, used by SFTP at once.

use crate::clients::{Client, Proof, key_pair};
use crate::stack::Stack;
use serde_json::{Value, json};
use std::fs;

/// The organization's REST API with the site-wide key.
pub(crate) struct Api {
    client: reqwest::Client,
    base: String,
    key: String,
}

impl Api {
    pub(crate) fn of(stack: &Stack) -> Self {
        let base = format!("{}/organizations/{}", stack.get("TOWPATH_API_URL"), stack.get("TOWPATH_ORGANIZATION_ID"));
        Self { client: reqwest::Client::new(), base, key: stack.get("TOWPATH_API_KEY").to_owned() }
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}{path}", self.base);
        let mut request = self.client.request(method.parse().unwrap(), url).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        assert!(answer.headers().contains_key("x-request-id"), "no request id");
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{method} {path}: {status} {text}")))
    }

    pub(crate) async fn made(&self, path: &str, body: Value) -> Value {
        let (status, made) = self.call("POST", path, Some(body)).await;
        assert_eq!(status, 201, "{made}");
        made
    }

    pub(crate) async fn changed(&self, path: &str, body: Value) -> Value {
        let (status, changed) = self.call("PATCH", path, Some(body)).await;
        assert_eq!(status, 200, "{changed}");
        changed
    }

    /// Gives a credential another password.
    pub(crate) async fn rotated(&self, id: &str, password: &str) {
        let body = json!({"Password": password});
        let (status, said) = self.call("POST", &format!("/users/{id}/credential-rotations"), Some(body)).await;
        assert_eq!(status, 200, "{said}");
    }
}

fn password_client(stack: &Stack, credential: &Value) -> Client {
    let password = Proof::Password(credential["Password"].as_str().unwrap().to_owned());
    Client::new(stack, credential["UserName"].as_str().unwrap(), password)
}

const ALLOW_ALL: &str = r#"[{"Protocol":"*","Source":"0.0.0.0/0","State":"enabled","Action":"allow"}]"#;

#[tokio::test]
async fn a_new_credential_can_log_in_at_once_and_sees_only_its_home() {
    let stack = Stack::start();
    let api = Api::of(&stack);
    let ana = api.made("/users", json!({"UserName": "ana-partner", "Permission": "read-write"})).await;
    assert_eq!(ana["HomeDirectory"], "/home/ana-partner");
    let client = password_client(&stack, &ana);
    fs::write(client.path("a"), "from ana").unwrap();
    client.sftp_ok(&["put a", "get a back", "ls /"]);
    let root = Client::root(&stack);
    fs::write(root.path("secret"), "of the team").unwrap();
    root.sftp_ok(&["put secret", "get home/ana-partner/a a"]);
    assert_eq!(fs::read(root.path("a")).unwrap(), b"from ana");
    for command in ["get /secret x", "get ../../secret x", "ls /home/ana-partner"] {
        client.sftp_fails(&[command]);
    }
    // a chroot below the root
    api.changed(&format!("/users/{}", ana["Id"].as_str().unwrap()), json!({"ChrootDirectory": "/ventas"})).await;
    let listed = client.sftp_ok(&["ls -1 /", "cd ventas", "ls -1"]);
    assert!(listed.contains("ventas") && listed.contains('a'), "{listed}");
    client.sftp_fails(&["put a /x"]);
}

#[tokio::test]
async fn public_keys_of_every_type_log_in_until_they_are_deleted() {
    let stack = Stack::start();
    let api = Api::of(&stack);
    let ana = api.made("/users", json!({"UserName": "ana-partner", "Permission": "full"})).await;
    let keys = format!("/users/{}/ssh-public-keys", ana["Id"].as_str().unwrap());
    let folder = tempfile::TempDir::new().unwrap();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let (private, public) = key_pair(folder.path(), kind);
        let client = Client::new(&stack, "ana-partner", Proof::Key(private));
        client.sftp_fails(&["ls"]);
        let key = api.made(&keys, json!({"SshPublicKeyBody": public})).await;
        assert_eq!(key["Type"], kind);
        client.sftp_ok(&["ls"]);
        let (status, gone) = api.call("DELETE", &format!("{keys}/{}", key["Id"].as_str().unwrap()), None).await;
        assert_eq!((status, &gone["Fingerprint"]), (200, &key["Fingerprint"]));
        client.sftp_fails(&["ls"]);
    }
}

#[tokio::test]
async fn every_reason_against_a_login_is_checked() {
    let stack = Stack::start();
    let api = Api::of(&stack);
    let ana = api.made("/users", json!({"UserName": "ana-partner", "Permission": "read-only"})).await;
    let client = password_client(&stack, &ana);
    let path = format!("/users/{}", ana["Id"].as_str().unwrap());
    client.sftp_ok(&["ls"]);
    let refused =
        [json!({"State": "inactive"}), json!({"Permission": "none"}), json!({"Expiration": 1_600_000_000_000_u64})];
    let allowed = [json!({"State": "active"}), json!({"Permission": "read-only"}), json!({"Expiration": null})];
    let mut messages = Vec::new();
    for (refused, allowed) in refused.into_iter().zip(allowed) {
        api.changed(&path, refused).await;
        messages.push(client.sftp_fails(&["ls"]));
        api.changed(&path, allowed).await;
        client.sftp_ok(&["ls"]);
    }
    let wrong = Client::new(&stack, "ana-partner", Proof::Password("wrong".into()));
    messages.push(wrong.sftp_fails(&["ls"]));
    let unknown = Client::new(&stack, "ana-partnex", Proof::Password("wrong".into()));
    messages.push(unknown.sftp_fails(&["ls"]).replace("partnex", "partner"));
    messages.dedup();
    assert_eq!(messages.len(), 1, "the reasons can be told apart: {messages:?}");
    // read-only is read-only
    fs::write(client.path("a"), "x").unwrap();
    client.sftp_fails(&["put a"]);
    // rotation ends the old password and shows the new one
    let (status, answer) = api.call("POST", &format!("{path}/credential-rotations"), None).await;
    assert_eq!((status, &answer["message"]), (200, &"Password set.".into()));
    client.sftp_fails(&["ls"]);
    let (_, shown) = api.call("GET", &path, None).await;
    password_client(&stack, &shown).sftp_ok(&["ls"]);
}

#[tokio::test]
async fn a_mistyped_password_can_be_typed_again() {
    let stack = Stack::start();
    let client = Client::root(&stack);
    let right = fs::read_to_string(client.path("askpass")).unwrap();
    // wrong at the first question, right at the second
    let script = format!("#!/bin/sh\nif [ -e asked ]; then {}; else touch asked; echo wrong; fi\n", "sh ./right");
    fs::write(client.path("right"), right).unwrap();
    fs::write(client.path("askpass"), script).unwrap();
    client.sftp_fails(&["ls"]);
    let mut command = client.command_with_prompts("sftp", 3);
    fs::remove_file(client.path("asked")).unwrap();
    command.arg("-b").arg(client.path("batch")).arg(client.target());
    let output = crate::clients::run(command);
    assert!(output.status.success(), "{}", crate::clients::text(&output));
}

#[tokio::test]
async fn inbound_rules_of_organization_or_credential_let_a_client_in() {
    let stack = Stack::start();
    let api = Api::of(&stack);
    let ana = api.made("/users", json!({"UserName": "ana-partner", "Permission": "read-only"})).await;
    let client = password_client(&stack, &ana);
    let path = format!("/users/{}", ana["Id"].as_str().unwrap());
    let rules =
        |text: &str| json!({"Settings": {"Network": {"InboundRules": serde_json::from_str::<Value>(text).unwrap()}}});
    api.changed("", rules("[]")).await;
    client.sftp_fails(&["ls"]);
    api.changed(&path, rules(ALLOW_ALL)).await;
    client.sftp_ok(&["ls"]);
    api.changed(&path, rules(&ALLOW_ALL.replace("\"*\"", "\"FTPS\""))).await;
    client.sftp_fails(&["ls"]);
    api.changed(&path, rules(&ALLOW_ALL.replace("0.0.0.0/0", "127.0.0.1"))).await;
    client.sftp_ok(&["ls"]);
    api.changed(&path, rules(&ALLOW_ALL.replace("0.0.0.0/0", "192.0.2.0/24"))).await;
    client.sftp_fails(&["ls"]);
}
