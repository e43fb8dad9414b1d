//! Files and listings.

use super::client::{Client, TLS12, TLS13};
use super::{Server, Setup, content};
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_in_and_out() {
    let server = Server::start();
    for version in [TLS12, TLS13] {
        let mut client = Client::logged_in(&server, version).await;
        for len in [0, 1, 70_000, 3 * 1024 * 1024 + 17] {
            let content = content(len);
            assert_eq!(client.upload("STOR a b", &content).await, 226);
            assert!(server.vfs.get("/a b").unwrap() == content);
            let (code, back) = client.download("RETR a b").await;
            assert!(code == 226 && back == content, "{code}, {} of {len}", back.len());
            assert!(client.tell("SIZE a b").await.1.ends_with(&format!(" {len}\r\n")));
        }
        assert_eq!(client.ask("REST 70000").await, 350);
        let (code, rest) = client.download("RETR a b").await;
        assert!(code == 226 && rest == content(3 * 1024 * 1024 + 17)[70_000..]);
        assert_eq!(client.download("RETR a b").await.1.len(), 3 * 1024 * 1024 + 17, "REST is for one transfer");
        assert_eq!(client.ask("REST 99999999").await, 350);
        assert_eq!(client.download("RETR a b").await.0, 554);
        assert_eq!(client.download("RETR nothing").await.0, 550);
        assert_eq!(client.upload("STOR broken", b"x").await, 451);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_uses_each_ticket_once_uploads_any_number_of_files() {
    let server = Server::start();
    let mut client = server.client().await;
    for at in 0..20 {
        assert_eq!(client.upload(&format!("STOR {at}"), b"x").await, 226, "{at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_begin_tls_before_its_command() {
    let server = Server::start();
    let mut client = server.client().await;
    for at in 0..10 {
        let address = client.passive().await;
        let socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let tls = client.sessions();
        let beginning = tokio::spawn(async move { super::client::begin(&tls, socket).await });
        assert_eq!(client.ask(&format!("STOR {at}")).await, 150);
        let mut data = beginning.await.unwrap().unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut data, b"early").await.unwrap();
        tokio::io::AsyncWriteExt::shutdown(&mut data).await.unwrap();
        let mut rest = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut data, &mut rest).await.unwrap();
        assert_eq!(client.reply().await.0, 226);
        assert_eq!(server.vfs.get(&format!("/{at}")).unwrap(), "early");
    }
    // and one that does not any more
    assert_eq!(client.upload("STOR afterwards", b"x").await, 226);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_send_its_command_when_tls_has_begun() {
    let server = Server::start();
    let mut client = server.client().await;
    server.vfs.put("/there", "for you");
    for at in 0..10 {
        let address = client.passive().await;
        let mut data = client.data(address).await.unwrap();
        assert_eq!(client.ask(&format!("STOR {at}")).await, 150);
        data.write_all(b"early").await.unwrap();
        data.shutdown().await.unwrap();
        data.read_to_end(&mut Vec::new()).await.unwrap();
        assert_eq!(client.reply().await.0, 226);
        assert_eq!(server.vfs.get(&format!("/{at}")).unwrap(), "early");
        let address = client.passive().await;
        let mut data = client.data(address).await.unwrap();
        assert_eq!(client.ask("RETR there").await, 150);
        let mut content = Vec::new();
        data.read_to_end(&mut content).await.unwrap();
        assert_eq!((client.reply().await.0, &content[..]), (226, &b"for you"[..]));
    }
    // who makes another place instead, or leaves, leaves nothing behind
    let address = client.passive().await;
    let mut data = client.data(address).await.unwrap();
    client.passive().await;
    assert_eq!(data.read(&mut [0]).await.unwrap_or(0), 0, "it is closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn going_on_appending_and_names_of_the_servers_choice() {
    let server = Server::start();
    let mut client = server.client().await;
    server.vfs.put("/a", "hello ");
    assert_eq!(client.ask("REST 6").await, 350);
    assert_eq!(client.upload("STOR a", b"world").await, 226);
    assert_eq!(client.upload("APPE a", b"!").await, 226);
    assert_eq!(server.vfs.get("/a").unwrap(), "hello world!");
    client.ask("REST 12").await;
    assert_eq!(client.upload("STOR a", b"").await, 226, "it is whole already");
    client.ask("REST 13").await;
    assert_eq!(client.upload("STOR a", b"").await, 550);
    client.ask("REST 3").await;
    assert_eq!(client.upload("STOR new", b"").await, 550);
    assert_eq!(server.vfs.get("/a").unwrap(), "hello world!");
    assert!(server.vfs.get("/new").is_none());
    assert_eq!(client.upload("STOU", b"x").await, 226);
    let tree = server.vfs.tree.lock().unwrap();
    assert!(tree.keys().any(|path| path.relative().starts_with("upload-")));
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_of_every_kind() {
    let server = Server::start();
    let mut client = server.client().await;
    assert_eq!(client.ask("MKD d").await, 257);
    for at in 0..2500 {
        server.vfs.put(&format!("/d/file-{at:04}"), "x");
    }
    let text = |(code, bytes): (u16, Vec<u8>)| {
        assert_eq!(code, 226);
        String::from_utf8(bytes).unwrap()
    };
    let facts = text(client.download("MLSD d").await);
    assert_eq!(facts.lines().count(), 2500);
    assert!(facts.starts_with("type=file;size=1;modify=20250209165910.000; file-0000\r\n"), "{}", &facts[..80]);
    let names = text(client.download("NLST d").await);
    assert!(names.starts_with("d/file-0000\r\n") && names.lines().count() == 2500);
    let long = text(client.download("LIST -la").await);
    assert!(long.starts_with('d') && long.ends_with(" d\r\n"), "{long}");
    // a pattern is a name
    for command in ["NLST d/file-000*", "LIST d/file-000*", "NLST d/file-000?", "NLST *"] {
        assert_eq!(client.download(command).await.0, 550, "{command}");
    }
    server.vfs.put("/file-*", "x");
    assert_eq!(text(client.download("NLST file-*").await), "file-*\r\n");
    assert_eq!(client.ask("DELE file-*").await, 250);
    assert_eq!(client.ask("CWD d").await, 250);
    assert_eq!(text(client.download("NLST").await).lines().next(), Some("file-0000"));
    assert_eq!(text(client.download("NLST ../d/file-0007").await), "../d/file-0007\r\n");
    let one = text(client.download("LIST file-0007").await);
    assert!(one.ends_with(" file-0007\r\n") && one.lines().count() == 1, "{one}");
    assert_eq!(client.download("MLSD file-0007").await.0, 550);
    assert_eq!(client.download("LIST nothing").await.0, 550);
    let (code, status) = client.tell("STAT file-0007").await;
    assert!(code == 213 && status.contains(" file-0007\r\n"), "{status}");
    let (_, status) = client.tell("STAT /d").await;
    assert!(status.contains("and more: LIST") && status.len() < 70_000, "{}", status.len());
    let (code, facts) = client.tell("MLST file-0007").await;
    assert!(
        code == 250 && facts.contains("\r\n type=file;size=1;modify=20250209165910.000; /d/file-0007\r\n"),
        "{facts}"
    );
    assert!(client.tell("OPTS MLST size;").await.1.starts_with("200 MLST OPTS size;"));
    assert!(text(client.download("MLSD").await).starts_with("size=1; file-0000\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_changes_facts_and_sums() {
    let server = Server::start();
    let mut client = server.client().await;
    server.vfs.put("/a", "hello");
    assert!(client.tell("PWD").await.1.starts_with("257 \"/\""));
    assert_eq!(client.ask("MKD with \"quotes\"").await, 257);
    assert_eq!(client.ask("CWD with \"quotes\"").await, 250);
    assert!(client.tell("PWD").await.1.starts_with("257 \"/with \"\"quotes\"\"\""));
    assert_eq!(client.ask("CDUP").await, 250);
    assert_eq!(client.ask("CWD a").await, 550);
    assert_eq!(client.ask("CWD nowhere").await, 550);
    assert!(client.tell("MDTM a").await.1.starts_with("213 20250209165910.000"));
    assert_eq!(client.tell("MFMT 20200101000000 a").await.1, "213 Modify=20200101000000.000; /a\r\n");
    assert!(client.tell("MDTM a").await.1.starts_with("213 20200101000000.000"));
    assert!(client.tell("MDTM 20210101000000 a").await.1.starts_with("213 Modify=20210101000000"));
    assert!(client.tell("MLST a").await.1.contains("modify=20210101000000.000;"));
    assert_eq!(client.ask("MDTM 20200101000000 nothing").await, 550);
    assert_eq!(client.ask("MFMT 20200101000000 nothing").await, 550);
    assert_eq!(client.ask("MFMT yesterday a").await, 501);
    assert_eq!(client.ask("SIZE /").await, 550);
    for (command, answer) in [
        ("HASH a", "213 SHA-256 0-4 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 /a\r\n"),
        ("XMD5 a", "250 5D41402ABC4B2A76B9719D911017C592\r\n"),
        ("XCRC \"a\" 0 5", "250 3610A686\r\n"),
        ("XCRC \"a\" 0 4", "250 6FD3A6D9\r\n"),
        ("OPTS HASH CRC32", "200 CRC32\r\n"),
        ("HASH /a", "213 CRC32 0-4 3610a686 /a\r\n"),
    ] {
        let told = client.tell(command).await.1;
        if command.contains("0 4") {
            assert!(told.starts_with("250 ") && !told.contains("3610A686"), "{command}: {told}");
        } else {
            assert_eq!(told, answer, "{command}");
        }
    }
    assert_eq!(client.ask("RNTO b").await, 503);
    assert_eq!(client.ask("RNFR nothing").await, 550);
    assert_eq!(client.ask("RNFR a").await, 350);
    assert_eq!(client.ask("RNTO b").await, 250);
    server.vfs.put("/c", "other");
    assert_eq!(client.ask("RNFR b").await, 350);
    assert_eq!(client.ask("RNTO c").await, 250);
    assert_eq!(server.vfs.get("/c").unwrap(), Bytes::from("hello"));
    assert_eq!(client.ask("DELE c").await, 250);
    assert_eq!(client.ask("DELE c").await, 550);
    assert_eq!(client.ask("RMD with \"quotes\"").await, 250);
    assert_eq!(client.ask("DELE a\x01b").await, 553);
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_are_made_of_at_most_4_gib() {
    const LIMIT: u64 = 4 << 30;
    let server = Server::start();
    let mut client = server.client().await;
    server.vfs.put("/huge", "");
    for command in ["HASH huge", "XMD5 huge", &format!("XCRC \"huge\" 7 {}", 7 + LIMIT + 1)] {
        let (code, text) = client.tell(command).await;
        assert!(code == 552 && text.contains("at most 4 GiB"), "{command}: {code} {text}");
    }
    // just as much is read, until nobody waits for it any more
    client.send(format!("XCRC \"huge\" 7 {}\r\n", 7 + LIMIT).as_bytes()).await.unwrap();
    assert_eq!(client.ask("NOOP").await, 200);
    client.send(b"ABOR\r\n").await.unwrap();
    assert_eq!((client.reply().await.0, client.reply().await.0), (426, 226));
    // 1,000 bytes of 0
    assert_eq!(client.tell("XCRC \"huge\" 7 1007").await.1, "250 060B1780\r\n");
    assert_eq!(server.vfs.closed.lock().unwrap().len(), 0, "it is no download");
}

#[tokio::test(flavor = "multi_thread")]
async fn type_a_converts_nothing() {
    let server = Server::start();
    let mut client = server.client().await;
    let content = b"unix\ndos\r\nmac\rhalf\r\n\n\r\0\xff\xf4 \xe4\x1a";
    assert_eq!(client.ask("TYPE A").await, 200);
    assert_eq!(client.upload("STOR a", content).await, 226);
    assert_eq!(server.vfs.get("/a").unwrap(), content[..]);
    assert_eq!(client.tell("SIZE a").await.1, format!("213 {}\r\n", content.len()));
    assert_eq!(client.download("RETR a").await, (226, content.to_vec()));
    assert_eq!(client.ask("REST 6").await, 350);
    assert_eq!(client.download("RETR a").await, (226, content[6..].to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn pasv_names_the_address_of_the_setting_and_epsv_none() {
    let passive_address = Some([192, 0, 2, 7].into());
    let server = Server::with(Setup { passive_address, ..Setup::default() });
    let mut client = server.client().await;
    let (code, text) = client.tell("PASV").await;
    assert!(code == 227 && text.contains("(192,0,2,7,"), "{text}");
    let (code, text) = client.tell("EPSV").await;
    assert!(code == 229 && text.contains("(|||") && !text.contains("192"), "{text}");
    // where it listens is another matter
    assert_eq!(client.upload("STOR a", b"x").await, 226);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_offered_and_what_is_not() {
    let server = Server::start();
    let mut client = server.client().await;
    let features = client.tell("FEAT").await.1;
    for feature in
        ["AUTH TLS", "EPSV", "MFMT", "MLST type*;size*;modify*;", "PBSZ", "PROT", "REST STREAM", "SIZE", "UTF8"]
    {
        assert!(features.contains(&format!("\r\n {feature}\r\n")), "{features}");
    }
    for (command, code) in [
        ("SYST", 215),
        ("TYPE I", 200),
        ("TYPE A", 200),
        ("type a n", 200),
        ("TYPE E", 504),
        ("MODE S", 200),
        ("MODE Z", 504),
        ("STRU F", 200),
        ("STRU R", 504),
        ("OPTS UTF8 ON", 200),
        ("OPTS MODE Z", 501),
        ("ALLO 100", 202),
        ("ACCT x", 202),
        ("SITE CHMOD 600 a", 502),
        ("HELP", 214),
        ("STAT", 211),
        ("PORT 127,0,0,1,4,1", 502),
        ("EPRT |1|127.0.0.1|1025|", 502),
        ("REIN", 502),
        ("CCC", 533),
        ("ABOR", 226),
        ("RETR a", 425),
        ("REST x", 501),
        ("XYZZY", 500),
        ("EPSV 2", 522),
        ("EPSV 1", 229),
        ("EPSV ALL", 200),
        ("PASV", 503),
        ("PORT 127,0,0,1,4,1", 503),
        ("EPSV", 229),
        ("QUIT", 221),
    ] {
        assert_eq!(client.ask(command).await, code, "{command}");
    }
    assert_eq!(client.reply().await.0, 0);
    let told = server.client().await.tell("PASV").await;
    assert!(told.0 == 227 && told.1.contains("(127,0,0,1,"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sessions_of_one_address_share_one_port() {
    let server = Server::with(Setup { passive_ports: 1, ..Setup::default() });
    let mut waiting = Vec::new();
    for at in 0..8_u8 {
        let version = if at % 2 == 0 { TLS13 } else { TLS12 };
        let mut client = Client::logged_in(&server, version).await;
        let address = client.passive().await;
        assert_eq!(client.ask(&format!("STOR {at}")).await, 150);
        waiting.push((at, client, address));
    }
    // the last first
    for (at, client, address) in waiting.iter_mut().rev() {
        let mut data = client.data(*address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut data, &[*at; 100]).await.unwrap();
        tokio::io::AsyncWriteExt::shutdown(&mut data).await.unwrap();
    }
    for (at, mut client, _) in waiting {
        assert_eq!(client.reply().await.0, 226);
        assert_eq!(server.vfs.get(&format!("/{at}")).unwrap(), Bytes::from(vec![at; 100]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn implicit_tls_needs_no_auth_and_no_prot() {
    let server = Server::start();
    server.vfs.put("/a", "hello");
    let tls = super::client::connector(&server, TLS13);
    let socket = tokio::net::TcpStream::connect(server.open.implicit).await.unwrap();
    let stream = super::client::begin(&tls, socket).await.unwrap();
    let mut client = Client::over(stream, tls, server.open.implicit);
    assert_eq!(client.reply().await.0, 220);
    client.log_in().await;
    assert_eq!(client.download("RETR a").await, (226, b"hello".to_vec()));
    assert_eq!(client.ask("AUTH TLS").await, 503);
    assert_eq!(client.ask("PROT C").await, 534);
}
