//! Tables of events in the bucket.

use crate::events::{event, file};
use crate::support::{World, housekeeping, send};
use domain::event::{Event, Topic};
use serde_json::{Value, json};
use std::time::Duration;
use store::clock;

impl World {
    /// Works on jobs, in slices of this length, until there are none; answers how many slices that took.
    async fn do_jobs(&self, slice: Duration) -> usize {
        let messages = store::messages::JobMessages::new(&self.aws);
        let state = housekeeping(&self.aws).with_slice(slice);
        let mut slices = 0;
        loop {
            let received = messages.queue().receive(0, 10).await.unwrap();
            if received.is_empty() {
                return slices;
            }
            for message in received {
                let batch = json!({ "Records": [{ "messageId": message.id, "body": message.body }] });
                assert!(state.handle_event(batch).await.unwrap().batch_item_failures.is_empty());
                messages.queue().delete(&[message.receipt]).await.unwrap();
                slices += 1;
            }
        }
    }

    async fn object(&self, key: &str) -> Option<String> {
        let got = self.aws.s3.get_object().bucket("files").key(key).send().await.ok()?;
        Some(String::from_utf8(got.body.collect().await.unwrap().to_vec()).unwrap())
    }

    async fn keys(&self) -> Vec<String> {
        let listed = self.aws.s3.list_objects_v2().bucket("files").send().await.unwrap();
        listed.contents().iter().map(|object| object.key().unwrap().to_owned()).collect()
    }
}

async fn many(world: &World, events: i64) {
    let now = clock::now().millis();
    let made: Vec<Event> = (0..events)
        .map(|n| Event { file: file(&format!("/in/{n},=\"x\""), false), ..event(world, Topic::FileCreated, now - n) })
        .collect();
    world.recorded(&made).await;
}

#[tokio::test]
async fn a_job_writes_what_is_found_where_no_session_leads_and_gives_it_to_who_may_see_events() {
    let world = World::start().await;
    many(&world, 30).await;
    world.recorded(&[event(&world, Topic::Login, clock::now().millis())]).await;
    let asked =
        json!({"Topics": ["file.created"], "PathPrefix": "in/", "Order": "OldestFirst", "To": 9_999_999_999_i64})
            .to_string();
    let job = world.call("POST", "/events/exports", &asked).await.expect(202);
    world.call("POST", "/events/exports", &asked).await.expect(409);
    let path = format!("/jobs/{}", job.text("/Id"));
    assert_eq!(job.header("location"), world.path(&path));
    assert!(world.call("GET", &path, "").await.expect(200).body.get("Download").is_none(), "there is nothing yet");
    world.do_jobs(Duration::from_secs(60)).await;
    let done = world.call("GET", &path, "").await.expect(200).body;
    assert_eq!(
        (&done["State"], &done["Kind"], &done["Result"]),
        (&json!("Succeeded"), &json!("EventExport"), &json!("events: 30"))
    );
    let key = format!("{}/exports/events-{}.csv", world.organization, job.text("/Id"));
    assert_eq!(done["Object"], json!(key));
    let text = world.object(&key).await.unwrap();
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    assert!(lines[0].starts_with("Id,Time,Type,") && lines.len() == 31, "{text}");
    assert!(lines[30].contains(",\"/in/0,=\"\"x\"\"\",5,"), "{}", lines[30]);
    // the address gives it to whoever has it
    let url = done.pointer("/Download/Url").and_then(Value::as_str).unwrap();
    assert!(
        url.contains(&format!("/exports/events-{}.csv?", job.text("/Id"))) && url.contains("X-Amz-Expires=900"),
        "{url}"
    );
    assert_eq!(world.keys().await, [key], "and nothing else is left");
    // who may see jobs and no events sees the job and not the table; who may see events alone sees this job
    let (looker, seer) =
        (world.made_admin("looker", &["view_status"]).await, world.made_admin("seer", &["view_events"]).await);
    let get = async |token: &str, path: &str, status| {
        let bearer = format!("Bearer {token}");
        send(&world.router, "GET", &world.path(path), "", &[("authorization", &bearer)]).await.expect(status).body
    };
    assert!(get(&looker, &path, 200).await.get("Download").is_none());
    assert!(get(&seer, &path, 200).await.get("Download").is_some());
    let scan = world.call("POST", "/quota-scans", "").await.expect(202).text("/Id");
    get(&seer, &format!("/jobs/{scan}"), 403).await;
    world.as_stranger("GET", &world.path(&path), "").await.expect(404);
    for bad in [r#"{"Topics": ["x"]}"#, r#"{"From": "x"}"#, r#"{"Other": 1}"#, r#"{"Order": "x"}"#] {
        world.call("POST", "/events/exports", bad).await.expect(400);
    }
}

#[tokio::test]
async fn a_table_that_takes_several_slices_and_parts_is_whole() {
    let world = World::start().await;
    let long = "x".repeat(900);
    let now = clock::now().millis();
    // nine megabytes: more than a part
    let made: Vec<Event> = (0..9_000)
        .map(|n| Event { file: file(&format!("/{n}/{long}"), false), ..event(&world, Topic::FileCreated, now - n) })
        .collect();
    world.recorded(&made).await;
    let job = world.call("POST", "/events/exports", "{}").await.expect(202).text("/Id");
    // each slice ends after a page
    let slices = world.do_jobs(Duration::ZERO).await;
    assert!(slices >= 9, "{slices}");
    let done = world.call("GET", &format!("/jobs/{job}"), "").await.expect(200).body;
    assert_eq!((&done["State"], &done["Result"]), (&json!("Succeeded"), &json!("events: 9000")));
    let text = world.object(done["Object"].as_str().unwrap()).await.unwrap();
    let mut ids: Vec<&str> =
        text.split_terminator("\r\n").skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(ids.len(), 9_000);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 9_000, "each once");
    assert_eq!(world.keys().await.len(), 1, "the rest between slices is gone");
}
