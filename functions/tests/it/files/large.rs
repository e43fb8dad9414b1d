//! What is too large for one request, one answer, or one life of a process.

use crate::support::{TICKETS, World};
use app::tickets::Tickets;
use axum::body::Body;
use domain::id::CredentialId;
use domain::quota::Holder;
use domain::ticket::Errand;
use functions::files;
use futures_util::StreamExt as _;
use http::{HeaderMap, Request, StatusCode};
use offline_aws::FaultPlan;
use serde_json::{Value, json};
use store::settling::Settling;
use tower::ServiceExt as _;

impl World {
    /// Puts objects into a credential's home, past everything.
    async fn objects(&self, home: &str, names: impl Iterator<Item = String>) {
        let put = async |name: String| {
            let key = format!("{}/files/home/{home}/{name}", self.organization);
            self.aws.s3.put_object().bucket("files").key(key).send().await.unwrap();
        };
        futures_util::stream::iter(names).for_each_concurrent(32, put).await;
    }
}

#[tokio::test]
async fn large_bodies_are_sent_to_a_node_with_a_ticket() {
    let world = World::start().await;
    let user = world.files_of("partner-one", json!({})).await;
    let tickets = Tickets::new(TICKETS).ok().unwrap();
    let read = |headers: &HeaderMap| {
        let address = headers["location"].to_str().unwrap();
        let ticket = address.strip_prefix("https://node.example.com/tickets/").unwrap();
        let ticket = tickets.read(ticket, store::clock::now()).unwrap();
        assert_eq!((ticket.organization, ticket.credential.as_str()), (world.organization.clone(), user.id.as_str()));
        ticket.errand
    };
    let (status, headers) = user.raw("POST", "/files/upload?path=big&size=5000000000", &[], Vec::new()).await;
    assert_eq!(status, 307);
    assert!(matches!(read(&headers), Errand::Upload { path, modified: None } if path.to_string() == "/big"));
    // also for what is small: who asks has sent nothing that could be stored
    let (status, headers) = user.raw("POST", "/files/upload?path=small&size=5", &[], Vec::new()).await;
    assert_eq!(status, 307);
    assert!(matches!(read(&headers), Errand::Upload { path, .. } if path.to_string() == "/small"));
    user.call("GET", "/files/metadata?path=small", Value::Null).await.expect(404);
    assert_eq!(user.put("a", b"a").await, 201);
    let (status, headers) = user.raw("POST", "/streamzip", &[], br#"["a"]"#.to_vec()).await;
    assert_eq!((status, read(&headers)), (StatusCode::TEMPORARY_REDIRECT, Errand::Archive));
    for (body, expected) in [("[]", 400), ("{}", 400), ("", 400), (r#"["a\u0000"]"#, 400), (r#"["missing"]"#, 404)] {
        assert_eq!(user.raw("POST", "/streamzip", &[], body.into()).await.0, expected, "{body}");
    }
    let many = serde_json::to_vec(&vec!["a"; 1001]).unwrap();
    assert_eq!(user.raw("POST", "/streamzip", &[], many).await.0, 400);
}

#[tokio::test]
async fn a_long_list_is_cut_and_goes_on() {
    let world = World::start().await;
    let user = world.files_of("partner-one", json!({})).await;
    let name = |at: usize| format!("{at:04}-{}", "x".repeat(800));
    // every third is a folder, and so is the last one of a page of S3
    let key = |at: usize| if (at + 1).is_multiple_of(3) { format!("{}/inside", name(at)) } else { name(at) };
    world.objects("partner-one", (0..3500).map(key)).await;
    let (mut names, mut next, mut answers) = (Vec::new(), "/dirs?path=/".to_owned(), 0);
    loop {
        let listed = user.call("GET", &next, Value::Null).await.expect(200);
        answers += 1;
        assert!(listed.body.to_string().len() < 4_400_000);
        let page = listed.body.as_array().unwrap();
        names.extend(page.iter().map(|one| one["name"].as_str().unwrap().to_owned()));
        let link = listed.header("link").to_owned();
        let Some(rest) = link.strip_prefix("</api/v2/user") else { break };
        next = rest.strip_suffix(">; rel=\"next\"").unwrap().to_owned();
    }
    assert!(answers > 1, "the list was not cut");
    let found = names.len();
    names.sort();
    names.dedup();
    assert_eq!((found, names.len()), (3500, 3500), "each name once");
}

#[tokio::test]
async fn a_process_that_may_stop_answers_when_it_is_done() {
    let world = World::start().await;
    let user = world.files_of("partner-one", json!({})).await;
    let mut plan = FaultPlan::default();
    // settling takes longer than a test that does not wait
    plan.sqs.latency_ms = 300;
    world.offline.faults().set(plan);
    let request = Request::builder().method("POST").uri("/api/v2/user/files/upload?path=a");
    let request = request.header("authorization", format!("Bearer {}", user.token)).body(Body::from("hello")).unwrap();
    let answer = files::router_that_settles(world.files()).oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 201);
    let holder = Holder::Credential(CredentialId::parse(&user.id).unwrap());
    let usage = Settling::new(&world.aws).usage(&world.organization, &holder).await.unwrap();
    assert_eq!((usage.bytes, usage.files), (5, 1));
}
