//! FTPS with the clients that people use: curl, lftp, Python's ftplib; byte for byte.

use crate::accounts::Api;
use crate::clients::{run, text};
use crate::files::{contents, real_tree};
use crate::receiver::Receiver;
use crate::stack::Stack;
use rand::{RngCore as _, SeedableRng as _};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A client's machine.
pub(crate) struct Ftps<'a> {
    stack: &'a Stack,
    folder: TempDir,
    user: String,
    password: String,
}

/// How TLS begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Begin {
    Explicit,
    Implicit,
}

impl<'a> Ftps<'a> {
    pub(crate) fn root(stack: &'a Stack) -> Self {
        Self::new(stack, stack.get("TOWPATH_USER"), stack.get("TOWPATH_PASSWORD"))
    }

    pub(crate) fn new(stack: &'a Stack, user: &str, password: &str) -> Self {
        Self { stack, folder: TempDir::new().unwrap(), user: user.to_owned(), password: password.to_owned() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What its commands work in, to be kept as long as they run.
    pub(crate) fn into_folder(self) -> TempDir {
        self.folder
    }

    fn url(&self, begin: Begin, path: &str) -> String {
        match begin {
            Begin::Explicit => format!("ftp://127.0.0.1:{}/{path}", self.stack.get("TOWPATH_FTPS_PORT")),
            Begin::Implicit => format!("ftps://127.0.0.1:{}/{path}", self.stack.get("TOWPATH_FTPS_IMPLICIT_PORT")),
        }
    }

    pub(crate) fn curl(&self, begin: Begin, path: &str) -> Command {
        self.curl_at(&self.url(begin, path))
    }

    /// The same with a whole URL.
    pub(crate) fn curl_at(&self, url: &str) -> Command {
        let mut command = Command::new("curl");
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command.args(["-sS", "--ssl-reqd", "--max-time", "120"]);
        command.args(["--cacert", self.stack.get("TOWPATH_FTPS_CA_FILE")]);
        command.args(["-u", &format!("{}:{}", self.user, self.password), url]);
        command
    }

    /// Whether it succeeded, and what it said.
    fn try_curl(&self, begin: Begin, path: &str, options: &[&str]) -> (bool, String) {
        let mut command = self.curl(begin, path);
        command.args(options);
        let output = run(command);
        (output.status.success(), text(&output))
    }

    fn curl_ok(&self, begin: Begin, path: &str, options: &[&str]) -> String {
        let (ok, said) = self.try_curl(begin, path, options);
        assert!(ok, "curl {begin:?} {path} {options:?}: {said}");
        said
    }

    pub(crate) fn lftp(&self, begin: Begin, settings: &str, script: &str) -> Command {
        let mut command = Command::new("lftp");
        let script = format!(
            "set ssl:ca-file {}; set ftp:ssl-force yes; set ftp:ssl-protect-data yes; set net:max-retries 1; \
             set net:timeout 60; set cmd:fail-exit yes; {settings} open -u {},{} {}; {script}",
            self.stack.get("TOWPATH_FTPS_CA_FILE"),
            self.user,
            self.password,
            self.url(begin, ""),
        );
        command.args(["-c", &script]).current_dir(self.folder.path()).env("HOME", self.folder.path());
        // names are UTF-8 on both sides
        command.env("LC_ALL", "C.UTF-8");
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn lftp_ok(&self, begin: Begin, settings: &str, script: &str) -> String {
        let output = run(self.lftp(begin, settings, script));
        assert!(output.status.success(), "lftp {begin:?} {settings} {script}: {}", text(&output));
        text(&output)
    }
}

fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    rand::rngs::SmallRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

#[tokio::test]
async fn curl_transfers_over_both_versions_and_both_beginnings() {
    let stack = Stack::start();
    let client = Ftps::root(&stack);
    let (small, big) = (b"hello".to_vec(), random(1, 40_000_017));
    fs::write(client.path("small"), &small).unwrap();
    fs::write(client.path("empty"), "").unwrap();
    fs::write(client.path("big"), &big).unwrap();
    for begin in [Begin::Explicit, Begin::Implicit] {
        for version in [&["--tlsv1.2", "--tls-max", "1.2"][..], &["--tlsv1.3"]] {
            let with = |options: &[&'static str]| [version, options].concat();
            // several files over one control connection
            client.curl_ok(begin, "in/", &with(&["--ftp-create-dirs", "-T", "{small,empty,big}"]));
            for (name, content) in [("small", &small), ("empty", &Vec::new()), ("big", &big)] {
                client.curl_ok(begin, &format!("in/{name}"), &with(&["-o", "back"]));
                assert!(&fs::read(client.path("back")).unwrap_or_default() == content, "{begin:?} {version:?} {name}");
                let _ = fs::remove_file(client.path("back"));
            }
            client.curl_ok(begin, "in/big", &with(&["-r", "1000000-1999999", "-o", "part"]));
            assert!(fs::read(client.path("part")).unwrap() == big[1_000_000..2_000_000]);
            let listed = client.curl_ok(begin, "in/", &with(&["--list-only"]));
            assert_eq!(listed.lines().collect::<Vec<_>>(), ["big", "empty", "small"]);
            assert!(client.curl_ok(begin, "in/", version).contains(" 40000017 "));
            client.curl_ok(begin, "", &with(&["-Q", "DELE in/small", "-Q", "DELE in/empty", "-Q", "DELE in/big"]));
        }
    }
    assert!(!client.try_curl(Begin::Explicit, "nothing", &[]).0);
    // without TLS there is no login
    let mut clear = client.curl(Begin::Explicit, "in/");
    clear.arg("--no-ssl-reqd").arg("--no-ssl");
    let output = run(clear);
    assert!(!output.status.success() && text(&output).contains("denied"), "{}", text(&output));
    assert_eq!(stack.objects().await.keys().filter(|key| !key.ends_with('/')).count(), 0);
}

#[tokio::test]
async fn lftp_mirrors_a_real_tree_both_ways() {
    let stack = Stack::start();
    let client = Ftps::root(&stack);
    fs::create_dir(client.path("tree")).unwrap();
    let files = real_tree(&client.path("tree"), 300);
    assert!(files >= 300);
    fs::write(client.path("tree").join("ünï cödé '#%+ 🚢"), "odd").unwrap();
    let sent = contents(&client.path("tree"));
    let old = "set ssl:priority NORMAL:-VERS-TLS1.3;";
    for (begin, settings) in [(Begin::Explicit, ""), (Begin::Implicit, ""), (Begin::Explicit, old)] {
        client.lftp_ok(begin, settings, "mirror -R --parallel=4 tree up; mirror --parallel=4 up back");
        assert!(sent == contents(&client.path("back")), "{begin:?} {settings}: the tree came back different");
        fs::remove_dir_all(client.path("back")).unwrap();
        let stored = stack.objects().await;
        assert_eq!(stored.keys().filter(|key| !key.ends_with('/')).count(), sent.len());
        client.lftp_ok(begin, settings, "rm -r up");
    }
    assert_eq!(stack.objects().await, BTreeMap::new());
}

#[tokio::test]
async fn lftp_works_with_one_file_in_every_way() {
    let stack = Stack::start();
    let client = Ftps::root(&stack);
    let content = random(2, 12_000_000);
    fs::write(client.path("a"), &content).unwrap();
    client.lftp_ok(
        Begin::Explicit,
        "",
        "mkdir d; put a -o d/a; mv d/a d/b; put a -o d/a; mv d/a d/b; pget -n 4 d/b -o b; get d/b -o c; rm d/b; rmdir d",
    );
    assert!(fs::read(client.path("b")).unwrap() == content && fs::read(client.path("c")).unwrap() == content);
    // a file that is whole already is not sent again
    client.lftp_ok(Begin::Explicit, "", "put a; put -c a");
    assert_eq!(stack.objects().await, BTreeMap::from([("a".to_owned(), 12_000_000)]));
}

/// `ftplib` as people have to use it: it does not reuse the session by itself.
const FTPLIB: &str = r#"
import ftplib, io, os, ssl, sys

class Client(ftplib.FTP_TLS):
    def ntransfercmd(self, cmd, rest=None):
        conn, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        if self._prot_p:
            conn = self.context.wrap_socket(conn, server_hostname=self.host, session=self.sock.session)
        return conn, size

port, authority, user, password = sys.argv[1:]
for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
    context = ssl.create_default_context(cafile=authority)
    context.minimum_version = context.maximum_version = version
    def session(kind):
        client = kind(context=context, timeout=60)
        client.connect("127.0.0.1", int(port))
        client.login(user, password)
        client.prot_p()
        return client
    client = session(Client)
    client.mkd("d")
    client.cwd("d")
    content = os.urandom(3000000)
    for at in range(8):
        client.storbinary("STOR %d" % at, io.BytesIO(content))
    back = io.BytesIO()
    client.retrbinary("RETR 7", back.write)
    assert back.getvalue() == content, "another file came back"
    back = io.BytesIO()
    client.retrbinary("RETR 7", back.write, rest=1000000)
    assert back.getvalue() == content[1000000:], "another rest came back"
    assert client.size("7") == len(content)
    assert sorted(client.nlst()) == ["%d" % at for at in range(8)]
    facts = dict(client.mlsd())
    assert facts["3"]["size"] == str(len(content)) and facts["3"]["type"] == "file", facts
    client.sendcmd("PASV")
    try:
        client.sendcmd("PORT 127,0,0,1,4,1")
        raise SystemExit("PORT was taken")
    except ftplib.error_perm:
        pass
    client.rename("7", "8")
    for name in client.nlst():
        client.delete(name)
    client.cwd("..")
    client.rmd("d")
    client.quit()
    other = session(ftplib.FTP_TLS)
    try:
        other.nlst()
        raise SystemExit("a new TLS session was taken for data")
    except (OSError, EOFError, ftplib.Error):
        pass
"#;

#[tokio::test]
async fn pythons_ftplib_works_if_it_reuses_the_session_and_only_then() {
    let stack = Stack::start();
    let client = Ftps::root(&stack);
    fs::write(client.path("script.py"), FTPLIB).unwrap();
    let mut python = Command::new("python3");
    python.arg(client.path("script.py")).args([
        stack.get("TOWPATH_FTPS_PORT"),
        stack.get("TOWPATH_FTPS_CA_FILE"),
        &client.user,
        &client.password,
    ]);
    let output = run(python);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(stack.objects().await, BTreeMap::new());
}

#[tokio::test]
async fn events_say_ftps_and_rules_know_it() {
    let stack = Stack::start();
    let api = Api::of(&stack);
    let receiver = Receiver::start().await;
    let topics = ["file.created", "file.deleted", "file.downloaded"];
    api.made("/webhooks", json!({"Alias": "erp", "Url": receiver.url, "Type": "webhook", "Topics": topics})).await;
    let ana = api.made("/users", json!({"UserName": "ana-partner", "Permission": "read-write"})).await;
    let client = Ftps::new(&stack, "ana-partner", ana["Password"].as_str().unwrap());
    fs::write(client.path("a"), "12345").unwrap();
    client.curl_ok(Begin::Explicit, "a", &["-T", "a"]);
    client.curl_ok(Begin::Explicit, "a", &["-o", "back"]);
    client.curl_ok(Begin::Explicit, "", &["-Q", "DELE a"]);
    let received = receiver.wait_for(3).await;
    let topic = |name: &str| received.iter().map(|one| one.json()).find(|one| one["Topic"] == name).unwrap();
    for name in topics {
        let event = topic(name);
        assert_eq!(event["Actor"], json!({"Type": "User", "Id": "ana-partner"}), "{name}");
        assert_eq!(event["Data"]["Path"], "home/ana-partner/a");
    }
    let downloaded = topic("file.downloaded").to_string();
    assert!(downloaded.contains("\"Protocol\":\"FTPS\"") && downloaded.contains("127.0.0.1"), "{downloaded}");

    let rule = |protocol: &str| {
        let rule = json!([{"Protocol": protocol, "Source": "0.0.0.0/0", "State": "enabled", "Action": "allow"}]);
        json!({"Settings": {"Network": {"InboundRules": rule}}})
    };
    api.changed("", rule("SFTP")).await;
    let (ok, said) = client.try_curl(Begin::Explicit, "", &[]);
    assert!(!ok && said.contains("530"), "{said}");
    api.changed("", rule("FTPS")).await;
    client.curl_ok(Begin::Explicit, "", &[]);
}
