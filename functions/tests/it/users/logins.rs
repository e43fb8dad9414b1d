//! What of a credential counts when it logs in, or changes its own account.

use super::{KEY, OTHER_KEY, PASSWORD, blob, by_password};
use crate::rest::{at, sign_in};
use crate::support::{World, send};
use app::accounts::{LoginError, Proof};
use domain::event::Protocol;
use serde_json::{Value, json};
use zeroize::Zeroizing;

#[tokio::test]
async fn addresses_doors_and_ways_to_log_in_are_denied() {
    let world = World::start().await;
    world.new_user(&json!({"public_keys": [KEY]})).await.expect(201);
    let filters = async |filters: Value| world.user("PUT", "ana", &json!({ "filters": filters })).await.expect(200);
    let password = async |protocol, ip: &str| world.log_in_at(protocol, ip, by_password()).await.map(drop);
    let key = async |protocol| world.log_in_at(protocol, "192.0.2.1", Proof::PublicKey(blob())).await.map(drop);
    let both = async |protocol, key| {
        let proof = Proof::KeyAndPassword { key, password: Zeroizing::new(PASSWORD.to_owned()) };
        world.log_in_at(protocol, "192.0.2.1", proof).await.map(drop)
    };
    let refused = Err(LoginError::Refused);
    // the organization lets everybody in: that is not enough for who is not among those that may come
    filters(json!({"allowed_ip": ["192.0.2.0/24"], "denied_ip": ["192.0.2.7"]})).await;
    assert_eq!(password(Protocol::Sftp, "192.0.2.1").await, Ok(()));
    assert_eq!(password(Protocol::Sftp, "192.0.2.7").await, refused);
    assert_eq!(password(Protocol::Ftps, "198.51.100.1").await, refused);
    let token = async |ip: &str| sign_in(&at(&world, ip), "/api/v2/user/token", "ana", PASSWORD, None).await;
    let held = token("192.0.2.1").await.expect(200).text("/access_token");
    token("198.51.100.1").await.expect(401);
    let bearer = format!("Bearer {held}");
    let profile = async |ip: &str| {
        send(&at(&world, ip), "GET", "/api/v2/user/profile", "", &[("authorization", &bearer)]).await.status.as_u16()
    };
    assert_eq!((profile("192.0.2.1").await, profile("198.51.100.1").await), (200, 401));

    filters(json!({"allowed_ip": [], "denied_ip": [], "denied_protocols": ["SSH", "HTTP"]})).await;
    assert_eq!(password(Protocol::Sftp, "192.0.2.1").await, refused);
    assert_eq!(key(Protocol::Sftp).await, refused);
    assert_eq!(password(Protocol::Ftps, "192.0.2.1").await, Ok(()));
    token("192.0.2.1").await.expect(401);

    filters(json!({"denied_protocols": [], "denied_login_methods": ["password-over-SSH"]})).await;
    assert_eq!(password(Protocol::Sftp, "192.0.2.1").await, refused);
    assert_eq!((key(Protocol::Sftp).await, password(Protocol::Ftps, "192.0.2.1").await), (Ok(()), Ok(())));
    token("192.0.2.1").await.expect(200);

    filters(json!({"denied_login_methods": ["publickey", "password", "publickey+keyboard-interactive"]})).await;
    assert_eq!(password(Protocol::Sftp, "192.0.2.1").await, refused);
    assert_eq!(key(Protocol::Sftp).await, Err(LoginError::PasswordToo));
    assert_eq!(both(Protocol::Sftp, blob()).await, Ok(()));
    let other = domain::ssh_key::parse(OTHER_KEY).unwrap().blob;
    assert_eq!(both(Protocol::Sftp, other).await, refused, "a key that is not its own");
    assert_eq!(key(Protocol::Ftps).await, Ok(()), "a certificate is not named");
    token("192.0.2.1").await.expect(401);

    filters(json!({"denied_login_methods": ["publickey", "password", "publickey+password"]})).await;
    assert_eq!((key(Protocol::Sftp).await, both(Protocol::Sftp, blob()).await), (refused, refused));
}

#[tokio::test]
async fn what_the_holder_may_not_change_stays() {
    let world = World::start().await;
    let options = ["password-change-disabled", "publickey-change-disabled"];
    world.new_user(&json!({"filters": {"web_client": options}})).await.expect(201);
    let token = world.user_token("ana", PASSWORD).await;
    let change = json!({"current_password": PASSWORD, "new_password": "another long password 2"});
    let refused = world.b(&token, "PUT", "/user/changepwd", &change).await.expect(403);
    assert!(refused.text("/message").contains("password-change-disabled"));
    world.b(&token, "PUT", "/user/publickeys", &json!([KEY])).await.expect(403);
    world.user("PUT", "ana", &json!({"filters": {"web_client": []}})).await.expect(200);
    let token = world.user_token("ana", PASSWORD).await;
    world.b(&token, "PUT", "/user/publickeys", &json!([KEY])).await.expect(200);
    world.b(&token, "PUT", "/user/changepwd", &change).await.expect(200);
}

#[tokio::test]
async fn who_has_no_password_logs_in_with_a_key() {
    let world = World::start().await;
    let body = json!({"username": "ana", "permissions": {"/": ["*"]}, "public_keys": [KEY], "password": ""});
    let made = world.own("POST", "/api/v2/users", &body.to_string()).await.expect(201);
    assert_eq!((&made.body["has_password"], &made.body["status"]), (&json!(false), &json!(1)));
    let key = Proof::PublicKey(blob());
    assert!(world.log_in_at(Protocol::Sftp, "192.0.2.1", key).await.is_ok());
    let empty = Proof::Password(Zeroizing::default());
    assert_eq!(world.log_in_at(Protocol::Sftp, "192.0.2.1", empty).await.err(), Some(LoginError::Refused));
    world.user("PUT", "ana", &json!({"password": PASSWORD})).await.expect(200);
    assert!(world.log_in_at(Protocol::Sftp, "192.0.2.1", by_password()).await.is_ok());
    // an absent, a null and an empty one keep it
    for body in [json!({"email": "a@example.com"}), json!({"password": null}), json!({"password": ""})] {
        world.user("PUT", "ana", &body).await.expect(200);
        assert!(world.log_in_at(Protocol::Sftp, "192.0.2.1", by_password()).await.is_ok());
    }
}
