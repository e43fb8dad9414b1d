//! SSH keys in the API's document.

use crate::openapi::Tagged;
use crate::openapi::call::{Call, delete, get, post};
use crate::openapi::shape::{one_of, record, text, time};
use crate::openapi::values::{credential_id, uuid};
use domain::right::Right;
use serde_json::json;

const ALL: &str = "/organizations/{organization}/users/{id}/ssh-public-keys";

pub(crate) fn describe_in(api: &mut Tagged<'_>) {
    let key = record()
        .has("Id", uuid())
        .has("UserId", credential_id())
        .has("Type", one_of(["ed25519", "ecdsa", "rsa"]))
        .has("Fingerprint", text())
        .has("Comment", text())
        .has("SshPublicKeyBody", text())
        .has("CreatedAt", time())
        .has("UpdatedAt", time())
        .example(json!({ "Id": "97285e07-09fd-42de-a1d0-997a0818310a", "UserId": "4ddb2ea265b8eaf7685b4e125a1292", "Type": "rsa",
            "Fingerprint": "SHA256:RcoHnamHrApC", "Comment": "ladybug@Ladybugs-MacBook-Pro.local",
            "SshPublicKeyBody": "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDS2KBmXgE...",
            "CreatedAt": 1_617_354_664_883_i64, "UpdatedAt": 1_617_354_664_883_i64 }));
    let key = api.schema("SshPublicKey", key);
    let of = |call: Call| call.segment("id", "The credential.", credential_id());

    api.call(
        of(get(ALL, "listSshPublicKeys", "Lists a credential's SSH keys"))
            .needs(Right::SeeCredentials)
            .answers_list("All of them, at most 50.", key.clone()),
    );
    let body = text().about("One line as OpenSSH writes it, or a certificate in PEM, whose key is kept.");
    api.call(
        of(post(ALL, "addSshPublicKey", "Adds an SSH key to a credential"))
            .about("Ed25519, ECDSA, or RSA of 2,048 to 16,384 bits. The same key twice, or a 51st, is a 409.")
            .needs(Right::ChangeCredentials)
            .takes(record().has("SshPublicKeyBody", body), true)
            .answers(201, "The key.", key.clone())
            .once(),
    );
    api.call(
        of(delete(
            "/organizations/{organization}/users/{id}/ssh-public-keys/{key}",
            "removeSshPublicKey",
            "Removes an SSH key",
        ))
        .segment("key", "The key.", uuid())
        .needs(Right::ChangeCredentials)
        .answers(200, "The key as it was.", key),
    );
}
