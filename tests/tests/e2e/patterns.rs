//! What WinSCP and FileZilla ask, request by request, replayed on trees of real files: neither runs without a desktop, and
//! both do things that no command-line client does. WinSCP sends a file as `name.filepart`, renames it, sets its time after
//! CLOSE, and goes on with a broken one without APPEND; FileZilla goes on where FSTAT of the opened file says, lists with
//! MLSD and sets times with MFMT.

use crate::clients::{run, text};
use crate::files::{contents, real_tree};
use crate::ftps::Ftps;
use crate::raw::{Answer, Fields, PATIENCE, Sftp, Ssh, fields};
use crate::stack::Stack;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const WRITE: u32 = 2;
const CREATE_AND_TRUNCATE: u32 = 8 | 16;
/// WinSCP sends larger files under another name first.
const FILEPART_FROM: usize = 100 * 1024;
/// What both send in one WRITE.
const PIECE: usize = 32_768;
/// WRITEs without an answer.
const AHEAD: usize = 32;
const THEN: u32 = 1_000_000_007;

async fn session(stack: &Stack) -> (Ssh, Sftp) {
    let address = format!("127.0.0.1:{}", stack.get("TOWPATH_SFTP_PORT")).parse().unwrap();
    let mut ssh = Ssh::dial(address, Default::default()).await.unwrap();
    assert!(ssh.log_in(stack.get("TOWPATH_USER"), stack.get("TOWPATH_PASSWORD")).await.unwrap());
    let sftp = ssh.sftp().await;
    (ssh, sftp)
}

/// Attributes with a time, as SETSTAT sends them.
fn times(fields: Fields) -> Fields {
    fields.u32(8).u32(THEN).u32(THEN)
}

/// Size and time of an answer with attributes.
fn attributes(answer: &Answer) -> (u64, u32) {
    assert_eq!(answer.kind, 105, "{answer:?}");
    let number = |at: usize| u32::from_be_bytes(answer.body[at..at + 4].try_into().unwrap());
    assert_eq!(number(0), 0xf, "size, owner, permissions and times");
    (u64::from_be_bytes(answer.body[4..12].try_into().unwrap()), number(28))
}

/// Writes from `offset` on, some requests ahead of their answers.
async fn write(sftp: &mut Sftp, handle: &[u8], content: &[u8], offset: usize) {
    let mut unanswered = 0;
    for (at, piece) in content[offset..].chunks(PIECE).enumerate() {
        if unanswered == AHEAD {
            assert_eq!(sftp.answer().await.expect("an answer").status(), Some(0));
            unanswered -= 1;
        }
        sftp.send(6, &fields().string(handle).u64((offset + at * PIECE) as u64).string(piece)).await;
        unanswered += 1;
    }
    for _ in 0..unanswered {
        assert_eq!(sftp.answer().await.expect("an answer").status(), Some(0));
    }
}

async fn close(sftp: &mut Sftp, handle: &[u8]) {
    assert_eq!(sftp.status(4, &fields().string(handle)).await, 0);
}

/// One file as WinSCP sends it; `there`: the user has agreed to overwrite it.
async fn winscp_put(sftp: &mut Sftp, path: &str, content: &[u8], there: bool) {
    let seen = sftp.call(7, &fields().string(path)).await;
    assert_eq!(seen.kind == 105, there, "{path}");
    if content.len() < FILEPART_FROM {
        let handle = sftp.open(path, WRITE | CREATE_AND_TRUNCATE).await;
        write(sftp, &handle, content, 0).await;
        close(sftp, &handle).await;
    } else {
        let part = format!("{path}.filepart");
        assert_eq!(sftp.call(7, &fields().string(&part)).await.status(), Some(2));
        let handle = sftp.open(&part, WRITE | CREATE_AND_TRUNCATE).await;
        write(sftp, &handle, content, 0).await;
        close(sftp, &handle).await;
        winscp_take_its_place(sftp, &part, path, there).await;
    }
    assert_eq!(sftp.status(9, &times(fields().string(path))).await, 0, "{path}");
}

async fn winscp_take_its_place(sftp: &mut Sftp, part: &str, path: &str, there: bool) {
    if there {
        assert_eq!(sftp.status(13, &fields().string(path)).await, 0);
    }
    assert_eq!(sftp.status(18, &fields().string(part).string(path)).await, 0);
}

/// The files below a folder, byte for byte, as both clients list and fetch them.
async fn fetch(sftp: &mut Sftp, root: &str) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        let handle = sftp.call(11, &fields().string(&folder)).await.string().to_vec();
        let mut names = Vec::new();
        loop {
            let page = sftp.call(12, &fields().string(&handle)).await;
            if page.kind != 104 {
                assert_eq!(page.status(), Some(1));
                break;
            }
            names.extend(entries(&page.body));
        }
        close(sftp, &handle).await;
        for (name, is_folder) in names.into_iter().filter(|(name, _)| name != "." && name != "..") {
            let path = format!("{folder}/{name}");
            if is_folder {
                folders.push(path);
            } else {
                let content = sftp.get(&path).await;
                found.insert(path[root.len() + 1..].to_owned(), content);
            }
        }
    }
    found
}

/// Names of an answer to READDIR, and which are folders.
fn entries(mut body: &[u8]) -> Vec<(String, bool)> {
    let mut take = |len: usize| {
        let (front, rest) = body.split_at(len);
        body = rest;
        front.to_vec()
    };
    let number = |bytes: Vec<u8>| u32::from_be_bytes(bytes.try_into().unwrap());
    let count = number(take(4));
    let mut found = Vec::new();
    for _ in 0..count {
        let len = number(take(4)) as usize;
        let name = String::from_utf8(take(len)).unwrap();
        let len = number(take(4)) as usize;
        let long = take(len);
        assert_eq!(number(take(4)), 0xf, "size, owner, permissions and times");
        take(28);
        found.push((name, long.starts_with(b"d")));
    }
    found
}

fn by_name(tree: &Path) -> BTreeMap<String, Vec<u8>> {
    contents(tree).into_iter().map(|(path, content)| (path.to_str().unwrap().to_owned(), content)).collect()
}

fn noise(len: u32, seed: u32) -> Vec<u8> {
    (0..len / 4).flat_map(|at| (at ^ seed).wrapping_mul(0x9E37_79B9).to_le_bytes()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn winscp_sends_a_tree_twice() {
    let stack = Stack::start();
    let folder = TempDir::new().unwrap();
    real_tree(folder.path(), 300);
    std::fs::write(folder.path().join("large"), noise(3_000_000, 1)).unwrap();
    let tree = by_name(folder.path());
    assert!(tree.values().filter(|content| content.len() >= FILEPART_FROM).count() > 1, "some go as .filepart");
    let (_ssh, mut sftp) = session(&stack).await;
    assert_eq!(sftp.call(16, &fields().string(".")).await.kind, 104);
    let mut made = BTreeSet::from([String::new()]);
    assert_eq!(sftp.status(14, &fields().string("/up").u32(4).u32(0o755)).await, 0);
    for there in [false, true] {
        for (path, content) in &tree {
            let parents: Vec<usize> = path.match_indices('/').map(|(at, _)| at).collect();
            for at in parents {
                let parent = format!("/up/{}", &path[..at]);
                if made.insert(parent.clone()) {
                    assert_eq!(sftp.call(7, &fields().string(&parent)).await.status(), Some(2));
                    assert_eq!(sftp.status(14, &fields().string(&parent).u32(4).u32(0o755)).await, 0);
                }
            }
            winscp_put(&mut sftp, &format!("/up/{path}"), content, there).await;
        }
        assert!(fetch(&mut sftp, "/up").await == tree, "the tree came back different");
        for (path, content) in &tree {
            let stat = sftp.call(17, &fields().string(format!("/up/{path}"))).await;
            assert_eq!(attributes(&stat), (content.len() as u64, THEN), "{path}");
        }
    }
    let stored = stack.objects().await;
    assert_eq!(stored.keys().filter(|key| !key.ends_with('/')).count(), tree.len(), "no .filepart is left");
}

/// Waits until somebody sees that part of it is stored; answers how much.
async fn durable(stack: &Stack, path: &str) -> (Ssh, Sftp, usize) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (ssh, mut sftp) = session(stack).await;
        let seen = sftp.call(7, &fields().string(path)).await;
        if seen.kind == 105 {
            let bytes = usize::try_from(attributes(&seen).0).unwrap();
            return (ssh, sftp, bytes);
        }
        assert!(Instant::now() < deadline, "nothing of {path} was kept");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn winscp_goes_on_without_append() {
    let stack = Stack::start();
    let content = noise(30 << 20, 2);
    for (at, (cut, closes)) in [(20 << 20, false), (20 << 20, true), (200_000, true)].into_iter().enumerate() {
        let path = format!("/big-{at}");
        let part = format!("{path}.filepart");
        let (ssh, mut sftp) = session(&stack).await;
        let handle = sftp.open(&part, WRITE | CREATE_AND_TRUNCATE).await;
        write(&mut sftp, &handle, &content[..cut], 0).await;
        if closes {
            // the user cancels: the file is closed as it is, and is a file
            close(&mut sftp, &handle).await;
        }
        drop((ssh, sftp));
        let (_ssh, mut sftp, stored) = durable(&stack, &part).await;
        assert!(if closes { stored == cut } else { (1 << 20..=cut).contains(&stored) }, "{stored} of {cut}");
        // neither CREAT nor TRUNC nor APPEND, and the first write where the file ends
        let handle = sftp.open(&part, WRITE).await;
        write(&mut sftp, &handle, &content, stored).await;
        close(&mut sftp, &handle).await;
        winscp_take_its_place(&mut sftp, &part, &path, false).await;
        assert_eq!(sftp.status(9, &times(fields().string(&path))).await, 0);
        assert!(sftp.get(&path).await == content, "{path} came back different");
        assert_eq!(attributes(&sftp.call(17, &fields().string(&path)).await), (content.len() as u64, THEN));
    }
    assert_eq!(stack.objects().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn filezilla_goes_on_where_the_open_file_ends() {
    let stack = Stack::start();
    let content = noise(30 << 20, 3);
    let (ssh, mut sftp) = session(&stack).await;
    let handle = sftp.open("/big", WRITE | CREATE_AND_TRUNCATE).await;
    write(&mut sftp, &handle, &content[..20 << 20], 0).await;
    drop((ssh, sftp));
    let (_ssh, mut sftp, stored) = durable(&stack, "/big").await;
    let handle = sftp.open("/big", WRITE).await;
    let end = usize::try_from(attributes(&sftp.call(8, &fields().string(&handle)).await).0).unwrap();
    assert_eq!(end, stored);
    write(&mut sftp, &handle, &content, end).await;
    close(&mut sftp, &handle).await;
    assert_eq!(sftp.status(9, &times(fields().string("/big"))).await, 0);
    assert!(sftp.get("/big").await == content);
    // and a download from the middle on
    let handle = sftp.open("/big", 1).await;
    let answer = sftp.call(5, &fields().string(&handle).u64(12_345_678).u32(32_768)).await;
    assert_eq!(answer.string(), &content[12_345_678..12_345_678 + 32_768]);
    close(&mut sftp, &handle).await;
    assert_eq!(stack.objects().await.len(), 1);
}

/// FileZilla over FTPS: its greeting, a tree with MFMT after each file and MLSD for each folder, and APPE at SIZE.
const FILEZILLA: &str = r#"
import ftplib, os, ssl, sys, time

class Client(ftplib.FTP_TLS):
    def ntransfercmd(self, cmd, rest=None):
        conn, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        return self.context.wrap_socket(conn, server_hostname=self.host, session=self.sock.session), size

port, authority, user, password = sys.argv[1:]

def session():
    client = Client(context=ssl.create_default_context(cafile=authority), timeout=180, encoding="utf-8")
    client.connect("127.0.0.1", int(port))
    client.auth()
    for command in ("USER " + user, "PASS " + password, "SYST", "FEAT", "CLNT FileZilla", "OPTS UTF8 ON", "PBSZ 0",
                    "PROT P", "OPTS MLST type;perm;size;modify;", "PWD", "TYPE I"):
        try:
            client.sendcmd(command)
        except ftplib.error_perm:
            assert command.startswith("CLNT"), command
    return client

def listed(client, folder):
    client.voidcmd("CWD " + folder)
    lines = []
    client.retrlines("MLSD", lines.append)
    found = {}
    for line in lines:
        facts, name = line.split(" ", 1)
        found[name] = dict(fact.lower().split("=") for fact in facts.split(";") if fact)
    return {name: facts for name, facts in found.items() if facts["type"] in ("file", "dir")}

client = session()
then = "20010909014647"
sent = {}
client.voidcmd("MKD /up")
for folder, folders, names in os.walk("tree"):
    there = "/up" + folder[len("tree"):]
    for name in folders:
        client.voidcmd("MKD %s/%s" % (there, name))
    client.voidcmd("CWD " + there)
    for name in names:
        path = os.path.join(folder, name)
        with open(path, "rb") as file:
            client.storbinary("STOR " + name, file, 65536)
        assert client.sendcmd("MFMT %s %s" % (then, name)).startswith("213"), name
        sent["%s/%s" % (there, name)] = os.path.getsize(path)

found, folders = {}, ["/up"]
while folders:
    folder = folders.pop()
    for name, facts in listed(client, folder).items():
        path = "%s/%s" % (folder, name)
        if facts["type"] == "dir":
            folders.append(path)
        else:
            assert facts["modify"].split(".")[0] == then, (path, facts)
            found[path] = int(facts["size"])
            local = "back" + path[len("/up"):]
            os.makedirs(os.path.dirname(local), exist_ok=True)
            with open(local, "wb") as file:
                client.retrbinary("RETR " + name, file.write)
assert found == sent, (len(found), len(sent))

# a transfer that breaks, and goes on with APPE from where SIZE says
with open("big", "rb") as file:
    content = file.read()
client.voidcmd("CWD /")
data = client.transfercmd("STOR big")
data.sendall(content[:20 << 20])
data.close()
client.sock.close()
client = session()
deadline = time.time() + 120
while True:
    try:
        size = client.size("big")
        break
    except ftplib.error_perm:
        assert time.time() < deadline, "nothing was kept"
        time.sleep(0.1)
assert 1 << 20 <= size <= 20 << 20, size
data = client.transfercmd("APPE big")
data.sendall(content[size:])
data.unwrap()
data.close()
client.voidresp()
assert client.sendcmd("MFMT %s big" % then).startswith("213")
with open("big-back", "wb") as file:
    client.retrbinary("RETR big", file.write)
client.quit()
"#;

#[tokio::test]
async fn filezilla_over_ftps() {
    let stack = Stack::start();
    let client = Ftps::root(&stack);
    std::fs::create_dir(client.path("tree")).unwrap();
    real_tree(&client.path("tree"), 300);
    std::fs::write(client.path("big"), noise(30 << 20, 4)).unwrap();
    std::fs::write(client.path("script.py"), FILEZILLA).unwrap();
    let mut python = Command::new("python3");
    python.current_dir(client.path("")).arg("script.py").args([
        stack.get("TOWPATH_FTPS_PORT"),
        stack.get("TOWPATH_FTPS_CA_FILE"),
        stack.get("TOWPATH_USER"),
        stack.get("TOWPATH_PASSWORD"),
    ]);
    let output = run(python);
    assert!(output.status.success(), "{}", text(&output));
    assert!(contents(&client.path("tree")) == contents(&client.path("back")), "the tree came back different");
    assert!(std::fs::read(client.path("big")).unwrap() == std::fs::read(client.path("big-back")).unwrap());
    let stored = stack.objects().await;
    assert_eq!(stored.keys().filter(|key| !key.ends_with('/')).count(), contents(&client.path("tree")).len() + 1);
}
