//! Wrong passwords lead to bans, and nobody else is locked out by them.

use crate::support::{World, send};
use app::accounts::{Accounts, Attempt, LoginError, Proof};
use domain::event::{Origin, Protocol};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

const RIGHT: &str = "a long password 1";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

async fn try_from(accounts: &Accounts, address: &str, user: &str, password: &str) -> Result<(), LoginError> {
    let proof = Proof::Password(Zeroizing::new(password.to_owned()));
    show(accounts, address, user, proof).await
}

async fn show(accounts: &Accounts, address: &str, user: &str, proof: Proof) -> Result<(), LoginError> {
    let client_ip = address.parse().unwrap();
    let origin = Origin { protocol: Protocol::Sftp, client_ip, session_id: "s".into() };
    accounts.log_in(Attempt { user: user.to_owned(), proof, origin }).await.map(|_| ())
}

async fn partner(world: &World, name: &str) -> String {
    let body = json!({"UserName": name, "Password": RIGHT, "Permission": "full"});
    world.call("POST", "/users", &body.to_string()).await.expect(201).text("/Id")
}

async fn hosts(world: &World, method: &str, path: &str) -> (u16, Value) {
    let authorization = format!("Bearer {}", world.secrets.api_key.as_str());
    let path = format!("/api/v2/defender/hosts{path}");
    let answer = send(&world.router, method, &path, "", &[("authorization", &authorization)]).await;
    (answer.status.as_u16(), answer.body)
}

#[tokio::test]
async fn a_credential_is_banned_at_the_address_of_wrong_passwords_and_nowhere_else() {
    let world = World::start().await;
    let accounts = world.defended();
    let id = partner(&world, "partner-one").await;
    partner(&world, "partner-two").await;
    for _ in 0..9 {
        assert!(try_from(&accounts, "203.0.113.7", "partner-one", "wrong").await.is_err());
    }
    assert_eq!(
        hosts(&world, "GET", "").await.1,
        json!([{"id": "3230332e302e3131332e37", "ip": "203.0.113.7", "score": 9}])
    );
    assert!(try_from(&accounts, "203.0.113.7", "partner-one", "wrong").await.is_err());
    // the right password does not help any more, the log says why
    assert_eq!(try_from(&accounts, "203.0.113.7", "partner-one", RIGHT).await, Err(LoginError::Refused));
    // somebody else behind the same address, and the same one elsewhere
    assert_eq!(try_from(&accounts, "203.0.113.7", "partner-two", RIGHT).await, Ok(()));
    assert_eq!(try_from(&accounts, "203.0.113.8", "partner-one", RIGHT).await, Ok(()));
    // a public key is no guess
    let keys = format!("/users/{id}/ssh-public-keys");
    world.call("POST", &keys, &json!({"SshPublicKeyBody": KEY}).to_string()).await.expect(201);
    let blob = domain::ssh_key::parse(KEY).unwrap().blob;
    assert_eq!(show(&accounts, "203.0.113.7", "partner-one", Proof::PublicKey(blob)).await, Ok(()));
    // another node knows it at once
    let other = world.defended();
    let began = Instant::now();
    while try_from(&other, "203.0.113.7", "partner-one", RIGHT).await.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(5));
    }

    let (_, listed) = hosts(&world, "GET", "").await;
    assert!(listed[0]["ban_time"].as_str().unwrap().ends_with('Z') && listed[0].get("score").is_none(), "{listed}");
    assert_eq!(hosts(&world, "GET", "/3230332e302e3131332e37").await.1, listed[0]);
    assert_eq!(hosts(&world, "DELETE", "/203.0.113.9").await.0, 404);
    assert_eq!(hosts(&world, "DELETE", "/3230332e302e3131332e37").await.0, 200);
    let began = Instant::now();
    while try_from(&accounts, "203.0.113.7", "partner-one", RIGHT).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(10), "still banned");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(hosts(&world, "GET", "").await.1, json!([]));
}

#[tokio::test]
async fn who_tries_many_names_is_banned_as_a_whole() {
    let world = World::start().await;
    let accounts = world.defended();
    partner(&world, "partner-one").await;
    for at in 0..10 {
        let address = format!("2001:db8:1:2::{at}");
        assert!(try_from(&accounts, &address, &format!("guess-{at}"), "wrong").await.is_err());
    }
    assert!(try_from(&accounts, "2001:db8:1:2::ffff", "partner-one", RIGHT).await.is_err(), "the /64 is one host");
    assert!(try_from(&accounts, "2001:db8:1:3::1", "partner-one", RIGHT).await.is_ok());
    // that is nobody's organization
    assert_eq!(hosts(&world, "GET", "").await.1, json!([]));
}

#[tokio::test]
async fn an_address_that_is_known_is_slowed_down_and_not_locked_out() {
    let world = World::start().await;
    let accounts = world.defended();
    partner(&world, "partner-one").await;
    try_from(&accounts, "198.51.100.1", "partner-one", RIGHT).await.unwrap();
    let began = Instant::now();
    // the login is noted beside it
    while !world
        .scores
        .is_trusted(domain::defender::Host::parse("198.51.100.1").unwrap(), store::clock::now())
        .await
        .unwrap()
    {
        assert!(began.elapsed() < Duration::from_secs(5));
    }
    for at in 0..10 {
        assert!(try_from(&accounts, "198.51.100.1", &format!("guess-{at}"), "wrong").await.is_err());
    }
    let began = Instant::now();
    let mut refused = 0;
    for _ in 0..3 {
        while try_from(&accounts, "198.51.100.1", "partner-one", RIGHT).await.is_err() {
            refused += 1;
            assert!(began.elapsed() < Duration::from_secs(20), "locked out");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    assert!(began.elapsed() >= Duration::from_secs(9) && refused > 10, "three passwords in {:?}", began.elapsed());
}

#[tokio::test]
async fn private_addresses_are_never_scored() {
    let world = World::start().await;
    let accounts = world.defended();
    partner(&world, "partner-one").await;
    for address in ["10.0.0.1", "127.0.0.1", "fd00::1"] {
        for _ in 0..25 {
            assert!(try_from(&accounts, address, "partner-one", "wrong").await.is_err());
        }
        assert_eq!(try_from(&accounts, address, "partner-one", RIGHT).await, Ok(()));
    }
}
