//! Signing in to the API of the whole system, as scripts do it.

use crate::stack::{Stack, free_ports};
use serde_json::{Value, json};
use tempfile::TempDir;

struct Api<'a>(&'a Stack, reqwest::Client);

impl<'a> Api<'a> {
    fn of(stack: &'a Stack) -> Self {
        Self(stack, reqwest::Client::new())
    }

    async fn token(&self, path: &str, user: &str, password: &str) -> (u16, Value) {
        let url = format!("{}{path}", self.0.get("TOWPATH_API_URL"));
        let answer = self.1.get(url).basic_auth(user, Some(password)).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }

    async fn call(&self, token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}{path}", self.0.get("TOWPATH_API_URL"));
        let request = self.1.request(method.parse().unwrap(), url).bearer_auth(token).body(body.to_string());
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }
}

fn text(answer: &(u16, Value), name: &str) -> String {
    answer.1[name].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

#[tokio::test]
async fn admins_and_credentials_sign_in_and_tokens_survive_a_restart() {
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("state");
    let stack = Stack::start_on(&state, free_ports());
    let api = Api::of(&stack);
    let (admin, password) = (stack.get("TOWPATH_ADMIN_USER"), stack.get("TOWPATH_ADMIN_PASSWORD"));
    let token = text(&api.token("/api/v2/token", admin, password).await, "access_token");
    let users = format!("/organizations/{}/users", stack.get("TOWPATH_ORGANIZATION_ID"));
    assert_eq!(api.call(&token, "GET", &users, &Value::Null).await.0, 200);
    assert_eq!(api.token("/api/v2/token", admin, "wrong").await.0, 401);
    let ana = json!({"username": "ana", "password": "a long password of ana", "permissions": ["view_conns"]});
    assert_eq!(api.call(&token, "POST", "/api/v2/admins", &ana).await.0, 201);
    let anas = text(&api.token("/api/v2/token", "ana", "a long password of ana").await, "access_token");
    assert_eq!(api.call(&anas, "GET", "/api/v2/connections", &Value::Null).await.0, 200);
    assert_eq!(api.call(&anas, "GET", &users, &Value::Null).await.0, 403);
    let (user, password) = (stack.get("TOWPATH_USER"), stack.get("TOWPATH_PASSWORD"));
    let users_token = text(&api.token("/api/v2/user/token", user, password).await, "access_token");
    assert_eq!(api.call(&users_token, "GET", "/api/v2/user/profile", &Value::Null).await.0, 200);
    assert_eq!(api.call(&anas, "GET", "/api/v2/logout", &Value::Null).await.0, 200);
    let keys = api.call(&token, "GET", "/.well-known/jwks.json", &Value::Null).await.1;
    let port_base = stack.port_base;
    assert!(stack.stop().0, "it did not stop cleanly");

    let stack = Stack::start_on(&state, port_base);
    let api = Api::of(&stack);
    assert_eq!(api.call(&token, "GET", "/.well-known/jwks.json", &Value::Null).await.1, keys);
    assert_eq!(api.call(&token, "GET", &users, &Value::Null).await.0, 200);
    assert_eq!(api.call(&anas, "GET", "/api/v2/connections", &Value::Null).await.0, 401, "a logout is forgotten");
}
