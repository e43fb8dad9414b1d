//! Clients that show a certificate.

use super::client::{Client, Identity, TLS12, TLS13};
use super::{Server, Setup};
use crate::doubles::{Accounts, PASSWORD};
use domain::ssh_key::certificate::{MAX_DER, key_of};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A client's certificate with so many more of the chain, and its key as SSH knows it.
fn identity(more: usize) -> (Identity, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(["partner".to_owned()]).unwrap();
    let certificate: CertificateDer<'static> = made.cert.der().clone();
    let key = key_of(&certificate).unwrap();
    let chain = vec![certificate; more + 1];
    ((chain, PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into())), key)
}

fn server(key: Vec<u8>, both: bool) -> Server {
    Server::with(Setup { accounts: Accounts { key, both }, ..Setup::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_a_known_key_needs_no_password() {
    for version in [TLS12, TLS13] {
        let (identity, key) = identity(0);
        let server = server(key, false);
        let mut client = Client::connect_as(&server, version, identity).await;
        client.secure().await;
        assert_eq!(client.ask("USER ben").await, 331, "somebody else's");
        assert_eq!(client.ask("USER ann").await, 232);
        assert_eq!(client.upload("STOR a", b"x").await, 226, "data connections go on with the same session");
        assert_eq!(client.download("RETR a").await, (226, b"x".to_vec()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_unknown_key_does_no_harm() {
    let server = server(b"another".to_vec(), false);
    let mut client = Client::connect_as(&server, TLS13, identity(0).0).await;
    client.secure().await;
    client.log_in().await;
    assert_eq!(client.upload("STOR a", b"x").await, 226);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_both_are_needed_the_password_follows() {
    let (identity, key) = identity(0);
    let server = server(key, true);
    let mut client = Client::connect_as(&server, TLS13, identity).await;
    client.secure().await;
    assert_eq!(client.ask("USER ann").await, 331);
    assert_eq!(client.ask("PASS wrong").await, 530);
    assert_eq!(client.ask("USER ann").await, 331);
    assert_eq!(client.ask("USER ben").await, 331, "another name takes nothing along");
    assert_eq!(client.ask(&format!("PASS {PASSWORD}")).await, 530);
    client.log_in().await;
    // the password alone is not enough
    let mut client = server.client_before_login().await;
    assert_eq!(client.ask("USER ann").await, 331);
    assert_eq!(client.ask(&format!("PASS {PASSWORD}")).await, 530);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_is_too_large_ends_the_handshake() {
    let (identity, key) = identity(30);
    assert!(identity.0.iter().map(|certificate| certificate.len()).sum::<usize>() > MAX_DER);
    let server = server(key, false);
    let mut client = Client::connect_as(&server, TLS12, identity).await;
    assert_eq!(client.ask("AUTH TLS").await, 234);
    assert!(client.begin_tls().await.is_err());
}
