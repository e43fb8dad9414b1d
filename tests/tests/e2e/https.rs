//! Files over the API and the HTTPS door, with curl and Python: what a script does with a user's name and password.

use crate::accounts::Api;
use crate::clients::{Client, text};
use crate::files::{contents, real_tree};
use crate::receiver::Receiver;
use crate::stack::{Stack, signal};
use rand::{RngCore as _, SeedableRng as _};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A script on a partner's machine.
struct Script<'a> {
    stack: &'a Stack,
    folder: TempDir,
    token: String,
}

impl<'a> Script<'a> {
    fn root(stack: &'a Stack) -> Self {
        let mut script = Self { stack, folder: TempDir::new().unwrap(), token: String::new() };
        let user = format!("{}:{}", stack.get("TOWPATH_USER"), stack.get("TOWPATH_PASSWORD"));
        let url = format!("{}/api/v2/user/token", stack.get("TOWPATH_API_URL"));
        let answer = run(script.plain().args(["-u", &user, &url]));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        script.token = answer["access_token"].as_str().unwrap().to_owned();
        script
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn plain(&self) -> Command {
        let mut command = Command::new("curl");
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command.args(["-sS", "--max-time", "120", "--cacert", self.stack.get("TOWPATH_FTPS_CA_FILE")]);
        command
    }

    /// To a route of `/api/v2/user`.
    fn curl(&self, rest: &str) -> Command {
        let mut command = self.plain();
        command.args(["-H", &format!("Authorization: Bearer {}", self.token)]);
        command.arg(format!("{}/api/v2/user{rest}", self.stack.get("TOWPATH_API_URL")));
        command
    }

    /// Where a large upload may go.
    fn address(&self, path: &str, bytes: u64) -> String {
        let mut asking = self.curl(&format!("/files/upload?path={path}&size={bytes}"));
        let address = run(asking.args(["-X", "POST", "-w", "%{redirect_url}"]));
        assert!(address.starts_with(self.stack.get("TOWPATH_HTTPS_URL")), "{address}");
        address
    }
}

/// What a program says that succeeds.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; is it installed?"));
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The status of an answer.
fn status(command: &mut Command) -> String {
    run(command.args(["-o", "/dev/null", "-w", "%{http_code}"]))
}

/// A receiver of these topics.
async fn receiver(stack: &Stack, topics: &[&str]) -> Receiver {
    let receiver = Receiver::start().await;
    let body = json!({"Alias": "erp", "Url": receiver.url, "Type": "webhook", "Topics": topics});
    Api::of(stack).made("/webhooks", body).await;
    receiver
}

fn random(bytes: usize, seed: u64) -> Vec<u8> {
    let mut content = vec![0; bytes];
    rand::rngs::StdRng::seed_from_u64(seed).fill_bytes(&mut content);
    content
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_goes_through_the_door_and_comes_back_from_s3() {
    let stack = Stack::start();
    let receiver = receiver(&stack, &["file.created", "file.downloaded"]).await;
    let script = Script::root(&stack);
    let content = random(30 << 20, 1);
    fs::write(script.path("big"), &content).unwrap();
    let address = script.address("big%20one.bin", content.len() as u64);
    assert_eq!(status(script.plain().args(["-T", "big", &address])), "201");
    // the script follows the redirect to S3, without the token
    run(script.curl("/files?path=big%20one.bin").args(["-L", "-OJ"]));
    let named = fs::read(script.path("big one.bin"));
    run(script.curl("/files?path=big%20one.bin").args(["-L", "-o", "back"]));
    assert!(fs::read(script.path("back")).unwrap() == content);
    assert!(named.is_ok_and(|bytes| bytes == content), "curl -OJ takes the name of the file");
    let received = receiver.wait_for(3).await;
    let topics: Vec<Value> = received.iter().map(|one| one.json()["Topic"].clone()).collect();
    assert_eq!(topics.iter().filter(|topic| **topic == json!("file.downloaded")).count(), 2, "{topics:?}");
    let of = |topic: &str| received.iter().map(|one| one.json()).find(|one| one["Topic"] == topic).unwrap();
    assert_eq!(of("file.created")["Data"]["Path"], "big+one.bin");
    assert_eq!(of("file.downloaded")["Data"]["Metadata"]["Protocol"], "API");

    // one that gives up leaves nothing
    let address = script.address("half", 30 << 20);
    let mut sending = script.plain();
    sending.args(["-T", "big", "--limit-rate", "4M", &address]).stderr(Stdio::null());
    let mut sending = sending.spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    signal(sending.id(), "KILL");
    sending.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let aws = stack.aws().await;
    loop {
        let open = aws.s3.list_multipart_uploads().bucket(&aws.settings.bucket).send().await.unwrap();
        if open.uploads().is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "parts were left behind");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(stack.objects().await.len(), 1);

    // what the door refuses
    for wrong in ["tickets/x", "tickets/", "", "api/v2/user/dirs", "healthz"] {
        let url = format!("{}/{wrong}", stack.get("TOWPATH_HTTPS_URL"));
        assert_eq!(status(script.plain().args(["-T", "big", &url])), "401", "{wrong}");
        assert_eq!(status(script.plain().arg(&url)), "401", "{wrong}");
    }
    let address = script.address("other", 5_000_000);
    assert_eq!(status(script.plain().arg(&address)), "401", "a ticket for an upload is none for a download");
    // the secret part of an address is nowhere in the log
    let ticket = address.rsplit('/').next().unwrap();
    for part in ["protocol-node", "functions"] {
        let log = fs::read_to_string(stack.state.join("logs").join(format!("{part}.log"))).unwrap();
        assert!(!log.contains(ticket), "{part}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_comes_as_one_zip() {
    let stack = Stack::start();
    let script = Script::root(&stack);
    fs::create_dir(script.path("tree")).unwrap();
    real_tree(&script.path("tree"), 300);
    let files = contents(&script.path("tree"));
    let tree = script.path("tree");
    Client::root(&stack).sftp_ok(&[&format!("put -r {}", tree.display())]);
    // an empty folder is one in the archive as well
    assert_eq!(status(script.curl("/dirs?path=tree/empty%20one").args(["-X", "POST"])), "201");
    let list = json!(["tree"]).to_string();
    run(script.curl("/streamzip").args(["-L", "-H", "Content-Type: application/json", "-d", &list, "-o", "tree.zip"]));
    let unzip = "import sys, zipfile; z = zipfile.ZipFile('tree.zip'); assert z.testzip() is None; z.extractall('out')";
    run(Command::new("python3").args(["-c", unzip]).current_dir(script.folder.path()));
    assert!(script.path("out/tree/empty one").is_dir());
    fs::remove_dir(script.path("out/tree/empty one")).unwrap();
    assert_eq!(contents(&script.path("out/tree")), files);

    // what is not there is told before anything is sent
    for (list, expected) in [(r#"["tree","missing"]"#, "404"), ("[]", "400"), ("x", "400")] {
        let answer = status(script.curl("/streamzip").args(["-L", "-H", "Content-Type: application/json", "-d", list]));
        assert_eq!(answer, expected, "{list}");
    }
}

/// An upload session as the page uses it, in Python's standard library.
const UPLOAD: &str = r#"
import json, sys, urllib.request
from concurrent.futures import ThreadPoolExecutor
api, token, path, name = sys.argv[1:]
content = open(path, 'rb').read()
def call(method, rest, body=None):
    request = urllib.request.Request(api + '/api/v2/user' + rest, method=method, data=body and json.dumps(body).encode())
    request.add_header('Authorization', 'Bearer ' + token)
    return json.load(urllib.request.urlopen(request))
session = call('POST', '/upload-sessions', {'path': name, 'size': len(content)})
def send(part):
    at = (part['number'] - 1) * session['part_size']
    data = content[at:at + part['size']]
    urllib.request.urlopen(urllib.request.Request(part['url'], method='PUT', data=data)).read()
with ThreadPoolExecutor(3) as pool:
    list(pool.map(send, session['parts']))
print(call('POST', '/upload-sessions/' + session['id'] + '/complete')['message'])
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_session_sends_its_parts_straight_to_s3() {
    let stack = Stack::start();
    let receiver = receiver(&stack, &["file.created"]).await;
    let script = Script::root(&stack);
    let content = random(20 << 20, 2);
    fs::write(script.path("big"), &content).unwrap();
    let arguments = [stack.get("TOWPATH_API_URL"), &script.token, "big", "in/direct.bin"];
    let said = run(Command::new("python3").args(["-c", UPLOAD]).args(arguments).current_dir(script.folder.path()));
    assert_eq!(said.trim(), "Upload completed");
    let created = receiver.wait_for(1).await;
    assert!(created[0].json()["Data"]["Path"].as_str().unwrap().ends_with("in/direct.bin"));
    run(script.curl("/files?path=in/direct.bin").args(["-L", "-o", "back"]));
    assert!(fs::read(script.path("back")).unwrap() == content);
    assert_eq!(stack.objects().await.len(), 1);
}
