//! Folders that are copied, and large ones that are deleted: by jobs.

use super::{User, World};
use serde_json::{Value, json};

impl User<'_> {
    /// The job that an answer names, as it is now.
    async fn job(&self, id: &str) -> Value {
        self.call("GET", &format!("/jobs/{id}"), Value::Null).await.expect(200).body
    }
}

#[tokio::test]
async fn a_folder_is_copied_with_everything_in_it() {
    let world = World::start().await;
    let user = world.files_of("ana-partner", json!({})).await;
    for (path, body) in
        [("/in/a.txt", "a"), ("/in/deep/b.txt", "bb"), ("/in/deep/er/c d.txt", "ccc"), ("/out/a.txt", "old")]
    {
        assert_eq!(user.put(&format!("{}&mkdir_parents=true", path.replace(' ', "%20")), body.as_bytes()).await, 201);
    }
    user.call("POST", "/dirs?path=/in/empty", Value::Null).await.expect(201);
    let begun = user.call("POST", "/file-actions/copy?path=/in&target=/out", Value::Null).await.expect(202);
    let id = begun.text("/job");
    assert_eq!(begun.header("location"), format!("/api/v2/user/jobs/{id}"));
    assert_eq!(user.job(&id).await["state"], "Queued");
    // the same once more has to wait, and nobody else sees it
    user.call("POST", "/file-actions/copy?path=/in&target=/out", Value::Null).await.expect(409);
    let other = world.files_of("bob-partner", json!({})).await;
    other.call("GET", &format!("/jobs/{id}"), Value::Null).await.expect(404);
    assert_eq!(world.housekeep().await, 1);
    let job = user.job(&id).await;
    assert_eq!(
        (&job["state"], &job["files"], &job["size"], &job["result"]),
        (&json!("Succeeded"), &json!(3), &json!(6), &json!("files: 3, bytes: 6"))
    );
    assert_eq!(user.get("/out/a.txt").await.unwrap().1, b"a");
    assert_eq!(user.get("/out/deep/er/c%20d.txt").await.unwrap().1, b"ccc");
    assert_eq!(user.names("/out").await, ["a.txt", "deep", "empty"]);
    assert_eq!(user.names("/in").await, ["a.txt", "deep", "empty"], "what was copied is still there");
    // it is the organization's job, too
    let shown = world.our("GET", &format!("/jobs/{id}")).await.expect(200).body;
    assert_eq!((&shown["Kind"], &shown["Subject"]["Path"]), (&json!("CopyFolder"), &json!("/in")));
}

#[tokio::test]
async fn what_cannot_be_copied_is_refused_or_told() {
    let world = World::start().await;
    let body =
        json!({"username": "cy", "password": super::PASSWORD, "permissions": {"/": ["*"], "/to/locked": ["list"]}});
    world.own("POST", "/api/v2/users", &body.to_string()).await.expect(201);
    let user = User { id: String::new(), token: world.user_token("cy", super::PASSWORD).await, world: &world };
    assert_eq!(user.put("/in/a&mkdir_parents=true", b"a").await, 201);
    assert_eq!(user.put("/in/locked/b&mkdir_parents=true", b"b").await, 201);
    let copy = |to: &str| format!("/file-actions/copy?path=/in&target={to}");
    user.call("POST", &copy("/in/deeper"), Value::Null).await.expect(400);
    user.call("POST", &copy("/in"), Value::Null).await.expect(400);
    assert_eq!(user.put("/file", b"f").await, 201);
    user.call("POST", &copy("/file"), Value::Null).await.expect(409);
    user.call("POST", "/file-actions/copy?path=/nothing&target=/x", Value::Null).await.expect(404);
    let id = user.call("POST", &copy("/to"), Value::Null).await.expect(202).text("/job");
    world.housekeep().await;
    let job = user.job(&id).await;
    assert_eq!((&job["state"], &job["files"]), (&json!("Failed"), &json!(1)), "{job}");
    assert_eq!(job["result"], "files: 1, bytes: 1; could not be done: 1, the first /in/locked/b: permission denied");
    assert_eq!(user.names("/to").await, ["a", "locked"]);
}

#[tokio::test]
async fn a_large_folder_is_deleted_after_the_answer() {
    let world = World::start().await;
    let user = world.files_of("ana-partner", json!({})).await;
    for at in 0..510 {
        world.drop_in(&format!("home/ana-partner/in/d{}/f{at}", at % 3), 3).await;
    }
    user.call("POST", "/dirs?path=/in/empty", Value::Null).await.expect(201);
    user.call("POST", "/dirs?path=/in/empty/er", Value::Null).await.expect(201);
    assert_eq!(user.put("/keep", b"kept").await, 201);
    let begun = user.call("DELETE", "/dirs?path=/in", Value::Null).await.expect(202);
    assert_eq!(user.names("/in").await.len(), 4, "nothing has gone yet");
    world.housekeep().await;
    let job = user.job(&begun.text("/job")).await;
    assert_eq!((&job["state"], &job["files"], &job["size"]), (&json!("Succeeded"), &json!(510), &json!(1530)), "{job}");
    assert_eq!(user.names("/").await, ["keep"]);
    // a small one at once
    assert_eq!(user.put("/small/a&mkdir_parents=true", b"a").await, 201);
    user.call("DELETE", "/dirs?path=/small", Value::Null).await.expect(200);
}

#[tokio::test]
async fn a_job_may_do_no_more_than_its_credential_when_it_is_done() {
    let world = World::start().await;
    let user = world.files_of("ana-partner", json!({})).await;
    assert_eq!(user.put("/in/a&mkdir_parents=true", b"a").await, 201);
    let id = user.call("POST", "/file-actions/copy?path=/in&target=/out", Value::Null).await.expect(202).text("/job");
    let change = json!({"Permission": "read-only"}).to_string();
    world.call("PATCH", &format!("/users/{}", user.id), &change).await.expect(200);
    world.housekeep().await;
    let token = world.user_token("ana-partner", super::PASSWORD).await;
    let user = User { token, ..user };
    let job = user.job(&id).await;
    assert_eq!((&job["state"], &job["result"]), (&json!("Failed"), &json!("permission denied")));
    assert_eq!(user.names("/").await, ["in"]);
}

#[tokio::test]
async fn what_lies_elsewhere_is_not_deleted_with_a_folder() {
    let world = World::start().await;
    world.own("POST", "/api/v2/folders", r#"{"name": "shared", "mapped_path": "/shared"}"#).await.expect(201);
    let body = json!({"username": "cy", "password": super::PASSWORD, "permissions": {"/": ["*"]},
        "virtual_folders": [{"name": "shared", "virtual_path": "/in/shared"}]});
    world.own("POST", "/api/v2/users", &body.to_string()).await.expect(201);
    let user = User { id: String::new(), token: world.user_token("cy", super::PASSWORD).await, world: &world };
    assert_eq!(user.put("/in/a&mkdir_parents=true", b"a").await, 201);
    assert_eq!(user.put("/in/shared/b", b"b").await, 201);
    user.call("DELETE", "/dirs?path=/in", Value::Null).await.expect(409);
    user.call("DELETE", "/dirs?path=/in/shared", Value::Null).await.expect(403);
    assert_eq!(user.names("/in").await, ["a", "shared"]);
    // but a copy has what a folder shows
    user.call("POST", "/file-actions/copy?path=/in&target=/out", Value::Null).await.expect(202);
    world.housekeep().await;
    assert_eq!(user.names("/out/shared").await, ["b"]);
    assert_eq!(world.our("GET", "/jobs").await.expect(200).body[0]["State"], "Succeeded");
}

#[tokio::test]
async fn a_folder_is_not_copied_into_itself_by_another_way() {
    let world = World::start().await;
    for (name, tree) in [("whole", "/team"), ("part", "/team/in/part")] {
        let body = json!({"name": name, "mapped_path": tree}).to_string();
        world.own("POST", "/api/v2/folders", &body).await.expect(201);
    }
    let body = json!({"username": "cy", "password": super::PASSWORD, "permissions": {"/": ["*"]}, "home_dir": "/team",
        "virtual_folders": [{"name": "part", "virtual_path": "/elsewhere"}, {"name": "part", "virtual_path": "/out/part"}]});
    world.own("POST", "/api/v2/users", &body.to_string()).await.expect(201);
    let user = User { id: String::new(), token: world.user_token("cy", super::PASSWORD).await, world: &world };
    assert_eq!(user.put("/in/part/a&mkdir_parents=true", b"a").await, 201);
    let copy = |from: &str, to: &str| format!("/file-actions/copy?path={from}&target={to}");
    // what is written there would be found, and copied, again and again
    user.call("POST", &copy("/in", "/elsewhere/more"), Value::Null).await.expect(400);
    // its own files, under their own names
    user.call("POST", &copy("/in/part", "/elsewhere"), Value::Null).await.expect(400);
    user.call("POST", &copy("/in", "/out"), Value::Null).await.expect(400);
    // up, and beside
    user.call("POST", &copy("/in/part", "/beside"), Value::Null).await.expect(202);
    user.call("POST", &copy("/in/part", "/in"), Value::Null).await.expect(202);
    assert_eq!(world.housekeep().await, 2);
    assert_eq!(
        (user.names("/beside").await, user.names("/in").await),
        (vec!["a".into()], vec!["a".into(), "part".into()])
    );
}
