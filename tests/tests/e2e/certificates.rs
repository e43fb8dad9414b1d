//! Logging in to FTPS with a certificate, as curl and lftp do it.

use crate::accounts::Api;
use crate::clients::{run, text};
use crate::ftps::{Begin, Ftps};
use crate::stack::Stack;
use serde_json::json;
use std::fs;
use std::path::PathBuf;

/// A partner's key and certificate as files; the certificate's text.
fn make(client: &Ftps<'_>, name: &str) -> (PathBuf, PathBuf, String) {
    let made = rcgen::generate_simple_self_signed([format!("{name}.example")]).unwrap();
    let (certificate, key) = (client.path(&format!("{name}.pem")), client.path(&format!("{name}.key")));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (certificate, key, made.cert.pem())
}

#[tokio::test]
async fn a_certificate_logs_in_as_its_key_does_in_ssh() {
    let stack = Stack::start();
    let api = Api::of(&stack);
    let ana = api.made("/users", json!({"UserName": "ana-partner", "Permission": "read-write"})).await;
    let (id, password) = (ana["Id"].as_str().unwrap(), ana["Password"].as_str().unwrap());
    let without = Ftps::new(&stack, "ana-partner", "");
    let with_password = Ftps::new(&stack, "ana-partner", password);
    let (certificate, key, pem) = make(&without, "ana");
    let (other, other_key, _) = make(&without, "eve");
    fs::write(without.path("a"), "12345").unwrap();
    fs::write(with_password.path("a"), "12345").unwrap();
    let curl = |client: &Ftps<'_>, begin, certificate: &PathBuf, key: &PathBuf| {
        let mut command = client.curl(begin, "a");
        command.arg("--cert").arg(certificate).arg("--key").arg(key).args(["-T", "a"]);
        let output = run(command);
        (output.status.success(), text(&output))
    };
    let refused = |(ok, said): (bool, String)| assert!(!ok && said.contains("530"), "{said}");

    refused(curl(&without, Begin::Explicit, &certificate, &key));
    let path = format!("/users/{id}/ssh-public-keys");
    let registered = api.made(&path, json!({"SshPublicKeyBody": pem})).await;
    assert_eq!(registered["Type"], "ecdsa");
    assert!(registered["SshPublicKeyBody"].as_str().unwrap().starts_with("ecdsa-sha2-nistp256 "), "{registered}");
    for begin in [Begin::Explicit, Begin::Implicit] {
        let (ok, said) = curl(&without, begin, &certificate, &key);
        assert!(ok, "{begin:?}: {said}");
    }
    let settings = format!("set ssl:cert-file {}; set ssl:key-file {};", certificate.display(), key.display());
    without.lftp_ok(Begin::Explicit, &settings, "put a -o b; cat b; mv b c; rm c");
    // another certificate is no proof, and no obstacle
    refused(curl(&without, Begin::Explicit, &other, &other_key));
    assert!(curl(&with_password, Begin::Explicit, &other, &other_key).0);

    api.changed(&format!("/users/{id}"), json!({"KeyAndPassword": true})).await;
    refused(curl(&without, Begin::Explicit, &certificate, &key));
    refused(curl(&with_password, Begin::Explicit, &other, &other_key));
    let (ok, said) = curl(&with_password, Begin::Explicit, &certificate, &key);
    assert!(ok, "{said}");

    let removed = format!("{path}/{}", registered["Id"].as_str().unwrap());
    assert_eq!(api.call("DELETE", &removed, None).await.0, 200);
    refused(curl(&with_password, Begin::Explicit, &certificate, &key));
}
