//! Bringing files by a link.

use super::{HTML, MIB, folder};
use crate::support::{TICKETS, World};
use app::tickets::Tickets;
use domain::direct_upload::{MAX_OPEN_OF_LINK, MAX_OPEN_OF_LINKS};
use domain::ticket::Errand;
use serde_json::{Value, json};
use store::settling::Settling;

async fn put_part(part: &Value, bytes: Vec<u8>) -> u16 {
    let client = reqwest::Client::new();
    client.put(part["url"].as_str().unwrap()).body(bytes).send().await.unwrap().status().as_u16()
}

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| u8::try_from(at * 11 % 251).unwrap()).collect()
}

#[tokio::test]
async fn curl_puts_a_file_where_it_may() {
    let world = World::start().await;
    let (link, path) = world.link(json!({"Path": "/in/", "Permission": "read-write"})).await;
    world.visit("PUT", &format!("{path}/sub/Z%C3%BCrich%20%22x%22.txt"), &[], b"one").await.expect(201);
    assert_eq!(world.content_of("in/sub/Zürich \"x\".txt").await.unwrap(), b"one");
    world.visit("PUT", &format!("{path}/a.txt"), &[], b"1").await.expect(201);
    world.visit("PUT", &format!("{path}/a.txt"), &[], b"2").await.expect(201);
    assert_eq!(world.content_of("in/a.txt").await.unwrap(), b"2");
    world.visit("PUT", &format!("{path}/"), &[], b"x").await.expect(400);
    // it is the link that did it, and it is counted for the root credential
    let told = world.told(&["file.created"]).await;
    let created = told.iter().find(|event| event["topic"] == "file.created").unwrap();
    assert_eq!(created["actor"], json!({"kind": "ShareLink", "id": link["Id"]}));
    assert_eq!(
        (&created["origin"]["protocol"], &created["origin"]["client_ip"]),
        (&json!("WEB_PORTAL"), &json!("203.0.113.7"))
    );
    let root = world.records.organization(&world.organization).await.unwrap().unwrap().value.root_credential.unwrap();
    let settling = Settling::new(&world.aws);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while settling.usage(&world.organization, &domain::quota::Holder::Credential(root.clone())).await.unwrap().files
        != 2
    {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }

    // what is large goes to a node, with a ticket of this visit
    let sent = world.visit("PUT", &format!("{path}/big.bin?size=5000000000"), &[], b"").await.expect(307);
    let ticket = sent.header("location").strip_prefix("https://node.example.com/tickets/").unwrap();
    let ticket = Tickets::new(TICKETS).ok().unwrap().read(ticket, store::clock::now()).unwrap();
    assert!(matches!(&ticket.errand, Errand::Upload { path, .. } if path.to_string() == "/big.bin"));
    assert_eq!(json!(ticket.link.unwrap().id.as_str()), link["Id"]);
}

#[tokio::test]
async fn read_only_refuses_requests_that_no_page_sends() {
    let world = World::start().await;
    world.file("a/x.txt", b"x").await;
    let (_, path) = world.link(folder("/a/")).await;
    let cookie = world.visit("GET", &format!("{path}/"), &[HTML], b"").await.expect(200).cookie();
    let inside = [HTML, ("cookie", cookie.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    world.visit("PUT", &format!("{path}/y.txt"), &inside, b"y").await.expect(403);
    world.visit("PUT", &format!("{path}/x.txt"), &[], b"y").await.expect(403);
    let begin = br#"{"path":"y.txt","size":1}"#;
    world.visit("POST", &format!("{path}/?do=begin"), &inside, begin).await.expect(403);
    world.visit("POST", &format!("{path}/?do=delete"), &inside, b"name=x.txt").await.expect(403);
    world.visit("POST", &format!("{path}/?do=folder"), &inside, b"name=new").await.expect(403);
    let form = "--b\r\nContent-Disposition: form-data; name=\"filenames\"; filename=\"y\"\r\n\r\ny\r\n--b--\r\n";
    let multipart = [HTML, ("cookie", cookie.as_str()), ("content-type", "multipart/form-data; boundary=b")];
    world.visit("POST", &format!("{path}/?do=form"), &multipart, form.as_bytes()).await.expect(403);
    for method in ["DELETE", "PATCH"] {
        world.visit(method, &format!("{path}/x.txt"), &inside, b"").await.expect(405);
    }
    assert_eq!(world.content_of("a/x.txt").await.unwrap(), b"x");
    assert!(world.content_of("a/y.txt").await.is_none());
}

#[tokio::test]
async fn a_program_brings_files_whatever_it_calls_itself() {
    let world = World::start().await;
    let (_, path) = world.link(json!({"Path": "/in/", "Permission": "write-only"})).await;
    for (name, agent) in [("a.txt", "acme-upload-bot/1.0"), ("b.txt", "Slackbot-LinkExpanding 1.0")] {
        let headers = [("user-agent", agent), ("purpose", "prefetch")];
        world.visit("PUT", &format!("{path}/{name}"), &headers, agent.as_bytes()).await.expect(201);
        assert_eq!(world.content_of(&format!("in/{name}")).await.unwrap(), agent.as_bytes());
    }
}

#[tokio::test]
async fn write_only_takes_files_and_shows_none() {
    let world = World::start().await;
    world.file("box/secret.txt", b"of somebody else").await;
    world.file("box/sub/secret2.txt", b"of somebody else").await;
    let (_, path) = world.link(json!({"Path": "/box/", "Permission": "write-only"})).await;
    let page = world.visit("GET", &format!("{path}/"), &[HTML], b"").await.expect(200);
    assert!(!page.text().contains("secret") && page.text().contains("id=\"upload\""));
    for hidden in
        ["secret.txt", "sub/", "sub", "sub/secret2.txt", "missing", "?zip=1", "secret.txt?view=1", "sub/?zip=1"]
    {
        let got = world.visit("GET", &format!("{path}/{hidden}"), &[HTML], b"").await;
        assert!(!got.text().contains("secret2") && got.header("location").is_empty(), "{hidden}: {}", got.text());
        assert!(got.status == 404 || hidden == "?zip=1", "{hidden}: {}", got.status);
    }
    let id = path.strip_prefix("/s/").unwrap();
    world.visit("GET", &format!("/api/v2/shares/{id}"), &[], b"").await.expect(403);
    world.visit("GET", &format!("/api/v2/shares/{id}/dirs"), &[], b"").await.expect(403);
    world.visit("PUT", &format!("{path}/mine.txt"), &[], b"mine").await.expect(201);
    // nothing is replaced
    world.visit("PUT", &format!("{path}/secret.txt"), &[], b"mine").await.expect(403);
    world.visit("POST", &format!("{path}/?do=begin"), &[], br#"{"path":"secret.txt","size":1}"#).await.expect(403);
    assert_eq!(world.content_of("box/secret.txt").await.unwrap(), b"of somebody else");
}

#[tokio::test]
async fn an_upload_session_belongs_to_its_visit_and_to_its_size() {
    let world = World::start().await;
    let (_, path) = world.link(json!({"Path": "/in/", "Permission": "read-write"})).await;
    let page = format!("{path}/");
    let cookie = world.visit("GET", &page, &[HTML], b"").await.expect(200).cookie();
    let inside = [HTML, ("cookie", cookie.as_str())];
    let content = content(9 * MIB);
    let body =
        json!({"path": "folder/big.bin", "size": content.len(), "last_modified": 1_600_000_000_000_i64}).to_string();
    let begun = world.visit("POST", &format!("{page}?do=begin"), &inside, body.as_bytes()).await.expect(201).json();
    let id = begun["id"].as_str().unwrap();
    let parts = begun["parts"].as_array().unwrap();
    // more than was announced is refused by its signature
    assert_ne!(put_part(&parts[0], content[..8 * MIB + 1].to_vec()).await, 200);
    assert_ne!(put_part(&parts[1], content[8 * MIB - 1..].to_vec()).await, 200);
    assert_eq!(put_part(&parts[0], content[..8 * MIB].to_vec()).await, 200);
    let complete = format!("{page}?do=complete&upload={id}");
    world.visit("POST", &complete, &inside, b"").await.expect(400);
    let state = world.visit("GET", &format!("{page}?upload={id}&part=2"), &inside, b"").await.expect(200).json();
    assert_eq!((&state["received"], &state["parts"][0]["number"]), (&json!([1]), &json!(2)));
    assert_eq!(put_part(&parts[1], content[8 * MIB..].to_vec()).await, 200);

    // another visitor of the same link, the owner itself, and a visitor of another link
    let other = world.visit("GET", &page, &[HTML], b"").await.expect(200).cookie();
    let (_, second) = world.link(json!({"Path": "/in/", "Permission": "read-write"})).await;
    for (page, headers) in
        [(&page, &[HTML, ("cookie", other.as_str())][..]), (&page, &[][..]), (&format!("{second}/"), &[][..])]
    {
        world.visit("POST", &format!("{page}?do=complete&upload={id}"), headers, b"").await.expect(404);
        world.visit("POST", &format!("{page}?do=abort&upload={id}"), headers, b"").await.expect(404);
        world.visit("GET", &format!("{page}?upload={id}"), headers, b"").await.expect(404);
    }
    let root = world.user_token("root-user-name", &world.secrets.password).await;
    world.b(&root, "POST", &format!("/user/upload-sessions/{id}/complete"), &Value::Null).await.expect(404);
    world.visit("POST", &complete, &inside, b"").await.expect(201);
    world.visit("POST", &complete, &inside, b"").await.expect(404);
    assert_eq!(world.content_of("in/folder/big.bin").await.unwrap(), content);

    // one that is thrown away leaves nothing
    let begun = world.visit("POST", &format!("{page}?do=begin"), &inside, body.as_bytes()).await.expect(201).json();
    let id = begun["id"].as_str().unwrap();
    world.visit("POST", &format!("{page}?do=abort&upload={id}"), &inside, b"").await.expect(200);
    let open = world.aws.s3.list_multipart_uploads().bucket("files").send().await.unwrap();
    assert!(open.uploads().is_empty());
}

#[tokio::test]
async fn open_sessions_of_visitors_leave_room_for_others() {
    let world = World::start().await;
    let write_only = json!({"Path": "/in/", "Permission": "write-only"});
    let begin = async |path: &str, at: usize| {
        let body = json!({"path": format!("f{at}"), "size": 1}).to_string();
        world.visit("POST", &format!("{path}/?do=begin"), &[], body.as_bytes()).await
    };
    let links = MAX_OPEN_OF_LINKS / MAX_OPEN_OF_LINK;
    for _ in 0..links {
        let (_, path) = world.link(write_only.clone()).await;
        for at in 0..MAX_OPEN_OF_LINK {
            begin(&path, at).await.expect(201);
        }
        let refused = begin(&path, MAX_OPEN_OF_LINK).await.expect(503).text();
        assert!(refused.contains("At most 100 uploads"), "{refused}");
    }
    // visitors of all links of one owner have an end, too, and the owner has its own room
    let (_, path) = world.link(write_only).await;
    let refused = begin(&path, 0).await.expect(503).text();
    assert!(refused.contains("At most 500 uploads"), "{refused}");
    let root = world.user_token("root-user-name", &world.secrets.password).await;
    let body = json!({"path": "/in/mine", "size": 1});
    world.b(&root, "POST", "/user/upload-sessions", &body).await.expect(201);
}

#[tokio::test]
async fn nothing_leads_out_of_the_folder() {
    let world = World::start().await;
    world.file("a/in.txt", b"in").await;
    world.file("outside.txt", b"out").await;
    let (_, path) = world.link(json!({"Path": "/a/", "Permission": "read-write"})).await;
    for trick in [
        "../outside.txt",
        "%2e%2e/outside.txt",
        "..%2foutside.txt",
        "x/../../outside.txt",
        "%2e%2e%2foutside.txt",
        "%00",
        "a%0ab",
        "%ff",
    ] {
        world.visit("GET", &format!("{path}/{trick}"), &[], b"").await.expect(404);
        world.visit("PUT", &format!("{path}/{trick}"), &[], b"evil").await.expect(404);
    }
    for name in ["../outside.txt", "/../../outside.txt", "x/../../outside.txt"] {
        let body = json!({"path": name, "size": 0}).to_string();
        let begun = world.visit("POST", &format!("{path}/?do=begin"), &[], body.as_bytes()).await.expect(201).json();
        assert_eq!(begun["path"], "/outside.txt", "the link's root is the highest");
    }
    for name in ["..", ".", "a/b", "../x", ""] {
        let form = format!("name={name}");
        world.visit("POST", &format!("{path}/?do=folder"), &[], form.as_bytes()).await.expect(400);
        world.visit("POST", &format!("{path}/?do=delete"), &[], form.as_bytes()).await.expect(400);
    }
    assert_eq!(world.content_of("outside.txt").await.unwrap(), b"out");
}

#[tokio::test]
async fn forms_of_a_page_and_of_other_sites() {
    let world = World::start().await;
    let (_, path) = world.link(json!({"Path": "/in/", "Permission": "read-write"})).await;
    let form = |headers: &'static [(&'static str, &'static str)], rest: &str, body: &'static str| {
        let uri = format!("{path}/?do={rest}");
        let world = &world;
        async move { world.visit("POST", &uri, headers, body.as_bytes()).await }
    };
    form(&[HTML, ("sec-fetch-site", "same-origin"), ("origin", "null")], "folder", "name=new+one").await.expect(303);
    assert_eq!(world.content_of("in/new one/").await.unwrap(), b"");
    form(&[HTML, ("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")], "folder", "name=x")
        .await
        .expect(403);
    form(&[HTML, ("origin", "https://evil.example")], "folder", "name=x").await.expect(403);
    form(&[HTML, ("origin", "https://api.example.com")], "folder", "name=y").await.expect(303);
    world.visit("PUT", &format!("{path}/z"), &[("origin", "https://evil.example")], b"z").await.expect(403);
    let multipart = "--b\r\nContent-Disposition: form-data; name=\"filenames\"; filename=\"one.txt\"\r\n\r\n1\r\n--b\r\n\
                     Content-Disposition: form-data; name=\"filenames\"; filename=\"two.txt\"\r\n\r\n22\r\n--b--\r\n";
    let headers = [HTML, ("content-type", "multipart/form-data; boundary=b")];
    world.visit("POST", &format!("{path}/?do=form"), &headers, multipart.as_bytes()).await.expect(303);
    assert_eq!(world.content_of("in/two.txt").await.unwrap(), b"22");
    form(&[HTML], "delete", "name=two.txt").await.expect(303);
    assert!(world.content_of("in/two.txt").await.is_none());
    world.file("in/deep/a/b.txt", b"b").await;
    form(&[HTML], "delete", "name=deep").await.expect(303);
    assert!(world.content_of("in/deep/a/b.txt").await.is_none());
}
