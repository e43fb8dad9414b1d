//! Dialect B with tokens, for the tests of tokens, admins and second factors.

use crate::support::{Answer, World, send};
use axum::Router;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use functions::http::auth::PeerAddress;
use serde_json::{Value, json};

/// `Authorization: Basic`.
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// The router as clients at an address see it.
pub(crate) fn at(world: &World, address: &str) -> Router {
    world.router.clone().layer(axum::Extension(PeerAddress(address.parse().unwrap())))
}

/// Asks for a token.
pub(crate) async fn sign_in(router: &Router, path: &str, user: &str, password: &str, code: Option<&str>) -> Answer {
    let authorization = basic(user, password);
    let mut headers = vec![("authorization", authorization.as_str())];
    headers.extend(code.map(|code| ("x-sftpgo-otp", code)));
    send(router, "GET", path, "", &headers).await
}

/// Shows a token.
pub(crate) async fn with(router: &Router, token: &str, method: &str, path: &str, body: &str) -> Answer {
    let authorization = format!("Bearer {token}");
    send(router, method, path, body, &[("authorization", &authorization)]).await
}

impl World {
    /// A token of an admin.
    pub(crate) async fn admin_token(&self, user: &str, password: &str) -> String {
        sign_in(&self.router, "/api/v2/token", user, password, None).await.expect(200).text("/access_token")
    }

    /// A token of the first admin.
    pub(crate) async fn first_admin(&self) -> String {
        self.admin_token("admin", &self.secrets.admin_password).await
    }

    /// A token of a credential.
    pub(crate) async fn user_token(&self, user: &str, password: &str) -> String {
        sign_in(&self.router, "/api/v2/user/token", user, password, None).await.expect(200).text("/access_token")
    }

    /// Calls dialect B with a token.
    pub(crate) async fn b(&self, token: &str, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        with(&self.router, token, method, &format!("/api/v2{path}"), &body).await
    }

    /// Makes an admin with these permissions and signs it in.
    pub(crate) async fn made_admin(&self, name: &str, permissions: &[&str]) -> String {
        let body = json!({"username": name, "password": PASSWORD, "status": 1, "permissions": permissions});
        self.b(&self.first_admin().await, "POST", "/admins", &body).await.expect(201);
        self.admin_token(name, PASSWORD).await
    }
}

/// The password of [`World::made_admin`].
pub(crate) const PASSWORD: &str = "a long password of an admin 1";
