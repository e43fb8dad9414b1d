//! Logins with what the API has made.

use crate::support::{World, request};
use app::accounts::{Accounts, Attempt, Login, LoginError, LoginTimes, Proof};
use domain::access::Principal;
use domain::event::{Origin, Protocol};
use serde_json::json;
use zeroize::Zeroizing;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

fn origin() -> Origin {
    Origin { protocol: Protocol::Sftp, client_ip: "192.0.2.1".parse().unwrap(), session_id: "s".into() }
}

async fn log_in(accounts: &Accounts, user: &str, password: &str) -> Result<Principal, LoginError> {
    Ok(begin(accounts, user, password).await?.principal)
}

async fn begin(accounts: &Accounts, user: &str, password: &str) -> Result<Login, LoginError> {
    let proof = Proof::Password(Zeroizing::new(password.to_owned()));
    accounts.log_in(Attempt { user: user.to_owned(), proof, origin: origin() }).await
}

#[tokio::test]
async fn a_changed_password_counts_at_once_even_if_the_old_one_was_remembered() {
    let world = World::start().await;
    let accounts = world.accounts();
    let (user, password) = (world.secrets.user.clone(), world.secrets.password.to_string());
    for _ in 0..2 {
        let principal = log_in(&accounts, &user, &password).await.unwrap();
        assert_eq!((&principal.organization, principal.user_name.as_str()), (&world.organization, user.as_str()));
    }
    let id = world.call("GET", "/users", "").await.text("/0/Id");
    let rotations = format!("/users/{id}/credential-rotations");
    world.call("POST", &rotations, r#"{"Password":"another long password"}"#).await.expect(200);
    assert_eq!(log_in(&accounts, &user, &password).await.err(), Some(LoginError::Refused));
    assert!(log_in(&accounts, &user, "another long password").await.is_ok());
    for change in [
        r#"{"State":"inactive"}"#,
        r#"{"State":"active","Expiration":1000000000}"#,
        r#"{"Expiration":null,"Permission":"none"}"#,
    ] {
        world.call("PATCH", &format!("/users/{id}"), change).await.expect(200);
        assert_eq!(
            log_in(&accounts, &user, "another long password").await.err(),
            Some(LoginError::Refused),
            "{change}"
        );
    }
    world.call("PATCH", &format!("/users/{id}"), r#"{"Permission":"full"}"#).await.expect(200);
    assert!(log_in(&accounts, &user, "another long password").await.is_ok());
    world.call("PATCH", "", r#"{"Settings":{"Network":{"InboundRules":[]}}}"#).await.expect(200);
    assert_eq!(log_in(&accounts, &user, "another long password").await.err(), Some(LoginError::Refused));
}

#[tokio::test]
async fn refusals_take_the_same_time_for_every_reason() {
    let world = World::start().await;
    let times = LoginTimes::default();
    let accounts = world.accounts();
    for (user, password) in [(world.secrets.user.as_str(), "wrong"), ("nobody", "wrong"), ("@x y", "wrong")] {
        let started = std::time::Instant::now();
        assert_eq!(log_in(&accounts, user, password).await.err(), Some(LoginError::Refused));
        assert!(started.elapsed() >= times.refusal_floor, "{user}: {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn keys() {
    let world = World::start().await;
    let accounts = world.accounts();
    let blob = domain::ssh_key::parse(KEY).unwrap().blob;
    let user = world.secrets.user.clone();
    assert_eq!(accounts.knows_key(&user, &blob, &origin()).await, Ok(false));
    let id = world.call("GET", "/users", "").await.text("/0/Id");
    let keys = format!("/users/{id}/ssh-public-keys");
    let key = world.call("POST", &keys, &json!({"SshPublicKeyBody": KEY}).to_string()).await.expect(201).text("/Id");
    assert_eq!(accounts.knows_key(&user, &blob, &origin()).await, Ok(true));
    assert_eq!(accounts.knows_key("nobody", &blob, &origin()).await, Ok(false));
    let attempt = || Attempt { user: user.clone(), proof: Proof::PublicKey(blob.clone()), origin: origin() };
    assert!(accounts.log_in(attempt()).await.is_ok());
    world.call("DELETE", &format!("{keys}/{key}"), "").await.expect(200);
    assert_eq!(accounts.log_in(attempt()).await.err(), Some(LoginError::Refused));
}

#[tokio::test]
async fn a_second_bootstrap_finds_the_first() {
    let world = World::start().await;
    let again = app::bootstrap::bootstrap(&world.records, &request("another-user")).await.unwrap();
    assert!(!again.created);
    assert_eq!(again.organization, world.organization);
    let secrets = again.secrets.unwrap();
    assert_eq!((secrets.user.as_str(), &secrets.password), ("root-user-name", &world.secrets.password));
    assert!(world.records.admin("admin").await.unwrap().is_some_and(|admin| admin.value.is_full()));
}

#[tokio::test]
async fn an_api_key_is_a_password_for_its_owner() {
    let world = World::start().await;
    let accounts = world.accounts();
    let partner = json!({"UserName": "partner-one", "Permission": "read-write", "AllowApiKeyAuth": true});
    let partner = world.admin("POST", "/users", &partner.to_string()).await.expect(201).text("/Id");
    let make = async |body: serde_json::Value| {
        let made = world.admin("POST", "/api-keys", &body.to_string()).await.expect(201);
        (made.text("/Id"), made.text("/Key"))
    };
    let owner = json!({"OwnerType": "credential", "OwnerId": partner, "Name": "nightly sync", "Expiration": "30d",
        "Permissions": ["read:files", "write:admin"]});
    let (id, key) = make(owner).await;
    // by id or by name, as the credential, with what both may do
    for name in [format!("@api-{id}"), "@api-nightly sync".to_owned()] {
        let principal = log_in(&accounts, &name, &key).await.unwrap();
        assert_eq!(principal.user_name, "partner-one");
        assert_eq!(principal.api_key.unwrap().as_str(), id);
        let rights = principal.permissions.at(&domain::path::VPath::root());
        assert_eq!(rights.names(), ["list", "download"]);
    }
    let refused = async |name: &str, key: &str| log_in(&accounts, name, key).await.err() == Some(LoginError::Refused);
    assert!(refused("@api-another name", &key).await);
    assert!(refused(&format!("@api-{id}"), &format!("{key}x")).await);
    assert!(refused("partner-one", &key).await);
    // the credential's own checks hold
    world.call("PATCH", &format!("/users/{partner}"), r#"{"State":"inactive"}"#).await.expect(200);
    assert!(refused(&format!("@api-{id}"), &key).await);
    let change = r#"{"State":"active","AllowApiKeyAuth":false}"#;
    world.admin("PATCH", &format!("/users/{partner}"), change).await.expect(200);
    assert!(refused(&format!("@api-{id}"), &key).await);
    world.admin("PATCH", &format!("/users/{partner}"), r#"{"AllowApiKeyAuth":true}"#).await.expect(200);
    assert!(log_in(&accounts, &format!("@api-{id}"), &key).await.is_ok());
    // and the key's
    world.admin("DELETE", &format!("/api-keys/{id}"), "").await.expect(200);
    assert!(refused(&format!("@api-{id}"), &key).await);

    // a site-wide key is the root credential, if its scopes name files
    let (id, key) = make(json!({"Name": "all", "Expiration": "never"})).await;
    assert!(refused(&format!("@api-{id}"), &key).await);
    let limited = json!({"Name": "files", "Expiration": "never", "Permissions": ["read:files", "write:files"]});
    let (id, key) = make(limited).await;
    let principal = log_in(&accounts, &format!("@api-{id}"), &key).await.unwrap();
    assert_eq!(principal.user_name, world.secrets.user);
    // an admin's key is none for files
    let allow = r#"{"filters":{"allow_api_key_auth":true}}"#;
    let token = world.first_admin().await;
    crate::rest::with(&world.router, &token, "PUT", "/api/v2/admins/admin", allow).await.expect(200);
    let admin = json!({"OwnerType": "admin", "OwnerId": "admin", "Name": "a", "Expiration": "30d"});
    let (id, key) = make(admin).await;
    assert!(refused(&format!("@api-{id}"), &key).await);
}
