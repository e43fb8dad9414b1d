//! Signing in, in the API's document.

use crate::openapi::Api;
use crate::openapi::call::{Call, get};
use crate::openapi::shape::{list, one_of, record, text};
use serde_json::json;

const CODE: &str = "The one-time code, or a recovery code, of an account with a second factor.";

pub(crate) fn describe(api: &mut Api) {
    let mut api = api.tag("token", "Signing in: a name and a password for a token that counts for 20 minutes.");
    let token = record()
        .has("access_token", text().about("A JSON Web Token, signed with Ed25519."))
        .has("expires_at", text().format("date-time"))
        .example(json!({ "access_token": "eyJ0eXAiOiJKV1Qi…", "expires_at": "2026-11-22T12:29:26Z" }));
    let token = api.schema("SftpgoToken", token);
    let sign_in =
        |call: Call| call.for_basic().header("X-SFTPGO-OTP", CODE, text()).answers(200, "A token.", token.clone());
    api.call(
        sign_in(get("/api/v2/token", "getAdminToken", "Signs an admin in")).about(
            "Wrong passwords are scored by the defender; after some of them the address is refused for a while.",
        ),
    );
    api.call(
        sign_in(get("/api/v2/user/token", "getUserToken", "Signs a credential in"))
            .about("With the checks of a login over HTTPS: state, expiry, permission, inbound rules, bans."),
    );
    api.call(
        get("/api/v2/logout", "logOutAdmin", "Ends an admin's token")
            .about("At once and everywhere.")
            .for_admins("For an admin's token; API keys get 403.")
            .says(200, "Your token has been invalidated"),
    );
    api.call(
        get("/api/v2/user/logout", "logOutUser", "Ends a credential's token")
            .about("At once and everywhere.")
            .for_users()
            .says(200, "Your token has been invalidated"),
    );
    let key = record()
        .has("kty", one_of(["OKP"]))
        .has("crv", one_of(["Ed25519"]))
        .has("use", one_of(["sig"]))
        .has("alg", one_of(["EdDSA"]))
        .has("kid", text().about("The key's thumbprint (RFC 7638)."))
        .has("x", text());
    let keys = api.schema("JsonWebKeys", record().has("keys", list(key)));
    api.call(get("/.well-known/jwks.json", "getPublicKeys", "Shows the public keys of tokens").answers(
        200,
        "The keys (RFC 7517).",
        keys,
    ));
}
