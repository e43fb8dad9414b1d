//! Two organizations: by no route does one see, change or learn anything of the other.

#![expect(clippy::indexing_slicing, reason = "a test ends at what it did not expect")]

use crate::rest::{sign_in, with};
use crate::support::{World, raw};
use axum::body::to_bytes;
use functions::openapi::document;
use http::StatusCode;
use serde_json::{Value, json};

const PASSWORD: &str = "a long password 1";
/// What every name of the first organization has in it.
const MARK: &str = "ofthefirst";

/// What the first organization has, by the names of segments that lead there.
struct First {
    ids: Vec<String>,
    names: Vec<String>,
}

impl First {
    async fn with_one_of_each(world: &World) -> Self {
        let made = async |path: &str, body: Value| {
            let answer = world.admin("POST", path, &body.to_string()).await;
            assert!(answer.status.is_success(), "{path}: {}", answer.body);
            answer.body["Id"].as_str().unwrap_or_default().to_owned()
        };
        let user = format!("partner-{MARK}");
        let id = made("/users", json!({"UserName": user, "Password": PASSWORD, "Permission": "full"})).await;
        let folder = format!("folder-{MARK}");
        world.own("POST", "/api/v2/folders", &json!({"name": folder}).to_string()).await.expect(201);
        let admin = format!("admin-{MARK}");
        let body = json!({"username": admin, "password": PASSWORD, "status": 1, "permissions": ["view_users"]});
        world.own("POST", "/api/v2/admins", &body.to_string()).await.expect(201);
        let policy = json!([{"path": format!("/{MARK}"), "retention": 1}]).to_string();
        world.admin("PUT", &format!("/users/{id}/retention-policy"), &policy).await.expect(200);
        let ids = vec![
            made("/webhooks", json!({"Url": "https://example.com/hook", "Alias": MARK})).await,
            made("/api-keys", json!({"Name": format!("key-{MARK}")})).await,
            made("/portal-links", json!({"Path": format!("/{MARK}/")})).await,
            made("/quota-scans", json!({})).await,
            world.organization.to_string(),
            id,
        ];
        Self { ids, names: vec![user, folder, admin] }
    }

    /// Everything that a path can be asked with: of each segment each thing that it might name.
    fn paths(&self, world: &World, path: &str) -> Vec<String> {
        let mut paths = vec![path.replace("{organization}", world.organization.as_str())];
        while let Some(open) = paths.iter().position(|path| path.contains('{')) {
            let path = paths.swap_remove(open);
            let (before, rest) = path.split_once('{').unwrap();
            let (_, after) = rest.split_once('}').unwrap();
            let things = self.ids.iter().chain(&self.names);
            paths.extend(things.map(|thing| format!("{before}{thing}{after}")));
        }
        paths
    }

    /// Everything of it that its own admin sees.
    async fn seen(world: &World) -> Vec<Value> {
        let mut seen = Vec::new();
        for list in ["/users", "/webhooks", "/api-keys", "/portal-links"] {
            seen.push(world.admin("GET", list, "").await.expect(200).body);
        }
        for list in ["/api/v2/folders", "/api/v2/admins"] {
            seen.push(world.own("GET", list, "").await.expect(200).body);
        }
        seen.push(world.admin("GET", "", "").await.expect(200).body);
        // looking is a use of a key
        for one in seen.iter_mut().filter_map(Value::as_array_mut).flatten().filter_map(Value::as_object_mut) {
            one.remove("LastUsedAt");
        }
        seen
    }
}

/// The admin and the root credential of another organization.
async fn second(world: &World) -> [String; 2] {
    let secrets = &world.secrets;
    let operator = sign_in(&world.router, "/api/v2/token", &secrets.operator, &secrets.operator_password, None).await;
    let body = json!({"Name": "Second", "AdminUserName": "second-admin", "AdminPassword": PASSWORD, "UserName": "second-root"});
    let operator = operator.expect(200).text("/access_token");
    let made = with(&world.router, &operator, "POST", "/organizations", &body.to_string()).await.expect(201);
    let admin = sign_in(&world.router, "/api/v2/token", "second-admin", PASSWORD, None).await.expect(200);
    let admin = admin.text("/access_token");
    let organization = made.text("/Id");
    let users =
        with(&world.router, &admin, "GET", &format!("/organizations/{organization}/users"), "").await.expect(200);
    let root = format!("/organizations/{organization}/users/{}/credential-rotations", users.text("/0/Id"));
    let body = json!({"Password": PASSWORD}).to_string();
    with(&world.router, &admin, "POST", &root, &body).await.expect(200);
    let user = sign_in(&world.router, "/api/v2/user/token", "second-root", PASSWORD, None).await.expect(200);
    [admin, user.text("/access_token")]
}

/// An answer whatever its kind.
async fn answer(world: &World, token: &str, method: &str, path: &str) -> (StatusCode, String) {
    let authorization = format!("Bearer {token}");
    let answer = raw(&world.router, method, path, "", &[("authorization", &authorization)]).await;
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, 10_000_000).await.unwrap();
    (parts.status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn no_route_shows_or_changes_what_another_organization_has() {
    let world = World::start().await;
    let first = First::with_one_of_each(&world).await;
    let before = First::seen(&world).await;
    assert!(before.iter().all(|one| one.to_string().contains(MARK) || one["Name"] == "Test"), "{before:?}");
    let [admin, user] = second(&world).await;
    let document = document();
    let (mut asked, mut refused) = (0, 0);
    for (path, calls) in document["paths"].as_object().unwrap() {
        // those that need no account, and those that are about the caller's own
        let public = path.starts_with("/api/v2/shares/") || path.ends_with("token") || path.ends_with("logout");
        let own = path.contains("/totp/")
            || path.contains("/2fa/")
            || path.contains("changepwd")
            || path.ends_with("/profile");
        if public || own {
            continue;
        }
        let token = if path.starts_with("/api/v2/user/") { &user } else { &admin };
        for method in calls.as_object().unwrap().keys().map(|method| method.to_uppercase()) {
            let needs_name = path.contains('{');
            for path in first.paths(&world, path) {
                let what = format!("{method} {path}");
                let (status, told) = answer(&world, token, &method, &path).await;
                assert!(!status.is_server_error(), "{what}: {status} {told}");
                // what was asked for may be said again
                let asked_for = path.split('/').filter(|segment| segment.len() > 8);
                let rest = asked_for.fold(told.clone(), |told, known| told.replace(known, ""));
                assert!(!rest.contains(MARK), "{what}: {told}");
                if needs_name {
                    // not there, or not that: never done
                    assert!(status.is_client_error(), "{what}: {status} {told}");
                    refused += 1;
                }
                asked += 1;
            }
        }
    }
    assert!(asked > 500 && refused > 400, "{asked} asked, {refused} refused");
    for (now, before) in First::seen(&world).await.iter().zip(&before) {
        assert_eq!(now, before, "and nothing has changed");
    }
}
