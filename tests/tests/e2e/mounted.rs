//! Virtual folders, as partners see them.

use crate::accounts::Api;
use crate::clients::{Client, Proof, run, text};
use crate::ftps::{Begin, Ftps};
use crate::stack::Stack;
use serde_json::json;
use std::fs;

#[tokio::test]
async fn two_partners_meet_in_a_virtual_folder() {
    let stack = Stack::start();
    let api = Api::of(&stack);
    let made = reqwest::Client::new()
        .post(format!("{}/api/v2/folders", stack.get("TOWPATH_API_URL")))
        .bearer_auth(stack.get("TOWPATH_API_KEY"))
        .body(json!({"name": "exchange", "mapped_path": "/shared/exchange"}).to_string());
    assert_eq!(made.send().await.unwrap().status().as_u16(), 201);
    let partner = async |name: &str, at: &str| {
        let folders = json!([{"Name": "exchange", "VirtualPath": at}]);
        let body = json!({"UserName": name, "Permission": "read-write", "VirtualFolders": folders});
        api.made("/users", body).await["Password"].as_str().unwrap().to_owned()
    };
    let (ana, ben) = (partner("ana-partner", "/to-ben").await, partner("ben-partner", "/in/from-ana").await);
    let ana = Client::new(&stack, "ana-partner", Proof::Password(ana));
    let ben = Ftps::new(&stack, "ben-partner", &ben);
    fs::create_dir_all(ana.path("tree/deep")).unwrap();
    fs::write(ana.path("tree/deep/a"), "12345").unwrap();
    let put = format!("put -r {} /to-ben/tree", ana.path("tree").display());
    let said = ana.sftp_ok(&["ls -1", &put, "ls -1 /to-ben"]);
    assert!(said.contains("to-ben") && said.contains("/to-ben/tree"), "{said}");
    ana.sftp_fails(&["rename /to-ben /x"]);
    ana.sftp_fails(&["rmdir /to-ben"]);
    let got = run(ben.curl(Begin::Explicit, "in/from-ana/tree/deep/a"));
    assert_eq!(String::from_utf8_lossy(&got.stdout), "12345", "{}", text(&got));
    let found = ben.lftp_ok(Begin::Implicit, "", "find .");
    assert!(found.contains("./in/from-ana/tree/deep/a"), "{found}");
    ben.lftp_ok(Begin::Explicit, "", "mv in/from-ana/tree/deep/a taken; rm -r in/from-ana/tree");
    let keys: Vec<String> = stack.objects().await.into_keys().collect();
    assert!(keys.iter().any(|key| key.ends_with("home/ben-partner/taken")), "{keys:?}");
    assert!(!keys.iter().any(|key| key.contains("exchange/tree/deep")), "{keys:?}");
}
