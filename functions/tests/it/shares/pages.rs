//! What is in the pages, and what browsers are told about them.

use super::{HTML, folder};
use crate::support::World;
use serde_json::json;

#[tokio::test]
async fn names_are_text_whatever_they_hold() {
    let world = World::start().await;
    let names = [
        "\"quoted\" & 'more'.txt",
        "<script>alert(1)<b>.html",
        "مرحبا.pdf",
        "🎉 party.png",
        "a%2fb?c#d.txt",
        "=cmd|.csv",
    ];
    for name in names {
        world.file(&format!("a/{name}"), name.as_bytes()).await;
    }
    let (_, path) = world.link(json!({"Path": "/a/", "Permission": "read-write"})).await;
    let page = world.visit("GET", &format!("{path}/"), &[HTML], b"").await.expect(200).text();
    assert!(!page.contains("<script>alert") && page.contains("&lt;script&gt;alert(1)"));
    assert!(page.contains("&quot;quoted&quot; &amp; 'more'.txt"));
    // each address on the page leads to its file, under its own name
    let mut followed = 0;
    for href in page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        let Some(at) = href.strip_suffix("?download=1") else { continue };
        let got = world.visit("GET", at, &[], b"").await.expect(302);
        let (headers, content) = got.followed().await;
        let content = String::from_utf8(content).unwrap();
        assert!(names.contains(&content.as_str()), "{content}");
        let disposition = headers["content-disposition"].to_str().unwrap();
        assert!(disposition.starts_with("attachment; "), "{disposition}");
        let encoded = disposition.split("filename*=UTF-8''").nth(1).unwrap();
        assert_eq!(percent_encoding::percent_decode_str(encoded).decode_utf8().unwrap(), content);
        followed += 1;
    }
    assert_eq!(followed, names.len());
}

#[tokio::test]
async fn what_may_run_is_never_shown() {
    let world = World::start().await;
    for name in ["page.html", "drawing.svg", "data.xml", "picture.png", "notes.txt"] {
        world.file(&format!("a/{name}"), b"<svg onload=alert(1)>").await;
    }
    let (_, path) = world.link(folder("/a/")).await;
    for (name, kind) in [
        ("page.html", "application/octet-stream"),
        ("drawing.svg", "application/octet-stream"),
        ("data.xml", "application/octet-stream"),
        ("picture.png", "image/png"),
        ("notes.txt", "text/plain; charset=utf-8"),
    ] {
        let got = world.visit("GET", &format!("{path}/{name}?view=1"), &[], b"").await.expect(302);
        let (headers, _) = got.followed().await;
        assert_eq!(headers["content-type"], kind, "{name}");
        let saved = headers["content-disposition"].to_str().unwrap().starts_with("attachment");
        assert_eq!(saved, kind == "application/octet-stream", "{name}");
        let (headers, _) = world.visit("GET", &format!("{path}/{name}"), &[], b"").await.expect(302).followed().await;
        assert_eq!(headers["content-type"], "application/octet-stream", "{name}");
    }
}

#[tokio::test]
async fn browsers_are_told_to_be_careful() {
    let world = World::start().await;
    world.file("a/x.txt", b"x").await;
    let (_, path) = world.link(folder("/a/")).await;
    for page in [format!("{path}/"), format!("{path}/missing"), "/s/none".to_owned()] {
        let got = world.visit("GET", &page, &[HTML], b"").await;
        let policy = got.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        for part in ["script-src 'self';", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"] {
            assert!(policy.contains(part), "{policy}");
        }
        let connect = policy.split("connect-src").nth(1).unwrap().split(';').next().unwrap();
        assert!(connect.contains(&world.offline.endpoint()), "{connect}");
        assert_eq!(got.header("referrer-policy"), "no-referrer");
        assert_eq!(got.header("x-content-type-options"), "nosniff");
        assert_eq!(got.header("cache-control"), "no-store");
        let text = got.text();
        assert!(!text.contains("style=\"") && !text.contains(" onclick") && !text.contains("<script>"), "{text}");
        assert!(!text.contains("://"), "no address of another server: {text}");
    }
    // what pages load is kept for good, under an address of its own
    let page = world.visit("GET", &format!("{path}/"), &[HTML], b"").await.text();
    for name in ["portal.js", "portal.css", "icon.svg"] {
        let at = page.split('"').find(|part| part.ends_with(name)).unwrap();
        let got = world.visit("GET", at, &[], b"").await.expect(200);
        assert_eq!(got.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(got.header("x-content-type-options"), "nosniff");
        assert!(!got.body.is_empty());
    }
    world.visit("GET", "/share-assets/x/../secret", &[], b"").await.expect(404);
}

#[tokio::test]
async fn a_folder_is_sorted_and_cut_into_pages() {
    let world = World::start().await;
    let files = (0..501).map(|at| world.file_owned(format!("a/f{at:03}.bin"), vec![0; at]));
    futures_util::future::join_all(files).await;
    world.file("a/sub/inside.txt", b"x").await;
    let (_, path) = world.link(folder("/a/")).await;
    let cookie = world.visit("GET", &format!("{path}/"), &[HTML], b"").await.expect(200).cookie();
    let inside = [HTML, ("cookie", cookie.as_str())];
    let names = async |query: &str| {
        let page = world.visit("GET", &format!("{path}/{query}"), &inside, b"").await.expect(200).text();
        let names = page.split("<td class=\"name\">").skip(1);
        names
            .map(|row| row.split("<bdi>").nth(1).unwrap().split("</bdi>").next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let first = names("").await;
    assert_eq!((first.len(), first[0].as_str(), first[1].as_str()), (500, "sub", "f000.bin"));
    assert_eq!(names("?page=2").await, ["f499.bin", "f500.bin"]);
    let largest = names("?sort=size&order=desc").await;
    assert_eq!((largest[0].as_str(), largest[1].as_str()), ("sub", "f500.bin"));
    // what is no page is the nearest one
    assert_eq!(names("?page=99&sort=nothing").await.len(), 2);
    let deep = world.visit("GET", &format!("{path}/sub/"), &inside, b"").await.expect(200).text();
    assert!(deep.contains("inside.txt") && deep.contains("aria-label=\"Folders above\""));
    let slash = world.visit("GET", &format!("{path}/sub"), &inside, b"").await.expect(302);
    assert_eq!(slash.header("location"), format!("{path}/sub/"));
}

impl World {
    async fn file_owned(&self, path: String, content: Vec<u8>) {
        self.file(&path, &content).await;
    }
}

#[tokio::test]
async fn a_file_has_a_page_and_programs_get_it_at_once() {
    let world = World::start().await;
    world.file("a/report.pdf", b"pdf").await;
    let (_, path) = world.link(folder("/a/report.pdf")).await;
    assert!(path.ends_with("/report.pdf"));
    let page = world.visit("GET", &path, &[HTML], b"").await.expect(200).text();
    assert!(page.contains("report.pdf") && page.contains("3 bytes") && page.contains("?view=1"));
    assert_eq!(world.visit("GET", &path, &[], b"").await.expect(302).followed().await.1, b"pdf");
    let by_page = world.visit("GET", &format!("{path}?download=1"), &[HTML], b"").await.expect(302);
    assert_eq!(by_page.followed().await.1, b"pdf");
    let other = path.replace("report.pdf", "other.pdf");
    world.visit("GET", &other, &[], b"").await.expect(404);
    let told = world.told(&["file.downloaded"]).await;
    let downloaded = told.iter().find(|event| event["topic"] == "file.downloaded").unwrap();
    assert_eq!(downloaded["actor"]["kind"], "ShareLink");
}

#[tokio::test]
async fn all_of_a_folder_comes_from_a_node() {
    let world = World::start().await;
    world.file("a/x.txt", b"x").await;
    let (_, path) = world.link(folder("/a/")).await;
    let got = world.visit("GET", &format!("{path}/?zip=1"), &[HTML], b"").await.expect(302);
    assert!(got.header("location").starts_with("https://node.example.com/tickets/"));
    world.visit("GET", &format!("{path}/missing/?zip=1"), &[HTML], b"").await.expect(404);
}
