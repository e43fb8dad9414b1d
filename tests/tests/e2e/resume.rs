//! Uploads whose connection breaks, continued by the clients that people use: OpenSSH's `reput`, lftp, curl.
//!
//! A client is slowed down, killed when S3 has some parts, and told to go on. That it did go on, and did not begin again,
//! shows in the object: it carries the id of the operation that was interrupted.

use crate::clients::{Client, run, text};
use crate::ftps::{Begin, Ftps};
use crate::stack::{Stack, wait};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const MIB: usize = 1 << 20;

/// A client that can be slowed down and can go on.
struct Resumer {
    /// Uploads the file `big`, slowly.
    slow: Command,
    /// Goes on with it.
    again: Command,
    /// Where it works, if that is not the client's own folder.
    _folder: Option<TempDir>,
}

/// OpenSSH's `sftp` with one command.
fn sftp(client: &Client, command: &str, limit: &[&str]) -> Command {
    let batch = client.path(&command.replace(' ', "-"));
    std::fs::write(&batch, format!("{command}\n")).unwrap();
    let mut sftp = client.command("sftp");
    sftp.args(limit).arg("-b").arg(batch).arg(client.target());
    sftp
}

fn lftp(client: &Client, stack: &Stack, settings: &str, put: &str) -> Command {
    let mut command = Command::new("lftp");
    let known = client.path("known_hosts");
    let script = format!(
        "set sftp:connect-program \"ssh -a -x -F none -o UserKnownHostsFile={}\"; {settings} set net:max-retries 1; \
         open -u {},{} sftp://127.0.0.1:{}; {put}; bye",
        known.display(),
        stack.get("TOWPATH_USER"),
        stack.get("TOWPATH_PASSWORD"),
        stack.get("TOWPATH_SFTP_PORT"),
    );
    command.args(["-c", &script]).current_dir(client.folder.path()).env("HOME", client.folder.path());
    command
}

fn curl(client: &Client, stack: &Stack, options: &[&str]) -> Command {
    let mut command = Command::new("curl");
    let login = format!("{}:{}", stack.get("TOWPATH_USER"), stack.get("TOWPATH_PASSWORD"));
    let url = format!("sftp://127.0.0.1:{}/big", stack.get("TOWPATH_SFTP_PORT"));
    command.args(["-sS", "--insecure", "-u", &login, "-T"]).arg(client.path("big")).args(options).arg(url);
    command
}

#[tokio::test]
async fn openssh_goes_on() {
    goes_on(|client, _| Resumer {
        // in Kbit/s
        slow: sftp(client, "put big", &["-l", "160000"]),
        again: sftp(client, "reput big", &[]),
        _folder: None,
    })
    .await;
}

#[tokio::test]
async fn lftp_goes_on() {
    goes_on(|client, stack| Resumer {
        slow: lftp(client, stack, "set net:limit-rate 0:20000000;", "put big"),
        again: lftp(client, stack, "", "put -c big"),
        _folder: None,
    })
    .await;
}

#[tokio::test]
async fn curl_goes_on() {
    goes_on(|client, stack| Resumer {
        slow: curl(client, stack, &["--limit-rate", "20M"]),
        again: curl(client, stack, &["-C", "-"]),
        _folder: None,
    })
    .await;
}

/// FTPS with the same file.
fn over_ftps<'a>(client: &Client, stack: &'a Stack) -> Ftps<'a> {
    let ftps = Ftps::root(stack);
    std::fs::copy(client.path("big"), ftps.path("big")).unwrap();
    ftps
}

#[tokio::test]
async fn lftp_goes_on_over_ftps() {
    for begin in [Begin::Explicit, Begin::Implicit] {
        goes_on(|client, stack| {
            let ftps = over_ftps(client, stack);
            Resumer {
                slow: ftps.lftp(begin, "set net:limit-rate 0:20000000;", "put big"),
                again: ftps.lftp(begin, "", "put -c big"),
                _folder: Some(ftps.into_folder()),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn curl_goes_on_over_ftps() {
    goes_on(|client, stack| {
        let ftps = over_ftps(client, stack);
        let (mut slow, mut again) = (ftps.curl(Begin::Explicit, "big"), ftps.curl(Begin::Explicit, "big"));
        slow.args(["-T", "big", "--limit-rate", "20M"]);
        again.args(["-T", "big", "-C", "-"]);
        Resumer { slow, again, _folder: Some(ftps.into_folder()) }
    })
    .await;
}

#[tokio::test]
async fn clients_write_on_behind_a_file() {
    let stack = Stack::start();
    let client = Client::root(&stack);
    let content: Vec<u8> = (0..12 * MIB / 8).flat_map(|at: usize| at.wrapping_mul(0x9E37_79B9).to_le_bytes()).collect();
    // below and above what S3 copies as a part
    for old in [MIB, 7 * MIB] {
        let again = [
            sftp(&client, "reput big", &[]),
            lftp(&client, &stack, "", "put -c big"),
            curl(&client, &stack, &["-C", "-"]),
        ];
        for mut again in again {
            std::fs::write(client.path("big"), &content[..old]).unwrap();
            client.sftp_ok(&["put big"]);
            std::fs::write(client.path("big"), &content).unwrap();
            again.stdin(Stdio::null());
            let output = run(again);
            assert!(output.status.success(), "{}", text(&output));
            client.sftp_ok(&["get big back"]);
            assert!(std::fs::read(client.path("back")).unwrap() == content, "another file came back");
        }
        // with the whole of a local file behind it
        std::fs::write(client.path("big"), b"the end").unwrap();
        let output = run(curl(&client, &stack, &["--append"]));
        assert!(output.status.success(), "{}", text(&output));
        client.sftp_ok(&["get big back"]);
        assert!(std::fs::read(client.path("back")).unwrap() == [&content[..], b"the end"].concat());
    }
    assert_eq!(stack.objects().await.len(), 1);
}

async fn goes_on(how: impl FnOnce(&Client, &Stack) -> Resumer) {
    let stack = Stack::start();
    let client = Client::root(&stack);
    let content: Vec<u8> = (0..60 * MIB / 8).flat_map(|at: usize| at.wrapping_mul(0x9E37_79B9).to_le_bytes()).collect();
    std::fs::write(client.path("big"), &content).unwrap();
    let Resumer { mut slow, mut again, _folder } = how(&client, &stack);
    // in a process group of its own, so that the ssh under it is killed with it
    let mut child =
        slow.process_group(0).stdin(Stdio::null()).spawn().unwrap_or_else(|error| panic!("{slow:?}: {error}"));
    parts_stored(&stack, 2).await;
    kill_group(child.id());
    wait(&mut child, Duration::from_secs(30));
    let kept = shown(&client).await;
    assert!((8..60).contains(&(kept / MIB)), "{kept} bytes are kept");
    let refused = client.sftp_fails(&["get big early"]);
    assert!(refused.contains("Permission denied"), "{refused}");
    again.stdin(Stdio::null());
    let operation = kept_operation(&stack).await;
    let output = run(again);
    assert!(output.status.success(), "{}", text(&output));
    client.sftp_ok(&["get big back"]);
    assert!(std::fs::read(client.path("back")).unwrap() == content, "another file came back");
    assert_eq!(stack.objects().await.get("big"), Some(&i64::try_from(content.len()).unwrap()));
    let aws = stack.aws().await;
    let key = format!("{}/files/big", stack.get("TOWPATH_ORGANIZATION_ID"));
    let object = aws.s3.head_object().bucket(&aws.settings.bucket).key(key).send().await.unwrap();
    assert_eq!(object.metadata().unwrap()["towpath-operation"], operation);
}

/// The operation of the one interrupted upload.
async fn kept_operation(stack: &Stack) -> String {
    let aws = stack.aws().await;
    let items = aws.dynamodb.scan().table_name(&aws.settings.table).send().await.unwrap();
    let mut kept = items.items().iter().filter(|item| item["pk"].as_s().unwrap().starts_with("PARTIAL#"));
    let record: serde_json::Value = serde_json::from_str(kept.next().unwrap()["partial"].as_s().unwrap()).unwrap();
    assert!(kept.next().is_none());
    record["operation"].as_str().unwrap().to_owned()
}

/// Waits until S3 has so many parts of the one multipart upload.
async fn parts_stored(stack: &Stack, count: usize) {
    let aws = stack.aws().await;
    let bucket = &aws.settings.bucket;
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let open = aws.s3.list_multipart_uploads().bucket(bucket).send().await.unwrap();
        if let Some(upload) = open.uploads().first() {
            let parts = aws.s3.list_parts().bucket(bucket).key(upload.key().unwrap());
            let parts = parts.upload_id(upload.upload_id().unwrap()).send().await.unwrap();
            if parts.parts().len() >= count {
                return;
            }
        }
        assert!(Instant::now() < deadline, "the parts did not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The size that the credential is shown, once the node has noticed that the client is gone.
async fn shown(client: &Client) -> usize {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let output = client.sftp(&["ls -l big"]);
        if output.status.success() {
            let printed = text(&output);
            let line = printed.lines().find(|line| line.starts_with('-')).unwrap_or_else(|| panic!("{printed}"));
            return line
                .split_whitespace()
                .nth(4)
                .and_then(|size| size.parse().ok())
                .unwrap_or_else(|| panic!("{line}"));
        }
        assert!(Instant::now() < deadline, "the interrupted upload is not shown");
    }
}

fn kill_group(leader: u32) {
    let mut kill = Command::new("kill");
    kill.args(["-KILL", "--", &format!("-{leader}")]);
    let output = run(kill);
    assert!(output.status.success(), "{}", text(&output));
}
