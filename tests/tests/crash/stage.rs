//! A running system with a credential that logs in by key, and a webhook whose receiver listens.

use crate::ftps::FtpsDoor;
use crate::parts::Parts;
use crate::receiver::Receiver;
use crate::sftp::Door;
use russh::keys::load_secret_key;
use serde_json::{Value, json};
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;

/// How soon a message that a killed part had in hand is given again. In production a minute; the suite does not wait.
const VISIBILITY_SECONDS: &str = "5";

/// Where the credential's files lie in its organization's tree.
pub(crate) const HOME: &str = "home/partner-files/";

pub(crate) struct Stage {
    pub(crate) parts: Parts,
    pub(crate) receiver: Receiver,
    pub(crate) door: Door,
    pub(crate) ftps: FtpsDoor,
}

impl Stage {
    /// With these variables for the node and the functions.
    pub(crate) async fn set(settings: &[(&str, &str)]) -> Self {
        let parts = Parts::start(settings).await;
        let receiver = Receiver::start().await;
        let topics = ["file.created", "file.deleted", "file.renamed"];
        let body = json!({"Alias": "erp", "Url": receiver.url, "Type": "webhook", "Topics": topics});
        let hook = made(&parts, "/webhooks", body).await;
        receiver.set_secret(hook["Secret"].as_str().unwrap());
        let body = json!({"UserName": "partner-files", "Permission": "full", "QuotaSize": 1_u64 << 40, "QuotaFiles": 10_000_000});
        let user = made(&parts, "/users", body).await;
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("key");
        let made_key = Command::new("ssh-keygen").args(["-q", "-N", "", "-t", "ed25519", "-f"]).arg(&path).status();
        assert!(made_key.expect("ssh-keygen is missing: install openssh-client").success());
        let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
        let keys = format!("/users/{}/ssh-public-keys", user["Id"].as_str().unwrap());
        made(&parts, &keys, json!({"SshPublicKeyBody": public.trim()})).await;
        let door = Door {
            port: parts.get("TOWPATH_SFTP_PORT").parse().unwrap(),
            user: "partner-files".to_owned(),
            key: Arc::new(load_secret_key(&path, None).unwrap()),
        };
        let ftps = FtpsDoor {
            port: parts.get("TOWPATH_FTPS_PORT").to_owned(),
            authority: parts.get("TOWPATH_FTPS_CA_FILE").to_owned(),
            user: "partner-files".to_owned(),
            password: user["Password"].as_str().unwrap().to_owned(),
        };
        let aws = parts.aws().await;
        let queue = &aws.settings.events_queue_url;
        let request = aws.sqs.set_queue_attributes().queue_url(queue);
        request.attributes("VisibilityTimeout".into(), VISIBILITY_SECONDS).send().await.unwrap();
        Self { parts, receiver, door, ftps }
    }
}

async fn made(parts: &Parts, path: &str, body: Value) -> Value {
    let base = format!("{}/organizations/{}", parts.get("TOWPATH_API_URL"), parts.get("TOWPATH_ORGANIZATION_ID"));
    let request = reqwest::Client::new().post(format!("{base}{path}")).bearer_auth(parts.get("TOWPATH_API_KEY"));
    let answer = request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status.as_u16(), 201, "{path}: {text}");
    serde_json::from_str(&text).unwrap()
}
