//! Who comes in: limits, passwords, and one answer for all links that are not open.

use super::{Got, HTML, folder};
use crate::rest::basic;
use crate::support::World;
use serde_json::json;

const PASSWORD: &str = "a long password 1";

impl World {
    async fn count_of(&self, link: &serde_json::Value) -> u64 {
        let at = format!("/portal-links/{}", link["Id"].as_str().unwrap());
        self.call("GET", &at, "").await.expect(200).body["AccessCount"].as_u64().unwrap()
    }

    /// Somebody presses Open.
    async fn open(&self, path: &str, form: &str) -> Got {
        let headers = [HTML, ("content-type", "application/x-www-form-urlencoded")];
        self.visit("POST", &format!("{path}/?do=open"), &headers, form.as_bytes()).await
    }
}

#[tokio::test]
async fn of_ten_who_come_at_once_one_opens_a_link_for_one() {
    let world = World::start().await;
    world.file("a/x.txt", b"x").await;
    let (link, path) = world.link(json!({"Path": "/a/", "AccessLimit": 1})).await;
    let tries = (0..10).map(|_| world.open(&path, ""));
    let got = futures_util::future::join_all(tries).await;
    let mut statuses: Vec<u16> = got.iter().map(|got| got.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [&[303][..], &[404; 9]].concat());
    // whoever is in stays in, and all that follows is free
    let cookie = got.iter().find(|got| got.status == 303).unwrap().cookie();
    for _ in 0..3 {
        let page = world.visit("GET", &format!("{path}/"), &[HTML, ("cookie", &cookie)], b"").await.expect(200);
        assert!(page.text().contains("x.txt"));
        let file = world.visit("GET", &format!("{path}/x.txt"), &[HTML, ("cookie", &cookie)], b"").await.expect(302);
        assert_eq!(file.followed().await.1, b"x");
    }
    // for newcomers it is gone, as it is from the list
    world.visit("GET", &format!("{path}/"), &[HTML], b"").await.expect(404);
    world.visit("GET", &format!("{path}/x.txt"), &[], b"").await.expect(404);
    assert_eq!(world.call("GET", "/portal-links", "").await.expect(200).body, json!([]));
    world.call("GET", &format!("/portal-links/{}", link["Id"].as_str().unwrap()), "").await.expect(404);
    let told = world.told(&["share-link.accessed", "share-link.limit-reached"]).await;
    let accessed: Vec<_> = told.iter().filter(|event| event["topic"] == "share-link.accessed").collect();
    assert_eq!(accessed.len(), 1);
    assert_eq!(accessed[0]["actor"], json!({"kind": "ShareLink", "id": link["Id"]}));
    assert_eq!(accessed[0]["origin"]["client_ip"], "203.0.113.7");
    assert_eq!(accessed[0]["file"]["path"], "/a");
}

#[tokio::test]
async fn looking_ahead_costs_nothing_and_shows_nothing() {
    let world = World::start().await;
    world.file("a/x.txt", b"x").await;
    for limit in [0, 3] {
        let (link, path) = world.link(json!({"Path": "/a/", "AccessLimit": limit})).await;
        let page = format!("{path}/");
        for method in ["HEAD", "OPTIONS"] {
            let got = world.visit(method, &page, &[], b"").await;
            assert!(got.body.is_empty() && got.header("location").is_empty());
            let got = world.visit(method, &format!("{page}x.txt"), &[], b"").await;
            assert!(got.header("location").is_empty(), "no address without a visit");
        }
        for agent in ["Slackbot-LinkExpanding 1.0", "WhatsApp/2", "facebookexternalhit/1.1"] {
            let got = world.visit("GET", &page, &[("user-agent", agent)], b"").await.expect(200);
            assert!(!got.text().contains("x.txt") && got.header("set-cookie").is_empty(), "{agent}");
        }
        let ahead = [HTML, ("sec-purpose", "prefetch")];
        assert!(!world.visit("GET", &page, &ahead, b"").await.expect(503).text().contains("x.txt"));
        if limit > 0 {
            // a browser asks its user first
            let got = world.visit("GET", &page, &[HTML], b"").await.expect(200);
            assert!(got.text().contains("Open") && !got.text().contains("x.txt"));
        }
        // what is not there is no visit either
        world.visit("GET", &format!("{page}missing"), &[], b"").await.expect(404);
        assert_eq!(world.count_of(&link).await, 0);
    }
}

#[tokio::test]
async fn what_is_refused_costs_no_visit() {
    let world = World::start().await;
    world.file("a/x.txt", b"x").await;
    let (read, page) = world.link(json!({"Path": "/a/", "AccessLimit": 1})).await;
    let share = page.replacen("/s/", "/api/v2/shares/", 1);
    world.visit("PUT", &format!("{page}/new.txt"), &[], b"new").await.expect(403);
    world.visit("POST", &format!("{page}/?do=anything"), &[], b"").await.expect(400);
    world.visit("POST", &format!("{share}/new.txt"), &[], b"new").await.expect(403);
    world.visit("GET", &format!("{share}/files?path=missing"), &[], b"").await.expect(404);
    assert_eq!(world.count_of(&read).await, 0);

    let (write, page) = world.link(json!({"Path": "/a/", "AccessLimit": 1, "Permission": "write-only"})).await;
    let share = page.replacen("/s/", "/api/v2/shares/", 1);
    world.visit("GET", &share, &[], b"").await.expect(403);
    world.visit("GET", &format!("{page}/x.txt"), &[], b"").await.expect(404);
    assert_eq!(world.count_of(&write).await, 0);

    // lists and single files are for shares of one folder
    let (file, page) = world.link(json!({"Path": "/a/x.txt", "AccessLimit": 1})).await;
    let share = page.replacen("/s/", "/api/v2/shares/", 1).replace("/x.txt", "");
    world.visit("GET", &format!("{share}/dirs"), &[], b"").await.expect(400);
    world.visit("GET", &format!("{share}/files?path=x.txt"), &[], b"").await.expect(400);
    assert_eq!(world.count_of(&file).await, 0);
}

#[tokio::test]
async fn a_page_whose_visit_is_over_brings_nothing_by_itself() {
    let world = World::start().await;
    let (link, path) = world.link(json!({"Path": "/in/", "AccessLimit": 1, "Permission": "write-only"})).await;
    // its script has no cookie that is good, and says that it is the page's
    let script = [("x-towpath-page", "1")];
    let begin = br#"{"path":"y.txt","size":1}"#;
    let over = world.visit("POST", &format!("{path}/?do=begin"), &script, begin).await.expect(403);
    assert!(over.text().contains("The visit is over"), "{}", over.text());
    assert_eq!(world.count_of(&link).await, 0);
}

#[tokio::test]
async fn curl_counts_each_download_once_whatever_its_ranges() {
    let world = World::start().await;
    world.file("a/x.txt", b"0123456789").await;
    let (link, path) = world.link(json!({"Path": "/a/x.txt", "AccessLimit": 2})).await;
    let curl = ("user-agent", "curl/8.14.1");
    let first = world.visit("GET", &path, &[curl, ("range", "bytes=0-")], b"").await.expect(302);
    assert_eq!(first.followed().await.1, b"0123456789");
    for range in ["bytes=3-5", "bytes=6-", "bytes=0-1"] {
        world.visit("GET", &path, &[curl, ("range", range)], b"").await.expect(302);
    }
    assert_eq!(world.count_of(&link).await, 1);
    // several that begin at once are one as well
    let (link, path) = world.link(json!({"Path": "/a/x.txt", "AccessLimit": 1})).await;
    let ranges = ["bytes=0-3", "bytes=4-6", "bytes=7-9"];
    let got = futures_util::future::join_all(ranges.map(|range| async {
        let headers = [curl, ("range", range)];
        world.visit("GET", &path, &headers, b"").await.status.as_u16()
    }));
    assert_eq!(got.await, [302, 302, 302]);
    // and another client finds nothing
    world.visit("GET", &path, &[("user-agent", "Wget/1"), ("range", "bytes=0-")], b"").await.expect(404);
    world.visit("GET", &path, &[curl], b"").await.expect(404);
    drop(link);
}

#[tokio::test]
async fn a_password_by_form_and_by_header() {
    let world = World::start().await;
    world.file("a/x.txt", b"x").await;
    let (link, path) = world.link(json!({"Path": "/a/", "Password": PASSWORD})).await;
    let page = format!("{path}/");
    let asked = world.visit("GET", &page, &[HTML], b"").await.expect(401);
    assert!(asked.text().contains("type=\"password\"") && !asked.text().contains("x.txt"));
    assert!(asked.header("www-authenticate").is_empty(), "the form asks, and not the browser");
    let asked = world.visit("GET", &page, &[], b"").await.expect(401);
    assert!(asked.header("www-authenticate").starts_with("Basic"));
    let wrong = world.open(&path, "password=not+this+one").await.expect(401);
    assert!(wrong.text().contains("That is not the password"));
    assert!(wrong.header("set-cookie").is_empty());
    assert_eq!(world.count_of(&link).await, 0);

    let opened = world.open(&path, "password=a+long+password+1").await.expect(303);
    let cookie = opened.cookie();
    let kept = opened.header("set-cookie");
    for part in [&*format!("Path={path}"), "HttpOnly", "SameSite=Lax", "Secure"] {
        assert!(kept.contains(part), "{kept}");
    }
    let seconds: u64 = kept.split("Max-Age=").nth(1).unwrap().split(';').next().unwrap().parse().unwrap();
    assert!(seconds <= 12 * 3600);
    let inside = world.visit("GET", &page, &[HTML, ("cookie", &cookie)], b"").await.expect(200);
    assert!(inside.text().contains("x.txt"));
    assert_eq!(world.count_of(&link).await, 1);
    let header = basic("anybody", PASSWORD);
    world.visit("GET", &format!("{page}x.txt"), &[("authorization", &header)], b"").await.expect(302);
    let header = basic("anybody", "wrong");
    world.visit("GET", &format!("{page}x.txt"), &[("authorization", &header)], b"").await.expect(401);
    // a cookie opens its own link, and no other
    let (_, other) = world.link(json!({"Path": "/a/", "Password": PASSWORD})).await;
    world.visit("GET", &format!("{other}/"), &[HTML, ("cookie", &cookie)], b"").await.expect(401);
    // another password ends what the old one opened
    world.patch_link(&link, json!({"Password": "another password 1"})).await;
    world.visit("GET", &page, &[HTML, ("cookie", &cookie)], b"").await.expect(401);
    let told = world.told(&["share-link.access-failed"]).await;
    let failed = told.iter().find(|event| event["topic"] == "share-link.access-failed").unwrap();
    assert_eq!((&failed["actor"]["id"], &failed["reason"]), (&link["Id"], &json!("wrong password")));
    assert!(!format!("{told:?}").contains("not this one"));
}

#[tokio::test]
async fn who_guesses_is_banned_for_a_while() {
    let world = World::start().await;
    let (_, path) = world.link(json!({"Path": "/a/", "Password": PASSWORD})).await;
    for _ in 0..10 {
        world.open(&path, "password=wrong").await.expect(401);
    }
    // the right one does not help now
    world.open(&path, "password=a+long+password+1").await.expect(401);
    let authorization = format!("Bearer {}", world.secrets.api_key.as_str());
    let headers = [("authorization", authorization.as_str())];
    let hosts = crate::support::send(&world.router, "GET", "/api/v2/defender/hosts", "", &headers).await;
    assert_eq!(hosts.expect(200).body[0]["ip"], "203.0.113.7");
}

#[tokio::test]
async fn links_that_are_not_open_are_all_the_same() {
    let world = World::start().await;
    let mut answers = Vec::new();
    let (expired, a) = world.link(folder("/a/")).await;
    world.patch_link(&expired, json!({"ExpiresAt": 1_000_000_000})).await;
    let (disabled, b) = world.link(folder("/a/")).await;
    world.patch_link(&disabled, json!({"State": "inactive"})).await;
    let (deleted, c) = world.link(folder("/a/")).await;
    world.call("DELETE", &format!("/portal-links/{}", deleted["Id"].as_str().unwrap()), "").await.expect(200);
    let (_, used) = world.link(json!({"Path": "/a/", "AccessLimit": 1})).await;
    world.open(&used, "").await.expect(303);
    let (_, elsewhere) = world.link(json!({"Path": "/a/", "AllowFrom": ["198.51.100.0/24"]})).await;
    let (_, secret) = world.link(json!({"Path": "/a/", "Password": PASSWORD, "ExpiresAt": 1_000_000_000})).await;
    let unknown = "/s/AAAAAAAAAAAAAAAAAAAAAAAA".to_owned();
    let by_id = format!("/s/{}", expired["Id"].as_str().unwrap());
    let long = format!("/s/{}", "x".repeat(2000));
    for path in [a, b, c, used, elsewhere, secret, unknown, by_id, "/s/x".to_owned(), "/s/%00".to_owned(), long] {
        for accept in ["text/html", "*/*"] {
            let got = world.visit("GET", &path, &[("accept", accept)], b"").await.expect(404);
            let mut headers = got.headers.clone();
            for changes in ["x-request-id", "x-ratelimit-reset", "ratelimit"] {
                headers.remove(changes);
            }
            answers.push((accept, got.text(), format!("{headers:?}")));
            world.visit("HEAD", &path, &[("accept", accept)], b"").await.expect(404);
            world.visit("PUT", &format!("{path}/x"), &[("accept", accept)], b"x").await.expect(404);
        }
    }
    for accept in ["text/html", "*/*"] {
        let mut alike: Vec<_> = answers.iter().filter(|answer| answer.0 == accept).collect();
        alike.dedup();
        assert_eq!(alike.len(), 1, "{alike:?}");
        // not even whose it was
        assert!(!alike[0].1.contains("Test"), "{}", alike[0].1);
    }
}

#[tokio::test]
async fn a_link_that_ends_while_it_is_open_ends_for_all() {
    let world = World::start().await;
    world.file("a/x.txt", b"x").await;
    let (link, path) = world.link(json!({"Path": "/a/", "Permission": "read-write"})).await;
    let cookie = world.visit("GET", &format!("{path}/"), &[HTML], b"").await.expect(200).cookie();
    let inside = [HTML, ("cookie", cookie.as_str())];
    let begun = world
        .visit("POST", &format!("{path}/?do=begin"), &inside, br#"{"path":"big","size":9000000}"#)
        .await
        .expect(201);
    let id = begun.json()["id"].as_str().unwrap().to_owned();
    world.patch_link(&link, json!({"State": "inactive"})).await;
    world.visit("GET", &format!("{path}/"), &inside, b"").await.expect(404);
    world.visit("POST", &format!("{path}/?do=complete&upload={id}"), &inside, b"").await.expect(404);
    world.patch_link(&link, json!({"State": "active", "Permission": "read-only"})).await;
    world.visit("GET", &format!("{path}/"), &inside, b"").await.expect(200);
    world.visit("POST", &format!("{path}/?do=complete&upload={id}"), &inside, b"").await.expect(403);
    world.call("DELETE", &format!("/portal-links/{}", link["Id"].as_str().unwrap()), "").await.expect(200);
    world.visit("GET", &format!("{path}/"), &inside, b"").await.expect(404);
}
