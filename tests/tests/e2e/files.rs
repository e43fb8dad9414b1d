//! Files up and down with OpenSSH, byte for byte.

use crate::clients::{Client, run, text};
use crate::stack::Stack;
use rand::{Rng as _, SeedableRng as _};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where cargo keeps the sources of the crates that this build uses: real files of all kinds.
fn crate_sources() -> PathBuf {
    let mut metadata = Command::new(env!("CARGO"));
    // for this platform alone: the crates of others need not be here
    let platform = ["--filter-platform", "x86_64-unknown-linux-gnu"];
    metadata.args(["metadata", "--format-version=1", "--offline"]).args(platform);
    let output = run(metadata);
    assert!(output.status.success(), "{}", text(&output));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let sdk = packages.iter().find(|package| package["name"] == "aws-sdk-dynamodb").unwrap();
    let manifest = Path::new(sdk["manifest_path"].as_str().unwrap());
    manifest.parent().and_then(Path::parent).unwrap().to_owned()
}

/// Copies real files, whole crates at a time, until there are enough.
fn real_tree(into: &Path, files: usize) -> usize {
    let mut crates: Vec<_> = fs::read_dir(crate_sources()).unwrap().map(|entry| entry.unwrap().path()).collect();
    crates.sort();
    let mut copied = 0;
    for one in crates.iter().filter(|path| path.join("src").is_dir()) {
        if copied >= files {
            break;
        }
        let target = into.join(one.file_name().unwrap());
        let output = Command::new("cp").arg("-r").arg(one).arg(&target).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        copied += contents(&target).len();
    }
    copied
}

/// Every file below, by its path from there.
fn contents(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[tokio::test]
async fn a_tree_of_two_thousand_real_files_goes_up_and_comes_back() {
    let stack = Stack::start();
    let client = Client::root(&stack);
    let tree = client.path("tree");
    fs::create_dir(&tree).unwrap();
    let files = real_tree(&tree, 2000);
    assert!(files >= 2000, "only {files} files");
    client.sftp_ok(&["put -r tree", "get -r tree back"]);
    let sent = contents(&tree);
    assert!(sent == contents(&client.path("back")), "the tree came back different");
    let stored = stack.objects().await;
    for (path, bytes) in &sent {
        let key = format!("tree/{}", path.display());
        assert_eq!(stored.get(&key), Some(&i64::try_from(bytes.len()).unwrap()), "{key}");
    }
    assert_eq!(stored.keys().filter(|key| !key.ends_with('/')).count(), sent.len());
}

#[tokio::test]
async fn a_file_of_a_gibibyte_goes_up_and_comes_back() {
    let stack = Stack::start();
    let client = Client::root(&stack);
    let mut random = rand::rngs::SmallRng::seed_from_u64(1);
    let mut big = fs::File::create(client.path("big")).unwrap();
    let mut block = vec![0; 1 << 20];
    // a little over, so that the last part is not full
    for _ in 0..1025 {
        random.fill(&mut block[..]);
        std::io::Write::write_all(&mut big, &block).unwrap();
    }
    drop(big);
    client.sftp_ok(&["put big", "get big back"]);
    let mut compare = Command::new("cmp");
    compare.arg(client.path("big")).arg(client.path("back"));
    let output = run(compare);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(stack.objects().await, BTreeMap::from([("big".to_owned(), 1025 << 20)]));
}

#[tokio::test]
async fn names_that_other_systems_stumble_over() {
    let stack = Stack::start();
    let client = Client::root(&stack);
    let long = "n".repeat(255);
    let names = [
        "with space",
        "plus+percent%41%",
        "ünïcödé-日本語-🚢",
        "quote'and&amp",
        "..dots..",
        "#hash?query",
        long.as_str(),
    ];
    fs::create_dir(client.path("odd")).unwrap();
    for name in names {
        fs::write(client.path("odd").join(name), name).unwrap();
    }
    fs::write(client.path("odd").join("empty"), "").unwrap();
    client.sftp_ok(&["put -r odd", "get -r odd back"]);
    assert!(contents(&client.path("odd")) == contents(&client.path("back")));
    let stored = stack.objects().await;
    for name in names {
        assert!(stored.contains_key(&format!("odd/{name}")), "{name}: {stored:?}");
    }
    assert_eq!(stored.get("odd/empty"), Some(&0));
    client.sftp_ok(&["rename \"odd/with space\" \"odd/ünï b\"", "rm odd/plus+percent%41%"]);
    let listed = client.sftp_ok(&["ls -1 odd"]);
    assert!(listed.contains("ünï b") || listed.contains("\\303"), "{listed}");
    assert!(!listed.contains("percent"));
}

#[tokio::test]
async fn times_go_up_and_come_back() {
    let stack = Stack::start();
    let client = Client::root(&stack);
    let modified = |path: PathBuf| fs::metadata(path).unwrap().modified().unwrap();
    let then = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_007);
    fs::create_dir_all(client.path("tree/inside")).unwrap();
    for (name, content) in [("tree/a", "a".repeat(10)), ("tree/inside/b", "b".repeat(600_000))] {
        fs::write(client.path(name), content).unwrap();
        let file = fs::File::options().write(true).open(client.path(name)).unwrap();
        file.set_modified(then).unwrap();
    }
    client.sftp_ok(&["mkdir up", "put -pr tree up", "rename up/tree up/moved", "get -pr up/moved back"]);
    let listed = client.sftp_ok(&["ls -l up/moved/a"]);
    assert!(listed.contains("Sep  9  2001"), "{listed}");
    for name in ["back/a", "back/inside/b"] {
        assert_eq!(modified(client.path(name)), then, "{name}");
    }
    // a program that compares times sends nothing again
    let known = client.path("known_hosts");
    let script = format!(
        "set sftp:connect-program \"ssh -a -x -F none -o UserKnownHostsFile={}\"; set net:max-retries 1; \
         open -u {},{} sftp://127.0.0.1:{}; mirror -R tree mirrored; mirror -R -v tree mirrored; mirror mirrored down; bye",
        known.display(),
        stack.get("TOWPATH_USER"),
        stack.get("TOWPATH_PASSWORD"),
        stack.get("TOWPATH_SFTP_PORT"),
    );
    let mut lftp = Command::new("lftp");
    lftp.args(["-c", &script]).current_dir(client.folder.path()).env("HOME", client.folder.path());
    let output = run(lftp);
    assert!(output.status.success() && !text(&output).contains("Transferring"), "{}", text(&output));
    assert_eq!(modified(client.path("down/inside/b")), then);
}

#[tokio::test]
async fn openssh_copies_and_shows_the_disk() {
    let stack = Stack::start();
    let client = Client::root(&stack);
    for (name, bytes) in [("small", 1000), ("large", 9 << 20)] {
        let content: Vec<u8> = (0..bytes / 4).flat_map(|at: u32| at.wrapping_mul(0x9E37_79B9).to_le_bytes()).collect();
        fs::write(client.path(name), &content).unwrap();
        client.sftp_ok(&[&format!("put {name}"), &format!("cp {name} {name}.copy"), &format!("get {name}.copy back")]);
        assert!(fs::read(client.path("back")).unwrap() == content, "{name}");
    }
    let disk = client.sftp_ok(&["df -h"]);
    assert!(disk.contains("1.0PB") || disk.contains("1024TB"), "{disk}");
    assert_eq!(stack.objects().await.len(), 4);
}

#[tokio::test]
async fn every_command_of_a_session() {
    let stack = Stack::start();
    let client = Client::root(&stack);
    fs::write(client.path("a"), "first").unwrap();
    fs::write(client.path("b"), "second, longer").unwrap();
    let printed = client.sftp_ok(&[
        "pwd",
        "mkdir in",
        "put a in/a",
        "put b in/b",
        "ls -l in",
        "rename in/a in/c",
        "get in/c c",
        "rm in/c",
        "put b in/b",
        "cd in",
        "pwd",
        "ls",
        "cd ..",
        "rename in out",
        "ls -l out",
        "rm out/b",
        "rmdir out",
        "ls",
    ]);
    assert!(printed.contains("Remote working directory: /in"), "{printed}");
    assert_eq!(fs::read(client.path("c")).unwrap(), b"first");
    assert_eq!(stack.objects().await, BTreeMap::new());
    for (commands, message) in [
        (["get nothing"], "not found"),
        (["rmdir nothing"], "No such file"),
        (["rm nothing"], "No such file"),
        (["cd nothing"], "No such file"),
        (["mkdir /"], "Failure"),
    ] {
        let printed = client.sftp_fails(&commands);
        assert!(printed.contains(message), "{commands:?}: {printed}");
    }
    client.sftp_ok(&["mkdir full", "put a full/a"]);
    client.sftp_fails(&["rmdir full"]);
    client.sftp_fails(&["mkdir full"]);
    assert_eq!(stack.objects().await.len(), 2);
}

#[tokio::test]
async fn scp_copies_both_ways_twice() {
    let stack = Stack::start();
    let client = Client::root(&stack);
    fs::write(client.path("a"), vec![7; 300_000]).unwrap();
    let remote = format!("{}:copied", client.target());
    for _ in 0..2 {
        for (from, to) in [("a", remote.as_str()), (remote.as_str(), "back")] {
            let output = client.scp(from, to);
            assert!(output.status.success(), "scp {from} {to}: {}", text(&output));
        }
    }
    assert_eq!(fs::read(client.path("back")).unwrap(), vec![7; 300_000]);
    // a shorter file takes the place of a longer one
    fs::write(client.path("a"), "short").unwrap();
    assert!(client.scp("a", &remote).status.success());
    assert_eq!(stack.objects().await, BTreeMap::from([("copied".to_owned(), 5)]));
}

#[tokio::test]
async fn scp_downloads_are_whole_every_time() {
    let stack = Stack::start();
    let client = Client::root(&stack);
    let content: Vec<u8> = (0..20_000_000_u32).map(|at| (at / 7).to_le_bytes()[1]).collect();
    fs::write(client.path("a"), &content).unwrap();
    client.sftp_ok(&["put a"]);
    for round in 0..8 {
        let output = client.scp(&format!("{}:a", client.target()), "back");
        assert!(output.status.success(), "{}", text(&output));
        assert!(fs::read(client.path("back")).unwrap() == content, "round {round}");
    }
}

#[tokio::test]
async fn many_requests_in_flight_do_not_hang() {
    let stack = Stack::start();
    let client = Client::root(&stack);
    fs::write(client.path("a"), vec![3; 40 << 20]).unwrap();
    for flying in ["-R64", "-R256", "-R4096"] {
        let output = client.sftp_with(&[flying], &["put a", "get a back"]);
        assert!(output.status.success(), "{flying}: {}", text(&output));
        assert!(fs::read(client.path("back")).unwrap() == vec![3; 40 << 20], "{flying}");
    }
}

#[tokio::test]
async fn a_shell_is_refused_with_a_clear_message() {
    let stack = Stack::start();
    let client = Client::root(&stack);
    let mut command = client.command("ssh");
    command.arg(client.target()).arg("id");
    let output = run(command);
    assert!(!output.status.success());
    assert!(text(&output).contains("SFTP"), "{}", text(&output));
}
