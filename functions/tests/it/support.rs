//! A deployment in memory and a client for it.

pub(crate) mod agrees;

use agrees::Exchange;
use app::accounts::{Accounts, LoginTimes};
use app::bootstrap::{BootstrapRequest, Secrets, bootstrap};
use app::defender::Defender;
use app::management::{Caller, Management};
use app::sessions::Places;
use app::signing::SigningKeys;
use app::tokens::Tokens;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::Response;
use domain::admin::{AdminName, Permission, Permissions};
use domain::credential::UserName;
use domain::id::{NodeId, OrganizationId, uuid_text};
use domain::webhook::address::AddressPolicy;
use functions::config::Config;
use functions::files::FilesState;
use functions::housekeeping::HousekeepingState;
use functions::http::frame::framed;
use functions::management::{ManagementState, routes_for_known_callers};
use functions::share::ShareState;
use functions::token::TokenState;
use http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use store::aws::{Aws, AwsSettings};
use store::defender::Scores;
use store::messages::Messages;
use store::nodes::Nodes;
use store::records::Records;
use store::seal::Sealer;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// What the world's tokens are signed with.
pub(crate) const SIGNING: &str = "a passphrase for tests, of 32 characters and more";
/// What its tickets are signed with.
pub(crate) const TICKETS: &str = "a secret for tickets, of 32 characters and more";
pub(crate) const SEALING: &str = "a secret of at least 32 characters";
/// The address of the world's API.
pub(crate) const API: &str = "https://api.example.com";

/// Refusals that do not wait.
pub(crate) const FAST: LoginTimes = LoginTimes {
    refusal_floor: Duration::from_millis(1),
    key_question_floor: Duration::from_millis(1),
    deadline: Duration::from_secs(20),
};

/// The keys of a passphrase.
pub(crate) fn signing(passphrase: &str) -> SigningKeys {
    SigningKeys::new(passphrase, None, API).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) struct World {
    pub(crate) records: Records,
    pub(crate) messages: Messages,
    pub(crate) nodes: Nodes,
    pub(crate) places: store::places::Places,
    pub(crate) scores: Scores,
    pub(crate) organization: OrganizationId,
    pub(crate) secrets: Secrets,
    pub(crate) router: Router,
    /// The paths of its routes.
    pub(crate) paths: Vec<String>,
    pub(crate) aws: Aws,
    admin_router: Router,
    stranger: Router,
    pub(crate) offline: offline_aws::OfflineAws,
    /// Where its mail goes.
    pub(crate) mail: PathBuf,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self, pointer: &str) -> String {
        self.body
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{pointer}: {}", self.body))
            .to_owned()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self
    }
}

/// What the function for files reads from its environment.
fn config(aws: &AwsSettings) -> Config {
    let aws = aws.clone();
    Config::from_lookup(move |name| {
        Some(match name {
            "AWS_ENDPOINT_URL" => aws.endpoint.clone()?,
            "TOWPATH_TABLE" => aws.table.clone(),
            "TOWPATH_BUCKET" => aws.bucket.clone(),
            "TOWPATH_EVENTS_QUEUE_URL" => aws.events_queue_url.clone(),
            "TOWPATH_JOBS_QUEUE_URL" => aws.jobs_queue_url.clone(),
            "TOWPATH_SEALING_SECRET" => SEALING.to_owned(),
            "TOWPATH_SIGNING_PASSPHRASE" => SIGNING.to_owned(),
            "TOWPATH_API_URL" => API.to_owned(),
            "TOWPATH_SFTP_HOST" => "sftp.example.com".to_owned(),
            "TOWPATH_HTTPS_URL" => "https://node.example.com/".to_owned(),
            "TOWPATH_TICKET_SECRET" => TICKETS.to_owned(),
            _ => return None,
        })
    })
    .unwrap_or_else(|error| panic!("{error}"))
}

/// The housekeeping function.
pub(crate) fn housekeeping(aws: &Aws) -> HousekeepingState {
    HousekeepingState::build(&config(&aws.settings), aws).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn request(user: &str) -> BootstrapRequest {
    BootstrapRequest {
        organization: "Test".into(),
        user: UserName::parse(user).unwrap(),
        admin: AdminName::parse("admin").unwrap(),
        operator: AdminName::parse("operator").unwrap(),
        passwords: None,
        keep_secrets: true,
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        let offline = offline_aws::OfflineAws::start(offline_aws::Options::default()).await.unwrap();
        let mut settings = AwsSettings {
            endpoint: Some(offline.endpoint()),
            region: Some("us-east-1".into()),
            static_credentials: Some(("test".into(), "test".into())),
            table: "towpath".into(),
            bucket: "files".into(),
            ..AwsSettings::default()
        };
        let aws = Aws::connect(settings.clone()).await.unwrap();
        let queue = aws.sqs.create_queue().queue_name("events").send().await.unwrap();
        settings.events_queue_url = queue.queue_url.unwrap();
        let jobs = aws.sqs.create_queue().queue_name("jobs").send().await.unwrap();
        settings.jobs_queue_url = jobs.queue_url.unwrap();
        let slow = aws.sqs.create_queue().queue_name("events-slow").send().await.unwrap();
        settings.slow_events_queue_url = slow.queue_url.unwrap();
        let mail = std::env::temp_dir().join(format!("towpath-mail-{}", uuid_text(store::clock::random())));
        settings.mail.folder = Some(mail.clone());
        let aws = Aws::connect(settings).await.unwrap();
        store::table::create_table(&aws.dynamodb, "towpath").await.unwrap();
        aws.s3.create_bucket().bucket("files").send().await.unwrap();
        let sealer = Sealer::new(SEALING).unwrap_or_else(|error| panic!("{error}"));
        let records = Records::new(&aws, sealer);
        let made = bootstrap(&records, &request("root-user-name")).await.unwrap();
        assert!(made.created);
        let (messages, nodes) = (Messages::new(&aws), Nodes::new(&aws));
        let places = store::places::Places::new(&aws);
        let management = Management::new(records.clone(), &aws, AddressPolicy::PublicAndLoopback);
        let tokens = Tokens::new(records.clone(), signing(SIGNING));
        let state = ManagementState::new(management, tokens.clone(), "sftp.example.com", 2222);
        let full = |organization: &OrganizationId, name: &str| {
            Caller::admin(organization.clone(), name.into(), Permissions::of([Permission::Everything]))
        };
        let admin = full(&made.organization, "admin");
        let stranger = full(&OrganizationId::from_random([99; 16]), "stranger");
        let defender = Defender::new(Scores::new(&aws));
        let node = Places::new(NodeId::from_random([7; 16]), nodes.clone(), places.clone());
        let accounts = Accounts::new(records.clone(), node, defender, FAST).announced_to(messages.clone());
        let files = FilesState::build(&config(&aws.settings), &aws).unwrap();
        let share = ShareState::build(&config(&aws.settings), &aws).unwrap();
        let routes = functions::routes(state.clone(), TokenState::new(accounts, tokens), files, share);
        Self {
            stranger: routes_for_known_callers(state.clone()).layer(axum::Extension(stranger)),
            paths: routes.paths().to_vec(),
            router: framed(routes),
            admin_router: routes_for_known_callers(state).layer(axum::Extension(admin)),
            records,
            messages,
            nodes,
            places,
            scores: Scores::new(&aws),
            organization: made.organization,
            secrets: made.secrets.unwrap(),
            aws,
            offline,
            mail,
        }
    }

    /// The function for files.
    pub(crate) fn files(&self) -> FilesState {
        FilesState::build(&config(&self.aws.settings), &self.aws).unwrap()
    }

    /// The logins of a node.
    pub(crate) fn accounts(&self) -> Accounts {
        self.accounts_of(&NodeId::from_random([1; 16]))
    }

    pub(crate) fn accounts_of(&self, node: &NodeId) -> Accounts {
        let places = Places::new(node.clone(), self.nodes.clone(), self.places.clone());
        Accounts::new(self.records.clone(), places, Defender::off(), LoginTimes::default())
    }

    /// The logins of a node that defends itself, and answers fast.
    pub(crate) fn defended(&self) -> Accounts {
        let defender = Defender::new(self.scores.clone());
        tokio::spawn(defender.clone().keep(CancellationToken::new()));
        let places = Places::new(NodeId::from_random([1; 16]), self.nodes.clone(), self.places.clone());
        Accounts::new(self.records.clone(), places, defender, FAST)
    }

    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/organizations/{}{rest}", self.organization)
    }

    /// With the site-wide key.
    pub(crate) async fn call(&self, method: &str, rest: &str, body: &str) -> Answer {
        self.call_with(method, rest, body, &[]).await
    }

    pub(crate) async fn call_with(&self, method: &str, rest: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        let authorization = format!("Bearer {}", self.secrets.api_key.as_str());
        let mut all = vec![("authorization", authorization.as_str())];
        all.extend_from_slice(headers);
        send(&self.router, method, &self.path(rest), body, &all).await
    }

    /// What an admin of another organization asks.
    pub(crate) fn stranger(&self) -> Router {
        self.stranger.clone()
    }

    /// As an admin who has signed in.
    pub(crate) async fn admin(&self, method: &str, rest: &str, body: &str) -> Answer {
        send(&self.admin_router, method, &self.path(rest), body, &[]).await
    }
}

pub(crate) async fn send(router: &Router, method: &str, uri: &str, sent: &str, headers: &[(&str, &str)]) -> Answer {
    let (parts, body) = raw(router, method, uri, sent, headers).await.into_parts();
    let body = to_bytes(body, 10_000_000).await.unwrap();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    let answer = Answer { status: parts.status, headers: parts.headers, body };
    let (status, headers, body) = (answer.status, &answer.headers, &answer.body);
    Exchange { method, uri, sent, status, headers, body }.must_agree();
    answer
}

/// The same for answers that are no JSON.
pub(crate) async fn raw(router: &Router, method: &str, uri: &str, sent: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    router.clone().oneshot(request.body(Body::from(sent.to_owned())).unwrap()).await.unwrap()
}
