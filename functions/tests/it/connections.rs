//! Sessions on several nodes: listed, counted and ended from outside.

use crate::support::{Answer, World, send};
use app::accounts::{Accounts, Attempt, Login, LoginError, Proof};
use app::sessions::{Session, Sessions};
use domain::event::{Origin, Protocol};
use domain::id::NodeId;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// What a change has to reach a node in.
const SOON: Duration = Duration::from_secs(5);
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

/// A node without doors.
struct Node {
    accounts: Accounts,
    sessions: Sessions,
    stop: CancellationToken,
    keeping: JoinHandle<()>,
}

impl Node {
    fn start(world: &World, byte: u8) -> Self {
        let sessions = Sessions::new(NodeId::from_random([byte; 16]));
        let stop = CancellationToken::new();
        let keeping = tokio::spawn(sessions.clone().keep(world.nodes.clone(), stop.clone()));
        Self { accounts: world.accounts_of(sessions.node()), sessions, stop, keeping }
    }

    async fn log_in(&self, user: &str, proof: Proof, id: &str) -> Result<Open, LoginError> {
        let origin =
            Origin { protocol: Protocol::Sftp, client_ip: "192.0.2.1".parse().unwrap(), session_id: id.to_owned() };
        let attempt = Attempt { user: user.to_owned(), proof, origin: origin.clone() };
        let login: Login = self.accounts.log_in(attempt).await?;
        let end = CancellationToken::new();
        Ok(Open { _session: self.sessions.open(login, origin, end.clone()), end })
    }
}

struct Open {
    _session: Session,
    end: CancellationToken,
}

impl Open {
    async fn ends(&self) -> bool {
        tokio::time::timeout(SOON, self.end.cancelled()).await.is_ok()
    }

    fn goes_on(&self) -> bool {
        !self.end.is_cancelled()
    }
}

fn password(text: &str) -> Proof {
    Proof::Password(Zeroizing::new(text.to_owned()))
}

impl World {
    async fn sftpgo(&self, method: &str, path: &str) -> Answer {
        let authorization = format!("Bearer {}", self.secrets.api_key.as_str());
        send(&self.router, method, &format!("/api/v2{path}"), "", &[("authorization", &authorization)]).await
    }

    /// Waits until so many sessions are listed.
    async fn listed(&self, many: usize) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let found = self.sftpgo("GET", "/connections").await.expect(200).body.as_array().unwrap().clone();
            if found.len() == many {
                return found;
            }
            assert!(began.elapsed() < SOON, "{found:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn partner(&self, name: &str, more: Value) -> String {
        let mut body = json!({"UserName": name, "Password": "a long password 1", "Permission": "full"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.admin("POST", "/users", &body.to_string()).await.expect(201).text("/Id")
    }
}

#[tokio::test]
async fn sessions_of_all_nodes_are_listed_and_any_can_be_closed() {
    let world = World::start().await;
    let (one, other) = (Node::start(&world, 1), Node::start(&world, 2));
    world.partner("partner-one", json!({})).await;
    let first = one.log_in("partner-one", password("a long password 1"), "s-1").await.unwrap();
    let second = other.log_in("partner-one", password("a long password 1"), "s-2").await.unwrap();
    first._session.set_client("SSH-2.0-OpenSSH_9.2\r\n");
    let listed = world.listed(2).await;
    let shown = |id: &str| listed.iter().find(|one| one["connection_id"] == id).unwrap_or_else(|| panic!("{listed:?}"));
    assert_eq!(shown("SFTP_s-1")["username"], "partner-one");
    assert_eq!(shown("SFTP_s-1")["remote_address"], "192.0.2.1");
    assert_eq!(shown("SFTP_s-2")["node"], other.sessions.node().as_str());
    assert_eq!(shown("SFTP_s-2")["protocol"], "SFTP");

    world.sftpgo("DELETE", "/connections/SFTP_s-3").await.expect(404);
    let closed = world.sftpgo("DELETE", "/connections/SFTP_s-2").await.expect(200);
    assert_eq!(closed.body, json!({"message": "Connection closed"}));
    assert!(second.ends().await);
    assert!(first.goes_on());
    drop(second);
    world.listed(1).await;

    // who stops in good order takes its sessions along
    one.stop.cancel();
    one.keeping.await.unwrap();
    world.listed(0).await;
    assert_eq!(world.nodes.alive(store::clock::now()).await.unwrap(), [other.sessions.node().clone()]);
}

#[tokio::test]
async fn who_gives_no_sign_of_life_has_no_sessions() {
    let world = World::start().await;
    let node = Node::start(&world, 1);
    world.partner("partner-one", json!({})).await;
    let _open = node.log_in("partner-one", password("a long password 1"), "s-1").await.unwrap();
    world.listed(1).await;
    node.keeping.abort();
    let now = store::clock::now();
    assert_eq!(world.nodes.alive(now).await.unwrap().len(), 1);
    let later = now.plus_millis(i64::try_from(store::nodes::ALIVE.as_millis()).unwrap() + 3_000);
    assert!(world.nodes.alive(later).await.unwrap().is_empty());
}

#[tokio::test]
async fn many_sessions_come_and_go() {
    let world = World::start().await;
    let node = Node::start(&world, 1);
    world.partner("partner-one", json!({})).await;
    let mut open = Vec::new();
    for id in 0..40 {
        let proof = password("a long password 1");
        open.push(node.log_in("partner-one", proof, &format!("s-{id}")).await.unwrap());
    }
    world.listed(40).await;
    // from the middle, so that pages have gaps
    open.drain(5..30);
    world.listed(15).await;
    open.clear();
    world.listed(0).await;
}

#[tokio::test]
async fn nobody_sees_or_closes_what_belongs_to_another_organization() {
    let world = World::start().await;
    let node = Node::start(&world, 1);
    world.partner("partner-one", json!({})).await;
    let open = node.log_in("partner-one", password("a long password 1"), "s-1").await.unwrap();
    world.listed(1).await;
    let stranger = world.stranger();
    let found = send(&stranger, "GET", "/api/v2/connections", "", &[]).await.expect(200);
    assert_eq!(found.body, json!([]));
    send(&stranger, "DELETE", "/api/v2/connections/SFTP_s-1", "", &[]).await.expect(404);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(open.goes_on());
}

#[tokio::test]
async fn a_credential_has_no_more_sessions_than_it_may_have_whatever_the_node() {
    let world = World::start().await;
    let (one, other) = (Node::start(&world, 1), Node::start(&world, 2));
    // a place counts if its node is alive
    while world.nodes.alive(store::clock::now()).await.unwrap().len() < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.partner("partner-one", json!({"MaxSessions": 3})).await;
    let mut open = Vec::new();
    let tries = (0..8).map(|at| {
        let node = if at % 2 == 0 { &one } else { &other };
        async move { node.log_in("partner-one", password("a long password 1"), &format!("s-{at}")).await }
    });
    for outcome in futures_util::future::join_all(tries).await {
        match outcome {
            Ok(session) => open.push(session),
            Err(error) => assert_eq!(error, LoginError::Refused),
        }
    }
    assert_eq!(open.len(), 3);
    // an end makes room at once
    for at in 0..5 {
        open.remove(0);
        let node = if at % 2 == 0 { &one } else { &other };
        let began = Instant::now();
        loop {
            match node.log_in("partner-one", password("a long password 1"), "again").await {
                Ok(session) => break open.push(session),
                Err(_) => assert!(began.elapsed() < SOON),
            }
        }
    }
    // a dead node's sessions do not count
    other.keeping.abort();
    let _ = other.keeping.await;
    world.nodes.leave(other.sessions.node()).await.unwrap();
    let there = open.len();
    while let Ok(session) = one.log_in("partner-one", password("a long password 1"), "more").await {
        open.push(session);
    }
    assert!(open.len() > there, "{} sessions", open.len());
}

#[tokio::test]
async fn a_change_ends_sessions_where_the_organization_wants_it() {
    let world = World::start().await;
    let node = Node::start(&world, 1);
    let id = world.partner("partner-one", json!({})).await;
    let log_in = |id: &'static str| node.log_in("partner-one", password("a long password 1"), id);
    let user = format!("/users/{id}");

    // not by default
    let stays = log_in("s-1").await.unwrap();
    world.call("PATCH", &user, r#"{"Permission": "read-only"}"#).await.expect(200);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(stays.goes_on());

    world.call("PATCH", "", r#"{"CloseSessionsOnChange": true}"#).await.expect(200);
    world.call("PATCH", &user, r#"{"Alias": "somebody"}"#).await.expect(200);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(stays.goes_on(), "what people call it is nothing that a session stands on");
    world.call("PATCH", &user, r#"{"Permission": "full"}"#).await.expect(200);
    // at once, before the order has reached the node
    let fresh = log_in("s-2").await.unwrap();
    assert!(stays.ends().await);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(fresh.goes_on(), "it began with what is true now");

    let expiry = store::clock::now().plus_millis(3_000).millis();
    world.call("PATCH", &user, &json!({"Expiration": expiry}).to_string()).await.expect(200);
    assert!(fresh.ends().await);
    let short = log_in("s-3").await.unwrap();
    assert!(short.ends().await, "its time is over");

    world.call("PATCH", &user, r#"{"Expiration": null}"#).await.expect(200);
    let last = log_in("s-4").await.unwrap();
    world.call("DELETE", &user, "").await.expect(200);
    assert!(last.ends().await);
}

#[tokio::test]
async fn a_revoked_api_key_ends_the_sessions_that_it_opened_and_no_other() {
    let world = World::start().await;
    let node = Node::start(&world, 1);
    let id = world.partner("partner-one", json!({"AllowApiKeyAuth": true})).await;
    let make = async || {
        let body = json!({"OwnerType": "credential", "OwnerId": id, "Name": "k", "Expiration": "30d"});
        let made = world.admin("POST", "/api-keys", &body.to_string()).await.expect(201);
        (made.text("/Id"), made.text("/Key"))
    };
    let with_password = node.log_in("partner-one", password("a long password 1"), "s-0").await.unwrap();
    let (key, text) = make().await;
    let with_key = node.log_in(&format!("@api-{key}"), password(&text), "s-1").await.unwrap();
    world.admin("DELETE", &format!("/api-keys/{key}"), "").await.expect(200);
    assert!(with_key.ends().await);

    let (key, text) = make().await;
    let with_key = node.log_in(&format!("@api-{key}"), password(&text), "s-2").await.unwrap();
    world.call("PATCH", &format!("/users/{id}"), r#"{"AllowApiKeyAuth": false}"#).await.expect(200);
    assert!(with_key.ends().await);
    assert!(with_password.goes_on());
}

#[tokio::test]
async fn a_key_and_a_password_where_both_are_needed() {
    let world = World::start().await;
    let node = Node::start(&world, 1);
    let id = world.partner("partner-one", json!({"KeyAndPassword": true})).await;
    let keys = format!("/users/{id}/ssh-public-keys");
    world.call("POST", &keys, &json!({"SshPublicKeyBody": KEY}).to_string()).await.expect(201);
    let blob = domain::ssh_key::parse(KEY).unwrap().blob;
    let outcome = async |proof| node.log_in("partner-one", proof, "s").await.err();
    let both = |password: &str, key: &[u8]| Proof::KeyAndPassword {
        key: key.to_vec(),
        password: Zeroizing::new(password.to_owned()),
    };
    assert_eq!(outcome(password("a long password 1")).await, Some(LoginError::Refused));
    assert_eq!(outcome(Proof::PublicKey(blob.clone())).await, Some(LoginError::PasswordToo));
    assert_eq!(outcome(Proof::PublicKey(b"another".to_vec())).await, Some(LoginError::Refused));
    assert_eq!(outcome(both("a long password 2", &blob)).await, Some(LoginError::Refused));
    assert_eq!(outcome(both("a long password 1", b"another")).await, Some(LoginError::Refused));
    assert_eq!(outcome(both("a long password 1", &blob)).await, None);
    // an API key counts as the password
    world.admin("PATCH", &format!("/users/{id}"), r#"{"AllowApiKeyAuth": true}"#).await.expect(200);
    let body = json!({"OwnerType": "credential", "OwnerId": id, "Name": "k", "Expiration": "30d"});
    let made = world.admin("POST", "/api-keys", &body.to_string()).await.expect(201);
    let user = format!("@api-{}", made.text("/Id"));
    let text = made.text("/Key");
    assert!(node.log_in(&user, password(&text), "s").await.is_err());
    assert!(node.log_in(&user, both(&text, &blob), "s").await.is_ok());
}

#[tokio::test]
async fn errors_in_the_other_dialect() {
    let world = World::start().await;
    let refused = send(&world.router, "GET", "/api/v2/connections", "", &[]).await.expect(401);
    assert_eq!(refused.body["error"], "Unauthorized");
    assert!(refused.body["message"].is_string() && refused.header("x-request-id").len() == 36);
    let unknown = world.sftpgo("GET", "/nothing").await.expect(404);
    assert_eq!(unknown.body, json!({"error": "Not Found", "message": "No such route"}));
    world.sftpgo("POST", "/connections").await.expect(405);
}
