//! An SFTP client that knows exactly what it was told. In this process, over russh: a new connection costs no process,
//! and a broken one is known at once.

use crate::version::Version;
use russh::ChannelStream;
use russh::client::{self, Handle, Msg};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

/// How long anything may take that a client waits for. The node gives up on a path after 120 s.
pub(crate) const DEADLINE: Duration = Duration::from_secs(150);

/// WRITEs and READs of a file that are under way at the same time.
const AT_ONCE: usize = 16;
const PIECE: usize = 32 * 1024;

/// Why there is no success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The server said that there is no such file.
    NoSuchFile,
    /// The server said no before it could have happened.
    RefusedBefore(String),
    /// The server said no, and it may have happened.
    Refused(String),
    /// The connection broke before the request that makes it happen was sent.
    BrokenBefore,
    /// The connection broke, and it may have happened.
    Broken,
}

/// An answer.
enum Answer {
    Status(u32, String),
    Handle(Vec<u8>),
    Data(Vec<u8>),
}

struct Trusting;

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// Where the node is and who logs in.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) key: Arc<PrivateKey>,
}

pub(crate) struct Sftp {
    stream: ChannelStream<Msg>,
    _session: Handle<Trusting>,
    next: u32,
}

type Io<T> = Result<T, ()>;

impl Door {
    /// A session, or `None` if the node does not let us in now.
    pub(crate) async fn open(&self) -> Option<Sftp> {
        timeout(DEADLINE, self.connect()).await.expect("a login hangs")
    }

    async fn connect(&self) -> Option<Sftp> {
        let config = Arc::new(client::Config { nodelay: true, ..client::Config::default() });
        let mut session = client::connect(config, ("127.0.0.1", self.port), Trusting).await.ok()?;
        let key = PrivateKeyWithHashAlg::new(Arc::clone(&self.key), None);
        if !session.authenticate_publickey(&self.user, key).await.ok()?.success() {
            return None;
        }
        let channel = session.channel_open_session().await.ok()?;
        channel.request_subsystem(false, "sftp").await.ok()?;
        let mut sftp = Sftp { stream: channel.into_stream(), _session: session, next: 0 };
        sftp.stream.write_all(&[0, 0, 0, 5, 1, 0, 0, 0, 3]).await.ok()?;
        sftp.stream.flush().await.ok()?;
        let version = sftp.frame().await.ok()?;
        (version.first() == Some(&2)).then_some(sftp)
    }
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
    out.extend_from_slice(bytes);
}

impl Sftp {
    /// Uploads a whole file. Only CLOSE makes it visible.
    pub(crate) async fn put(&mut self, path: &str, version: Version) -> Result<(), Failure> {
        timeout(DEADLINE, self.put_now(path, version)).await.unwrap_or_else(|_| panic!("an upload of {path} hangs"))
    }

    async fn put_now(&mut self, path: &str, version: Version) -> Result<(), Failure> {
        // WRITE, CREAT, TRUNC
        let opened = self.path_request(3, &[path], &[0, 0, 0, 0x1a, 0, 0, 0, 0]).await;
        let handle = match opened.map_err(|()| Failure::BrokenBefore)? {
            Answer::Handle(handle) => handle,
            Answer::Status(_, message) => return Err(Failure::RefusedBefore(message)),
            Answer::Data(_) => panic!("data for OPEN"),
        };
        let content = version.content();
        let mut refused = None;
        let pieces: Vec<usize> = (0..content.len()).step_by(PIECE).collect();
        for batch in pieces.chunks(AT_ONCE) {
            for at in batch {
                let mut body = Vec::with_capacity(PIECE + 32);
                string(&mut body, &handle);
                body.extend_from_slice(&(*at as u64).to_be_bytes());
                string(&mut body, &content[*at..content.len().min(at + PIECE)]);
                self.send(6, &body).await.map_err(|()| Failure::BrokenBefore)?;
            }
            self.stream.flush().await.map_err(|_| Failure::BrokenBefore)?;
            for _ in batch {
                match self.answer().await.map_err(|()| Failure::BrokenBefore)? {
                    Answer::Status(0, _) => {}
                    Answer::Status(_, message) => refused = Some(message),
                    Answer::Handle(_) | Answer::Data(_) => panic!("a strange answer to WRITE"),
                }
            }
            if refused.is_some() {
                break;
            }
        }
        let mut body = Vec::new();
        string(&mut body, &handle);
        // a CLOSE that left us in part cannot be told from one that arrived
        self.send(4, &body).await.map_err(|()| Failure::Broken)?;
        self.stream.flush().await.map_err(|_| Failure::Broken)?;
        let closed = self.answer().await;
        match (closed, refused) {
            (Ok(Answer::Status(0, _)), Some(message)) => panic!("CLOSE succeeds after a WRITE failed: {message}"),
            (_, Some(message)) => Err(Failure::RefusedBefore(message)),
            (answer, None) => done(answer),
        }
    }

    /// The bytes of a file.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Vec<u8>, Failure> {
        timeout(DEADLINE, self.get_now(path)).await.unwrap_or_else(|_| panic!("a download of {path} hangs"))
    }

    async fn get_now(&mut self, path: &str) -> Result<Vec<u8>, Failure> {
        let opened = self.path_request(3, &[path], &[0, 0, 0, 1, 0, 0, 0, 0]).await;
        let handle = match opened.map_err(|()| Failure::Broken)? {
            Answer::Handle(handle) => handle,
            Answer::Status(2, _) => return Err(Failure::NoSuchFile),
            Answer::Status(_, message) => return Err(Failure::Refused(message)),
            Answer::Data(_) => panic!("data for OPEN"),
        };
        let mut content = Vec::new();
        let mut end = None;
        while end.is_none() {
            for at in 0..AT_ONCE {
                let mut body = Vec::new();
                string(&mut body, &handle);
                body.extend_from_slice(&((content.len() + at * PIECE) as u64).to_be_bytes());
                body.extend_from_slice(&u32::try_from(PIECE).unwrap().to_be_bytes());
                self.send(5, &body).await.map_err(|()| Failure::Broken)?;
            }
            self.stream.flush().await.map_err(|_| Failure::Broken)?;
            for _ in 0..AT_ONCE {
                // answers come in the order of their requests; a read is full unless it meets the end
                match self.answer().await.map_err(|()| Failure::Broken)? {
                    Answer::Data(data) if end.is_none() => content.extend_from_slice(&data),
                    Answer::Data(_) => panic!("data behind the end of {path}"),
                    Answer::Status(1, _) => end = end.or(Some(Ok(()))),
                    Answer::Status(_, message) => end = Some(Err(Failure::Refused(message))),
                    Answer::Handle(_) => panic!("a handle for READ"),
                }
            }
        }
        let mut body = Vec::new();
        string(&mut body, &handle);
        self.send(4, &body).await.map_err(|()| Failure::Broken)?;
        self.stream.flush().await.map_err(|_| Failure::Broken)?;
        self.answer().await.map_err(|()| Failure::Broken)?;
        end.unwrap_or(Ok(())).map(|()| content)
    }

    pub(crate) async fn remove(&mut self, path: &str) -> Result<(), Failure> {
        self.simple(13, &[path], &[]).await
    }

    pub(crate) async fn make_folder(&mut self, path: &str) -> Result<(), Failure> {
        self.simple(14, &[path], &[0, 0, 0, 0]).await
    }

    pub(crate) async fn remove_folder(&mut self, path: &str) -> Result<(), Failure> {
        self.simple(15, &[path], &[]).await
    }

    /// RENAME, or `posix-rename@openssh.com`, which replaces.
    pub(crate) async fn rename(&mut self, from: &str, to: &str, replace: bool) -> Result<(), Failure> {
        match replace {
            true => self.simple(200, &["posix-rename@openssh.com", from, to], &[]).await,
            false => self.simple(18, &[from, to], &[]).await,
        }
    }

    async fn simple(&mut self, kind: u8, strings: &[&str], rest: &[u8]) -> Result<(), Failure> {
        let answered = timeout(DEADLINE, self.path_request(kind, strings, rest)).await;
        done(answered.unwrap_or_else(|_| panic!("request {kind} on {strings:?} hangs")))
    }

    async fn path_request(&mut self, kind: u8, strings: &[&str], rest: &[u8]) -> Io<Answer> {
        let mut body = Vec::new();
        strings.iter().for_each(|one| string(&mut body, one.as_bytes()));
        body.extend_from_slice(rest);
        self.send(kind, &body).await?;
        self.stream.flush().await.map_err(drop)?;
        self.answer().await
    }

    async fn send(&mut self, kind: u8, body: &[u8]) -> Io<()> {
        self.next += 1;
        let mut frame = Vec::with_capacity(body.len() + 9);
        frame.extend_from_slice(&u32::try_from(body.len() + 5).unwrap().to_be_bytes());
        frame.push(kind);
        frame.extend_from_slice(&self.next.to_be_bytes());
        frame.extend_from_slice(body);
        self.stream.write_all(&frame).await.map_err(drop)
    }

    async fn frame(&mut self) -> Io<Vec<u8>> {
        let len = self.stream.read_u32().await.map_err(drop)?;
        let mut frame = vec![0; usize::try_from(len).unwrap()];
        self.stream.read_exact(&mut frame).await.map_err(drop)?;
        Ok(frame)
    }

    async fn answer(&mut self) -> Io<Answer> {
        let frame = self.frame().await?;
        let word = |at: usize| u32::from_be_bytes(frame[at..at + 4].try_into().unwrap());
        let text = |at: usize| frame[at + 4..at + 4 + usize::try_from(word(at)).unwrap()].to_vec();
        Ok(match frame[0] {
            101 => Answer::Status(word(5), String::from_utf8(text(9)).unwrap()),
            102 => Answer::Handle(text(5)),
            103 => Answer::Data(text(5)),
            kind => panic!("an answer of kind {kind}"),
        })
    }
}

fn done(answer: Io<Answer>) -> Result<(), Failure> {
    match answer {
        Ok(Answer::Status(0, _)) => Ok(()),
        Ok(Answer::Status(2, _)) => Err(Failure::NoSuchFile),
        Ok(Answer::Status(_, message)) => Err(Failure::Refused(message)),
        Ok(Answer::Handle(_) | Answer::Data(_)) => panic!("a strange answer"),
        Err(()) => Err(Failure::Broken),
    }
}
