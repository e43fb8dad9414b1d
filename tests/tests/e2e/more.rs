//! More clients than every run needs: PuTTY's `psftp`, and sshfs, which puts a mounted folder behind every program.
//! `make test-clients` installs and runs them.

use crate::accounts::Api;
use crate::clients::{Client, run, text};
use crate::files::{contents, real_tree};
use crate::raw::PATIENCE;
use crate::stack::{Stack, wait};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn noise(len: u32) -> Vec<u8> {
    (0..len / 4).flat_map(|at| at.wrapping_mul(0x9E37_79B9).to_le_bytes()).collect()
}

/// Runs `psftp` with these commands; the first that fails ends it.
fn psftp(stack: &Stack, client: &Client, commands: &[&str]) -> String {
    let key = stack.get("TOWPATH_SFTP_HOST_KEY").split(' ').nth(1).unwrap();
    let digest = Sha256::digest(BASE64_STANDARD.decode(key).unwrap());
    let fingerprint = format!("SHA256:{}", BASE64_STANDARD_NO_PAD.encode(digest));
    fs::write(client.path("batch"), commands.join("\n") + "\n").unwrap();
    let mut command = Command::new("psftp");
    command.current_dir(client.folder.path()).env("HOME", client.folder.path()).env("LC_ALL", "C.UTF-8");
    command.args(["-batch", "-P", stack.get("TOWPATH_SFTP_PORT"), "-hostkey", &fingerprint]);
    command.args(["-pw", stack.get("TOWPATH_PASSWORD"), "-b"]).arg(client.path("batch")).arg(client.target());
    command.stdin(Stdio::null());
    let output = run(command);
    assert!(output.status.success(), "psftp {commands:?}: {}", text(&output));
    text(&output)
}

#[tokio::test]
#[ignore = "needs the clients that `make test-clients` installs, and runs them"]
async fn psftp_moves_a_tree_and_goes_on() {
    let stack = Stack::start();
    let client = Client::root(&stack);
    fs::create_dir(client.path("tree")).unwrap();
    real_tree(&client.path("tree"), 500);
    let large = noise(60_000_000);
    fs::write(client.path("large"), &large).unwrap();
    psftp(&stack, &client, &["put -r tree tree", "get -r tree back", "put large", "get large large-back"]);
    assert!(contents(&client.path("tree")) == contents(&client.path("back")), "the tree came back different");
    assert!(fs::read(client.path("large-back")).unwrap() == large);
    // a file that is there in part, on either side
    fs::write(client.path("begun"), &large[..10_000_000]).unwrap();
    let commands =
        ["put begun part", "reput large part", "reget part begun", "ls", "mkdir d", "mv part d/whole", "rm large"];
    let said = psftp(&stack, &client, &commands);
    assert!(said.contains("large") && said.contains("60000000"), "{said}");
    assert!(fs::read(client.path("begun")).unwrap() == large, "reget");
    psftp(&stack, &client, &["get d/whole whole-back"]);
    assert!(fs::read(client.path("whole-back")).unwrap() == large, "reput");
    let stored = stack.objects().await;
    assert_eq!(stored.get("d/whole"), Some(&60_000_000));
    assert!(!stored.contains_key("large") && !stored.contains_key("part"));
}

/// A folder that is mounted until it is dropped.
struct Mounted {
    folder: PathBuf,
    sshfs: Child,
}

impl Mounted {
    fn new(stack: &Stack, client: &Client) -> Self {
        assert!(
            fs::metadata("/dev/fuse").is_ok(),
            "sshfs needs /dev/fuse: `modprobe fuse` as root, in a container `--device /dev/fuse --cap-add SYS_ADMIN`"
        );
        let folder = client.path("mounted");
        fs::create_dir(&folder).unwrap();
        let mut command = Command::new("sshfs");
        command.arg(format!("{}:/", client.target())).arg(&folder).arg("-f");
        command.args([
            "-p",
            stack.get("TOWPATH_SFTP_PORT"),
            "-o",
            "ssh_command=ssh -F none -a -x",
            "-o",
            "password_stdin",
        ]);
        command.arg("-o").arg(format!("UserKnownHostsFile={}", client.path("known_hosts").display()));
        command.args(["-o", "StrictHostKeyChecking=yes", "-o", "PubkeyAuthentication=no"]);
        let mut sshfs = command.stdin(Stdio::piped()).spawn().unwrap_or_else(|error| panic!("sshfs: {error}"));
        writeln!(sshfs.stdin.take().unwrap(), "{}", stack.get("TOWPATH_PASSWORD")).unwrap();
        let deadline = Instant::now() + PATIENCE;
        let is_mounted = || {
            let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
            mounts.lines().any(|line| line.split(' ').nth(1) == folder.to_str())
        };
        while !is_mounted() {
            if let Some(status) = sshfs.try_wait().unwrap() {
                panic!("sshfs cannot mount: {status}");
            }
            assert!(Instant::now() < deadline, "sshfs does not mount");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { folder, sshfs }
    }

    fn unmount(&self) -> bool {
        Command::new("fusermount3").arg("-u").arg(&self.folder).status().is_ok_and(|status| status.success())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let has_ended = matches!(self.sshfs.try_wait(), Ok(Some(_)));
        if !has_ended && !self.unmount() {
            let _ = Command::new("fusermount3").args(["-u", "-z"]).arg(&self.folder).status();
            let _ = self.sshfs.kill();
        }
        let _ = self.sshfs.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the clients that `make test-clients` installs, and runs them"]
async fn sshfs_reads_and_writes_whole_files() {
    let stack = Stack::start();
    let client = Client::root(&stack);
    let tree = client.path("tree");
    fs::create_dir(&tree).unwrap();
    real_tree(&tree, 500);
    let large = noise(60_000_000);
    fs::write(tree.join("large"), &large).unwrap();
    let mut mounted = Mounted::new(&stack, &client);
    let there = mounted.folder.join("tree");
    let program = |words: &[&str]| {
        let mut command = Command::new("timeout");
        command.arg("300").args(words).current_dir(client.folder.path());
        let output = run(command);
        assert!(output.status.success(), "{words:?}: {}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    // new, over what is there, and with times
    for _ in 0..2 {
        program(&["cp", "-r", "--preserve=timestamps", "tree", "mounted/"]);
        program(&["diff", "-r", "tree", "mounted/tree"]);
    }
    let modified = |path: PathBuf| fs::metadata(path).unwrap().modified().unwrap();
    let whole_seconds = |path| modified(path).duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(whole_seconds(there.join("large")), whole_seconds(tree.join("large")));
    // what programs do with files
    fs::write(there.join("note"), "first, and longer").unwrap();
    fs::write(there.join("note"), "second").unwrap();
    assert_eq!(fs::read(there.join("note")).unwrap(), b"second");
    let mut note = fs::File::options().append(true).open(there.join("note")).unwrap();
    note.write_all(b", and more").unwrap();
    drop(note);
    assert_eq!(fs::read(there.join("note")).unwrap(), b"second, and more");
    fs::write(there.join("note.new"), "third").unwrap();
    fs::rename(there.join("note.new"), there.join("note")).unwrap();
    assert_eq!(fs::read(there.join("note")).unwrap(), b"third");
    fs::create_dir_all(there.join("a/b")).unwrap();
    fs::rename(there.join("note"), there.join("a/b/note")).unwrap();
    program(&["tar", "-cf", "mounted/tree.tar", "-C", "tree", "."]);
    program(&["mkdir", "unpacked"]);
    program(&["tar", "-xf", "mounted/tree.tar", "-C", "unpacked"]);
    assert!(contents(&tree) == contents(&client.path("unpacked")), "the archive came back different");
    // a change in the middle of a file never damages it (sshfs hears of it at CLOSE, whose answer it tells nobody)
    let mut middle = fs::File::options().write(true).open(there.join("large")).unwrap();
    std::io::Seek::seek(&mut middle, std::io::SeekFrom::Start(1_000_000)).unwrap();
    let _ = middle.write_all(b"changed");
    drop(middle);
    assert!(fs::read(there.join("large")).unwrap() == large, "a file was damaged");
    program(&["rm", "-r", "mounted/tree/a", "mounted/tree.tar"]);
    assert!(mounted.unmount(), "the folder is busy");
    assert!(wait(&mut mounted.sshfs, PATIENCE));
    let stored = stack.objects().await;
    let files: Vec<_> = stored.keys().filter(|key| !key.ends_with('/')).collect();
    assert_eq!(files.len(), contents(&tree).len());
    // what is mounted anew is what was written
    fs::remove_dir(&mounted.folder).unwrap();
    let again = Mounted::new(&stack, &client);
    assert!(contents(&again.folder.join("tree")) == contents(&tree), "the tree came back different");
}

/// The receiver of the documentation, with the official library of Standard Webhooks, takes what is sent and refuses what is not ours.
#[tokio::test]
#[ignore = "needs what `make test-clients` installs, and runs it"]
async fn a_receiver_checks_the_signatures() {
    let stack = Stack::start();
    let api = Api::of(&stack);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = root.join(".venv/bin/python");
    assert!(python.exists(), "{} is missing: `make test-clients` installs it", python.display());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let body = json!({"Url": format!("http://127.0.0.1:{port}/"), "Topics": ["file.created"]});
    let hook = api.made("/webhooks", body).await;
    let mut receiver = Command::new("timeout")
        .arg("120")
        .arg(python)
        .arg(root.join("docs/examples/receiver.py"))
        .arg(port.to_string())
        .env("WEBHOOK_SECRET", hook["Secret"].as_str().unwrap())
        .stdout(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(receiver.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("listening"));
    // not ours
    let forged = reqwest::Client::new().post(format!("http://127.0.0.1:{port}/")).body("{}").send().await.unwrap();
    assert_eq!(forged.status(), 401);
    assert!(lines.next().unwrap().unwrap().starts_with("refused: "));
    let client = Client::root(&stack);
    fs::write(client.path("note.txt"), "hello").unwrap();
    client.sftp_ok(&["put note.txt"]);
    assert_eq!(lines.next().unwrap().unwrap(), "file.created {\"Path\": \"note.txt\", \"Size\": 5}");
    receiver.kill().unwrap();
    receiver.wait().unwrap();
}
