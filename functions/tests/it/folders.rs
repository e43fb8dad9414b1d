//! Virtual folders: dialect B describes them, credentials name them, logins see them.

use crate::support::{Answer, World, send};
use app::accounts::{Attempt, Proof};
use domain::event::{Origin, Protocol};
use domain::path::{Located, VPath};
use serde_json::{Value, json};
use zeroize::Zeroizing;

impl World {
    /// Dialect B with the site-wide key.
    pub(crate) async fn own(&self, method: &str, path: &str, body: &str) -> Answer {
        let key = self.secrets.api_key.as_str();
        send(&self.router, method, path, body, &[("x-sftpgo-api-key", key)]).await
    }

    /// An admin of another organization.
    pub(crate) async fn as_stranger(&self, method: &str, path: &str, body: &str) -> Answer {
        send(&self.stranger(), method, path, body, &[]).await
    }
}

/// Where a path of a credential leads at a login.
async fn leads(world: &World, user: &str, password: &str, at: &str) -> Option<String> {
    let proof = Proof::Password(Zeroizing::new(password.to_owned()));
    let origin = Origin { protocol: Protocol::Sftp, client_ip: "192.0.2.1".parse().unwrap(), session_id: "s".into() };
    let login = world.accounts().log_in(Attempt { user: user.into(), proof, origin }).await.unwrap();
    match login.principal.chroot.locate(&VPath::parse(at).unwrap()).unwrap() {
        Located::Inside(location) => Some(location.tree_path().to_string()),
        Located::Above(_) | Located::Nowhere => None,
    }
}

#[tokio::test]
async fn folders_are_made_changed_and_deleted() {
    let world = World::start().await;
    let body = json!({
        "name": "inbox", "mapped_path": "/shared/in", "description": "from partners",
        "filesystem": {"provider": 0, "osconfig": {}}, "something": [1]
    });
    let made = world.own("POST", "/api/v2/folders", &body.to_string()).await.expect(201);
    assert_eq!(made.header("location"), "/api/v2/folders/inbox");
    let expected = json!({
        "id": made.body["id"], "name": "inbox", "mapped_path": "/shared/in", "description": "from partners",
        "used_quota_size": 0, "used_quota_files": 0, "last_quota_update": 0, "users": [],
        "filesystem": {"provider": 0, "osconfig": {}}, "something": [1]
    });
    assert_eq!(made.body, expected);
    assert!(made.body["id"].as_i64() > Some(0));
    world.own("POST", "/api/v2/folders", &body.to_string()).await.expect(409);
    assert_eq!(world.own("GET", "/api/v2/folders/inbox", "").await.expect(200).body, expected);
    // read, changed and written back loses nothing
    let mut changed = expected.clone();
    changed["description"] = json!("changed");
    let said = world.own("PUT", "/api/v2/folders/inbox", &changed.to_string()).await.expect(200);
    assert_eq!(said.body, json!({"message": "Folder updated"}));
    assert_eq!(world.own("GET", "/api/v2/folders/inbox", "").await.expect(200).body, changed);

    world.own("POST", "/api/v2/folders", r#"{"name": "a-default"}"#).await.expect(201);
    let names = async |query: &str| {
        let all = world.own("GET", &format!("/api/v2/folders{query}"), "").await.expect(200).body;
        all.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["a-default", "inbox"]);
    assert_eq!(names("?order=DESC&limit=1").await, ["inbox"]);
    assert_eq!(names("?offset=1").await, ["inbox"]);
    let default = world.own("GET", "/api/v2/folders/a-default", "").await.expect(200).body;
    assert_eq!(
        (&default["mapped_path"], &default["filesystem"]),
        (&json!("/folders/a-default"), &json!({"provider": 0}))
    );

    for (body, field) in [
        (r#"{"name": "a b"}"#, "name"),
        (r#"{"mapped_path": "/x"}"#, "name"),
        (r#"{"name": "x", "mapped_path": "/a/\u0000"}"#, "mapped_path"),
        (r#"{"name": "x", "mapped_path": 1}"#, "mapped_path"),
        (r#"{"name": "x", "filesystem": {"provider": 1}}"#, "filesystem"),
    ] {
        let refused = world.own("POST", "/api/v2/folders", body).await.expect(400);
        assert!(refused.text("/message").contains(field), "{}", refused.body);
    }
    let much = json!({"name": "x", "kept": "k".repeat(20_000)}).to_string();
    world.own("POST", "/api/v2/folders", &much).await.expect(400);
    for query in ["?limit=0", "?limit=501", "?offset=-1", "?order=asc"] {
        world.own("GET", &format!("/api/v2/folders{query}"), "").await.expect(400);
    }
    let said = world.own("DELETE", "/api/v2/folders/inbox", "").await.expect(200);
    assert_eq!(said.body, json!({"message": "Folder deleted"}));
    for method in ["GET", "DELETE"] {
        world.own(method, "/api/v2/folders/inbox", "").await.expect(404);
    }
}

#[tokio::test]
async fn what_is_kept_may_be_any_json() {
    let world = World::start().await;
    // numbers and names that a table would refuse
    let kept = json!({"tiny": 2.2e-309, "large": 1.5e300, "long": u64::MAX, "": {"": [[], {}, "", null]}});
    let mut body = json!({"name": "odd"});
    body.as_object_mut().unwrap().insert("kept".to_owned(), kept.clone());
    assert_eq!(world.own("POST", "/api/v2/folders", &body.to_string()).await.expect(201).body["kept"], kept);
    assert_eq!(world.own("GET", "/api/v2/folders/odd", "").await.expect(200).body["kept"], kept);
}

#[tokio::test]
async fn a_credential_sees_the_folders_that_it_names_until_they_are_deleted() {
    let world = World::start().await;
    for (name, tree) in [("inbox", "/shared/in"), ("outbox", "/shared/out")] {
        let body = json!({"name": name, "mapped_path": tree});
        world.own("POST", "/api/v2/folders", &body.to_string()).await.expect(201);
    }
    let mounted =
        |name: &str, at: &str| json!({"Name": name, "VirtualPath": at, "QuotaSize": null, "QuotaFiles": null});
    let body =
        json!({"UserName": "ana-partner", "Password": "a long password", "VirtualFolders": [mounted("inbox", "/in")]});
    let ana = world.call("POST", "/users", &body.to_string()).await.expect(201);
    assert_eq!(ana.body["VirtualFolders"], json!([mounted("inbox", "/in")]));
    let id = ana.text("/Id");
    let leads = async |at: &str| leads(&world, "ana-partner", "a long password", at).await.unwrap();
    assert_eq!(leads("/in/x").await, "/shared/in/x");
    assert_eq!(leads("/out/x").await, "/home/ana-partner/out/x");

    let patch = async |folders: Value| {
        world.call("PATCH", &format!("/users/{id}"), &json!({"VirtualFolders": folders}).to_string()).await
    };
    patch(json!([mounted("inbox", "/in"), mounted("outbox", "/out")])).await.expect(200);
    assert_eq!(leads("/out/x").await, "/shared/out/x");
    for (folders, problem) in [
        (json!([mounted("nothing", "/x")]), "no folder nothing"),
        (json!([mounted("inbox", "/")]), "home"),
        (json!([mounted("inbox", "/x"), mounted("outbox", "/x")]), "/x"),
        (json!([{"Name": "inbox"}]), "is needed"),
        (json!("inbox"), "list"),
    ] {
        let refused = patch(folders).await.expect(400);
        assert!(refused.body.to_string().contains(problem), "{}", refused.body);
    }
    let shown = world.own("GET", "/api/v2/folders/inbox", "").await.expect(200);
    assert_eq!(shown.body["users"], json!(["ana-partner"]));

    let moved = json!({"mapped_path": "/elsewhere"});
    world.own("PUT", "/api/v2/folders/outbox", &moved.to_string()).await.expect(200);
    assert_eq!(leads("/out/x").await, "/elsewhere/x");
    world.own("DELETE", "/api/v2/folders/inbox", "").await.expect(200);
    assert_eq!(leads("/in/x").await, "/home/ana-partner/in/x");
    let left = world.call("GET", &format!("/users/{id}"), "").await.expect(200);
    assert_eq!(left.body["VirtualFolders"], json!([mounted("outbox", "/out")]));
}

#[tokio::test]
async fn folders_of_others_do_not_exist() {
    let world = World::start().await;
    world.own("POST", "/api/v2/folders", r#"{"name": "inbox"}"#).await.expect(201);
    for (method, path, body) in [
        ("GET", "/api/v2/folders/inbox", ""),
        ("PUT", "/api/v2/folders/inbox", "{}"),
        ("DELETE", "/api/v2/folders/inbox", ""),
    ] {
        world.as_stranger(method, path, body).await.expect(404);
    }
    assert_eq!(world.as_stranger("GET", "/api/v2/folders", "").await.expect(200).body, json!([]));
}
