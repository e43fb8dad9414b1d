use crate::support::World;
use serde_json::json;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti user@example.com";

#[tokio::test]
async fn a_new_credential_has_every_key_and_the_documented_defaults() {
    let world = World::start().await;
    let made = world.call("POST", "/users", r#"{"UserName":"partner-one"}"#).await.expect(201);
    let password = made.text("/Password");
    let mut expected = json!({
        "Alias": null, "UserName": "partner-one", "HomeDirectory": "/home/partner-one", "ChrootDirectory": "/",
        "Permission": "read-only", "Expiration": null, "State": "active", "IsDefault": false,
        "OrganizationId": world.organization, "Host": "sftp.example.com", "SshPublicKeysCount": 0,
        "AllowApiKeyAuth": false, "KeyAndPassword": false, "MaxSessions": 0, "QuotaSize": 0, "QuotaFiles": 0, "UploadBandwidth": 0, "DownloadBandwidth": 0,
        "VirtualFolders": [],
        "Settings": {"Network": {"InboundRules": []}},
        "URI": format!("sftp://partner-one:{password}@sftp.example.com:2222"),
    });
    for name in ["Id", "Password", "PasswordCreatedAt", "CreatedAt", "UpdatedAt"] {
        expected[name] = made.body[name].clone();
        assert!(!expected[name].is_null(), "{name}");
    }
    assert_eq!(made.body, expected);
    let id = made.text("/Id");
    let read = world.call("GET", &format!("/users/{id}"), "").await.expect(200);
    assert_eq!(read.body, made.body);
    assert_eq!(read.header("etag"), made.header("etag"));
    let list = world.call("GET", "/users", "").await.expect(200);
    assert_eq!(list.body.as_array().unwrap().len(), 2);
    assert!(list.body.as_array().unwrap().contains(&made.body));
    let taken = world.call("POST", "/users", r#"{"UserName":"partner-one"}"#).await.expect(409);
    assert_eq!(taken.body["error"]["code"], "CONFLICT");
}

#[tokio::test]
async fn names_and_passwords_are_made_where_none_are_given() {
    let world = World::start().await;
    let made = world.call("POST", "/users", "").await.expect(201);
    assert_eq!(made.text("/UserName").len(), 20);
    assert_eq!(made.text("/HomeDirectory"), format!("/home/{}", made.text("/UserName")));
}

#[tokio::test]
async fn a_patch_changes_only_what_it_names_and_takes_back_what_was_read() {
    let world = World::start().await;
    let made = world.call("POST", "/users", r#"{"UserName":"partner-one","Alias":"A"}"#).await.expect(201);
    let path = format!("/users/{}", made.text("/Id"));
    let same = world.call("PATCH", &path, &made.body.to_string()).await.expect(200);
    assert_eq!(same.body, made.body, "an object that was read and is sent back changes nothing");
    let changed = world
        .call(
            "PATCH",
            &path,
            r#"{"Permission":"read-write","Alias":null,"Expiration":1999999999,"ChrootDirectory":"/in"}"#,
        )
        .await
        .expect(200);
    let mut expected = made.body.clone();
    expected["Permission"] = json!("read-write");
    expected["Alias"] = json!(null);
    expected["Expiration"] = json!(1_999_999_999_000_i64);
    expected["ChrootDirectory"] = json!("/in");
    expected["UpdatedAt"] = changed.body["UpdatedAt"].clone();
    assert_eq!(changed.body, expected);
    // the new name is taken, the old one is free again
    world.call("PATCH", &path, r#"{"UserName":"partner-two"}"#).await.expect(200);
    world.call("PATCH", &path, r#"{"UserName":"root-user-name"}"#).await.expect(409);
    world.call("POST", "/users", r#"{"UserName":"partner-two"}"#).await.expect(409);
    world.call("POST", "/users", r#"{"UserName":"partner-one"}"#).await.expect(201);
    // an ETag of what was there before
    let stale = world.call_with("PATCH", &path, r#"{"Alias":"B"}"#, &[("if-match", made.header("etag"))]).await;
    assert_eq!(stale.expect(412).body["error"]["code"], "PRECONDITION_FAILED");
    let now = world.call("GET", &path, "").await;
    world.call_with("PATCH", &path, r#"{"Alias":"B"}"#, &[("if-match", now.header("etag"))]).await.expect(200);
}

#[tokio::test]
async fn inbound_rules_are_replaced_as_a_list() {
    let world = World::start().await;
    let path = format!("/users/{}", world.call("POST", "/users", "").await.text("/Id"));
    let rules = |rules: &str| format!(r#"{{"Settings":{{"Network":{{"InboundRules":[{rules}]}}}}}}"#);
    let one = r#"{"Id":"r1","Action":"allow","Protocol":"SFTP","Source":"203.0.113.0/24","State":"enabled","Description":"d"}"#;
    let set = world.call("PATCH", &path, &rules(one)).await.expect(200);
    assert_eq!(
        set.body["Settings"]["Network"]["InboundRules"],
        json!([serde_json::from_str::<serde_json::Value>(one).unwrap()])
    );
    let bad = world
        .call("PATCH", &path, &rules(r#"{"Source":"x","Action":"deny","Protocol":"FTP","No":1}"#))
        .await
        .expect(400);
    let fields: Vec<&str> =
        bad.body["error"]["details"].as_array().unwrap().iter().map(|d| d["field"].as_str().unwrap()).collect();
    let prefix = "Settings.Network.InboundRules[0].";
    let expected = ["Protocol", "Source", "Action", "No"].map(|name| format!("{prefix}{name}"));
    assert_eq!(fields, expected);
    let none = world.call("PATCH", &path, &rules("")).await.expect(200);
    assert_eq!(none.body["Settings"]["Network"]["InboundRules"], json!([]));
}

#[tokio::test]
async fn a_rotated_password_can_be_read_for_a_day() {
    let world = World::start().await;
    let made = world.call("POST", "/users", "").await.expect(201);
    let path = format!("/users/{}", made.text("/Id"));
    let rotations = format!("{path}/credential-rotations");
    let rotated = world.call("POST", &rotations, "").await.expect(200);
    assert_eq!(rotated.body, json!({"message": "Password set."}));
    let random = world.call("GET", &path, "").await.text("/Password");
    assert_ne!(random, made.text("/Password"));
    world.call("POST", &rotations, r#"{"Password":"VeryC0mplexP@ssw0rd"}"#).await.expect(200);
    assert_eq!(world.call("GET", &path, "").await.text("/Password"), "VeryC0mplexP@ssw0rd");
    world.call("POST", &rotations, r#"{"Password":"short"}"#).await.expect(400);
    // a day later
    let id = domain::id::CredentialId::parse(&made.text("/Id")).unwrap();
    let old = world.records.credential(&world.organization, &id).await.unwrap().unwrap();
    let mut aged = old.value.clone();
    let stored = aged.password.as_mut().unwrap();
    stored.set_at = stored.set_at.plus_millis(-24 * 3600 * 1000);
    world.records.save_credential(&old, &aged, None).await.unwrap();
    let later = world.call("GET", &path, "").await;
    assert!(later.body["Password"].is_null());
    assert_eq!(later.text("/URI"), format!("sftp://{}@sftp.example.com:2222", made.text("/UserName")));
    world.call("PATCH", "", r#"{"PasswordReadable":"always"}"#).await.expect(200);
    assert_eq!(world.call("GET", &path, "").await.text("/Password"), "VeryC0mplexP@ssw0rd");
    world.call("PATCH", "", r#"{"PasswordReadable":"never"}"#).await.expect(200);
    assert!(world.call("GET", &path, "").await.body["Password"].is_null());
}

#[tokio::test]
async fn the_root_credential_stays_and_others_go_with_their_names_and_keys() {
    let world = World::start().await;
    let list = world.call("GET", "/users", "").await;
    let root = format!("/users/{}", list.text("/0/Id"));
    assert_eq!(world.call("DELETE", &root, "").await.expect(409).body["error"]["code"], "CONFLICT");
    let made = world.call("POST", "/users", r#"{"UserName":"partner-one"}"#).await.expect(201);
    let path = format!("/users/{}", made.text("/Id"));
    let keys = format!("{path}/ssh-public-keys");
    world.call("POST", &keys, &json!({"SshPublicKeyBody": KEY}).to_string()).await.expect(201);
    let deleted = world.call("DELETE", &path, "").await.expect(200);
    assert_eq!(deleted.text("/Id"), made.text("/Id"));
    for (method, path) in [("GET", &path), ("DELETE", &path), ("PATCH", &path), ("GET", &keys)] {
        world.call(method, path, "").await.expect(404);
    }
    world.call("POST", "/users", r#"{"UserName":"partner-one"}"#).await.expect(201);
}

#[tokio::test]
async fn ssh_keys() {
    let world = World::start().await;
    let path = format!("/users/{}", world.call("POST", "/users", "").await.text("/Id"));
    let keys = format!("{path}/ssh-public-keys");
    let body = json!({"SshPublicKeyBody": KEY}).to_string();
    let made = world.call("POST", &keys, &body).await.expect(201);
    assert_eq!(made.text("/Type"), "ed25519");
    assert_eq!(made.text("/Fingerprint"), "SHA256:UCUiLr7Pjs9wFFJMDByLgc3NrtdU344OgUM45wZPcIQ");
    assert_eq!((made.text("/Comment"), made.text("/SshPublicKeyBody")), ("user@example.com".into(), KEY.into()));
    world.call("POST", &keys, &body).await.expect(409);
    world.call("POST", &keys, r#"{"SshPublicKeyBody":"ssh-dss AAAA"}"#).await.expect(400);
    world.call("POST", &keys, "").await.expect(400);
    assert_eq!(world.call("GET", &keys, "").await.expect(200).body, json!([made.body]));
    assert_eq!(world.call("GET", &path, "").await.body["SshPublicKeysCount"], 1);
    let one = format!("{keys}/{}", made.text("/Id"));
    assert_eq!(world.call("DELETE", &one, "").await.expect(200).body, made.body);
    world.call("DELETE", &one, "").await.expect(404);
    assert_eq!(world.call("GET", &path, "").await.body["SshPublicKeysCount"], 0);
}

#[tokio::test]
async fn lists_go_on_with_a_cursor() {
    let world = World::start().await;
    for _ in 0..4 {
        world.call("POST", "/users", "").await.expect(201);
    }
    let mut next = "/users?Limit=2".to_owned();
    let mut ids = std::collections::BTreeSet::new();
    for expected in [2, 2, 1] {
        let page = world.call("GET", &next, "").await.expect(200);
        assert_eq!(page.body.as_array().unwrap().len(), expected);
        ids.extend(page.body.as_array().unwrap().iter().map(|entry| entry["Id"].to_string()));
        let link = page.header("link");
        let Some(uri) = link.strip_prefix('<').and_then(|rest| rest.strip_suffix(">; rel=\"next\"")) else {
            assert_eq!(expected, 1, "{link}");
            break;
        };
        next = uri.strip_prefix(&world.path("")).unwrap().to_owned();
    }
    assert_eq!(ids.len(), 5);
    for bad in ["Limit=0", "Limit=x", "Limit=1001", "Cursor=!!", "Cursor=Li4vLi4v", "limit=1"] {
        world.call("GET", &format!("/users?{bad}"), "").await.expect(400);
    }
}
