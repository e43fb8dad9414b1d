//! A credential's files over REST: what they do, and what they refuse.

#![expect(clippy::indexing_slicing, reason = "a test ends at what it did not expect")]

use crate::rest::with;
use crate::support::{Answer, TICKETS, World, send};
use app::tickets::Tickets;
use axum::body::{Body, to_bytes};
use domain::id::CredentialId;
use domain::ticket::Errand;
use functions::files;
use futures_util::StreamExt as _;
use http::{HeaderMap, Request, StatusCode};
use offline_aws::FaultPlan;
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
        let id = CredentialId::parse(&self.id).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let Usage { bytes, files } = settling.usage(&self.world.organization, &id).await.unwrap();
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
}

#[tokio::test]
async fn an_upload_session_becomes_a_file_when_all_parts_are_there() {
    let world = World::start().await;
    let user = world.files_of("partner-one", json!({})).await;
    let content = content(17 * MIB + 5);
    let session = user.begin("big.bin", content.len()).await.expect(201).body;
    assert_eq!((&session["part_count"], &session["part_size"]), (&json!(3), &json!(8 * MIB)));
    assert_eq!(session["path"], "/big.bin");
    let id = session["id"].as_str().unwrap().to_owned();
    let one = format!("/upload-sessions/{id}");

    // a part has the length that was signed
    let first = &session["parts"][0];
    assert_ne!(put_part(first, content[..8 * MIB - 1].to_vec()).await, 200);
    assert_ne!(put_part(first, content[..8 * MIB + 1].to_vec()).await, 200);
    send_parts(&session, &content, &[2]).await;
    let early = user.call("POST", &format!("{one}/complete"), Value::Null).await.expect(400);
    assert!(early.text("/message").contains("2 of 3 parts"), "{}", early.body);
    assert!(user.names("").await.is_empty(), "nothing is visible yet");
    let again = user.call("GET", &format!("{one}?part=2"), Value::Null).await.expect(200).body;
    assert_eq!((&again["received"], &again["parts"][0]["number"]), (&json!([1, 3]), &json!(2)));
    send_parts(&again, &content, &[3]).await;

    // nobody else can see, complete or end it
    let other = world.files_of("partner-two", json!({"HomeDirectory": "/home/partner-one"})).await;
    for (method, rest) in [("GET", one.clone()), ("POST", format!("{one}/complete")), ("DELETE", one.clone())] {
        other.call(method, &rest, Value::Null).await.expect(404);
    }

    // of several who complete it, one does
    let complete = format!("{one}/complete");
    let both = tokio::join!(
        user.call("POST", &complete, Value::Null),
        user.call("POST", &complete, Value::Null),
        user.call("POST", &complete, Value::Null)
    );
    let mut statuses = [both.0.status, both.1.status, both.2.status].map(|status| status.as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 404, 404]);
    assert_eq!(user.get("big.bin").await.unwrap().1, content);
    user.counted((i64::try_from(content.len()).unwrap(), 1)).await;
    user.call("GET", &one, Value::Null).await.expect(404);

    // one that is thrown away leaves nothing
    let session = user.begin("gone.bin", 9 * MIB).await.expect(201).body;
    let one = format!("/upload-sessions/{}", session["id"].as_str().unwrap());
    assert_eq!(put_part(&session["parts"][0], vec![0; 8 * MIB]).await, 200);
    user.call("DELETE", &one, Value::Null).await.expect(200);
    user.call("DELETE", &one, Value::Null).await.expect(404);
    assert_ne!(put_part(&session["parts"][1], vec![0; MIB]).await, 200);
    let open = world.aws.s3.list_multipart_uploads().bucket("files").send().await.unwrap();
    assert!(open.uploads().is_empty());
}

#[tokio::test]
async fn an_empty_file_and_one_that_is_replaced_by_sessions() {
    let world = World::start().await;
    let user = world.files_of("partner-one", json!({})).await;
    for bytes in [0, 5, 0, 9 * MIB] {
        let content = content(bytes);
        let session = user.begin("same", bytes).await.expect(201).body;
        send_parts(&session, &content, &[]).await;
        let id = session["id"].as_str().unwrap();
        user.call("POST", &format!("/upload-sessions/{id}/complete"), Value::Null).await.expect(201);
        assert_eq!(user.get("same").await.unwrap().1, content);
        user.counted((i64::try_from(bytes).unwrap(), 1)).await;
    }
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
async fn a_large_folder_is_not_deleted_half() {
    let world = World::start().await;
    let user = world.files_of("partner-one", json!({})).await;
    world.objects("partner-one", (0..501).map(|at| format!("d/{at}"))).await;
    let refused = user.call("DELETE", "/dirs?path=d", Value::Null).await.expect(409);
    assert!(refused.text("/message").contains("500"), "{}", refused.body);
    assert_eq!(user.names("d").await.len(), 501);
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
    let usage = Settling::new(&world.aws).usage(&world.organization, &CredentialId::parse(&user.id).unwrap()).await;
    assert_eq!(usage.unwrap(), Usage { bytes: 5, files: 1 });
}

#[tokio::test]
async fn many_open_sessions_are_too_many() {
    let world = World::start().await;
    let user = world.files_of("partner-one", json!({})).await;
    for at in 0..domain::direct_upload::MAX_OPEN {
        user.begin(&format!("f{at}"), 1).await.expect(201);
    }
    let refused = user.begin("one-more", 1).await.expect(503);
    assert!(refused.text("/message").contains("200 uploads"), "{}", refused.body);
    let other = world.files_of("partner-two", json!({})).await;
    other.begin("f", 1).await.expect(201);
}
