//! Jobs: recounts of what is stored, asked for by both dialects and done by the housekeeping function.

use crate::support::{Answer, World, housekeeping, send};
use app::jobs::Pauses;
use functions::queue::Handler as _;
use serde_json::{Value, json};
use std::time::Duration;

const QUICK: Pauses =
    Pauses { held: Duration::from_millis(100), look: Duration::from_millis(10), restless: Duration::from_secs(1) };

impl World {
    /// Dialect A with the site-wide key, below the organization.
    pub(crate) async fn our(&self, method: &str, rest: &str) -> Answer {
        let (key, path) = (self.secrets.api_key.as_str(), format!("/organizations/{}{rest}", self.organization));
        send(&self.router, method, &path, "", &[("x-api-key", key)]).await
    }

    /// Gives the function what is in the jobs queue, as its event source does; answers how many messages there were.
    pub(crate) async fn housekeep(&self) -> usize {
        let messages = store::messages::JobMessages::new(&self.aws);
        let received = messages.queue().receive(0, 10).await.unwrap();
        let state = housekeeping(&self.aws).with_pauses(QUICK);
        for message in &received {
            let event =
                json!({ "Records": [{ "messageId": message.id, "body": message.body, "eventSource": "aws:sqs" }] });
            let failed = state.handle_event(event).await.unwrap().batch_item_failures;
            assert!(failed.is_empty(), "{failed:?}");
        }
        let receipts: Vec<String> = received.iter().map(|message| message.receipt.clone()).collect();
        messages.queue().delete(&receipts).await.unwrap();
        received.len()
    }

    /// Puts an object where nobody counts it.
    pub(crate) async fn drop_in(&self, at: &str, bytes: usize) {
        let key = format!("{}/files/{at}", self.organization);
        let put = self.aws.s3.put_object().bucket("files").key(key).body(vec![0; bytes].into());
        put.send().await.unwrap();
    }
}

fn used(body: &Value) -> (i64, i64) {
    let number = |name: &str| body[name].as_i64().unwrap_or(-1);
    (number("used_quota_size"), number("used_quota_files"))
}

#[tokio::test]
async fn a_scan_of_a_user_is_listed_while_it_runs_and_counts_what_is_there() {
    let world = World::start().await;
    let user =
        json!({"username": "partner", "password": "a long password 1", "permissions": {"/": ["*"]}, "home_dir": "/p"});
    world.own("POST", "/api/v2/users", &user.to_string()).await.expect(201);
    world.drop_in("p/a", 5).await;
    world.drop_in("p/d/b", 6).await;
    world.drop_in("elsewhere", 7).await;
    assert_eq!(world.own("GET", "/api/v2/quotas/users/scans", "").await.expect(200).body, json!([]));
    let started = world.own("POST", "/api/v2/quotas/users/partner/scan", "").await.expect(202);
    assert_eq!(started.body["message"], "Scan started");
    world.own("POST", "/api/v2/quotas/users/partner/scan", "").await.expect(409);
    let scans = world.own("GET", "/api/v2/quotas/users/scans", "").await.expect(200).body;
    assert_eq!((&scans[0]["username"], &scans[0]["job"]), (&json!("partner"), &started.body["job"]));
    assert_eq!(world.own("GET", "/api/v2/quotas/folders/scans", "").await.expect(200).body, json!([]));
    assert_eq!(world.housekeep().await, 1);
    assert_eq!(world.own("GET", "/api/v2/quotas/users/scans", "").await.expect(200).body, json!([]));
    assert_eq!(used(&world.own("GET", "/api/v2/users/partner", "").await.expect(200).body), (11, 2));
    let job = world.our("GET", &format!("/jobs/{}", started.text("/job"))).await.expect(200).body;
    assert_eq!(
        (&job["State"], &job["Kind"], &job["Subject"]["Name"]),
        (&json!("Succeeded"), &json!("QuotaScan"), &json!("partner"))
    );
    assert_eq!((&job["Progress"], &job["Result"]), (&json!({"Files": 2, "Bytes": 11}), &json!("files: 2, bytes: 11")));
    // once more, now that it is over
    world.own("POST", "/api/v2/quotas/users/partner/scan", "").await.expect(202);
    world.own("POST", "/api/v2/quotas/users/nobody/scan", "").await.expect(404);
}

#[tokio::test]
async fn folders_and_the_organization_are_counted_too() {
    let world = World::start().await;
    world.own("POST", "/api/v2/folders", r#"{"name": "inbox", "mapped_path": "/shared/in"}"#).await.expect(201);
    world.drop_in("shared/in/a", 5).await;
    world.drop_in("b", 6).await;
    world.own("POST", "/api/v2/quotas/folders/inbox/scan", "").await.expect(202);
    let scans = world.own("GET", "/api/v2/quotas/folders/scans", "").await.expect(200).body;
    assert_eq!(scans[0]["name"], "inbox");
    let all = world.our("POST", "/quota-scans").await.expect(202);
    assert_eq!(all.header("location"), format!("/organizations/{}/jobs/{}", world.organization, all.text("/Id")));
    assert_eq!(world.housekeep().await, 2);
    assert_eq!(used(&world.own("GET", "/api/v2/folders/inbox", "").await.expect(200).body), (5, 1));
    let jobs = world.our("GET", "/jobs?Limit=1").await.expect(200);
    assert_eq!((&jobs.body[0]["Id"], jobs.body.as_array().unwrap().len()), (&all.body["Id"], 1), "the newest first");
    assert_eq!(jobs.body[0]["Result"], "files: 2, bytes: 11");
    let next = jobs.header("link").split(['<', '>']).nth(1).unwrap().to_owned();
    let key = world.secrets.api_key.as_str();
    let rest = send(&world.router, "GET", &next, "", &[("x-api-key", key)]).await.expect(200);
    assert_eq!(rest.body[0]["Subject"], json!({"Type": "Folder", "Name": "inbox"}));
}

#[tokio::test]
async fn usage_can_be_set_by_hand() {
    let world = World::start().await;
    world.own("POST", "/api/v2/folders", r#"{"name": "inbox"}"#).await.expect(201);
    for (what, shown) in
        [("users/root-user-name", "/api/v2/users/root-user-name"), ("folders/inbox", "/api/v2/folders/inbox")]
    {
        let path = format!("/api/v2/quotas/{what}/usage");
        let body = r#"{"used_quota_size": 100, "used_quota_files": 3}"#;
        let said = world.own("PUT", &path, body).await.expect(200);
        assert_eq!(said.body, json!({"message": "Quota updated"}));
        world.own("PUT", &format!("{path}?mode=add"), r#"{"used_quota_size": 5}"#).await.expect(200);
        assert_eq!(used(&world.own("GET", shown, "").await.expect(200).body), (105, 3));
        world.own("PUT", &format!("{path}?mode=other"), body).await.expect(400);
        world.own("PUT", &path, r#"{"used_quota_size": -1}"#).await.expect(400);
    }
    world.own("POST", "/api/v2/quotas/folders/inbox/scan", "").await.expect(202);
}

#[tokio::test]
async fn a_folder_of_an_earlier_ones_name_begins_with_nothing() {
    let world = World::start().await;
    world.own("POST", "/api/v2/folders", r#"{"name": "inbox"}"#).await.expect(201);
    let usage = r#"{"used_quota_size": 100, "used_quota_files": 3}"#;
    world.own("PUT", "/api/v2/quotas/folders/inbox/usage", usage).await.expect(200);
    // one that is there keeps what it has
    world.own("POST", "/api/v2/folders", r#"{"name": "inbox"}"#).await.expect(409);
    assert_eq!(used(&world.own("GET", "/api/v2/folders/inbox", "").await.expect(200).body), (100, 3));
    world.own("DELETE", "/api/v2/folders/inbox", "").await.expect(200);
    world.own("POST", "/api/v2/folders", r#"{"name": "inbox"}"#).await.expect(201);
    assert_eq!(used(&world.own("GET", "/api/v2/folders/inbox", "").await.expect(200).body), (0, 0));
}

#[tokio::test]
async fn a_mount_says_for_whom_its_files_count() {
    let world = World::start().await;
    for name in ["one", "two", "three"] {
        world.own("POST", "/api/v2/folders", &json!({"name": name}).to_string()).await.expect(201);
    }
    let mut user = json!({
        "username": "partner", "password": "a long password 1", "permissions": {"/": ["*"]},
        "virtual_folders": [
            {"name": "one", "virtual_path": "/one", "quota_size": -1, "quota_files": -1},
            {"name": "two", "virtual_path": "/two", "quota_size": 1000, "quota_files": 0},
            {"name": "three", "virtual_path": "/three"},
        ],
    });
    let made = world.own("POST", "/api/v2/users", &user.to_string()).await.expect(201).body;
    let quotas = |body: &Value| {
        let all = body["virtual_folders"].as_array().unwrap().iter();
        all.map(|folder| (folder["quota_size"].as_i64().unwrap(), folder["quota_files"].as_i64().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(quotas(&made), [(-1, -1), (1000, 0), (0, 0)]);
    // the other dialect says the same, and takes back what it says
    let id = world.our("GET", "/users").await.expect(200).body;
    let shown = id.as_array().unwrap().iter().find(|one| one["UserName"] == "partner").unwrap().clone();
    let folders = json!([
        {"Name": "one", "VirtualPath": "/one", "QuotaSize": null, "QuotaFiles": null},
        {"Name": "two", "VirtualPath": "/two", "QuotaSize": 1000, "QuotaFiles": 0},
        {"Name": "three", "VirtualPath": "/three", "QuotaSize": 0, "QuotaFiles": 0},
    ]);
    assert_eq!(shown["VirtualFolders"], folders);
    let path = format!("/organizations/{}/users/{}", world.organization, shown["Id"].as_str().unwrap());
    let key = world.secrets.api_key.as_str();
    let body = json!({ "VirtualFolders": folders }).to_string();
    let patched = send(&world.router, "PATCH", &path, &body, &[("x-api-key", key)]).await.expect(200).body;
    assert_eq!(patched["VirtualFolders"], folders);
    user["virtual_folders"] = json!([{"name": "one", "virtual_path": "/one", "quota_size": -1, "quota_files": 5}]);
    let refused = world.own("PUT", "/api/v2/users/partner", &user.to_string()).await.expect(400);
    assert!(refused.body.to_string().contains("quota_files must both be -1"), "{}", refused.body);
}

#[tokio::test]
async fn strangers_see_no_jobs_and_the_schedule_and_nothing_else_is_an_event() {
    let world = World::start().await;
    let job = world.our("POST", "/quota-scans").await.expect(202).text("/Id");
    let path = format!("/organizations/{}/jobs", world.organization);
    world.as_stranger("GET", &path, "").await.expect(404);
    world.as_stranger("GET", &format!("{path}/{job}"), "").await.expect(404);
    world.our("GET", "/jobs/nonsense").await.expect(404);
    // neither an id, nor the id of a job
    world.our("GET", "/jobs?Cursor=IyMj").await.expect(400);
    world.our("GET", "/jobs?Cursor=YWJj").await.expect(400);
    let state = housekeeping(&world.aws);
    assert!(state.handle_event(json!({"source": "aws.scheduler"})).await.unwrap().batch_item_failures.is_empty());
    assert!(state.handle_event(json!({"something": "else"})).await.is_err());
    // a message that cannot be read stays in the queue
    let batch = json!({ "Records": [{ "messageId": "m1", "body": "{}" }] });
    let failed = state.handle(serde_json::from_value(batch).unwrap()).await.batch_item_failures;
    assert_eq!(failed.len(), 1);
}
