//! The node's log, line by line: JSON with the field names of AWS Transfer Family's structured log.

use crate::accounts::Api;
use crate::clients::{Client, Proof};
use crate::ftps::Ftps;
use crate::node::Node;
use crate::raw::{Dial, PATIENCE, fields};
use crate::stack::Stack;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The lines about activities, each a JSON object.
fn activities(node: &Node) -> Vec<Value> {
    let log = node.log();
    let lines = log.lines().map(|line| {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("a line is no JSON: {error}\n{line}"))
    });
    lines.filter(|line| line.get("activity-type").is_some()).collect()
}

/// Waits for the line for which all of these fields are as they should be.
fn line(node: &Node, expected: &Value) -> Value {
    let expected = expected.as_object().unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let all = activities(node);
        let found = all.iter().find(|line| expected.iter().all(|(name, value)| line.get(name) == Some(value)));
        if let Some(found) = found {
            return found.clone();
        }
        assert!(Instant::now() < deadline, "no line {expected:?} among\n{all:#?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What every line of a session has.
fn session(line: &Value) -> &str {
    assert_eq!(line["source-ip"], "127.0.0.1", "{line}");
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z') && line["level"] == "INFO", "{line}");
    line["session-id"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sftp_session_is_told_in_the_words_of_aws() {
    let stack = Stack::start();
    let mut node = Node::start(&stack, 128);
    let ana = json!({"UserName": "ana-partner", "Permission": "read-write"});
    let ana = Api::of(&stack).made("/users", ana).await;
    let password = ana["Password"].as_str().unwrap();
    let client = Client::anywhere(node.address.port(), "ana-partner", Proof::Password(password.to_owned()));
    std::fs::write(client.path("a"), vec![7; 300_000]).unwrap();
    client.sftp_ok(&["mkdir d", "put -p a d/a", "get d/a back", "rename d/a d/b", "rm d/b", "rmdir d"]);
    client.sftp_fails(&["rmdir nothing"]);
    let connected =
        line(&node, &json!({"activity-type": "CONNECTED", "user": "ana-partner", "protocol": "SFTP", "home-dir": "/"}));
    let id = session(&connected);
    assert!(connected["client"].as_str().unwrap().starts_with("SSH-2.0-OpenSSH"), "{connected}");
    let ciphers = connected["ciphers"].as_str().unwrap();
    assert!(!ciphers.is_empty() && ciphers.split(',').count() == 2, "{connected}");
    assert!(connected["kex"].as_str().unwrap().contains("25519"), "{connected}");
    let user = "ana-partner";
    for (activity, path, more) in [
        ("MKDIR", "/d", json!({})),
        ("OPEN", "/d/a", json!({"mode": "CREATE|TRUNCATE|WRITE"})),
        ("CLOSE", "/d/a", json!({"bytes-in": 300_000})),
        ("OPEN", "/d/a", json!({"mode": "READ"})),
        ("CLOSE", "/d/a", json!({"bytes-out": 300_000})),
        ("RENAME", "/d/a", json!({"new-path": "/d/b"})),
        ("DELETE", "/d/b", json!({})),
        ("RMDIR", "/d", json!({})),
    ] {
        let mut expected = json!({"activity-type": activity, "path": path, "user": user, "session-id": id});
        expected.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        session(&line(&node, &expected));
    }
    line(&node, &json!({"activity-type": "DISCONNECTED", "session-id": id, "user": user}));
    let failed = json!({"activity-type": "ERROR", "operation": "RMDIR", "path": "/nothing", "message": "no such file or folder"});
    assert_ne!(session(&line(&node, &failed)), id);

    // whose password is wrong, and a client that goes away in the middle
    let stranger = Client::anywhere(node.address.port(), "ana-partner", Proof::Password("xyzzy".to_owned()));
    stranger.sftp_fails(&["ls"]);
    let refused = line(&node, &json!({"activity-type": "AUTH_FAILURE", "user": user, "method": "password"}));
    assert_eq!(refused["message"], "wrong password", "{refused}");
    let ssh = node.session(Dial::default()).await;
    let mut sftp = ssh.sftp().await;
    let handle = sftp.open("/cut", 26).await;
    assert_eq!(sftp.status(6, &fields().string(&handle).u64(0).string([1; 1000])).await, 0);
    drop((sftp, ssh));
    line(&node, &json!({"activity-type": "PARTIAL_CLOSE", "path": "/cut", "bytes-in": 1000}));

    let log = node.log();
    for secret in [password, "xyzzy", node.password.as_str(), "a secret for tests that is long enough"] {
        assert!(!log.contains(secret), "a secret is in the log");
    }
    node.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ftps_session_is_told_in_the_words_of_aws() {
    let stack = Stack::start();
    let mut node = Node::start(&stack, 128);
    let client = Ftps::root(&stack);
    std::fs::write(client.path("a"), vec![7; 300_000]).unwrap();
    let curl = |path: &str, options: &[&str]| {
        let mut curl = client.curl_at(&format!("ftp://127.0.0.1:{}/{path}", node.ftps.port()));
        curl.args(options);
        crate::clients::run(curl).status.success()
    };
    assert!(curl("a", &["-T", "a"]) && curl("a", &["-o", "back"]) && curl("", &["-Q", "DELE a"]));
    assert!(!curl("", &["-u", "nobody-at-all:xyzzy"]));
    let user = node.user.as_str();
    let connected =
        line(&node, &json!({"activity-type": "CONNECTED", "user": user, "protocol": "FTPS", "home-dir": "/"}));
    assert!(connected["ciphers"].as_str().unwrap().starts_with("TLS"), "{connected}");
    assert!(!connected["kex"].as_str().unwrap().is_empty(), "{connected}");
    for expected in [
        json!({"activity-type": "OPEN", "path": "/a", "mode": "CREATE|TRUNCATE|WRITE", "session-id": connected["session-id"]}),
        json!({"activity-type": "CLOSE", "path": "/a", "bytes-in": 300_000, "session-id": connected["session-id"]}),
        json!({"activity-type": "DISCONNECTED", "user": user, "session-id": connected["session-id"]}),
        json!({"activity-type": "CLOSE", "path": "/a", "bytes-out": 300_000, "protocol": "FTPS"}),
        json!({"activity-type": "DELETE", "path": "/a", "protocol": "FTPS"}),
        json!({"activity-type": "AUTH_FAILURE", "user": "nobody-at-all", "method": "password", "message": "unknown user"}),
    ] {
        session(&line(&node, &expected));
    }
    let log = node.log();
    assert!(!log.contains("xyzzy") && !log.contains(&node.password), "a secret is in the log");
    node.check();
}
