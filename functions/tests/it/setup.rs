//! The first accounts of a deployment, as CloudFormation asks for them.

use crate::support::{SEALING, World};
use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::put;
use domain::credential::UserName;
use functions::config::Config;
use functions::setup::Setup;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use store::aws::Aws;
use store::records::Records;
use store::seal::Sealer;

type Told = Arc<Mutex<Vec<Value>>>;

/// CloudFormation's side: what it is told. The first answer is lost.
async fn cloudformation() -> (String, Told) {
    let told = Told::default();
    let heard = Arc::clone(&told);
    let lost = Arc::new(Mutex::new(false));
    let hear = put(move |body: Bytes| async move {
        if !std::mem::replace(&mut *lost.lock().unwrap(), true) {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        heard.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
        StatusCode::OK
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/answer", hear)).await });
    (format!("http://{address}/answer?X-Amz-Signature=1"), told)
}

const PASSWORDS: [(&str, &str); 3] = [
    ("TOWPATH_FIRST_USER_PASSWORD", "root's long password"),
    ("TOWPATH_FIRST_ADMIN_PASSWORD", "admin's long password"),
    ("TOWPATH_FIRST_OPERATOR_PASSWORD", "operator's long password"),
];

/// A deployment whose table is empty.
struct Empty {
    world: World,
    aws: Aws,
}

impl Empty {
    async fn start() -> Self {
        let world = World::start().await;
        store::table::create_table(&world.aws.dynamodb, "empty").await.unwrap();
        let mut settings = world.aws.settings.clone();
        settings.table = "empty".into();
        Self { aws: Aws::connect(settings).await.unwrap(), world }
    }

    fn config(&self, changes: &[(&'static str, &str)]) -> Config {
        let settings = self.world.aws.settings.clone();
        let changes: Vec<(&str, String)> = changes.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let config = Config::from_lookup(move |name| {
            if let Some((_, value)) = changes.iter().find(|(changed, _)| *changed == name) {
                return Some(value.clone());
            }
            let own = PASSWORDS.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            Some(match name {
                "AWS_ENDPOINT_URL" => settings.endpoint.clone()?,
                "TOWPATH_TABLE" => "empty".to_owned(),
                "TOWPATH_EVENTS_QUEUE_URL" => settings.events_queue_url.clone(),
                "TOWPATH_SEALING_SECRET" => SEALING.to_owned(),
                "TOWPATH_SFTP_HOST" => "sftp.example.com".to_owned(),
                "TOWPATH_FIRST_ORGANIZATION" => "Acme".to_owned(),
                _ => return own,
            })
        });
        config.unwrap_or_else(|error| panic!("{error}"))
    }

    fn setup(&self) -> Setup {
        Setup::build(&self.config(&[]), &self.aws).unwrap_or_else(|error| panic!("{error}"))
    }

    fn records(&self) -> Records {
        Records::new(&self.aws, Sealer::new(SEALING).unwrap_or_else(|error| panic!("{error}")))
    }
}

fn asked(kind: &str, url: &str) -> Value {
    json!({ "RequestType": kind, "ResponseURL": url, "StackId": "arn:stack", "RequestId": "r1",
        "ResourceType": "Custom::TowpathFirstAccounts", "LogicalResourceId": "FirstAccounts",
        "ResourceProperties": { "ServiceToken": "arn:function" } })
}

#[tokio::test]
async fn the_first_accounts_are_made_once_with_the_passwords_that_are_kept_elsewhere() {
    let empty = Empty::start().await;
    let (url, told) = cloudformation().await;
    let answer = empty.setup().handle_event(asked("Create", &url)).await.unwrap();
    assert_eq!(*told.lock().unwrap(), std::slice::from_ref(&answer), "it was told again after a lost answer");
    assert_eq!(
        (&answer["Status"], &answer["StackId"], &answer["RequestId"]),
        (&json!("SUCCESS"), &json!("arn:stack"), &json!("r1"))
    );
    let id = answer["Data"]["OrganizationId"].as_str().unwrap().to_owned();
    assert_eq!(answer["PhysicalResourceId"], id);
    let text = answer.to_string();
    assert!(PASSWORDS.iter().all(|(_, password)| !text.contains(password)), "{text}");
    let records = empty.records();
    for (name, password) in [("admin", PASSWORDS[1].1), ("operator", PASSWORDS[2].1)] {
        let admin = records.admin(name).await.unwrap().unwrap().value;
        assert!(domain::password::verify(password, &admin.password_hash), "{name}");
    }
    let root = records.login_records(&UserName::parse("root-credential").unwrap()).await.unwrap().unwrap();
    assert!(domain::password::verify(PASSWORDS[0].1, &root.credential.value.password.unwrap().hash));
    assert_eq!((root.organization.value.name.as_str(), root.organization.value.id.as_str()), ("Acme", id.as_str()));
    let keys = records.api_keys(&root.organization.value.id, None, 10).await.unwrap();
    assert!(keys.records.is_empty(), "a key that nobody could read");
    // an update finds them, and deleting the resource leaves them
    for kind in ["Update", "Delete"] {
        let mut again = asked(kind, &url);
        again["PhysicalResourceId"] = json!(id);
        let answer = empty.setup().handle_event(again).await.unwrap();
        assert_eq!((&answer["Status"], &answer["PhysicalResourceId"]), (&json!("SUCCESS"), &json!(id)));
    }
    assert!(records.admin("admin").await.unwrap().is_some());
}

#[tokio::test]
async fn cloudformation_is_told_what_is_wrong() {
    let empty = Empty::start().await;
    let (url, told) = cloudformation().await;
    let weak = empty.config(&[("TOWPATH_FIRST_ADMIN_PASSWORD", "short")]);
    let setup = Setup::build(&weak, &empty.aws).unwrap_or_else(|error| panic!("{error}"));
    let answer = setup.handle_event(asked("Create", &url)).await.unwrap();
    assert_eq!((&answer["Status"], &answer["PhysicalResourceId"]), (&json!("FAILED"), &json!("FirstAccounts-none")));
    let reason = answer["Reason"].as_str().unwrap();
    assert!(reason.contains("the password of the admin") && reason.contains("12 characters"), "{reason}");
    assert!(!reason.contains("short"), "{reason}");
    assert_eq!(told.lock().unwrap().len(), 1);
    assert!(empty.records().admin("operator").await.unwrap().is_none(), "all or nothing");
    let unknown = setup.handle_event(json!({"source": "aws.events"})).await.unwrap_err().to_string();
    assert!(unknown.contains("not of a custom resource"), "{unknown}");
    let missing = empty.config(&[("TOWPATH_FIRST_ADMIN_PASSWORD", "")]);
    let missing = Setup::build(&missing, &empty.aws).err().unwrap().to_string();
    assert!(missing.contains("TOWPATH_FIRST_ADMIN_PASSWORD"), "{missing}");
}
