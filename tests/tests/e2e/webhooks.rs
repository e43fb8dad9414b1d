//! Every file event reaches the team's system, signed.

use crate::accounts::Api;
use crate::clients::{Client, Proof};
use crate::receiver::{Received, Receiver};
use crate::stack::Stack;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use std::fs;

fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

fn header<'a>(received: &'a Received, name: &str) -> &'a str {
    received.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
}

/// Both signatures, computed here from their definitions.
fn assert_signed(received: &Received, secret: &str) {
    let hub = format!("sha256={}", hex::encode(hmac(secret.as_bytes(), &[&received.body])));
    assert_eq!(header(received, "x-hub-signature"), hub);
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let (id, at) = (header(received, "webhook-id"), header(received, "webhook-timestamp"));
    let signed = hmac(&key, &[id.as_bytes(), b".", at.as_bytes(), b".", &received.body]);
    let expected = format!("v1,{}", STANDARD.encode(signed));
    assert!(header(received, "webhook-signature").split(' ').any(|one| one == expected));
}

fn told(received: &[Received]) -> Vec<(String, String, Value)> {
    let mut told: Vec<_> = received
        .iter()
        .map(|one| {
            let json = one.json();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&json["Topic"]), text(&json["Data"]["Path"]), json["Data"]["Size"].clone())
        })
        .collect();
    told.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    told
}

fn row(topic: &str, path: &str, size: Value) -> (String, String, Value) {
    (topic.to_owned(), path.to_owned(), size)
}

#[tokio::test]
async fn uploads_downloads_deletes_and_renames_arrive_signed() {
    let stack = Stack::start();
    let api = Api::of(&stack);
    let receiver = Receiver::start().await;
    let topics = ["file.created", "file.deleted", "file.downloaded"];
    let body = json!({"Alias": "erp", "Url": receiver.url, "Type": "webhook", "Topics": topics, "AuthorizationHeader": "Token 1"});
    let hook = api.made("/webhooks", body).await;
    let secret = hook["Secret"].as_str().unwrap().to_owned();
    let (_, shown) = api.call("GET", &format!("/webhooks/{}", hook["Id"].as_str().unwrap()), None).await;
    assert_eq!(shown["Secret"], "");
    let client = Client::root(&stack);
    fs::write(client.path("a"), "12345").unwrap();
    client.sftp_ok(&[
        "mkdir in",
        "put a \"in/a b+%c.txt\"",
        "get \"in/a b+%c.txt\" back",
        "rename \"in/a b+%c.txt\" in/z",
        "rm in/z",
        "rmdir in",
    ]);
    let received = receiver.wait_for(7).await;
    for one in &received {
        assert_signed(one, &secret);
        assert_eq!(header(one, "authorization"), "Token 1");
        let json = one.json();
        assert_eq!(json["Actor"], json!({"Type": "User", "Id": stack.get("TOWPATH_USER")}));
        assert_eq!(json["Metadata"]["Organization"]["Id"], stack.get("TOWPATH_ORGANIZATION_ID"));
        assert_eq!(json["Metadata"]["Webhook"]["Id"], hook["Id"]);
        assert_eq!(json["Metadata"]["Event"], json!({"Id": json["Id"], "Topic": json["Topic"]}));
    }
    let name = "in/a+b%2B%25c.txt";
    assert_eq!(
        told(&received),
        [
            row("file.created", "in/", Value::Null),
            row("file.created", name, json!(5)),
            row("file.created", "in/z", json!(5)),
            row("file.deleted", "in/", Value::Null),
            row("file.deleted", name, Value::Null),
            row("file.deleted", "in/z", Value::Null),
            row("file.downloaded", name, json!(5)),
        ]
    );
    let download = received.iter().find(|one| one.json()["Topic"] == "file.downloaded").unwrap().json();
    assert_eq!(download["Data"]["Metadata"]["Protocol"], "SFTP");
    assert_eq!(download["Data"]["Metadata"]["ClientIp"], "127.0.0.1");
}

#[tokio::test]
async fn a_receiver_that_fails_gets_it_again_and_others_do_not_wait() {
    let stack = Stack::start();
    let api = Api::of(&stack);
    let (good, bad) = (Receiver::start().await, Receiver::start().await);
    for receiver in [&good, &bad] {
        let body = json!({"Alias": "x", "Url": receiver.url, "Type": "webhook", "Topics": ["file.created"]});
        api.made("/webhooks", body).await;
    }
    bad.fail_next(1);
    let client = Client::root(&stack);
    fs::write(client.path("a"), "12345").unwrap();
    let started = std::time::Instant::now();
    client.sftp_ok(&["put a"]);
    good.wait_for(1).await;
    assert!(started.elapsed().as_secs() < 4, "the healthy receiver waited for the failing one");
    // the first retry comes after five seconds
    let retried = bad.wait_for(1).await;
    assert_eq!(retried[0].json()["Data"]["Path"], "a");
}

#[tokio::test]
async fn sessions_begin_and_end_and_refusals_are_told() {
    let stack = Stack::start();
    let api = Api::of(&stack);
    let receiver = Receiver::start().await;
    let topics = ["user.login", "user.logout", "user.login-failed", "file.access-denied", "file.upload-failed"];
    api.made("/webhooks", json!({"Alias": "siem", "Url": receiver.url, "Type": "webhook", "Topics": topics})).await;
    let ana = api.made("/users", json!({"UserName": "ana-partner", "Permission": "read-only"})).await;
    let password = ana["Password"].as_str().unwrap().to_owned();
    let client = Client::new(&stack, "ana-partner", Proof::Password(password));
    client.sftp_fails(&["mkdir in"]);
    Client::new(&stack, "ana-partner", Proof::Password("wrong".into())).sftp_fails(&["ls"]);
    let received: Vec<Value> = receiver.wait_for(4).await.iter().map(Received::json).collect();
    let of = |topic: &str| {
        let mut found = received.iter().filter(|json| json["Topic"] == topic);
        let one = found.next().unwrap_or_else(|| panic!("no {topic}: {received:?}")).clone();
        assert!(found.next().is_none(), "{topic} twice: {received:?}");
        one
    };
    let login = of("user.login");
    assert_eq!(login["Resource"], "User");
    assert_eq!(login["Actor"], json!({"Type": "User", "Id": "ana-partner"}));
    assert_eq!(login["Data"]["UserName"], "ana-partner");
    assert_eq!(login["Data"]["Metadata"]["Protocol"], "SFTP");
    let session = &login["Data"]["Metadata"]["SessionId"];
    assert_eq!(&of("user.logout")["Data"]["Metadata"]["SessionId"], session);
    let denied = of("file.access-denied");
    assert_eq!(
        (&denied["Data"]["Path"], &denied["Data"]["Metadata"]["SessionId"]),
        (&json!("home/ana-partner/in"), session)
    );
    let failed = of("user.login-failed");
    assert_eq!(failed["Data"]["Reason"], "wrong password");
    assert_ne!(&failed["Data"]["Metadata"]["SessionId"], session);
}
