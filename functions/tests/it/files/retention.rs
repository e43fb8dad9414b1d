//! Deleting what has been kept for long enough.

use super::{MIB, PASSWORD, User, World, content, send_parts};
use crate::support::{Answer, housekeeping};
use serde_json::{Value, json};
use std::time::Duration;

impl World {
    /// What is stored by now came so much earlier.
    async fn age(&self, hours: u32) {
        let url = format!("{}/_offline/age?hours={hours}", self.offline.endpoint());
        assert!(reqwest::Client::new().put(url).send().await.unwrap().status().is_success());
    }

    /// The function's schedule.
    async fn tick(&self) {
        housekeeping(&self.aws).handle_event(json!({"source": "aws.events"})).await.unwrap();
    }

    /// What has been announced since this was last asked.
    async fn announced_events(&self) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let messages = self.messages.queue().receive(0, 10).await.unwrap();
            if messages.is_empty() {
                return events;
            }
            for message in messages {
                let body: Value = serde_json::from_str(&message.body).unwrap();
                self.messages.queue().delete(&[message.receipt]).await.unwrap();
                events.push(body);
            }
        }
    }

    async fn check(&self, query: &str, folders: Value) -> Answer {
        self.own("POST", &format!("/api/v2/retention/users/ana-partner/check{query}"), &folders.to_string()).await
    }

    /// A check that is done, as its job shows it.
    async fn checked(&self, query: &str, folders: Value) -> Value {
        let id = self.check(query, folders).await.expect(202).text("/job");
        self.housekeep().await;
        self.our("GET", &format!("/jobs/{id}")).await.expect(200).body
    }
}

fn folder(path: &str, hours: u32) -> Value {
    json!({"path": path, "retention": hours})
}

async fn put(user: &User<'_>, paths: &[&str]) {
    for path in paths {
        assert_eq!(user.put(&format!("{path}&mkdir_parents=true"), b"four").await, 201, "{path}");
    }
}

#[tokio::test]
async fn what_is_older_goes_and_the_deepest_folder_decides() {
    let world = World::start().await;
    let user = world.files_of("ana-partner", json!({})).await;
    put(&user, &["/in/old", "/in/d/old", "/in/keep/old", "/in/long/old", "/out/old"]).await;
    world.age(50).await;
    put(&user, &["/in/new", "/in/long/new"]).await;
    world.age(30).await;
    // a client's time makes no file older or younger
    user.call("PATCH", "/files/metadata?path=/in/d/old", json!({"modification_time": 4_000_000_000_i64}))
        .await
        .expect(200);
    user.call("PATCH", "/files/metadata?path=/in/new", json!({"modification_time": 1})).await.expect(200);
    let policy = json!([folder("/in", 48), folder("/in/keep", 0), folder("/in/long", 72)]);
    let dry = world.checked("?dry_run=true", policy.clone()).await;
    assert_eq!(dry["Result"], "would delete files: 3, bytes: 12, folders: 0");
    assert_eq!(dry["Details"]["WouldDelete"], json!(["/in/d/old", "/in/old", "/in/long/old"]));
    assert_eq!(user.names("/in").await, ["d", "keep", "long", "new", "old"], "nothing has gone");
    let done = world.checked("", policy.clone()).await;
    assert_eq!((&done["State"], &done["Kind"]), (&json!("Succeeded"), &json!("RetentionCheck")));
    assert_eq!(done["Result"], "deleted files: 3, bytes: 12, folders: 0");
    let folders = done["Details"]["Folders"].as_array().unwrap();
    assert_eq!(
        (&folders[0]["Path"], &folders[0]["Files"], &folders[0]["Hours"]),
        (&json!("/in"), &json!(2), &json!(48))
    );
    assert_eq!((&folders[1]["Path"], &folders[1]["Files"]), (&json!("/in/long"), &json!(1)));
    assert_eq!(user.names("/in/keep").await, ["old"]);
    assert_eq!(user.names("/in/long").await, ["new"]);
    assert_eq!(user.names("/out").await, ["old"]);
    assert!(user.names("/in").await.contains(&"new".to_owned()));
    // once more: there is nothing left to do
    assert_eq!(world.checked("", policy).await["Result"], "deleted files: 0, bytes: 0, folders: 0");
}

#[tokio::test]
async fn what_was_replaced_meanwhile_stays() {
    let world = World::start().await;
    world.files_of("ana-partner", json!({})).await;
    for at in 0..40 {
        world.drop_in(&format!("home/ana-partner/in/{at:02}"), 4).await;
    }
    world.age(2).await;
    // every request of S3 takes so long that the last of them are looked at when the first have gone
    let mut plan = offline_aws::FaultPlan::default();
    plan.s3.latency_ms = 150;
    world.offline.faults().set(plan);
    let (job, ()) = tokio::join!(world.checked("", json!([folder("/", 1)])), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.drop_in("home/ana-partner/in/39", 5).await;
    });
    world.offline.faults().set(offline_aws::FaultPlan::default());
    assert_eq!(job["Result"], "deleted files: 39, bytes: 156, folders: 0");
    let key = format!("{}/files/home/ana-partner/in/39", world.organization);
    let there = world.aws.s3.head_object().bucket("files").key(key).send().await.unwrap();
    assert_eq!(there.content_length(), Some(5));
}

#[tokio::test]
async fn it_is_announced_once_as_done_by_towpath() {
    let world = World::start().await;
    let user = world.files_of("ana-partner", json!({})).await;
    put(&user, &["/old"]).await;
    world.age(2).await;
    world.announced_events().await;
    world.checked("?notifications=Email,Hook", json!([folder("/", 1)])).await;
    let messages = world.announced_events().await;
    let told: Vec<_> = messages.iter().map(|message| [&message["kind"], &message["event"]["topic"]]).collect();
    // the last is for a mail to the organization
    assert_eq!(
        json!(told),
        json!([["event", "file.deleted"], ["event", "retention.completed"], ["notice", "retention.completed"]])
    );
    let events: Vec<&Value> = messages.iter().map(|message| &message["event"]).collect();
    assert!(events.iter().all(|event| event["actor"]["kind"] == "System"), "{events:?}");
    assert_eq!(events[0]["origin"], Value::Null, "nobody was connected");
    assert_eq!(events[1]["reason"], "deleted files: 1, bytes: 4, folders: 0");
}

#[tokio::test]
async fn empty_folders_go_when_they_are_as_old() {
    let world = World::start().await;
    let user = world.files_of("ana-partner", json!({})).await;
    for path in ["/in", "/in/a", "/in/a/b", "/in/full"] {
        user.call("POST", &format!("/dirs?path={path}"), Value::Null).await.expect(201);
    }
    put(&user, &["/in/a/b/old"]).await;
    world.age(3).await;
    put(&user, &["/in/full/new"]).await;
    user.call("POST", "/dirs?path=/in/young", Value::Null).await.expect(201);
    let policy = json!([{"path": "/in", "retention": 2, "delete_empty_dirs": true}]);
    assert_eq!(world.checked("", policy).await["Result"], "deleted files: 1, bytes: 4, folders: 2");
    assert_eq!(user.names("/in").await, ["full", "young"]);
}

#[tokio::test]
async fn what_the_credential_may_not_delete_stays_unless_the_policy_says_so() {
    let world = World::start().await;
    let user = world.files_of("ana-partner", json!({"Permission": "read-write-no-delete"})).await;
    put(&user, &["/old"]).await;
    world.age(2).await;
    let job = world.checked("", json!([folder("/", 1)])).await;
    assert_eq!(job["Result"], "deleted files: 0, bytes: 0, folders: 0; could not be deleted: 1");
    assert_eq!(job["Details"]["Folders"][0]["Error"], "/old: permission denied");
    // it need not be able to log in
    world.call("PATCH", &format!("/users/{}", user.id), r#"{"State": "inactive"}"#).await.expect(200);
    let policy = json!([{"path": "/", "retention": 1, "ignore_user_permissions": true}]);
    assert_eq!(world.checked("", policy).await["Result"], "deleted files: 1, bytes: 4, folders: 0");
}

#[tokio::test]
async fn a_virtual_folder_is_left_alone_unless_it_is_named() {
    let world = World::start().await;
    world.own("POST", "/api/v2/folders", r#"{"name": "shared", "mapped_path": "/shared"}"#).await.expect(201);
    let body = json!({"username": "ana-partner", "password": PASSWORD, "permissions": {"/": ["*"]},
        "virtual_folders": [{"name": "shared", "virtual_path": "/in/shared"}]});
    world.own("POST", "/api/v2/users", &body.to_string()).await.expect(201);
    let user = User { id: String::new(), token: world.user_token("ana-partner", PASSWORD).await, world: &world };
    put(&user, &["/in/shared/old", "/in/old"]).await;
    // it hides what else has its name
    world.drop_in("home/ana-partner/in/shared/hidden", 4).await;
    world.age(2).await;
    let dry = world.checked("?dry_run=1", json!([folder("/", 1)])).await;
    assert_eq!(dry["Details"]["WouldDelete"], json!(["/in/old"]));
    assert_eq!(dry["Details"]["Overlaps"], json!(["/: the virtual folder /in/shared is not looked at"]));
    assert_eq!(world.checked("", json!([folder("/", 1)])).await["Result"], "deleted files: 1, bytes: 4, folders: 0");
    assert_eq!(user.names("/in/shared").await, ["old"]);
    let named = json!([folder("/", 1), folder("/in/shared", 1)]);
    assert_eq!(world.checked("", named).await["Result"], "deleted files: 1, bytes: 4, folders: 0");
}

#[tokio::test]
async fn others_who_see_the_same_are_told_of() {
    let world = World::start().await;
    world.files_of("ana-partner", json!({"HomeDirectory": "/team/ana"})).await;
    world.files_of("boss-of-ana", json!({"HomeDirectory": "/team"})).await;
    world.files_of("somebody-else", json!({"HomeDirectory": "/elsewhere"})).await;
    let dry = world.checked("?dry_run=1", json!([folder("/", 1), folder("/in", 0)])).await;
    let told = dry["Details"]["Overlaps"].as_array().unwrap();
    assert!(told.contains(&json!("/: /in has a retention of its own")), "{told:?}");
    assert!(told.contains(&json!("/: in the home of boss-of-ana, or holds it")), "{told:?}");
    assert!(!told.iter().any(|one| one.as_str().unwrap().contains("somebody")), "{told:?}");
}

#[tokio::test]
async fn a_file_in_parts_arrives_when_it_is_whole() {
    let world = World::start().await;
    let user = world.files_of("ana-partner", json!({})).await;
    put(&user, &["/in/x"]).await;
    let session = user.begin("in/parts", 9 * MIB).await.expect(201).body;
    send_parts(&session, &content(9 * MIB), &[]).await;
    let id = session["id"].as_str().unwrap();
    user.call("POST", &format!("/upload-sessions/{id}/complete"), Value::Null).await.expect(201);
    world.age(1).await;
    // S3 says an hour; it may have become a file five minutes later
    let dry = world.checked("?dry_run=1", json!([folder("/", 1)])).await;
    assert_eq!(dry["Details"]["WouldDelete"], json!(["/in/x"]));
    world.age(1).await;
    let dry = world.checked("?dry_run=1", json!([folder("/", 1)])).await;
    assert_eq!(dry["Details"]["WouldDelete"], json!(["/in/parts", "/in/x"]));
}

#[tokio::test]
async fn an_upload_that_lasted_counts_from_its_end() {
    let world = World::start().await;
    let user = world.files_of("ana-partner", json!({})).await;
    let session = user.begin("parts", 9 * MIB).await.expect(201).body;
    world.age(3).await;
    send_parts(&session, &content(9 * MIB), &[]).await;
    let id = session["id"].as_str().unwrap();
    user.call("POST", &format!("/upload-sessions/{id}/complete"), Value::Null).await.expect(201);
    let key = format!("{}/files/home/ana-partner/parts", world.organization);
    let there = world.aws.s3.head_object().bucket("files").key(key).send().await.unwrap();
    let written = there.last_modified().unwrap().secs();
    assert!(store::clock::now().seconds() - written > 3 * 3600 - 60, "S3 says when it was announced");
    let would_go =
        async || world.checked("?dry_run=1", json!([folder("/", 1)])).await["Details"]["WouldDelete"].clone();
    assert_eq!(would_go().await, json!([]));
    // nor does another time of its client's make it older
    user.call("PATCH", "/files/metadata?path=/parts", json!({"modification_time": 1})).await.expect(200);
    assert_eq!(would_go().await, json!([]));
}

#[tokio::test]
async fn a_policy_is_kept_and_run_daily() {
    let world = World::start().await;
    let user = world.files_of("ana-partner", json!({})).await;
    put(&user, &["/old"]).await;
    world.age(2).await;
    let path = format!("/users/{}/retention-policy", user.id);
    world.call("GET", &path, "").await.expect(404);
    let policy = json!([folder("/", 1)]).to_string();
    let kept = world.call("PUT", &path, &policy).await.expect(200).body;
    let full = json!([{"path": "/", "retention": 1, "delete_empty_dirs": false, "ignore_user_permissions": false}]);
    assert_eq!(kept, full);
    assert_eq!(world.call("GET", &path, "").await.expect(200).body, full);
    assert_eq!(world.housekeep().await, 0, "nobody has asked yet");
    world.tick().await;
    assert_eq!(
        world.own("GET", "/api/v2/retention/users/checks", "").await.expect(200).body[0]["username"],
        "ana-partner"
    );
    world.check("", json!([folder("/", 1)])).await.expect(409);
    assert_eq!(world.housekeep().await, 1);
    assert_eq!(user.names("/").await, Vec::<String>::new());
    // not again before tomorrow
    world.tick().await;
    assert_eq!(world.housekeep().await, 0);
    assert_eq!(world.own("GET", "/api/v2/retention/users/checks", "").await.expect(200).body, json!([]));
    // what is changed is run at once, what is gone is not
    world.call("PUT", &path, &policy).await.expect(200);
    world.call("DELETE", &path, "").await.expect(200);
    world.call("DELETE", &path, "").await.expect(404);
    world.tick().await;
    assert_eq!(world.housekeep().await, 0);
    // a credential that goes takes its policy along
    world.call("PUT", &path, &policy).await.expect(200);
    world.call("DELETE", &format!("/users/{}", user.id), "").await.expect(200);
    world.tick().await;
    assert_eq!(world.housekeep().await, 0);
}

#[tokio::test]
async fn what_cannot_be_a_policy_is_refused_with_its_place() {
    let world = World::start().await;
    world.files_of("ana-partner", json!({})).await;
    let refused = async |folders: Value| world.check("", folders).await.expect(400).text("/message");
    assert!(refused(json!({})).await.contains("must be a JSON list of objects"));
    assert!(refused(json!([])).await.contains("must name a folder with a retention above 0"));
    assert!(refused(json!([folder("/a", 1), folder("/a", 2)])).await.contains("names /a twice"));
    assert!(refused(json!([{"path": "/a"}])).await.contains("[0].retention"));
    assert!(refused(json!([{"path": "/a", "retention": -1}])).await.contains("[0].retention"));
    assert!(refused(json!([{"path": "/a", "retention": 1, "keep": true}])).await.contains("[0].keep"));
    world.check("?dry_run=perhaps", json!([folder("/", 1)])).await.expect(400);
    world.check("?notifications=Pigeon", json!([folder("/", 1)])).await.expect(400);
    world.own("POST", "/api/v2/retention/users/nobody/check", &json!([folder("/", 1)]).to_string()).await.expect(404);
}
