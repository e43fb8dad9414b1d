//! Credentials in SFTPGo's dialect: the same records as in the other one.

mod logins;

use crate::support::{Answer, World};
use app::accounts::{Attempt, Login, LoginError, Proof};
use domain::connection::Close;
use domain::event::{Origin, Protocol};
use domain::path::VPath;
use serde_json::{Value, json};
use zeroize::Zeroizing;

const NONE: Value = Value::Null;
const PASSWORD: &str = "a long password 1";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti me";
const OTHER_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqtj you";

impl World {
    async fn user(&self, method: &str, name: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.own(method, &format!("/api/v2/users/{name}"), &body).await
    }

    async fn new_user(&self, more: &Value) -> Answer {
        let mut body = json!({"username": "ana", "password": PASSWORD, "status": 1, "permissions": {"/": ["*"]}});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.own("POST", "/api/v2/users", &body.to_string()).await
    }

    /// One try to log in with a password, an SSH key, or both.
    async fn log_in_at(&self, protocol: Protocol, ip: &str, proof: Proof) -> Result<Login, LoginError> {
        let origin = Origin { protocol, client_ip: ip.parse().unwrap(), session_id: "s".into() };
        self.accounts().log_in(Attempt { user: "ana".into(), proof, origin }).await
    }
}

fn by_password() -> Proof {
    Proof::Password(Zeroizing::new(PASSWORD.to_owned()))
}

fn blob() -> Vec<u8> {
    domain::ssh_key::parse(KEY).unwrap().blob
}

/// Everything that a script may send.
fn everything() -> Value {
    json!({
        "username": "ana", "password": PASSWORD, "status": 1, "email": "ana@example.com", "description": "Ana",
        "expiration_date": 1_999_999_999_000_i64, "public_keys": [KEY], "home_dir": "/partners/ana",
        "virtual_folders": [{"name": "inbox", "virtual_path": "/in", "quota_size": -1, "quota_files": -1}],
        "uid": 1000, "gid": 100, "max_sessions": 3, "quota_size": 1_000_000, "quota_files": 50,
        "permissions": {"/": ["list", "download"], "/up": ["*"], "/mixed": ["rename", "delete_files", "chmod"]},
        "upload_bandwidth": 128, "download_bandwidth": 256, "additional_info": "two\nlines",
        "upload_data_transfer": 0, "groups": [], "oidc_custom_fields": {"a": [1, 2.50]}, "role": "",
        "filesystem": {"provider": 0, "osconfig": {"read_buffer_size": 4}},
        "filters": {
            "allowed_ip": ["192.0.2.0/24"], "denied_ip": ["192.0.2.7"], "denied_protocols": ["DAV"],
            "denied_login_methods": ["keyboard-interactive"], "web_client": ["mfa-disabled"],
            "allow_api_key_auth": false, "file_patterns": [], "hooks": {"check_password_disabled": true},
            "user_type": "", "ftp_security": 1, "external_auth_cache_time": 7
        }
    })
}

#[tokio::test]
async fn what_is_sent_is_answered_and_a_user_that_is_written_back_loses_nothing() {
    let world = World::start().await;
    world.own("POST", "/api/v2/folders", r#"{"name": "inbox", "mapped_path": "/shared/in"}"#).await.expect(201);
    let made = world.own("POST", "/api/v2/users", &everything().to_string()).await.expect(201);
    assert_eq!(made.header("location"), "/api/v2/users/ana");
    let mut expected = everything();
    let fields = expected.as_object_mut().unwrap();
    fields.remove("password");
    for (name, value) in [
        ("has_password", json!(true)),
        ("used_quota_size", json!(0)),
        ("used_quota_files", json!(0)),
        (
            "virtual_folders",
            json!([{"name": "inbox", "virtual_path": "/in", "mapped_path": "/shared/in", "description": "",
                    "quota_size": -1, "quota_files": -1}]),
        ),
    ] {
        fields.insert(name.into(), value);
    }
    for name in ["id", "created_at", "updated_at", "last_password_change"] {
        assert!(made.body[name].as_i64() > Some(0), "{name}");
        fields.insert(name.into(), made.body[name].clone());
    }
    fields["permissions"]["/mixed"] = json!(["rename", "delete_files", "chmod"]);
    fields["filters"]["totp_config"] = json!({"enabled": false});
    assert_eq!(made.body, expected);
    assert_eq!(world.user("GET", "ana", &NONE).await.expect(200).body, expected);

    // as it was read, and with one field changed
    assert_eq!(world.user("PUT", "ana", &expected).await.expect(200).body, json!({"message": "User updated"}));
    assert_eq!(world.user("GET", "ana", &NONE).await.body, expected, "nothing has changed, not even the time");
    expected["quota_size"] = json!(7);
    world.user("PUT", "ana", &expected).await.expect(200);
    let read = world.user("GET", "ana", &NONE).await.expect(200).body;
    expected["updated_at"] = read["updated_at"].clone();
    assert_eq!(read, expected);
    // fields that are not named stay, those of other programs as well
    world.user("PUT", "ana", &json!({"status": 0, "uid": 1, "filters": {"ftp_security": 0}})).await.expect(200);
    let read = world.user("GET", "ana", &NONE).await.expect(200).body;
    for (name, value) in [("status", json!(0)), ("uid", json!(1)), ("updated_at", read["updated_at"].clone())] {
        expected[name] = value;
    }
    expected["filters"]["ftp_security"] = json!(0);
    assert_eq!(read, expected);
    assert!(!read.to_string().contains(PASSWORD) && !read.to_string().contains("argon2"));
    // what is emptied is empty
    let empty = json!({"description": "", "expiration_date": 0, "public_keys": [], "virtual_folders": null,
                       "filters": {"allowed_ip": null, "denied_ip": []}});
    world.user("PUT", "ana", &empty).await.expect(200);
    let read = world.user("GET", "ana", &NONE).await.body;
    for name in ["description", "expiration_date", "public_keys", "virtual_folders"] {
        assert!(["\"\"", "0", "[]"].contains(&read[name].to_string().as_str()), "{name}: {}", read[name]);
    }
    assert_eq!((&read["filters"]["allowed_ip"], &read["filters"]["denied_ip"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn both_dialects_see_the_same_records() {
    let world = World::start().await;
    let made =
        world.new_user(&json!({"home_dir": "/p/ana", "description": "Ana", "public_keys": [KEY]})).await.expect(201);
    assert_eq!(made.body["permissions"], json!({"/": ["*"]}));
    let all = world.call("GET", "/users", "").await.expect(200).body;
    let ana = all.as_array().unwrap().iter().find(|one| one["UserName"] == "ana").unwrap();
    assert_eq!(
        (&ana["HomeDirectory"], &ana["ChrootDirectory"], &ana["Permission"], &ana["Alias"], &ana["SshPublicKeysCount"]),
        (&json!("/p/ana"), &json!("/"), &json!("full"), &json!("Ana"), &json!(1))
    );
    assert_eq!(ana["Password"], PASSWORD, "readable for a day, as any other");
    let path = format!("/users/{}", ana["Id"].as_str().unwrap());
    let change = json!({"Permission": "write-only", "ChrootDirectory": "/x", "KeyAndPassword": true, "QuotaFiles": 3,
        "Settings": {"Network": {"InboundRules": [{"Source": "192.0.2.0/24"}]}}});
    world.call("PATCH", &path, &change.to_string()).await.expect(200);
    let read = world.user("GET", "ana", &NONE).await.expect(200).body;
    assert_eq!(read["permissions"], json!({"/": ["list", "upload", "create_dirs"]}));
    assert_eq!(read["quota_files"], 3);
    assert_eq!(read["filters"]["denied_login_methods"], json!(["publickey", "password", "TLSCertificate"]));
    // what this dialect does not speak of stays as well
    world.user("PUT", "ana", &read).await.expect(200);
    let ana = world.call("GET", &path, "").await.expect(200).body;
    assert_eq!((&ana["ChrootDirectory"], &ana["KeyAndPassword"]), (&json!("/x"), &json!(true)));
    assert_eq!(ana["Settings"]["Network"]["InboundRules"][0]["Source"], "192.0.2.0/24");
    world.user("PUT", "ana", &json!({"filters": {"denied_login_methods": []}})).await.expect(200);
    assert_eq!(world.call("GET", &path, "").await.body["KeyAndPassword"], false);
    world.user("PUT", "ana", &json!({"permissions": {"/": ["list"], "/a": ["*"]}})).await.expect(200);
    assert_eq!(world.call("GET", &path, "").await.body["Permission"], "custom");
    // read there and sent back, it stays so
    let ana = world.call("GET", &path, "").await.body;
    world.call("PATCH", &path, &ana.to_string()).await.expect(200);
    assert_eq!(world.user("GET", "ana", &NONE).await.body["permissions"], json!({"/": ["list"], "/a": ["*"]}));
    world.call("PATCH", &path, r#"{"Permission": "read-only"}"#).await.expect(200);
    assert_eq!(world.user("GET", "ana", &NONE).await.body["permissions"], json!({"/": ["list", "download"]}));
    // and what one deletes is gone in the other; with its keys
    assert_eq!(world.user("DELETE", "ana", &NONE).await.expect(200).body, json!({"message": "User deleted"}));
    world.call("GET", &path, "").await.expect(404);
    world.user("GET", "ana", &NONE).await.expect(404);
    world.new_user(&json!({})).await.expect(201);
    assert_eq!(world.user("GET", "ana", &NONE).await.body["public_keys"], json!([]));
}

#[tokio::test]
async fn permissions_by_folder_hold_at_the_login() {
    let world = World::start().await;
    let rules = json!({"/": ["list"], "/up": ["list", "upload"], "/up/old/": ["list", "download"]});
    world.new_user(&json!({"permissions": rules, "home_dir": ""})).await.expect(201);
    let login = world.log_in_at(Protocol::Sftp, "192.0.2.1", by_password()).await.unwrap();
    let verbs = |path: &str| login.principal.permissions.at(&VPath::parse(path).unwrap()).names().join(" ");
    assert_eq!(
        (verbs("/x"), verbs("/up/x"), verbs("/up/old/x")),
        ("list".into(), "list upload".into(), "list download".into())
    );
    let leads = login.principal.chroot.locate(&VPath::parse("/up/f").unwrap()).unwrap();
    match leads {
        domain::path::Located::Inside(place) => assert_eq!(place.tree_path().to_string(), "/home/ana/up/f"),
        _ => panic!("nowhere"),
    }
}

#[tokio::test]
async fn what_cannot_be_is_said_by_its_field() {
    let world = World::start().await;
    for (body, field) in [
        (json!({"username": "a b"}), "username"),
        (json!({"username": "@api-x"}), "username"),
        (json!({"password": "short"}), "password"),
        (json!({"password": "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"}), "password"),
        (json!({"permissions": {}}), "permissions"),
        (json!({"permissions": null}), "permissions"),
        (json!({"permissions": {"/a": ["*"]}}), "permissions"),
        (json!({"permissions": {"/": ["fly"]}}), "fly"),
        (json!({"permissions": {"/": ["*"], "a": ["*"]}}), "absolute"),
        (json!({"permissions": {"/": ["*"], "/a": ["*"], "/a/": ["list"]}}), "twice"),
        (json!({"permissions": {"/": ["*"], "/a": []}}), "/a"),
        (json!({"home_dir": "relative"}), "home_dir"),
        (json!({"status": 2}), "status"),
        (json!({"expiration_date": -1}), "expiration_date"),
        (json!({"max_sessions": -1}), "max_sessions"),
        (json!({"upload_bandwidth": 1}), "upload_bandwidth"),
        (json!({"public_keys": ["nonsense"]}), "public_keys"),
        (json!({"public_keys": vec![KEY; 51]}), "public_keys"),
        (json!({"filesystem": {"provider": 1}}), "filesystem"),
        (json!({"groups": [{"name": "g", "type": 1}]}), "groups"),
        (json!({"role": "r"}), "role"),
        (json!({"total_data_transfer": 5}), "total_data_transfer"),
        (json!({"virtual_folders": [{"name": "missing", "virtual_path": "/x"}]}), "virtual_folders"),
        (json!({"virtual_folders": [{"name": "missing", "virtual_path": "/x", "quota_size": -2}]}), "quota_size"),
        (json!({"virtual_folders": [{"name": "missing"}]}), "virtual_path"),
        (json!({"filters": {"allowed_ip": ["nowhere"]}}), "filters.allowed_ip"),
        (json!({"filters": {"denied_protocols": ["SSH", "FTP", "DAV", "HTTP"]}}), "filters.denied_protocols"),
        (json!({"filters": {"denied_login_methods": ["smile"]}}), "filters.denied_login_methods"),
        (json!({"filters": {"is_anonymous": true}}), "filters.is_anonymous"),
        (json!({"filters": {"file_patterns": [{"path": "/"}]}}), "filters.file_patterns"),
        (json!({"filters": {"max_upload_file_size": 5}}), "filters.max_upload_file_size"),
        (json!({"filters": {"start_directory": "/in"}}), "filters.start_directory"),
        (json!({"filters": {"web_client": ["write-disabled"]}}), "filters.web_client"),
        (json!({"filters": []}), "filters"),
        (json!({"kept": "k".repeat(20_000)}), "16 KiB"),
        (json!({"filters": {"kept": "k".repeat(20_000)}}), "16 KiB"),
    ] {
        let refused = world.new_user(&body).await.expect(400);
        assert!(refused.text("/message").contains(field), "{body}: {}", refused.body);
    }
    world.user("GET", "ana", &NONE).await.expect(404);
    world.new_user(&json!({})).await.expect(201);
    world.new_user(&json!({})).await.expect(409);
    world.user("PUT", "ana?disconnect=2", &json!({})).await.expect(400);
    // each write keeps a little, and all of them no more than that
    for at in 0..4 {
        let status = if at < 3 { 200 } else { 400 };
        world.user("PUT", "ana", &json!({format!("k{at}"): "k".repeat(5000)})).await.expect(status);
    }
}

#[tokio::test]
async fn each_call_needs_its_permission_and_nobody_else_s_users_exist() {
    let world = World::start().await;
    world.new_user(&json!({})).await.expect(201);
    let body = |name: &str| json!({"username": name, "permissions": {"/": ["*"]}});
    let one = json!({"description": "x"});
    for (permission, allowed) in [
        ("view_users", [200, 200, 403, 403, 403]),
        ("add_users", [403, 403, 201, 403, 403]),
        ("edit_users", [403, 403, 403, 200, 403]),
    ] {
        let token = world.made_admin(&format!("admin-{permission}"), &[permission]).await;
        let calls = [
            world.b(&token, "GET", "/users", &NONE).await,
            world.b(&token, "GET", "/users/ana", &NONE).await,
            world.b(&token, "POST", "/users", &body("bob")).await,
            world.b(&token, "PUT", "/users/ana", &one).await,
            world.b(&token, "DELETE", "/users/ana", &NONE).await,
        ];
        assert_eq!(calls.map(|answer| answer.status.as_u16()), allowed, "{permission}");
    }
    // keys may act as an account when somebody who may do everything wants it, and nobody else
    let allow = json!({"filters": {"allow_api_key_auth": true}});
    let editor = world.made_admin("editor", &["view_users", "add_users", "edit_users", "del_users"]).await;
    world.b(&editor, "PUT", "/users/ana", &allow).await.expect(403);
    world.user("PUT", "ana", &allow).await.expect(403);
    assert_eq!(world.user("GET", "ana", &NONE).await.body["filters"]["allow_api_key_auth"], false);
    let full = world.first_admin().await;
    world.b(&full, "PUT", "/users/ana", &allow).await.expect(200);
    // written back by who may not set it, it stays
    let read = world.b(&editor, "GET", "/users/ana", &NONE).await.expect(200).body;
    assert_eq!(read["filters"]["allow_api_key_auth"], true);
    world.b(&editor, "PUT", "/users/ana", &read).await.expect(200);

    let operator = world.admin_token("operator", &world.secrets.operator_password).await;
    for (method, body) in [("GET", &NONE), ("PUT", &one), ("DELETE", &NONE)] {
        world.b(&operator, method, "/users/ana", body).await.expect(404);
        let refused = world.as_stranger(method, "/api/v2/users/ana", "").await;
        assert_eq!(refused.status.as_u16(), 404, "{method}");
    }
    assert_eq!(world.b(&operator, "GET", "/users", &NONE).await.expect(200).body, json!([]));
    // names are unique in the deployment, and that is all that another organization learns
    let taken = world.b(&operator, "POST", "/users", &body("ana")).await.expect(409);
    assert_eq!(taken.text("/message"), "The user name is taken");
    world.user("GET", "ana", &NONE).await.expect(200);
    // a user's own token is nothing here
    let own = world.user_token("ana", PASSWORD).await;
    world.b(&own, "GET", "/users", &NONE).await.expect(401);
    // the root credential stays
    world.b(&full, "DELETE", "/users/root-user-name", &NONE).await.expect(409);
    world.b(&editor, "DELETE", "/users/ana", &NONE).await.expect(200);
}

#[tokio::test]
async fn of_changes_at_the_same_time_none_is_lost() {
    let world = World::start().await;
    world.new_user(&json!({})).await.expect(201);
    let all = [
        json!({"email": "ana@example.com"}),
        json!({"uid": 7}),
        json!({"filters": {"denied_ip": ["192.0.2.7"], "user_type": "x"}}),
    ];
    let keys = json!({"public_keys": [KEY]});
    let puts = all.iter().chain([&keys]).map(|body| world.user("PUT", "ana", body));
    let answers = futures_util::future::join_all(puts).await;
    assert!(answers.iter().all(|answer| answer.status.as_u16() == 200));
    let read = world.user("GET", "ana", &NONE).await.body;
    assert_eq!((&read["email"], &read["uid"]), (&json!("ana@example.com"), &json!(7)));
    assert_eq!((&read["filters"]["denied_ip"][0], &read["filters"]["user_type"]), (&json!("192.0.2.7"), &json!("x")));
    assert_eq!(read["public_keys"], json!([KEY]));
    // of two who write all keys, one comes second; the counter says what is there
    let one = json!({"public_keys": [OTHER_KEY]});
    let two = json!({"public_keys": [KEY, OTHER_KEY]});
    futures_util::future::join(world.user("PUT", "ana", &one), world.user("PUT", "ana", &two)).await;
    let read = world.user("GET", "ana", &NONE).await.body;
    let count = read["public_keys"].as_array().unwrap().len();
    assert!(read["public_keys"].to_string().contains("you"));
    let ana = world.call("GET", "/users", "").await.body;
    let ana = ana.as_array().unwrap().iter().find(|one| one["UserName"] == "ana").unwrap().clone();
    assert_eq!(ana["SshPublicKeysCount"], count);
}

#[tokio::test]
async fn disconnecting_ends_the_sessions_that_began_before() {
    let world = World::start().await;
    world.new_user(&json!({})).await.expect(201);
    let closes = async || {
        let since = store::clock::now().plus_millis(-60_000);
        let all = world.nodes.closes_since(since).await.unwrap();
        all.into_values()
            .filter_map(|close| match close {
                Close::Credential { rev, .. } => Some(rev),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    world.user("PUT", "ana", &json!({"status": 1})).await.expect(200);
    world.user("PUT", "ana?disconnect=0", &json!({"email": "a@example.com"})).await.expect(200);
    assert_eq!(closes().await, Vec::<u64>::new());
    // also where nothing changes
    world.user("PUT", "ana?disconnect=1", &json!({"status": 1})).await.expect(200);
    assert_eq!(closes().await, [3]);
    world.user("DELETE", "ana", &NONE).await.expect(200);
    let mut all = closes().await;
    all.sort_unstable();
    assert_eq!(all, [3, u64::MAX]);
}

#[tokio::test]
async fn lists_are_in_the_order_of_names() {
    let world = World::start().await;
    for name in ["bob", "Carl", "ana"] {
        let body = json!({"username": name, "permissions": {"/": ["*"]}, "public_keys": [KEY]});
        world.own("POST", "/api/v2/users", &body.to_string()).await.expect(201);
    }
    let names = async |query: &str| {
        let all = world.own("GET", &format!("/api/v2/users{query}"), "").await.expect(200).body;
        all.as_array().unwrap().iter().map(|one| one["username"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["Carl", "ana", "bob", "root-user-name"]);
    assert_eq!(names("?order=DESC&limit=2").await, ["root-user-name", "bob"]);
    assert_eq!(names("?offset=1&limit=2").await, ["ana", "bob"]);
    assert_eq!(names("?offset=9").await, Vec::<String>::new());
    world.own("GET", "/api/v2/users?limit=501", "").await.expect(400);
    let all = world.own("GET", "/api/v2/users", "").await.body;
    assert_eq!(all[1], world.user("GET", "ana", &NONE).await.body, "one and the same object");
}
