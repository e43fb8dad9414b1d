//! A credential's files over REST: what they do, and what they refuse.

#![expect(clippy::indexing_slicing, reason = "a test ends at what it did not expect")]

mod folder_jobs;
mod large;
mod retention;
mod upload_sessions;

use crate::rest::with;
use crate::support::{Answer, TICKETS, World, send};
use app::tickets::Tickets;
use axum::body::{Body, to_bytes};
use domain::id::CredentialId;
use domain::quota::Holder;
use http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use store::settling::{Settling, Usage};
use tower::ServiceExt as _;

const PASSWORD: &str = "a long password 1";
const MIB: usize = 1 << 20;

/// A credential with its token.
struct User<'a> {
    world: &'a World,
    id: String,
    token: String,
}

impl World {
    async fn files_of(&self, name: &str, fields: Value) -> User<'_> {
        let mut body = json!({"UserName": name, "Password": PASSWORD, "Permission": "full"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let id = self.call("POST", "/users", &body.to_string()).await.expect(201).text("/Id");
        let token = self.user_token(name, PASSWORD).await;
        User { world: self, id, token }
    }
}

impl User<'_> {
    async fn call(&self, method: &str, rest: &str, body: Value) -> Answer {
        self.world.b(&self.token, method, &format!("/user{rest}"), &body).await
    }

    async fn raw(&self, method: &str, rest: &str, headers: &[(&str, &str)], body: Vec<u8>) -> (StatusCode, HeaderMap) {
        let mut request = Request::builder().method(method).uri(format!("/api/v2/user{rest}"));
        request = request.header("authorization", format!("Bearer {}", self.token));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body)).unwrap();
        let (parts, body) = self.world.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = to_bytes(body, MIB).await.unwrap();
        if !parts.status.is_success() && !parts.status.is_redirection() {
            eprintln!("{}", String::from_utf8_lossy(&body));
        }
        (parts.status, parts.headers)
    }

    async fn put(&self, path: &str, body: &[u8]) -> StatusCode {
        let length = body.len().to_string();
        let rest = format!("/files/upload?path={path}");
        self.raw("POST", &rest, &[("content-length", &length)], body.to_vec()).await.0
    }

    /// Follows the redirect.
    async fn get(&self, path: &str) -> Option<(HeaderMap, Vec<u8>)> {
        let (status, headers) = self.raw("GET", &format!("/files?path={path}"), &[], Vec::new()).await;
        if status != StatusCode::FOUND {
            return None;
        }
        let answer = reqwest::get(headers["location"].to_str().unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
        let headers = answer.headers().clone();
        Some((headers, answer.bytes().await.unwrap().to_vec()))
    }

    async fn names(&self, path: &str) -> Vec<String> {
        let listed = self.call("GET", &format!("/dirs?path={path}"), Value::Null).await.expect(200);
        let mut names: Vec<String> =
            listed.body.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// Waits until this is counted.
    async fn counted(&self, expected: (i64, i64)) {
        let settling = Settling::new(&self.world.aws);
        let holder = Holder::Credential(CredentialId::parse(&self.id).unwrap());
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let Usage { bytes, files, .. } = settling.usage(&self.world.organization, &holder).await.unwrap();
            if (bytes, files) == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{bytes} bytes, {files} files, expected {expected:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn begin(&self, path: &str, size: usize) -> Answer {
        self.call("POST", "/upload-sessions", json!({"path": path, "size": size})).await
    }
}

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect()
}

/// Sends the parts that a session names, but for some.
async fn send_parts(session: &Value, content: &[u8], without: &[u64]) {
    let size = usize::try_from(session["part_size"].as_u64().unwrap()).unwrap();
    for part in session["parts"].as_array().unwrap() {
        let number = part["number"].as_u64().unwrap();
        if without.contains(&number) {
            continue;
        }
        let from = (usize::try_from(number).unwrap() - 1) * size;
        let bytes = content[from..content.len().min(from + size)].to_vec();
        assert_eq!(part["size"], bytes.len());
        assert_eq!(put_part(part, bytes).await, 200);
    }
}

async fn put_part(part: &Value, bytes: Vec<u8>) -> u16 {
    let client = reqwest::Client::new();
    client.put(part["url"].as_str().unwrap()).body(bytes).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_file_comes_is_seen_moves_and_goes() {
    let world = World::start().await;
    let user = world.files_of("partner-one", json!({})).await;
    let made = user.call("POST", "/dirs?path=in/deep&mkdir_parents=true", Value::Null).await.expect(201);
    assert_eq!(made.body, json!({"message": "Directory \"/in/deep\" created"}));
    user.call("POST", "/dirs?path=in", Value::Null).await.expect(409);
    user.call("POST", "/dirs?path=new/below", Value::Null).await.expect(201);

    assert_eq!(user.put("in/a%20b.txt", b"hello").await, 201);
    let (status, _) = user
        .raw("POST", "/files/upload?path=in/dated", &[("x-sftpgo-mtime", "1603696766908")], b"dated".to_vec())
        .await;
    assert_eq!(status, 201);
    user.counted((10, 2)).await;
    let listed = user.call("GET", "/dirs?path=in", Value::Null).await.expect(200);
    let of = |name: &str| listed.body.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
    assert_eq!(of("dated")["last_modified"], "2020-10-26T07:19:26Z");
    assert_eq!((&of("a b.txt")["size"], &of("a b.txt")["mode"]), (&json!(5), &json!(0o644)));
    let folder = of("deep");
    assert!(folder.get("size").is_none() && folder["mode"].as_u64().unwrap() & 2_147_483_648 != 0);
    assert_eq!(user.call("GET", "/files/metadata?path=in/dated", Value::Null).await.expect(200).body, of("dated"));

    let (headers, bytes) = user.get("in/a%20b.txt").await.unwrap();
    assert_eq!(bytes, b"hello");
    assert_eq!(headers["content-disposition"], "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt");
    assert_eq!(headers["content-type"], "application/octet-stream");

    let time = json!({"modification_time": 1_700_000_000_000_i64});
    user.call("PATCH", "/files/metadata?path=in/dated", time).await.expect(200);
    let dated = user.call("GET", "/files/metadata?path=in/dated", Value::Null).await.expect(200);
    assert_eq!(dated.text("/last_modified"), "2023-11-14T22:13:20Z");

    user.call("POST", "/file-actions/copy?path=in/dated&target=in/copy", Value::Null).await.expect(200);
    user.counted((15, 3)).await;
    user.call("PATCH", "/files?path=in/copy&target=in/moved", Value::Null).await.expect(200);
    user.call("PATCH", "/dirs?path=in/moved&target=in/x", Value::Null).await.expect(400);
    user.call("PATCH", "/files?path=in&target=x", Value::Null).await.expect(400);
    user.call("POST", "/file-actions/move?path=in&target=out", Value::Null).await.expect(200);
    assert_eq!(user.names("out").await, ["a b.txt", "dated", "deep", "moved"]);
    user.call("DELETE", "/files?path=out/moved", Value::Null).await.expect(200);
    user.call("DELETE", "/files?path=out/moved", Value::Null).await.expect(404);
    user.call("DELETE", "/files?path=out/deep", Value::Null).await.expect(400);
    user.call("DELETE", "/dirs?path=out", Value::Null).await.expect(200);
    user.call("GET", "/dirs?path=out", Value::Null).await.expect(404);
    user.counted((0, 0)).await;
}

#[tokio::test]
async fn a_form_brings_several_files() {
    let world = World::start().await;
    let user = world.files_of("partner-one", json!({})).await;
    let form = |names: &[&str]| {
        let mut body = String::new();
        for name in names {
            body += &format!(
                "--x\r\nContent-Disposition: form-data; name=\"filenames\"; filename=\"{name}\"\r\n\r\n{name}!\r\n"
            );
        }
        (body + "--x--\r\n").into_bytes()
    };
    let kind = [("content-type", "multipart/form-data; boundary=x")];
    let rest = "/files?path=/new&mkdir_parents=true";
    assert_eq!(user.raw("POST", rest, &kind, form(&["a.txt", "C:\\dir\\b.txt", "../c.txt"])).await.0, 201);
    assert_eq!(user.names("new").await, ["a.txt", "b.txt", "c.txt"]);
    assert_eq!(user.get("new/a.txt").await.unwrap().1, b"a.txt!");
    for bad in [form(&[]), form(&[".."]), form(&[""]), b"--x\r\n".to_vec(), Vec::new()] {
        assert_eq!(user.raw("POST", rest, &kind, bad).await.0, 400);
    }
    assert_eq!(user.raw("POST", rest, &[("content-type", "text/plain")], b"x".to_vec()).await.0, 400);
    assert_eq!(user.names("new").await.len(), 3);
    // 4.5 MB together
    let large = |bytes| {
        let head = "--x\r\nContent-Disposition: form-data; name=\"filenames\"; filename=\"large\"\r\n\r\n";
        format!("{head}{}\r\n--x--\r\n", "x".repeat(bytes)).into_bytes()
    };
    assert_eq!(user.raw("POST", rest, &kind, large(4 * MIB)).await.0, 201);
    assert_eq!(user.get("new/large").await.unwrap().1.len(), 4 * MIB);
    assert_eq!(user.raw("POST", rest, &kind, large(5 * MIB)).await.0, 413);
}

#[tokio::test]
async fn a_quota_holds_for_every_way() {
    let world = World::start().await;
    let user = world.files_of("partner-one", json!({"QuotaSize": 10 * MIB, "QuotaFiles": 2})).await;
    let too_much = user.begin("big", 10 * MIB + 1).await.expect(413);
    assert!(too_much.text("/message").contains("quota"), "{}", too_much.body);
    let session = user.begin("big", 9 * MIB).await.expect(201).body;
    send_parts(&session, &content(9 * MIB), &[]).await;
    assert_eq!(user.put("one", &content(2 * MIB)).await, 201);
    user.counted((2 * 1024 * 1024, 1)).await;
    let complete = format!("/upload-sessions/{}/complete", session["id"].as_str().unwrap());
    user.call("POST", &complete, Value::Null).await.expect(413);
    // it waits for room
    user.call("DELETE", "/files?path=one", Value::Null).await.expect(200);
    user.counted((0, 0)).await;
    user.call("POST", &complete, Value::Null).await.expect(201);
    assert_eq!(user.put("two", b"x").await, 201);
    assert_eq!(user.put("three", b"x").await, 413);
    assert_eq!(user.put("two", &content(2 * MIB)).await, 413);
    user.counted((9 * 1024 * 1024 + 1, 2)).await;
}

#[tokio::test]
async fn permissions_are_those_of_sftp() {
    let world = World::start().await;
    let owner = world.files_of("owner-of-all", json!({})).await;
    let home = json!({"HomeDirectory": "/home/owner-of-all"});
    let with = |level: &str| {
        let mut fields = home.clone();
        fields["Permission"] = json!(level);
        fields
    };
    assert_eq!(owner.put("a", b"old").await, 201);
    owner.call("POST", "/dirs?path=sub", Value::Null).await.expect(201);
    let reader = world.files_of("reader-of-it", with("read-only")).await;
    assert_eq!(reader.get("a").await.unwrap().1, b"old");
    assert_eq!(reader.put("a", b"new").await, 403);
    reader.begin("b", 5).await.expect(403);
    for (method, rest) in [
        ("POST", "/dirs?path=x"),
        ("DELETE", "/files?path=a"),
        ("DELETE", "/dirs?path=sub"),
        ("PATCH", "/files?path=a&target=b"),
        ("POST", "/file-actions/copy?path=a&target=b"),
    ] {
        reader.call(method, rest, Value::Null).await.expect(403);
    }
    let writer = world.files_of("writer-of-it", with("write-only")).await;
    assert!(writer.get("a").await.is_none());
    assert_eq!(writer.put("a", b"new").await, 403, "no overwriting");
    writer.begin("a", 5).await.expect(403);
    assert_eq!(writer.put("b", b"new").await, 201);
    writer.call("POST", "/file-actions/copy?path=a&target=c", Value::Null).await.expect(403);
}

#[tokio::test]
async fn a_key_leaves_what_both_may() {
    let world = World::start().await;
    let user = world.files_of("partner-one", json!({})).await;
    assert_eq!(user.put("a", b"a").await, 201);
    let allow = r#"{"AllowApiKeyAuth": true}"#;
    world.admin("PATCH", &format!("/users/{}", user.id), allow).await.expect(200);
    let made = |permissions: Value| json!({"Name": "k", "OwnerType": "credential", "OwnerId": user.id, "Expiration": "30d", "Permissions": permissions});
    let reading = world.admin("POST", "/api-keys", &made(json!(["read:files"])).to_string()).await.expect(201);
    let call = async |method: &str, rest: &str, key: &str| {
        send(&world.router, method, &format!("/api/v2/user{rest}"), "", &[("x-api-key", key)]).await
    };
    let key = reading.text("/Key");
    call("GET", "/dirs", &key).await.expect(200);
    call("GET", "/files?path=a", &key).await.expect(302);
    for (method, rest) in [("DELETE", "/files?path=a"), ("POST", "/dirs?path=d"), ("POST", "/files/upload?path=b")] {
        call(method, rest, &key).await.expect(403);
    }
    // a ticket carries the key's limits
    let body = json!({"path": "b", "size": 1}).to_string();
    send(&world.router, "POST", "/api/v2/user/upload-sessions", &body, &[("x-api-key", &key)]).await.expect(403);
    let asked =
        send(&world.router, "POST", "/api/v2/user/streamzip", r#"["a"]"#, &[("x-api-key", &key)]).await.expect(307);
    let ticket = asked.header("location").rsplit('/').next().unwrap().to_owned();
    let ticket = Tickets::new(TICKETS).ok().unwrap().read(&ticket, store::clock::now()).unwrap();
    let limits = ticket.key.unwrap();
    assert_eq!(limits.id.to_string(), reading.text("/Id"));
    assert!(!limits.permissions.file_verbs().allows(domain::access::Verb::Upload));
    // without file scopes nothing, and nothing when the owner withdraws it
    let other = world.admin("POST", "/api-keys", &made(json!(["read:admin"])).to_string()).await.expect(201);
    call("GET", "/dirs", &other.text("/Key")).await.expect(403);
    world.call("PATCH", &format!("/users/{}", user.id), r#"{"AllowApiKeyAuth": false}"#).await.expect(200);
    call("GET", "/dirs", &key).await.expect(401);
}

#[tokio::test]
async fn nothing_outside_can_be_named() {
    let world = World::start().await;
    let owner = world.files_of("owner-of-all", json!({})).await;
    assert_eq!(owner.put("secret", b"s").await, 201);
    let caged = world.files_of("caged-partner", json!({"ChrootDirectory": "/home/caged-partner"})).await;
    assert_eq!(caged.put("/home/caged-partner/mine", b"m").await, 201);
    for path in [
        "../owner-of-all/secret",
        "/home/owner-of-all/secret",
        "../../home/owner-of-all/secret",
        "..%2f..%2fhome%2fowner-of-all%2fsecret",
        "/home/caged-partner/../owner-of-all/secret",
    ] {
        assert!(caged.get(path).await.is_none(), "{path}");
        caged.call("GET", &format!("/files/metadata?path={path}"), Value::Null).await.expect(404);
        let copy = format!("/file-actions/copy?path={path}&target=x");
        assert!(caged.call("POST", &copy, Value::Null).await.status.is_client_error());
        caged.call("POST", "/streamzip", json!([path.replace("%2f", "/")])).await.expect(404);
    }
    for path in ["a%00b", "%ff", &"x".repeat(2000)] {
        assert_eq!(caged.put(path, b"x").await, 400, "{path}");
        caged.call("GET", &format!("/dirs?path={path}"), Value::Null).await.expect(400);
    }
    // nor with what is no credential
    let admin = world.first_admin().await;
    for rest in ["/dirs", "/files?path=x", "/upload-sessions/x"] {
        with(&world.router, &admin, "GET", &format!("/api/v2/user{rest}"), "").await.expect(401);
        send(&world.router, "GET", &format!("/api/v2/user{rest}"), "", &[]).await.expect(401);
    }
}

#[tokio::test]
async fn bad_requests_are_told_apart() {
    let world = World::start().await;
    let user = world.files_of("partner-one", json!({})).await;
    for (method, rest) in [
        ("GET", "/files"),
        ("POST", "/dirs"),
        ("DELETE", "/dirs"),
        ("POST", "/files/upload"),
        ("PATCH", "/files?path=x"),
    ] {
        let refused = user.call(method, rest, Value::Null).await.expect(400);
        assert!(refused.text("/message").contains("is needed"), "{}", refused.body);
    }
    for body in [
        json!({}),
        json!({"path": "x"}),
        json!({"path": "x", "size": -1}),
        json!({"path": "x", "size": 1.5}),
        json!({"path": "x", "size": 1_u64 << 60}),
        json!({"path": "x", "size": 1, "other": 1}),
        json!({"path": "\u{0}", "size": 1}),
        json!({"path": "/", "size": 1}),
    ] {
        user.call("POST", "/upload-sessions", body.clone()).await.expect(400);
    }
    let (status, _) = user.raw("POST", "/files/upload?path=x", &[("x-sftpgo-mtime", "soon")], b"x".to_vec()).await;
    assert_eq!(status, 400);
    user.raw("POST", "/files/upload?path=x&size=-1", &[], Vec::new()).await;
    for id in ["x", "..", &"a".repeat(24), &"é".repeat(12), &"a".repeat(5000)] {
        user.call("GET", &format!("/upload-sessions/{}", id.replace('é', "%C3%A9")), Value::Null).await.expect(404);
    }
    // less than was announced
    let (status, _) = user.raw("POST", "/files/upload?path=short", &[("content-length", "9")], b"x".to_vec()).await;
    assert_eq!(status, 400);
    user.call("GET", "/files/metadata?path=short", Value::Null).await.expect(404);
    user.call("GET", "/files?path=/", Value::Null).await.expect(400);
    user.call("GET", "/dirs?path=missing", Value::Null).await.expect(404);
    // a form and a PATCH with nothing in it
    user.call("PATCH", "/files/metadata?path=x", json!({})).await.expect(400);
}
