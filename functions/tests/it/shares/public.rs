//! SFTPGo's public routes.

use super::{MIB, folder};
use crate::rest::basic;
use crate::support::World;
use serde_json::json;

fn at(path: &str) -> String {
    format!("/api/v2/shares/{}", path.strip_prefix("/s/").unwrap().split('/').next().unwrap())
}

#[tokio::test]
async fn sftpgos_clients_see_fetch_and_bring_files() {
    let world = World::start().await;
    world.file("a/x.txt", b"x").await;
    world.file("a/sub/y.txt", b"yy").await;
    let (link, path) = world.link(json!({"Path": "/a/", "Permission": "read-write"})).await;
    let share = at(&path);
    let listed = world.visit("GET", &format!("{share}/dirs?path=%2F"), &[], b"").await.expect(200).json();
    let mut names: Vec<&str> = listed.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["sub", "x.txt"]);
    let file = world.visit("GET", &format!("{share}/files?path=sub%2Fy.txt"), &[], b"").await.expect(302);
    assert_eq!(file.followed().await.1, b"yy");
    let zip = world.visit("GET", &share, &[], b"").await.expect(307);
    assert!(zip.header("location").starts_with("https://node.example.com/tickets/"));
    world.visit("POST", &format!("{share}/new.txt"), &[], b"new").await.expect(201);
    assert_eq!(world.content_of("a/new.txt").await.unwrap(), b"new");
    let form = "--b\r\nContent-Disposition: form-data; name=\"filenames\"; filename=\"one.txt\"\r\n\r\n1\r\n--b--\r\n";
    world
        .visit("POST", &share, &[("content-type", "multipart/form-data; boundary=b")], form.as_bytes())
        .await
        .expect(201);
    assert_eq!(world.content_of("a/one.txt").await.unwrap(), b"1");
    let large = world.visit("POST", &format!("{share}/big.bin"), &[], &vec![0; 5 * MIB]).await.expect(307);
    assert!(large.header("location").starts_with("https://node.example.com/tickets/"));
    let refused = world.visit("GET", &format!("{share}/files?path=missing"), &[], b"").await.expect(404).json();
    assert_eq!(refused["error"], "Not Found");
    world.visit("GET", &format!("{share}/files?path=sub"), &[], b"").await.expect(400);
    assert_eq!(
        world.call("GET", &format!("/portal-links/{}", link["Id"].as_str().unwrap()), "").await.body["AccessCount"],
        6
    );
    // events carry the id and not what opens it
    world.visit("GET", &format!("/api/v2/shares/{}", link["Id"].as_str().unwrap()), &[], b"").await.expect(404);
}

#[tokio::test]
async fn a_file_raw_and_a_password_by_header() {
    let world = World::start().await;
    world.file("a/x.txt", b"x").await;
    let (_, path) = world.link(json!({"Path": "/a/x.txt", "Password": "a long password 1", "AccessLimit": 2})).await;
    let raw = format!("{}?compress=false", at(&path));
    let asked = world.visit("GET", &raw, &[], b"").await.expect(401);
    assert!(asked.header("www-authenticate").starts_with("Basic"));
    let wrong = basic("x", "a wrong password");
    world.visit("GET", &raw, &[("authorization", &wrong)], b"").await.expect(401);
    let right = basic("x", "a long password 1");
    for _ in 0..2 {
        let got = world.visit("GET", &raw, &[("authorization", &right)], b"").await.expect(302);
        assert_eq!(got.followed().await.1, b"x");
    }
    world.visit("GET", &raw, &[("authorization", &right)], b"").await.expect(404);
}

#[tokio::test]
async fn what_the_share_does_not_allow() {
    let world = World::start().await;
    world.file("a/x.txt", b"x").await;
    let (_, path) = world.link(folder("/a/")).await;
    world.visit("POST", &format!("{}/new.txt", at(&path)), &[], b"new").await.expect(403);
    world.visit("GET", "/api/v2/shares/none", &[], b"").await.expect(404);
    let (_, file) = world.link(folder("/a/x.txt")).await;
    world.visit("GET", &format!("{}/dirs", at(&file)), &[], b"").await.expect(400);
}
